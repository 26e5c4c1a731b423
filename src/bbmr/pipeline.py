"""Compress and restore: a pipeline is downscaler + distortion + allocator + upscaler, chosen by name.

picture -> LR planes -> distortion of every block at every scale -> scales within the budget -> RescaledImage
RescaledImage -> mosaic -> network -> picture
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bbmr.allocation.corrected import corrected_errors
from bbmr.allocation.distortion import bicubic_errors, luma_variance, network_errors
from bbmr.allocation.greedy import algorithm_1
from bbmr.allocation.optimal import BudgetTooSmallError, least_squared_error
from bbmr.allocation.visual import uniform_row, visual_distortion
from bbmr.blocks import BLOCK_SIDES, SCALES, BlockGrid, split
from bbmr.downscaling import Downscaler, bicubic_planes
from bbmr.errors import BbmrError
from bbmr.options import DEFAULT_PIPELINE, PLAIN_PIPELINE, Options
from bbmr.picture import Picture
from bbmr.progress import Progress, silent
from bbmr.rescaled import Recipe, RescaledImage
from bbmr.upscaling.mosaic import MosaicUpscaler
from bbmr.weights import load_weights, weights_index


@dataclass(frozen=True)
class Pipeline:
    """What a pipeline's name stands for."""

    name: str
    downscaler: Downscaler
    weights: str

    def upscaler(self) -> MosaicUpscaler:
        return _upscaler(self.weights)


PIPELINES: Mapping[str, Pipeline] = {
    DEFAULT_PIPELINE: Pipeline(DEFAULT_PIPELINE, bicubic_planes, "mosaic-fast"),
    # The yardstick: the same network, trained for uniform x4 alone.
    PLAIN_PIPELINE: Pipeline(PLAIN_PIPELINE, bicubic_planes, "plain-fast-x4"),
}


def find_pipeline(name: str) -> Pipeline:
    """The pipeline called `name`.  Raises BbmrError for an unknown one."""
    if name not in PIPELINES:
        raise BbmrError(f"no pipeline is called {name!r}; there are: {', '.join(sorted(PIPELINES))}")
    return PIPELINES[name]


def compress(
    picture: Picture,
    options: Options | None = None,
    progress: Progress = silent,
    errors: NDArray[np.float64] | None = None,
) -> RescaledImage:
    """Choose a scale for every block, within the budget, and keep its LR samples.

    errors: what `measure_distortion` gives for these options and their scales in rising order, where that is known.
    Raises BbmrError where the budget is too small for the scales.
    """
    options = options or Options()
    pipeline = find_pipeline(options.pipeline)
    if pipeline.name == PLAIN_PIPELINE:
        if options != Options(pipeline=PLAIN_PIPELINE):
            raise BbmrError(f"{PLAIN_PIPELINE} stores a uniform x4 and takes no other options; leave them out")
        return compress_uniform(picture, 4, pipeline.name)
    grid = BlockGrid(picture.height, picture.width, options.block)
    scales = tuple(sorted(options.scales))
    progress("downscale", 0.0)
    # The correction looks at all scales, chosen or not.
    planes = pipeline.downscaler(picture.colour, SCALES)
    if errors is None:
        errors = measure_distortion(picture, planes, grid, options.distortion, pipeline, scales, progress)
    costs = np.stack([grid.costs(factor) for factor in scales])
    rows = _allocate(picture, grid, options, errors, costs)
    expected = (
        None
        if options.distortion == "bicubic"
        else _psnr(np.take_along_axis(errors.reshape(len(scales), -1), rows[None], 0).sum(), picture)
    )
    chosen = np.array(scales, np.uint8)[rows].reshape(grid.rows, grid.cols)
    recipe = Recipe(pipeline.name, *_weights_of(pipeline), options.objective, expected)
    return _store(picture, grid, chosen, planes, recipe)


def compress_uniform(picture: Picture, factor: int, pipeline: str = DEFAULT_PIPELINE) -> RescaledImage:
    """Give every block the same scale: what usual image rescaling does."""
    chosen = find_pipeline(pipeline)
    grid = BlockGrid(picture.height, picture.width, max(BLOCK_SIDES))
    scales = np.full((grid.rows, grid.cols), factor, np.uint8)
    planes = chosen.downscaler(picture.colour, (factor,))
    return _store(picture, grid, scales, planes, Recipe(chosen.name, *_weights_of(chosen), "uniform"))


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

    planes: the LR planes of all scales.  distortion: one of DISTORTIONS.
    """
    progress("measure distortion", 0.0)
    if distortion == "corrected":
        return corrected_errors(picture.colour, planes, grid, progress)[[SCALES.index(factor) for factor in scales]]
    wanted = {factor: planes[factor] for factor in scales}
    if distortion == "bicubic":
        return bicubic_errors(picture.colour, wanted, grid, progress)
    return network_errors(picture.colour, wanted, grid, pipeline.upscaler(), progress)


def restore(rescaled: RescaledImage, progress: Progress = silent) -> Picture:
    """Restore the picture at its true size and mode, metadata and alpha included.

    Warns (UserWarning) where the weights differ from those it was compressed for.  Raises BbmrError for an unknown
    pipeline.
    """
    pipeline = find_pipeline(rescaled.recipe.pipeline)
    if rescaled.recipe.weights_sha256 != weights_index()[pipeline.weights].sha256:
        warnings.warn(
            f"compressed for other weights of {pipeline.weights!r} than these: "
            "the picture may come out slightly different",
            stacklevel=2,
        )
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


def _psnr(squared_error: float, picture: Picture) -> float | None:
    # Nothing is added for rounding the restored samples to 8 bit: the original's are whole numbers, so rounding takes
    # small errors away as much as it adds.  By the network's own errors the smoothest photographs come out right to
    # 0.2 dB as it is, and rounding's usual twelfth would put them 3 dB too low.
    mean = squared_error / (picture.width * picture.height)
    return float(10 * np.log10(255**2 / mean)) if mean > 0 else None


def _weights_of(pipeline: Pipeline) -> tuple[str, str]:
    return pipeline.weights, weights_index()[pipeline.weights].sha256


@cache
def _upscaler(weights: str) -> MosaicUpscaler:
    return MosaicUpscaler(load_weights(weights))
