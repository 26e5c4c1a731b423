"""A restoring network with the Down-Nets before it, as they are trained; and the two apart, as they are used."""

from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from bbmr.downscaling.downnet import DownNet, fold, shrink

DOWNSCALERS, RESTORER = "downscalers.", "restorer."
"""What the keys of its state begin with."""


class EndToEnd(nn.Module):
    """A Down-Net for each of `factors`, and the network that restores their LR planes."""

    def __init__(self, restorer: nn.Module, factors: Iterable[int]) -> None:
        super().__init__()
        self.downscalers = nn.ModuleDict({str(factor): DownNet(factor) for factor in factors})
        self.restorer = restorer

    def lr_planes(self, hr: Tensor) -> dict[int, Tensor]:
        """(N, 3, H, W) in [0, 1] -> {k: (N, 3, H/k, W/k)}, neither clipped nor rounded."""
        nets = [net for net in self.downscalers.values() if isinstance(net, DownNet)]
        return {net.factor: shrink(hr, fold(net), net.factor) for net in nets}


def part(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The state of a part, by what its keys begin with."""
    return {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)}


def take_apart(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Each Down-Net of an EndToEnd's state folded, by scale ("2", "4", ...), and the state of the restoring network.

    Any other state has no filters.  Raises ValueError or RuntimeError for a state that is damaged.
    """
    nets = part(state, DOWNSCALERS)
    filters = {}
    for scale in sorted({key.split(".")[0] for key in nets}, key=int):
        net = DownNet(int(scale))
        net.load_state_dict(part(nets, f"{scale}."))
        filters[scale] = fold(net).detach().contiguous()
    return filters, part(state, RESTORER) or dict(state)
