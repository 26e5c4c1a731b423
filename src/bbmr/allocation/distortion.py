"""Distortion estimates: what each block would lose at each scale.

Estimators, from the nearly free to the true one: bicubic enlargement, bicubic corrected by a small fitted model
(`bbmr.allocation.corrected`), and a network on uniform maps: a small helper, or the restorer itself.
"""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from bbmr.blocks import BlockGrid
from bbmr.downscaling.bicubic import upscale
from bbmr.luma import luma
from bbmr.progress import Progress, silent
from bbmr.samples import to_tensor
from bbmr.tiles import count_tiles, tiles
from bbmr.upscaling import Upscaler

_TILE = 512
_HALO = 32  # bicubic enlargement by 16 sees 2 LR samples = 32 pixels


def bicubic_errors(
    colour: NDArray[np.uint8],
    planes: Mapping[int, NDArray[np.uint8]],
    grid: BlockGrid,
    progress: Progress = silent,
) -> NDArray[np.float64]:
    """Summed squared luma error of each block after bicubic enlargement of the LR planes.

    colour: (H, W, C) uint8; planes: {factor: (ceil(H/k), ceil(W/k), C) uint8}.
    Returns (scales, rows, cols) in the order of `planes`, grey levels squared.
    """
    errors = np.zeros((len(planes), grid.rows, grid.cols))
    total = count_tiles(grid.height, grid.width, _TILE)
    for done, tile in enumerate(tiles(grid.height, grid.width, _TILE, _HALO)):
        progress("measure distortion", done / total)
        target = luma(to_tensor(colour[tile.core]))
        rows, cols = _blocks_of(tile.core, grid)
        for row, (factor, plane) in enumerate(planes.items()):
            if factor == 1:
                continue
            enlarged = upscale(luma(to_tensor(plane[tile.outer_at(factor)])), factor)
            error = (enlarged[:, :, *tile.core_in_outer_at(1)] - target).square()
            errors[row, rows, cols] = _sums(error, grid)
    return errors


def network_errors(
    colour: NDArray[np.uint8],
    planes: Mapping[int, NDArray[np.uint8]],
    grid: BlockGrid,
    upscaler: Upscaler,
    progress: Progress = silent,
) -> NDArray[np.float64]:
    """Summed squared luma error of each block after restoring the whole picture at each scale.  As `bicubic_errors`."""
    errors = np.zeros((len(planes), grid.rows, grid.cols))
    lossy = [(row, factor) for row, factor in enumerate(planes) if factor > 1]
    total = len(lossy) * grid.height * grid.width
    done = 0
    for row, factor in lossy:
        for tile, restored in upscaler.restore_uniform(planes[factor], factor, (grid.height, grid.width)):
            progress("measure distortion", done / total)
            done += restored.shape[2] * restored.shape[3]
            target = luma(to_tensor(colour[tile.core]))
            rows, cols = _blocks_of(tile.core, grid)
            errors[row, rows, cols] = _sums((luma(restored) - target).square(), grid)
    return errors


def luma_variance(colour: NDArray[np.uint8], grid: BlockGrid) -> NDArray[np.float64]:
    """Variance of the luma inside each block, (rows, cols), grey levels squared."""
    variance = np.empty((grid.rows, grid.cols))
    for tile in tiles(grid.height, grid.width, _TILE, 0):
        plane = luma(to_tensor(colour[tile.core]))
        rows, cols = _blocks_of(tile.core, grid)
        pixels = grid.costs(1)[rows, cols]
        # Around mid-grey, so that the difference of squares keeps its digits.
        mean = _sums(plane - 128, grid) / pixels
        variance[rows, cols] = np.maximum(_sums((plane - 128).square(), grid) / pixels - mean**2, 0)
    return variance


def _blocks_of(core: tuple[slice, slice], grid: BlockGrid) -> tuple[slice, slice]:
    rows, cols = (slice(part.start // grid.side, -(-part.stop // grid.side)) for part in core)
    return rows, cols


def _sums(plane: torch.Tensor, grid: BlockGrid) -> NDArray[np.float64]:
    part = BlockGrid(plane.shape[2], plane.shape[3], grid.side)
    return part.block_sums(plane[0, 0].numpy())
