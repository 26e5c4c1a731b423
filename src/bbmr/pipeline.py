"""Compress and restore, by a pipeline: downscaler + distortion + allocator + upscaler.

picture -> LR planes -> distortion of every block at every scale -> scales within the budget
        -> LR blocks, refined where that is asked for -> RescaledImage
RescaledImage -> restorer -> picture
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bbmr.allocation.corrected import corrected_errors
from bbmr.allocation.distortion import bicubic_errors, luma_variance, network_errors
from bbmr.allocation.greedy import algorithm_1
from bbmr.allocation.optimal import BudgetTooSmallError, least_squared_error
from bbmr.allocation.visual import uniform_row, visual_distortion
from bbmr.blocks import SCALES, BlockGrid, split
from bbmr.catalogue import OWN, Pipeline, find_pipeline, find_sender, pipeline_for
from bbmr.depth import Samples
from bbmr.devices import full_float32
from bbmr.downscaling import bicubic_planes
from bbmr.errors import BbmrError
from bbmr.luma import psnr_of_error
from bbmr.options import CODED_CHOICES, DEFAULT_PIPELINE, PIPELINE_CHOICES, Options, check_effort
from bbmr.parts import NO_PARTS, Parts
from bbmr.picture import Picture
from bbmr.progress import Progress, silent
from bbmr.refinement.refine import STEPS, refine
from bbmr.rescaled import Outline, Recipe, RescaledImage
from bbmr.upscaling import Upscaler


@full_float32()
def compress(
    picture: Picture,
    options: Options | None = None,
    progress: Progress = silent,
    errors: NDArray[np.float64] | None = None,
    device: str = "cpu",
    parts: Parts = NO_PARTS,
) -> RescaledImage:
    """Choose a scale for every block, within the budget, and keep its LR samples.

    errors: what `measure_distortion` gives for these options and their scales in rising order, where that is known.
    device: torch's name of the one that runs the pipeline's networks.  parts: of one's own, in place of the pipeline's;
    where one scale is stored all over an allocator is not asked.  Raises BbmrError where the budget is too small for
    the scales, weights are missing or do not suit, the device cannot be used, or a part does not do what it has to.
    """
    options = options or Options()
    pipeline = pipeline_for(options, device, parts).suited_to(picture)
    scales = pipeline.scales_for(options)
    if PIPELINE_CHOICES[options.pipeline].uniform:
        return _compress_uniform(picture, scales[0], pipeline, options.effort, progress)
    grid = BlockGrid(picture.height, picture.width, options.block)
    progress("downscale", 0.0)
    # The correction looks at all scales, chosen or not.
    measured = SCALES if errors is None and options.distortion == "corrected" else scales
    # All estimators but the network itself know no planes of Down-Nets.
    foreign = pipeline.learned and options.distortion != "network"
    planes = pipeline.downscaler(picture.colour, scales if foreign else measured)
    if errors is None:
        shown = bicubic_planes(picture.colour, measured) if foreign else planes
        errors = measure_distortion(picture, shown, grid, options.distortion, pipeline, scales, progress)
    costs = np.stack([grid.costs(factor) for factor in scales])
    rows = _allocate(picture, grid, options, pipeline, errors, costs)
    expected = None
    if pipeline.promises(options.distortion):
        foreseen = float(np.take_along_axis(errors.reshape(len(scales), -1), rows[None], 0).sum())
        expected = psnr_of_error(foreseen, picture.height * picture.width)
    chosen = np.array(scales, np.uint8)[rows].reshape(grid.rows, grid.cols)
    chosen_by = options.objective if pipeline.allocator is None else OWN
    recipe = Recipe(pipeline.name, pipeline.weights, pipeline.weights_digest, chosen_by, expected)
    return _refine(_store(picture, grid, chosen, planes, recipe), picture, pipeline, options.effort, progress)


@full_float32()
def compress_uniform(
    picture: Picture,
    factor: int,
    pipeline: str = DEFAULT_PIPELINE,
    weights: str = "",
    effort: int = 0,
    progress: Progress = silent,
    device: str = "cpu",
    parts: Parts = NO_PARTS,
) -> RescaledImage:
    """Give every block the same scale: what usual image rescaling does.

    weights, device: as in `find_sender`.  effort: as in `Options`.  parts: as in `compress`.  Raises BbmrError for a
    scale that the pipeline does not restore, for an effort that there is not, where weights are missing or do not suit,
    or where a part does not do what it has to.
    """
    check_effort(effort)
    chosen = find_sender(pipeline, weights, device, parts).suited_to(picture)
    return _compress_uniform(picture, factor, chosen, effort, progress)


def _compress_uniform(
    picture: Picture, factor: int, pipeline: Pipeline, effort: int, progress: Progress
) -> RescaledImage:
    if pipeline.name in CODED_CHOICES:
        raise BbmrError(f"{pipeline.name} is for LR samples that are coded with loss; choose another pipeline")
    if factor not in pipeline.scales:
        raise BbmrError(f"{pipeline.title} works at scales {', '.join(map(str, pipeline.scales))}, not {factor}")
    grid = BlockGrid(picture.height, picture.width, max(pipeline.upscaler().sides))
    pipeline.check(grid.side, (factor,))
    pipeline.check_filters((factor,))
    scales = np.full((grid.rows, grid.cols), factor, np.uint8)
    progress("downscale", 0.0)
    planes = pipeline.downscaler(picture.colour, (factor,))
    recipe = Recipe(pipeline.name, pipeline.weights, pipeline.weights_digest, "uniform")
    return _refine(_store(picture, grid, scales, planes, recipe), picture, pipeline, effort, progress)


@full_float32()
def measure_distortion(
    picture: Picture,
    planes: Mapping[int, Samples],
    grid: BlockGrid,
    distortion: str,
    pipeline: Pipeline,
    scales: Sequence[int] = SCALES,
    progress: Progress = silent,
) -> NDArray[np.float64]:
    """Estimate the summed squared luma error of every block at every one of `scales`, (len(scales), rows, cols).

    planes: bicubic LR planes, which the estimators were made for, of all scales with `distortion` "corrected", else of
    `scales` at least; with "network" those that are stored.  distortion: one of DISTORTIONS.  scales: those that the
    pipeline restores, and its helper where that is asked for.  Raises BbmrError for an estimator that knows nothing of
    an upscaler of one's own.
    """
    pipeline.check_distortion(distortion)
    progress("measure distortion", 0.0)
    if distortion == "corrected":
        errors = corrected_errors(picture.colour, planes, grid, pipeline.weights, progress)
        return errors[[SCALES.index(factor) for factor in scales]]
    wanted = {factor: planes[factor] for factor in scales}
    if distortion == "bicubic":
        return bicubic_errors(picture.colour, wanted, grid, progress)
    upscaler = pipeline.helper_upscaler() if distortion == "helper" else pipeline.upscaler()
    return network_errors(picture.colour, wanted, grid, upscaler, progress)


@full_float32()
def restore(
    rescaled: RescaledImage, progress: Progress = silent, device: str = "cpu", parts: Parts = NO_PARTS
) -> Picture:
    """Restore the picture at its true size and mode, metadata and alpha included, with the weights that it names.

    device: as for `compress`; another one rounds otherwise, by a grey level here and there.  parts: an upscaler among
    them restores in place of these weights; what was compressed for one needs it.  Warns (UserWarning) where weights of
    these names, or upscaler, differ from those it was compressed for.  Raises BbmrError for an unknown pipeline, for
    blocks or scales that it does not restore, and where weights or upscaler are missing or do not suit.
    """
    upscaler = restorer_of(rescaled, bool(rescaled.frames), device, parts)
    colour = upscaler.restore(rescaled, progress)
    return Picture(colour, rescaled.alpha, rescaled.metadata)


def restorer_of(stored: RescaledImage | Outline, lossy: bool, device: str = "cpu", parts: Parts = NO_PARTS) -> Upscaler:
    """What restores a picture; lossy: whether its LR samples were coded with loss.  As `restore`."""
    recipe = stored.recipe
    pipeline = find_pipeline(recipe.pipeline, recipe.weights, device, parts)
    pipeline.check(stored.grid.side, stored.blocks_per_scale)
    if lossy != (pipeline.name in CODED_CHOICES):
        how = "with loss" if lossy else "without loss"
        raise BbmrError(f"{pipeline.title} is not for LR samples that were coded {how}; compress the picture again")
    if other := pipeline.mismatch(recipe):
        warnings.warn(f"compressed for {other}: the picture may come out slightly different", stacklevel=3)
    return pipeline.upscaler()


def _allocate(
    picture: Picture,
    grid: BlockGrid,
    options: Options,
    pipeline: Pipeline,
    errors: NDArray[np.float64],
    costs: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Row of the chosen scale for every block, (blocks,); errors and costs: (scales, rows, cols)."""
    budget = options.budget.pixels(grid.height, grid.width)
    scales, pixels = pipeline.scales_for(options), grid.costs(1)

    def flat(maps: NDArray[Any]) -> NDArray[Any]:
        return maps.reshape(len(maps), -1)

    try:
        if pipeline.allocator is not None:
            return pipeline.allocator(flat(errors), pixels.ravel(), flat(costs), scales, budget)
        if options.allocator == "greedy":
            small, middle, large = scales
            return algorithm_1(flat(errors), pixels.ravel(), flat(costs), (small, middle, large), budget)
        if options.tune == "visual":
            uniform = uniform_row(scales, grid.height * grid.width, budget)
            errors = visual_distortion(errors, luma_variance(picture.colour, grid), pixels, uniform)
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
    planes: Mapping[int, Samples],
    recipe: Recipe,
) -> RescaledImage:
    blocks = {
        int(factor): split(planes[factor], grid, factor)[scales == factor] for factor in np.unique(scales).tolist()
    }
    return RescaledImage(grid, scales, blocks, recipe, picture.alpha, picture.metadata, depth=picture.depth)


def _refine(
    rescaled: RescaledImage, picture: Picture, pipeline: Pipeline, effort: int, progress: Progress
) -> RescaledImage:
    """Refine the LR samples; the PSNR-Y that is expected is then the one that they are restored with."""
    if not STEPS[effort]:
        return rescaled
    # Gradients, also where the caller has turned them off.
    with torch.inference_mode(False), torch.enable_grad():
        refined = refine(rescaled, picture.colour, pipeline.upscaler(), STEPS[effort], progress)
    recipe = replace(rescaled.recipe, expected_psnr=psnr_of_error(refined.luma_error, picture.height * picture.width))
    return replace(refined.rescaled, recipe=recipe)
