"""Distortion estimates: what each block would lose at each scale.

From the nearly free to the true one: bicubic enlargement, a very light network and a small fitted model
(`bbmr.allocation.corrected`), and a network on uniform maps: a small helper, or the restorer itself.
"""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from bbmr.blocks import CELL, SCALES, BlockGrid
from bbmr.depth import Samples
from bbmr.downscaling.bicubic import upscale
from bbmr.luma import BLACK, BLACK_TO_WHITE, luma
from bbmr.networks.fast import FastLuma
from bbmr.progress import Progress, silent
from bbmr.samples import to_tensor
from bbmr.tiles import Tile, count_tiles, tiles
from bbmr.upscaling import Upscaler
from bbmr.upscaling.mosaic import build_mosaic, correct_mosaic, mosaic_halo

_TILE = 512
_HALO = 32  # bicubic enlargement by 16 sees 2 LR samples = 32 pixels
_LIGHT_TILE = 1536  # few channels, so larger tiles, whose halo costs less


def bicubic_errors(
    colour: Samples,
    planes: Mapping[int, Samples],
    grid: BlockGrid,
    progress: Progress = silent,
) -> NDArray[np.float64]:
    """Summed squared luma error of each block after bicubic enlargement of the LR planes.

    colour: (H, W, C) uint8 or uint16; planes: {factor: (ceil(H/k), ceil(W/k), C)} likewise.
    Returns (scales, rows, cols) in the order of `planes`, grey levels squared.
    """
    return _errors_of_luma(colour, planes, grid, upscale, (_TILE, _HALO), progress)


def light_errors(
    colour: Samples,
    planes: Mapping[int, Samples],
    grid: BlockGrid,
    network: FastLuma,
    progress: Progress = silent,
) -> NDArray[np.float64]:
    """Summed squared luma error of each block after restoring the luma alone by a very light network.

    As `bicubic_errors`; no rounding to 8 bit.
    """

    def restore(region: Tensor, factor: int) -> Tensor:
        height, width = (-(-length * factor // CELL) * CELL for length in region.shape[2:])
        missing_rows, missing_cols = height // factor - region.shape[2], width // factor - region.shape[3]
        region = F.pad((region - BLACK) / BLACK_TO_WHITE, (0, missing_cols, 0, missing_rows), mode="replicate")
        levels = torch.full((1, height // CELL, width // CELL), SCALES.index(factor))
        restored = correct_mosaic(build_mosaic({factor: region}, levels), levels, network.on_luma)
        return restored.clamp(0, 1) * BLACK_TO_WHITE + BLACK

    return _errors_of_luma(colour, planes, grid, restore, (_LIGHT_TILE, mosaic_halo(network.reach)), progress)


@torch.inference_mode()
def _errors_of_luma(
    colour: Samples,
    planes: Mapping[int, Samples],
    grid: BlockGrid,
    enlarge: Callable[[Tensor, int], Tensor],
    tiling: tuple[int, int],
    progress: Progress,
) -> NDArray[np.float64]:
    """enlarge: luma of an LR plane (1, 1, h, w) in grey levels and its factor -> luma at full size, at least.  tiling:
    pixels per side of a tile, and of its halo.
    """
    errors = np.zeros((len(planes), grid.rows, grid.cols))
    total = count_tiles(grid.height, grid.width, tiling[0])
    for done, tile in enumerate(tiles(grid.height, grid.width, *tiling)):
        progress("measure distortion", done / total)
        target = luma(to_tensor(colour[tile.core]))
        rows, cols = grid.covered(tile.core)
        for row, (factor, plane) in enumerate(planes.items()):
            if factor == 1:
                continue
            enlarged = enlarge(luma(to_tensor(plane[tile.outer_at(factor)])), factor)
            error = (enlarged[:, :, *tile.core_in_outer_at(1)] - target).square()
            errors[row, rows, cols] = grid.sums_of_part(error[0, 0].numpy())
    return errors


def network_errors(
    colour: Samples,
    planes: Mapping[int, Samples],
    grid: BlockGrid,
    upscaler: Upscaler,
    progress: Progress = silent,
) -> NDArray[np.float64]:
    """Summed squared luma error of each block after restoring the whole picture at each scale.  As `bicubic_errors`."""
    errors = np.zeros((len(planes), grid.rows, grid.cols))
    lossy = [(row, factor) for row, factor in enumerate(planes) if factor > 1]
    for done, (row, factor) in enumerate(lossy):

        def report(part: float, done: int = done) -> None:
            progress("measure distortion", (done + part) / len(lossy))

        restored = upscaler.restore_uniform(planes[factor], factor, (grid.height, grid.width))
        errors[row] = restored_errors(colour, grid, restored, report)
    return errors


def restored_errors(
    colour: Samples,
    grid: BlockGrid,
    restored: Iterable[tuple[Tile, Tensor]],
    report: Callable[[float], None] = lambda part: None,
) -> NDArray[np.float64]:
    """Summed squared luma error of each block, (rows, cols), grey levels squared.

    restored: tiles as of `Upscaler.rounded_tiles`.  report: called with the share of the picture that is done.
    """
    errors = np.zeros((grid.rows, grid.cols))
    done = 0
    report(0.0)
    for tile, core in restored:
        target = luma(to_tensor(colour[tile.core]))
        rows, cols = grid.covered(tile.core)
        errors[rows, cols] = grid.sums_of_part((luma(core) - target).square()[0, 0].numpy())
        done += core.shape[2] * core.shape[3]
        report(done / (grid.height * grid.width))
    return errors


def luma_variance(colour: Samples, grid: BlockGrid) -> NDArray[np.float64]:
    """Variance of the luma inside each block, (rows, cols), grey levels squared."""
    variance = np.empty((grid.rows, grid.cols))
    for tile in tiles(grid.height, grid.width, _TILE, 0):
        plane = luma(to_tensor(colour[tile.core]))[0, 0].numpy()
        rows, cols = grid.covered(tile.core)
        pixels = grid.costs(1)[rows, cols]
        # Around mid-grey, so that the difference of squares keeps its digits.
        mean = grid.sums_of_part(plane - 128) / pixels
        variance[rows, cols] = np.maximum(grid.sums_of_part(np.square(plane - 128)) / pixels - mean**2, 0)
    return variance
