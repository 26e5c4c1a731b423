"""Pipelines by name: which downscaler, weights, restorer and helper each stands for, and whether they are at hand."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cache, partial
from hashlib import sha256
from shlex import quote

import torch

from bbmr.allocation.corrected import is_fitted
from bbmr.blocks import PAPER_SCALES
from bbmr.devices import CPU, find_device
from bbmr.downscaling import Downscaler, bicubic_planes
from bbmr.downscaling.downnet import LearnedPlanes
from bbmr.errors import BbmrError
from bbmr.networks import NetworkDescriptor
from bbmr.options import (
    BICUBIC_MOSAIC,
    CODED_CHOICES,
    DEFAULT_PIPELINE,
    DEFAULT_SCALES,
    LEARNED,
    PIPELINE_CHOICES,
    PLAIN_PIPELINE,
    SR_FAMILIES,
    Options,
)
from bbmr.parts import (
    NO_PARTS,
    Allocator,
    CheckedUpscaler,
    Parts,
    checked_planes,
    checked_rows,
    fingerprint_of,
    name_of,
)
from bbmr.picture import Picture
from bbmr.rescaled import DIGEST_DIGITS, Recipe
from bbmr.upscaling import Upscaler
from bbmr.upscaling.joint import JointUpscaler
from bbmr.upscaling.mosaic import CodedUpscaler, MosaicUpscaler
from bbmr.upscaling.plain import PlainUpscaler
from bbmr.upscaling.separate import SeparateUpscaler
from bbmr.weights import load_filters, load_weights, weights_index
from bbmr.weights.index import LR

OWN = "own"
"""What a recipe has as the pipeline with an upscaler of one's own, and as what the scales were chosen by with such an
allocator.
"""


@dataclass(frozen=True)
class Pipeline:
    """What a pipeline's name stands for.

    networks: the names of its weights, which `restorer` takes in this order.  helper: those of its helper, which
    foresees distortions, and which `helper_restorer` takes: small SR networks, or one for coded samples; empty where it
    has none.  learned: LR planes come from the Down-Nets that the weights were trained with, not from bicubic.
    parts: of one's own, in place of these; with an upscaler the name is OWN.
    """

    name: str
    restorer: Callable[..., Upscaler]
    networks: tuple[str, ...]
    helper: tuple[str, ...] = ()
    learned: bool = False
    device: torch.device = field(default=CPU, compare=False)
    parts: Parts = NO_PARTS
    helper_restorer: Callable[..., Upscaler] = PlainUpscaler

    @property
    def title(self) -> str:
        """What messages call it."""
        return self.name if self.parts.upscaler is None else f"the upscaler {self.weights}"

    @property
    def filters(self) -> tuple[str, ...]:
        """The names of its folded Down-Nets, which only the sender needs."""
        return tuple(name + LR for name in self.networks) if self.learned else ()

    @property
    def downscaler(self) -> Downscaler:
        """The sender's.  Raises BbmrError for filters that are missing."""
        if self.parts.downscaler is not None:
            return partial(checked_planes, self.parts.downscaler)
        if not self.learned:
            return bicubic_planes
        _require(self.filters, self.name)
        return LearnedPlanes({factor: taps for name in self.filters for factor, taps in load_filters(name).items()})

    @property
    def allocator(self) -> Allocator | None:
        """One's own, if any."""
        return None if self.parts.allocator is None else partial(checked_rows, self.parts.allocator)

    @property
    def weights(self) -> str:
        """The name that the recipe records."""
        return "+".join(self.networks) if self.parts.upscaler is None else name_of(self.parts.upscaler)

    @property
    def has_own_weights(self) -> bool:
        """Whether its networks are those that its name stands for, not others of the user's."""
        return self.parts.upscaler is None and self.networks == PIPELINES[self.name].networks

    @property
    def weights_digest(self) -> str:
        """The first DIGEST_DIGITS of the SHA-256 of the weights; of several, of that of their SHA-256 one after another
        (32 bytes each).  Of an upscaler of one's own of its fingerprint, empty where it has none.
        """
        if self.parts.upscaler is not None:
            return fingerprint_of(self.parts.upscaler)[:DIGEST_DIGITS]
        digests = [weights_index()[name].sha256 for name in self.networks]
        whole = digests[0] if len(digests) == 1 else sha256(bytes.fromhex("".join(digests))).hexdigest()
        return whole[:DIGEST_DIGITS]

    @property
    def scales(self) -> tuple[int, ...]:
        """The factors that it is for, in rising order."""
        choices = {**PIPELINE_CHOICES, **CODED_CHOICES}
        return choices[self.name].scales if self.parts.upscaler is None else self.parts.upscaler.scales

    def scales_for(self, options: Options) -> tuple[int, ...]:
        """The scales that options ask for, in rising order: of those that they have by default the ones that an
        upscaler of one's own restores.
        """
        asked = tuple(sorted(options.scales))
        by_default = set(DEFAULT_SCALES[options.allocator]) & set(PIPELINE_CHOICES[options.pipeline].scales)
        if self.parts.upscaler is None or set(asked) != by_default or options.allocator == "greedy":  # it takes three
            return asked
        return tuple(factor for factor in asked if factor in self.scales) or asked

    def upscaler(self) -> Upscaler:
        """The receiver's restorer.  Raises BbmrError where the weights are of networks that it does not take."""
        if self.parts.upscaler is not None:
            return CheckedUpscaler(self.parts.upscaler)
        return _load_upscaler(self.restorer, self.networks, self.name, self.device)

    def helper_upscaler(self) -> Upscaler:
        """The restorer that the helper stands for, which enlarges whole LR planes.

        Raises BbmrError as `upscaler`.
        """
        return _load_upscaler(self.helper_restorer, self.helper, f"the helper of {self.name}", self.device)

    def mismatch(self, recipe: Recipe) -> str:
        """What a picture was compressed for, in words, where that is not what this restores with; else empty.

        By SHA-256; by name where an upscaler of one's own has no fingerprint.
        """
        own = self.parts.upscaler is not None
        if own and not (recipe.weights_digest and self.weights_digest):
            same = recipe.weights == self.weights
        else:
            same = recipe.weights_digest[:DIGEST_DIGITS] == self.weights_digest
        if same:
            return ""
        if own and recipe.weights == self.weights:
            return f"another version of {self.weights!r} than this"
        if own:
            return f"{recipe.weights!r} and restored with an upscaler of one's own, {self.weights!r}"
        return f"other weights of {self.weights!r} than these"

    def promises(self, distortion: str) -> bool:
        """Whether errors by this estimator are close enough to what is lost to promise a PSNR."""
        as_fitted = self.has_own_weights and self.parts.downscaler is None and is_fitted(self.weights)
        return distortion == "network" or (distortion == "corrected" and as_fitted)

    def suited_to(self, picture: Picture) -> "Pipeline":
        """For a gray picture the same on bicubic LR planes, where its weights are there: Down-Nets hide detail in the
        colours of LR planes, and in gray ones it would be lost.
        """
        if picture.colour.shape[2] > 1 or not self.has_own_weights:
            return self
        twin = PIPELINES[self.name.removeprefix(LEARNED)]
        if not set(twin.networks) <= set(weights_index()):
            return self
        return replace(twin, device=self.device, parts=self.parts)

    def check(self, side: int, scales: Iterable[int]) -> None:
        """Raise BbmrError unless blocks of `side` pixels at `scales` can be restored with these weights."""
        upscaler = self.upscaler()
        trained = _scales_of(self.networks)
        possible = [factor for factor in upscaler.scales if not trained or factor in trained]
        if side not in upscaler.sides or not set(scales) <= set(possible):
            restorer = f"with the weights {self.weights}, {self.name}" if self.networks else self.title
            raise BbmrError(
                f"{restorer} restores blocks of {_listed(upscaler.sides)} pixels at "
                f"scales {_listed(possible)}; it cannot restore blocks of {side} at {_listed(sorted(scales))}"
            )

    def check_distortion(self, distortion: str) -> None:
        """Raise BbmrError for an estimator that knows nothing of the upscaler."""
        if self.parts.upscaler is not None and distortion in ("corrected", "helper"):
            raise BbmrError(
                f"the distortion {distortion!r} foresees what networks of bbmr lose, not {self.title}; "
                'choose "network", which measures with it, or "bicubic", which is faster'
            )

    def check_filters(self, scales: Iterable[int]) -> None:
        """Raise BbmrError unless there are Down-Nets for `scales`, where the pipeline has any; at scale 1 none is
        needed.
        """
        _require(self.filters, self.name)
        possible = [1, *sorted(factor for name in self.filters for factor in load_filters(name))]
        if self.learned and not set(scales) <= set(possible):
            raise BbmrError(
                f"the filters {_listed(self.filters)} of {self.name} make LR pictures at scales {_listed(possible)}, "
                f"not {_listed(sorted(scales))}"
            )

    def check_helper(self, scales: Iterable[int]) -> None:
        """Raise BbmrError unless the helper foresees what is lost at `scales`; at scale 1 nothing is."""
        possible = self.helper_upscaler().scales
        if not set(scales) - {1} <= set(possible):
            raise BbmrError(
                f"with the weights {'+'.join(self.helper)}, the helper of {self.name} foresees scales "
                f"{_listed(possible)}, not {_listed(sorted(scales))}"
            )


def _of_family(family: str) -> tuple[Pipeline, ...]:
    networks = tuple(f"{family}-x{factor}" for factor in PAPER_SCALES)
    helper = tuple(f"{family}-light-x{factor}" for factor in PAPER_SCALES)
    return (
        Pipeline(f"mosaic-{family}", MosaicUpscaler, (f"mosaic-{family}",), helper),
        Pipeline(f"plain-{family}", PlainUpscaler, (f"{family}-x4",)),
        Pipeline(f"separate-{family}", SeparateUpscaler, networks, helper),
        Pipeline(f"joint-{family}", JointUpscaler, (f"joint-{family}",), helper),
    )


def _with_downnet(pipeline: Pipeline) -> Pipeline:
    """The same on LR planes of Down-Nets.  Its helper, if any, stays that of bicubic planes: it only ranks blocks."""
    networks = tuple(LEARNED + name for name in pipeline.networks)
    return replace(pipeline, name=LEARNED + pipeline.name, networks=networks, learned=True)


_BICUBIC = (
    Pipeline(BICUBIC_MOSAIC, MosaicUpscaler, ("mosaic-fast",)),
    # The yardstick: the same network, trained for uniform x4 alone.
    Pipeline(PLAIN_PIPELINE, MosaicUpscaler, ("plain-fast-x4",)),
    *(pipeline for family in SR_FAMILIES for pipeline in _of_family(family)),
)


_CODED_HELPER = "coded-fast"
_CODED = tuple(
    # Where a block is worth its bits the smallest network tells well enough, in less time.
    Pipeline(
        name,
        CodedUpscaler,
        (name,),
        () if name == _CODED_HELPER else (_CODED_HELPER,),
        helper_restorer=CodedUpscaler,
    )
    for name in CODED_CHOICES
)
PIPELINES: Mapping[str, Pipeline] = {
    pipeline.name: pipeline for pipeline in (*_BICUBIC, *map(_with_downnet, _BICUBIC), *_CODED)
}


def find_pipeline(name: str, weights: str = "", device: str = "cpu", parts: Parts = NO_PARTS) -> Pipeline:
    """The pipeline called `name`, its weights at hand, with parts of one's own in place of its own.

    weights: as a recipe records them, with `+` between those of several networks; empty for the pipeline's own.  With
    an upscaler among the parts neither they nor the pipeline's name matter.
    device: torch's name of it; an upscaler of one's own works where it will.  Raises BbmrError for an unknown pipeline,
    for too many or too few weights, naming those that are missing, for a device that cannot be used, and for
    OWN without an upscaler.
    """
    if parts.upscaler is not None:
        return Pipeline(OWN, type(parts.upscaler), (), device=find_device(device), parts=parts)
    if name == OWN:
        raise BbmrError(
            f"compressed for an upscaler of the sender's own, {weights!r}, which is not part of bbmr: restore it in "
            "Python with that, bbmr.restore(..., parts=Parts(upscaler=...)); docs/plug-ins.md has how"
        )
    if name not in PIPELINES:
        raise BbmrError(f"no pipeline is called {name!r}; there are: {_listed(PIPELINES)}")
    pipeline = replace(PIPELINES[name], device=find_device(device), parts=parts)
    if weights:
        networks = tuple(weights.split("+"))
        if len(networks) != len(pipeline.networks):
            raise BbmrError(
                f"{name} takes the weights of {len(pipeline.networks)}, not of {len(networks)} ({weights}); "
                f"its own are {pipeline.weights}"
            )
        pipeline = replace(pipeline, networks=networks)
    _require(pipeline.networks, name)
    return pipeline


def find_sender(name: str, weights: str = "", device: str = "cpu", parts: Parts = NO_PARTS) -> Pipeline:
    """The pipeline called `name` as `find_pipeline` has it, with what only the sender needs.

    With weights that were not trained with Down-Nets the default pipeline is its twin on bicubic LR planes; with a
    downscaler of one's own every pipeline is.  Raises BbmrError also where filters are missing, and for weights beside
    an upscaler of one's own.
    """
    if weights and parts.upscaler is not None:
        raise BbmrError(
            f"the weights {weights!r} are for networks of bbmr, not for {name_of(parts.upscaler)}; leave them out"
        )
    if parts.downscaler is not None:
        name = name.removeprefix(LEARNED)
    pipeline = find_pipeline(name, weights, device, parts)
    if weights and name == DEFAULT_PIPELINE and not set(pipeline.filters) <= set(weights_index()):
        return find_pipeline(name.removeprefix(LEARNED), weights, device, parts)
    _require(pipeline.filters, name)
    return pipeline


def pipeline_for(options: Options, device: str = "cpu", parts: Parts = NO_PARTS) -> Pipeline:
    """The pipeline that options ask for, with its helper where they go by it, and parts of one's own.

    Raises BbmrError as `find_sender`, and where weights, upscaler or distortion do not serve what is asked for.
    """
    pipeline = find_sender(options.pipeline, options.weights, device, parts)
    scales = pipeline.scales_for(options)
    pipeline.check(options.block, scales)
    pipeline.check_filters(scales)
    if not PIPELINE_CHOICES[options.pipeline].uniform:  # which chooses nothing
        pipeline.check_distortion(options.distortion)
    if options.distortion == "helper":
        _require(pipeline.helper, f"the helper of {pipeline.name}")
        pipeline.check_helper(scales)
    return pipeline


def _require(weights: Sequence[str], user: str) -> None:
    index = weights_index()
    missing = [name for name in weights if name not in index]
    if not missing:
        return
    first = missing[0]
    recipe = first.removesuffix(LR)  # Down-Nets come from the run of their network
    if any(recipe in pipeline.networks + pipeline.helper for pipeline in PIPELINES.values()):
        advice = (
            f"train them (`bbmr train {recipe}`, see docs/training.md) and import the result "
            f"(`bbmr weights import runs/{recipe}/ema.safetensors --name {recipe}`)"
        )
    else:
        # The name may be a file's.
        advice = f"get the file that they were imported from and run `bbmr weights import FILE --name {quote(first)}`"
    raise BbmrError(f"{user} needs weights that are not there: {_listed(missing)}; {advice}")


def _scales_of(weights: Sequence[str]) -> set[int]:
    """The scales that weights are for; none where they take maps of several."""
    index = weights_index()
    return {scale for name in weights if (scale := index[name].scale) is not None}


def _listed(things: Iterable[object]) -> str:
    return ", ".join(map(str, things))


def _load_upscaler(
    restorer: Callable[..., Upscaler], weights: Sequence[str], user: str, device: torch.device
) -> Upscaler:
    descriptors = tuple(map(load_weights, weights))
    try:
        return _build(restorer, descriptors, device)
    except ValueError as error:
        raise BbmrError(f"{user} cannot work with the weights {'+'.join(weights)}: {error}") from error


@cache
def _build(
    restorer: Callable[..., Upscaler], descriptors: tuple[NetworkDescriptor, ...], device: torch.device
) -> Upscaler:
    if device.type != CPU.type:  # the weights as they were loaded stay where they are
        descriptors = tuple(replace(one, network=deepcopy(one.network).to(device)) for one in descriptors)
    return restorer(*descriptors)
