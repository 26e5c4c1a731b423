"""Random weights for networks whose own first ones leave out the body."""

from typing import TypeVar

from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def at_random(network: Network) -> Network:
    """Draw the weights of all layers anew, as torch does: as it is built, Omni-SR is bicubic whatever its body says."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.Embedding):
            layer.reset_parameters()
    return network
