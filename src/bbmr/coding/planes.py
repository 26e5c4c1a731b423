"""What the codec is given of a scale: the blocks of that scale in their places, the others filled with one colour.

    map of scales          the plane of scale 2, cut to what its blocks cover

    4 4 4 4 4
    4 2 2 4 4              [2] [2]  .
    4 2 4 2 1              [2]  .  [2]

So neighbours in the picture stay neighbours: prediction, transforms and the codec's own filters see true surroundings.
Even places cost a codec next to nothing.  docs/rate-distortion.md has what packing the blocks would cost.
"""

import numpy as np
from numpy.typing import NDArray

from bbmr.blocks import BlockGrid, split


def covered(own: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Rows and columns of the smallest part of the grid that has all blocks of a scale.

    own: (rows, cols), which blocks these are, one at least.
    """
    rows, cols = (np.flatnonzero(own.any(axis)) for axis in (1, 0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(cols[0]), int(cols[-1]) + 1)


def plane_size(own: NDArray[np.bool_], grid: BlockGrid, factor: int) -> tuple[int, int]:
    """(height, width) of the plane that `gather` makes."""
    rows, cols = _samples(covered(own), grid, factor)
    return rows.stop - rows.start, cols.stop - cols.start


def gather(plane: NDArray[np.uint8], own: NDArray[np.bool_], grid: BlockGrid, factor: int) -> NDArray[np.uint8]:
    """The LR plane of the whole picture, (ceil(H/k), ceil(W/k), C) -> what the codec is given, (h, w, C).

    own: (rows, cols), which blocks are of this scale.
    """
    part = covered(own)
    found = plane[_samples(part, grid, factor)]
    foreign = ~_of_samples(own[part], grid, factor)[: found.shape[0], : found.shape[1]]
    if not foreign.any():
        return found
    filled = found.copy()
    filled[foreign] = found[~foreign].mean(0).round().astype(np.uint8)
    return filled


def scatter(coded: NDArray[np.uint8], own: NDArray[np.bool_], grid: BlockGrid, factor: int) -> NDArray[np.uint8]:
    """What came back from the codec -> the blocks of the scale, (N, side/k, side/k, C) in raster order; partial ones
    repeat their last row and column.
    """
    part = covered(own)
    inner = BlockGrid(coded.shape[0] * factor, coded.shape[1] * factor, grid.side)
    return split(coded, inner, factor)[own[part]]


def _samples(part: tuple[slice, slice], grid: BlockGrid, factor: int) -> tuple[slice, slice]:
    """LR samples of a part of the grid."""
    side = grid.side // factor
    rows, cols = (
        slice(blocks.start * side, min(blocks.stop * side, length))
        for blocks, length in zip(part, grid.lr_size(factor), strict=True)
    )
    return rows, cols


def _of_samples(own: NDArray[np.bool_], grid: BlockGrid, factor: int) -> NDArray[np.bool_]:
    side = grid.side // factor
    return own.repeat(side, 0).repeat(side, 1)
