"""Restoring networks by name: how to build each, and what it needs."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from bbmr.networks.fast import Fast


@dataclass(frozen=True)
class NetworkDescriptor:
    """A network never travels alone.

    reach: positions of the H/4 grid, in each direction, that an output position depends on.
    """

    name: str
    network: nn.Module
    reach: int


def build_network(name: str, state: Mapping[str, Tensor] | None = None) -> NetworkDescriptor:
    """Build a network by its registered name, with random weights or with `state`, whose sizes set its own.

    Raises KeyError for an unknown name, RuntimeError where the state does not fit.
    """
    if name not in _BUILDERS:
        raise KeyError(f"no network is called {name!r}; there are: {', '.join(sorted(_BUILDERS))}")
    return _BUILDERS[name](state)


def _build_fast(state: Mapping[str, Tensor] | None) -> NetworkDescriptor:
    if state is None:
        network = Fast()
    else:
        pairs = len({key.split(".")[1] for key in state if key.startswith("body.")})
        network = Fast(channels=state["head.weight"].shape[0], pairs=pairs)
        network.load_state_dict(state)
    return NetworkDescriptor("fast", network, network.reach)


_BUILDERS = {"fast": _build_fast}
