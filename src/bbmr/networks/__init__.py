"""Restoring networks by name: how to build each, and what it needs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch import Tensor, nn

from bbmr.blocks import PAPER_SCALES
from bbmr.networks.fast import Fast, FastLuma
from bbmr.networks.joint import JointSR
from bbmr.networks.omnisr import CHANNELS, OmniSR, OmniSRBody, OmniSRMosaic, count_groups

State = Mapping[str, Tensor]
Kind = Literal["mosaic", "sr", "joint"]

_ENDS = ("head", "input", "tail", "deblock", "up")


@dataclass(frozen=True)
class NetworkDescriptor:
    """A network never travels alone.

    kind: `mosaic` corrects mosaics, `sr` enlarges whole LR pictures by `scale`, `joint` restores pictures from blocks
    of PAPER_SCALES.  scale: None but for `sr`.
    reach: input positions, in each direction, that an output position depends on; None where it depends on all.
    last: what the names of the parameters of the layers that put out pixels begin with.
    """

    name: str
    network: nn.Module
    kind: Kind
    scale: int | None
    reach: int | None
    last: tuple[str, ...] = ("tail.",)


def is_end(key: str) -> bool:
    """Whether a parameter, by its key, is of a first or last layer: pixels in or out.  Their sizes and meanings differ
    between scales, and between SR and mosaics.
    """
    return any(part.startswith(_ENDS) for part in key.split("."))


def network_names() -> list[str]:
    """All registered networks, sorted."""
    return sorted(_BUILDERS)


def build_network(name: str, state: State | None = None) -> NetworkDescriptor:
    """Build a network by its registered name, with random weights or with `state`, whose sizes set its own.

    Raises KeyError for an unknown name, RuntimeError where the state does not fit.
    """
    if name not in _BUILDERS:
        raise KeyError(f"no network is called {name!r}; there are: {', '.join(network_names())}")
    descriptor = _BUILDERS[name](name, state)
    if state is not None:
        descriptor.network.load_state_dict(state)
    return descriptor


def _fast(name: str, state: State | None) -> NetworkDescriptor:
    network = Fast() if state is None else Fast(**_size_of_fast(state))
    return NetworkDescriptor(name, network, "mosaic", None, network.reach)


def _fast_luma(name: str, state: State | None) -> NetworkDescriptor:
    network = FastLuma() if state is None else FastLuma(**_size_of_fast(state, "on_luma."))
    return NetworkDescriptor(name, network, "mosaic", None, network.reach, ("on_luma.tail.",))


def _size_of_fast(state: State, prefix: str = "") -> dict[str, int]:
    own = {key.removeprefix(prefix): part for key, part in state.items() if key.startswith(prefix)}
    pairs = {key.split(".")[1] for key in own if key.startswith("body.")}
    return {"channels": own["head.weight"].shape[0], "pairs": len(pairs)}


def _omnisr(name: str, state: State | None, scale: int, groups: int = 5) -> NetworkDescriptor:
    network = OmniSR(scale, groups if state is None else count_groups(state))
    return NetworkDescriptor(name, network, "sr", scale, None, ("up.",))


def _mosaic_omnisr(name: str, state: State | None) -> NetworkDescriptor:
    network = OmniSRMosaic() if state is None else OmniSRMosaic(count_groups(state))
    return NetworkDescriptor(name, network, "mosaic", None, None)


def _joint_omnisr(name: str, state: State | None, groups: int = 5) -> NetworkDescriptor:
    if state is not None:
        prefix = f"branches.{PAPER_SCALES[0]}."
        groups = count_groups({key.removeprefix(prefix): part for key, part in state.items() if key.startswith(prefix)})
    network = JointSR({scale: OmniSRBody(groups) for scale in PAPER_SCALES}, CHANNELS)
    return NetworkDescriptor(name, network, "joint", None, None, ("tails.", "deblock.", "up."))


_BUILDERS: Mapping[str, Callable[[str, State | None], NetworkDescriptor]] = {
    "fast": _fast,
    "fast-luma": _fast_luma,
    "joint-omnisr": _joint_omnisr,
    "joint-omnisr-light": partial(_joint_omnisr, groups=1),
    "mosaic-omnisr": _mosaic_omnisr,
    "omnisr-light-x2": partial(_omnisr, scale=2, groups=1),
    "omnisr-light-x4": partial(_omnisr, scale=4, groups=1),
    "omnisr-light-x8": partial(_omnisr, scale=8, groups=1),
    "omnisr-x2": partial(_omnisr, scale=2),
    "omnisr-x4": partial(_omnisr, scale=4),
    "omnisr-x8": partial(_omnisr, scale=8),
}
