"""Random weights for networks whose own first ones leave out the body."""

from typing import TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def at_random(network: Network) -> Network:
    """Draw the weights of all layers anew, as torch does: as it is built, Omni-SR is bicubic whatever its body says."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.Embedding):
            layer.reset_parameters()
    return network


def randomised(network: Network) -> Network:
    """Small weights, always the same, for all parameters: tables, gains and biases too."""
    torch.manual_seed(0)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.05)
    return network
