"""Compress and restore: a pipeline is downscaler + distortion + allocator + upscaler, chosen by name.

picture -> LR planes -> distortion of every block at every scale -> scales within the budget
        -> LR blocks, refined where that is asked for -> RescaledImage
RescaledImage -> restorer -> picture
"""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cache
from hashlib import sha256
from shlex import quote
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bbmr.allocation.corrected import corrected_errors, is_fitted
from bbmr.allocation.distortion import bicubic_errors, luma_variance, network_errors
from bbmr.allocation.greedy import algorithm_1
from bbmr.allocation.optimal import BudgetTooSmallError, least_squared_error
from bbmr.allocation.visual import uniform_row, visual_distortion
from bbmr.blocks import BLOCK_SIDES, PAPER_SCALES, SCALES, BlockGrid, split
from bbmr.devices import CPU, find_device, full_float32
from bbmr.downscaling import Downscaler, bicubic_planes
from bbmr.downscaling.downnet import LearnedPlanes
from bbmr.errors import BbmrError
from bbmr.networks import NetworkDescriptor
from bbmr.options import (
    BICUBIC_MOSAIC,
    DEFAULT_PIPELINE,
    LEARNED,
    PIPELINE_CHOICES,
    PLAIN_PIPELINE,
    SR_FAMILIES,
    Options,
    check_effort,
)
from bbmr.picture import Picture
from bbmr.progress import Progress, silent
from bbmr.refinement.refine import STEPS, refine
from bbmr.rescaled import Recipe, RescaledImage
from bbmr.upscaling import Upscaler
from bbmr.upscaling.joint import JointUpscaler
from bbmr.upscaling.mosaic import MosaicUpscaler
from bbmr.upscaling.plain import PlainUpscaler
from bbmr.upscaling.separate import SeparateUpscaler
from bbmr.weights import load_filters, load_weights, weights_index
from bbmr.weights.index import LR


@dataclass(frozen=True)
class Pipeline:
    """What a pipeline's name stands for.

    networks: the names of its weights, which `restorer` takes in this order.  helper: those of its helper, SR networks
    that foresee distortions; empty where it has none.  learned: LR planes come from the Down-Nets that the weights were
    trained with, not from bicubic.
    """

    name: str
    restorer: Callable[..., Upscaler]
    networks: tuple[str, ...]
    helper: tuple[str, ...] = ()
    learned: bool = False
    device: torch.device = field(default=CPU, compare=False)

    @property
    def filters(self) -> tuple[str, ...]:
        """The names of its folded Down-Nets, which only the sender needs."""
        return tuple(name + LR for name in self.networks) if self.learned else ()

    @property
    def downscaler(self) -> Downscaler:
        """The sender's.  Raises BbmrError for filters that are missing."""
        if not self.learned:
            return bicubic_planes
        _require(self.filters, self.name)
        return LearnedPlanes({factor: taps for name in self.filters for factor, taps in load_filters(name).items()})

    @property
    def weights(self) -> str:
        """The name that the recipe records."""
        return "+".join(self.networks)

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the weights; of several, that of their SHA-256 one after another (32 bytes each)."""
        digests = [weights_index()[name].sha256 for name in self.networks]
        return digests[0] if len(digests) == 1 else sha256(bytes.fromhex("".join(digests))).hexdigest()

    def upscaler(self) -> Upscaler:
        """The receiver's restorer.  Raises BbmrError where the weights are of networks that it does not take."""
        return _load_upscaler(self.restorer, self.networks, self.name, self.device)

    def helper_upscaler(self) -> Upscaler:
        """The restorer that the helper stands for: whole LR planes, enlarged by small SR networks.

        Raises BbmrError as `upscaler`.
        """
        return _load_upscaler(PlainUpscaler, self.helper, f"the helper of {self.name}", self.device)

    def suited_to(self, picture: Picture) -> "Pipeline":
        """For a gray picture the same on bicubic LR planes, where its weights are there: Down-Nets hide detail in the
        colours of LR planes, and in gray ones it would be lost.
        """
        twin = PIPELINES[self.name.removeprefix(LEARNED)]
        by_others = self.networks != PIPELINES[self.name].networks
        if picture.colour.shape[2] > 1 or by_others or not set(twin.networks) <= set(weights_index()):
            return self
        return replace(twin, device=self.device)

    def check(self, side: int, scales: Iterable[int]) -> None:
        """Raise BbmrError unless blocks of `side` pixels at `scales` can be restored with these weights."""
        upscaler = self.upscaler()
        trained = _scales_of(self.networks)
        possible = [factor for factor in upscaler.scales if not trained or factor in trained]
        if side not in upscaler.sides or not set(scales) <= set(possible):
            raise BbmrError(
                f"with the weights {self.weights}, {self.name} restores blocks of {_listed(upscaler.sides)} pixels at "
                f"scales {_listed(possible)}; it cannot restore blocks of {side} at {_listed(sorted(scales))}"
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


PIPELINES: Mapping[str, Pipeline] = {pipeline.name: pipeline for pipeline in (*_BICUBIC, *map(_with_downnet, _BICUBIC))}


def find_pipeline(name: str, weights: str = "", device: str = "cpu") -> Pipeline:
    """The pipeline called `name`, its weights at hand.

    weights: as a recipe records them, with `+` between those of several networks; empty for the pipeline's own.
    device: torch's name of it.  Raises BbmrError for an unknown pipeline, for too many or too few weights, naming those
    that are missing, and for a device that cannot be used.
    """
    if name not in PIPELINES:
        raise BbmrError(f"no pipeline is called {name!r}; there are: {_listed(PIPELINES)}")
    pipeline = replace(PIPELINES[name], device=find_device(device))
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


def find_sender(name: str, weights: str = "", device: str = "cpu") -> Pipeline:
    """The pipeline called `name` as `find_pipeline` has it, with what only the sender needs.

    With weights that were not trained with Down-Nets the default pipeline is its twin on bicubic LR planes.  Raises
    BbmrError also where filters are missing.
    """
    pipeline = find_pipeline(name, weights, device)
    if weights and name == DEFAULT_PIPELINE and not set(pipeline.filters) <= set(weights_index()):
        return find_pipeline(name.removeprefix(LEARNED), weights, device)
    _require(pipeline.filters, name)
    return pipeline


def pipeline_for(options: Options, device: str = "cpu") -> Pipeline:
    """The pipeline that options ask for, with its helper where they go by it.

    Raises BbmrError as `find_sender`, and where the weights do not serve the blocks and scales asked for.
    """
    pipeline = find_sender(options.pipeline, options.weights, device)
    pipeline.check(options.block, options.scales)
    pipeline.check_filters(options.scales)
    if options.distortion == "helper":
        _require(pipeline.helper, f"the helper of {pipeline.name}")
        pipeline.check_helper(options.scales)
    return pipeline


def compress(
    picture: Picture,
    options: Options | None = None,
    progress: Progress = silent,
    errors: NDArray[np.float64] | None = None,
    device: str = "cpu",
) -> RescaledImage:
    """Choose a scale for every block, within the budget, and keep its LR samples.

    errors: what `measure_distortion` gives for these options and their scales in rising order, where that is known.
    device: torch's name of the one that runs the pipeline's networks.  Raises BbmrError where the budget is too small
    for the scales, weights are missing or do not suit, or the device cannot be used.
    """
    options = options or Options()
    pipeline = pipeline_for(options, device).suited_to(picture)
    if PIPELINE_CHOICES[pipeline.name].uniform:
        return _compress_uniform(picture, options.scales[0], pipeline, options.effort, progress)
    grid = BlockGrid(picture.height, picture.width, options.block)
    scales = tuple(sorted(options.scales))
    progress("downscale", 0.0)
    # The correction looks at all scales, chosen or not.
    planes = pipeline.downscaler(picture.colour, scales if pipeline.learned else SCALES)
    if errors is None:
        # All estimators but the network itself know bicubic planes alone.
        foreign = pipeline.learned and options.distortion != "network"
        shown = bicubic_planes(picture.colour, SCALES) if foreign else planes
        errors = measure_distortion(picture, shown, grid, options.distortion, pipeline, scales, progress)
    costs = np.stack([grid.costs(factor) for factor in scales])
    rows = _allocate(picture, grid, options, errors, costs)
    expected = None
    own = pipeline.networks == PIPELINES[pipeline.name].networks
    fitted = options.distortion == "corrected" and own and is_fitted(pipeline.weights)
    if options.distortion == "network" or fitted:
        expected = _psnr(np.take_along_axis(errors.reshape(len(scales), -1), rows[None], 0).sum(), picture)
    chosen = np.array(scales, np.uint8)[rows].reshape(grid.rows, grid.cols)
    recipe = Recipe(pipeline.name, pipeline.weights, pipeline.weights_sha256, options.objective, expected)
    return _refine(_store(picture, grid, chosen, planes, recipe), picture, pipeline, options.effort, progress)


def compress_uniform(
    picture: Picture,
    factor: int,
    pipeline: str = DEFAULT_PIPELINE,
    weights: str = "",
    effort: int = 0,
    progress: Progress = silent,
    device: str = "cpu",
) -> RescaledImage:
    """Give every block the same scale: what usual image rescaling does.

    weights, device: as in `find_sender`.  effort: as in `Options`.  Raises BbmrError for a scale that the pipeline does
    not restore, for an effort that there is not, or where weights are missing or do not suit.
    """
    check_effort(effort)
    chosen = find_sender(pipeline, weights, device).suited_to(picture)
    return _compress_uniform(picture, factor, chosen, effort, progress)


def _compress_uniform(
    picture: Picture, factor: int, pipeline: Pipeline, effort: int, progress: Progress
) -> RescaledImage:
    possible = PIPELINE_CHOICES[pipeline.name].scales
    if factor not in possible:
        raise BbmrError(f"{pipeline.name} works at scales {_listed(possible)}, not {factor}")
    grid = BlockGrid(picture.height, picture.width, max(BLOCK_SIDES))
    pipeline.check(grid.side, (factor,))
    pipeline.check_filters((factor,))
    scales = np.full((grid.rows, grid.cols), factor, np.uint8)
    progress("downscale", 0.0)
    planes = pipeline.downscaler(picture.colour, (factor,))
    recipe = Recipe(pipeline.name, pipeline.weights, pipeline.weights_sha256, "uniform")
    return _refine(_store(picture, grid, scales, planes, recipe), picture, pipeline, effort, progress)


def measure_distortion(
    picture: Picture,
    planes: Mapping[int, NDArray[np.uint8]],
    grid: BlockGrid,
    distortion: str,
    pipeline: Pipeline,
    scales: Sequence[int] = SCALES,
    progress: Progress = silent,
) -> NDArray[np.float64]:
    """Estimate the summed squared luma error of every block at every one of `scales`, (len(scales), rows, cols).

    planes: bicubic LR planes of all scales, which the estimators were made for; with `distortion` "network" those that
    are stored, of `scales` at least.  distortion: one of DISTORTIONS.  scales: those that the pipeline restores, and
    its helper where that is asked for.
    """
    progress("measure distortion", 0.0)
    if distortion == "corrected":
        errors = corrected_errors(picture.colour, planes, grid, pipeline.weights, progress)
        return errors[[SCALES.index(factor) for factor in scales]]
    wanted = {factor: planes[factor] for factor in scales}
    if distortion == "bicubic":
        return bicubic_errors(picture.colour, wanted, grid, progress)
    upscaler = pipeline.helper_upscaler() if distortion == "helper" else pipeline.upscaler()
    with full_float32():
        return network_errors(picture.colour, wanted, grid, upscaler, progress)


def restore(rescaled: RescaledImage, progress: Progress = silent, device: str = "cpu") -> Picture:
    """Restore the picture at its true size and mode, metadata and alpha included, with the weights that it names.

    device: as for `compress`; another one rounds otherwise, by a grey level here and there.  Warns (UserWarning) where
    weights of these names differ from those it was compressed for.  Raises BbmrError for an unknown pipeline, for
    blocks or scales that it does not restore, and where weights are missing or do not suit.
    """
    pipeline = find_pipeline(rescaled.recipe.pipeline, rescaled.recipe.weights, device)
    pipeline.check(rescaled.grid.side, rescaled.blocks)
    if rescaled.recipe.weights_sha256 != pipeline.weights_sha256:
        warnings.warn(
            f"compressed for other weights of {pipeline.weights!r} than these: "
            "the picture may come out slightly different",
            stacklevel=2,
        )
    with full_float32():
        colour = pipeline.upscaler().restore(rescaled, progress)
    return Picture(colour, rescaled.alpha, rescaled.metadata)


def _allocate(
    picture: Picture, grid: BlockGrid, options: Options, errors: NDArray[np.float64], costs: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Row of the chosen scale for every block, (blocks,); errors and costs: (scales, rows, cols)."""
    budget = options.budget.pixels(grid.height, grid.width)

    def flat(maps: NDArray[Any]) -> NDArray[Any]:
        return maps.reshape(len(maps), -1)

    try:
        if options.allocator == "greedy":
            small, middle, large = sorted(options.scales)
            return algorithm_1(flat(errors), grid.costs(1).ravel(), flat(costs), (small, middle, large), budget)
        if options.tune == "visual":
            uniform = uniform_row(sorted(options.scales), grid.height * grid.width, budget)
            errors = visual_distortion(errors, luma_variance(picture.colour, grid), grid.costs(1), uniform)
        return least_squared_error(flat(errors), flat(costs), budget)
    except BudgetTooSmallError as error:
        # Algorithm 1 starts from its middle scale, which can be the last but one at most.
        coarsest = SCALES[-2] if options.allocator == "greedy" else SCALES[-1]
        advice = "allow larger scales or more pixels" if grid.costs(coarsest).sum() <= budget else "allow more pixels"
        raise BbmrError(f"the budget {options.budget.text} is too small: {error}; {advice}") from error


def _store(
    picture: Picture,
    grid: BlockGrid,
    scales: NDArray[np.uint8],
    planes: Mapping[int, NDArray[np.uint8]],
    recipe: Recipe,
) -> RescaledImage:
    blocks = {
        int(factor): split(planes[factor], grid, factor)[scales == factor] for factor in np.unique(scales).tolist()
    }
    return RescaledImage(grid, scales, blocks, recipe, picture.alpha, picture.metadata)


def _refine(
    rescaled: RescaledImage, picture: Picture, pipeline: Pipeline, effort: int, progress: Progress
) -> RescaledImage:
    """Refine the LR samples; the PSNR-Y that is expected is then the one that they are restored with."""
    if not STEPS[effort]:
        return rescaled
    # Gradients, also where the caller has turned them off.
    with full_float32(), torch.inference_mode(False), torch.enable_grad():
        refined = refine(rescaled, picture.colour, pipeline.upscaler(), STEPS[effort], progress)
    recipe = replace(rescaled.recipe, expected_psnr=_psnr(refined.luma_error, picture))
    return replace(refined.rescaled, recipe=recipe)


def _psnr(squared_error: float, picture: Picture) -> float | None:
    # Nothing is added for rounding the restored samples to 8 bit: the original's are whole numbers, so rounding takes
    # small errors away as much as it adds.  By the network's own errors the smoothest photographs come out right to
    # 0.2 dB as it is, and rounding's usual twelfth would put them 3 dB too low.
    mean = squared_error / (picture.width * picture.height)
    return float(10 * np.log10(255**2 / mean)) if mean > 0 else None


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
