"""Restoring networks by name: how to build each, and what it needs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from bbmr.networks.fast import Fast
from bbmr.networks.omnisr import OmniSR, OmniSRMosaic, count_groups

State = Mapping[str, Tensor]


@dataclass(frozen=True)
class NetworkDescriptor:
    """A network never travels alone.

    scale: of an SR network, which enlarges a whole LR picture; None for a network that corrects mosaics.
    reach: input positions, in each direction, that an output position depends on; None where it depends on all.
    """

    name: str
    network: nn.Module
    scale: int | None
    reach: int | None


def build_network(name: str, state: State | None = None) -> NetworkDescriptor:
    """Build a network by its registered name, with random weights or with `state`, whose sizes set its own.

    Raises KeyError for an unknown name, RuntimeError where the state does not fit.
    """
    if name not in _BUILDERS:
        raise KeyError(f"no network is called {name!r}; there are: {', '.join(sorted(_BUILDERS))}")
    descriptor = _BUILDERS[name](name, state)
    if state is not None:
        descriptor.network.load_state_dict(state)
    return descriptor


def _fast(name: str, state: State | None) -> NetworkDescriptor:
    if state is None:
        network = Fast()
    else:
        pairs = len({key.split(".")[1] for key in state if key.startswith("body.")})
        network = Fast(channels=state["head.weight"].shape[0], pairs=pairs)
    return NetworkDescriptor(name, network, None, network.reach)


def _omnisr(name: str, state: State | None, scale: int | None, groups: int = 5) -> NetworkDescriptor:
    groups = groups if state is None else count_groups(state)
    network = OmniSRMosaic(groups) if scale is None else OmniSR(scale, groups)
    return NetworkDescriptor(name, network, scale, None)


_BUILDERS: Mapping[str, Callable[[str, State | None], NetworkDescriptor]] = {
    "fast": _fast,
    "omnisr-light-x2": partial(_omnisr, scale=2, groups=1),
    "omnisr-light-x4": partial(_omnisr, scale=4, groups=1),
    "omnisr-light-x8": partial(_omnisr, scale=8, groups=1),
    "omnisr-mosaic": partial(_omnisr, scale=None),
    "omnisr-x2": partial(_omnisr, scale=2),
    "omnisr-x4": partial(_omnisr, scale=4),
    "omnisr-x8": partial(_omnisr, scale=8),
}
