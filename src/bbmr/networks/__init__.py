"""Restoring networks by name: how to build each, and what it needs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch import Tensor, nn

from bbmr.blocks import PAPER_SCALES
from bbmr.networks import craft, omnisr
from bbmr.networks.fast import CodedFast, Fast, FastLuma
from bbmr.networks.fine import CodedFine
from bbmr.networks.joint import JointSR

State = Mapping[str, Tensor]
Kind = Literal["mosaic", "coded", "sr", "joint"]

_CODED = "fast-coded"
_ENDS = ("head", "input", "conv_first", "tail", "deblock", "up")


@dataclass(frozen=True)
class Family:
    """An SR network in all its uses: at every scale, with a light one for the helper; on mosaics; as branches of Joint
    SR.

    sr, body, mosaic: build each of a number of groups; sr of a scale too.  channels: what a body puts out.  groups: how
    many there are, but for the light one's single one.  count_groups: of a state.  last: the last convolution of `sr`,
    to 3 scale^2 channels; mean: what `sr` adds to the R, G and B that this gives.
    """

    name: str
    title: str
    sr: Callable[[int, int], nn.Module]
    body: Callable[[int], nn.Module]
    mosaic: Callable[[int], nn.Module]
    channels: int
    groups: int
    count_groups: Callable[[State], int]
    last: str
    mean: tuple[float, float, float]


@dataclass(frozen=True)
class NetworkDescriptor:
    """A network never travels alone.

    kind: `mosaic` corrects mosaics, `coded` does where a lossy codec has been at the LR samples, `sr` enlarges whole LR
    pictures by `scale`, `joint` restores pictures from blocks of PAPER_SCALES.  scale: None but for `sr`.
    reach: input positions, in each direction, that an output position depends on; None where it depends on all.
    last: what the names of the parameters of the layers that put out pixels begin with.  family: that of an SR network
    in any of its uses.
    """

    name: str
    network: nn.Module
    kind: Kind
    scale: int | None
    reach: int | None
    last: tuple[str, ...] = ("tail.",)
    family: Family | None = None


def is_end(key: str) -> bool:
    """Whether a parameter, by its key, is of a first or last layer: pixels in or out.  Their sizes and meanings differ
    between scales, and between SR and mosaics.
    """
    return any(part.startswith(_ENDS) for part in key.split("."))


def is_coded(name: str) -> bool:
    """Whether a registered network is for LR samples that were coded with loss."""
    return name.startswith(_CODED)


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
    descriptor.network.float()  # whatever the caller's default is
    return descriptor


def _fast(name: str, state: State | None) -> NetworkDescriptor:
    network = Fast() if state is None else Fast(**_size_of_fast(state))
    return NetworkDescriptor(name, network, "mosaic", None, network.reach)


def _coded_fast(name: str, state: State | None, channels: int, pairs: int) -> NetworkDescriptor:
    network = CodedFast(channels, pairs) if state is None else CodedFast(**_size_of_fast(state))
    return NetworkDescriptor(name, network, "coded", None, network.reach)


def _coded_fine(name: str, state: State | None) -> NetworkDescriptor:
    if state is None:
        network = CodedFine()
    else:
        fine = {f"fine_{key}": size for key, size in _size_of_fast(state, "fine.").items()}
        network = CodedFine(**_size_of_fast(state, "coarse."), **fine)
    return NetworkDescriptor(name, network, "coded", None, network.reach, ("coarse.tail.", "fine.tail."))


def _fast_luma(name: str, state: State | None) -> NetworkDescriptor:
    network = FastLuma() if state is None else FastLuma(**_size_of_fast(state, "on_luma."))
    return NetworkDescriptor(name, network, "mosaic", None, network.reach, ("on_luma.tail.",))


def _size_of_fast(state: State, prefix: str = "") -> dict[str, int]:
    own = {key.removeprefix(prefix): part for key, part in state.items() if key.startswith(prefix)}
    pairs = {key.split(".")[1] for key in own if key.startswith("body.")}
    return {"channels": own["head.weight"].shape[0], "pairs": len(pairs)}


FAMILIES = (
    Family(
        "omnisr",
        "Omni-SR",
        omnisr.OmniSR,
        omnisr.OmniSRBody,
        omnisr.OmniSRMosaic,
        omnisr.CHANNELS,
        omnisr.GROUPS,
        omnisr.count_groups,
        "up.0",
        (0.0, 0.0, 0.0),
    ),
    Family(
        "craft",
        "CRAFT",
        craft.CRAFT,
        craft.CRAFTBody,
        craft.CRAFTMosaic,
        craft.CHANNELS,
        craft.GROUPS,
        craft.count_groups,
        "upsample.0",
        craft.MEAN,
    ),
)


def _sr(name: str, state: State | None, family: Family, scale: int, groups: int) -> NetworkDescriptor:
    network = family.sr(scale, groups if state is None else family.count_groups(state))
    return NetworkDescriptor(name, network, "sr", scale, None, (f"{family.last}.",), family)


def _mosaic(name: str, state: State | None, family: Family) -> NetworkDescriptor:
    network = family.mosaic(family.groups if state is None else family.count_groups(state))
    return NetworkDescriptor(name, network, "mosaic", None, None, family=family)


def _joint(name: str, state: State | None, family: Family, groups: int) -> NetworkDescriptor:
    if state is not None:
        prefix = f"branches.{PAPER_SCALES[0]}."
        branch = {key.removeprefix(prefix): part for key, part in state.items() if key.startswith(prefix)}
        groups = family.count_groups(branch)
    network = JointSR({scale: family.body(groups) for scale in PAPER_SCALES}, family.channels)
    return NetworkDescriptor(name, network, "joint", None, None, ("tails.", "deblock.", "up."), family)


def _builders() -> dict[str, Callable[[str, State | None], NetworkDescriptor]]:
    builders: dict[str, Callable[[str, State | None], NetworkDescriptor]] = {
        "fast": _fast,
        _CODED: partial(_coded_fast, channels=48, pairs=5),
        f"{_CODED}-wide": partial(_coded_fast, channels=96, pairs=6),
        f"{_CODED}-fine": _coded_fine,
        "fast-luma": _fast_luma,
    }
    for family in FAMILIES:
        builders[f"mosaic-{family.name}"] = partial(_mosaic, family=family)
        for light, groups in (("", family.groups), ("-light", 1)):
            builders[f"joint-{family.name}{light}"] = partial(_joint, family=family, groups=groups)
            for scale in PAPER_SCALES:
                name = f"{family.name}{light}-x{scale}"
                builders[name] = partial(_sr, family=family, scale=scale, groups=groups)
    return builders


_BUILDERS = _builders()
