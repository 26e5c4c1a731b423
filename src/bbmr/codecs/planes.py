"""What the codec is given of a scale: the blocks of that scale in their places, each of the others filled evenly.

    map of scales          the plane of scale 2, cut to what its blocks cover

    4 4 4 4 4
    4 2 2 4 4              [2] [2]  .
    4 2 4 2 1              [2]  .  [2]

So neighbours in the picture stay neighbours: prediction, transforms and the codec's own filters see true surroundings.
Even places cost a codec next to nothing.  They have the colour of what they border on: decoders enlarge chroma (4:2:0)
across the edges of blocks, and another colour would show there as a line.  docs/rate-distortion.md has what other ways
cost.
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
    if own[part].all():
        return found
    inner = BlockGrid(found.shape[0] * factor, found.shape[1] * factor, grid.side)
    colours = _colours_between(split(found, inner, factor), own[part]).round().astype(np.uint8)
    filled, foreign = (
        cells.repeat(grid.side // factor, 0).repeat(grid.side // factor, 1)[: found.shape[0], : found.shape[1]]
        for cells in (colours, ~own[part])
    )
    return np.where(foreign[:, :, None], filled, found)


def _colours_between(blocks: NDArray[np.uint8], own: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Colours for the places of foreign blocks, (rows, cols, C): the mean of the samples that border on them; where
    there are none, of the places beside that have a colour already, from near own blocks outwards.

    blocks: (rows, cols, side, side, C).  own: (rows, cols), one at least.
    """
    colours = np.zeros((*own.shape, blocks.shape[-1]))
    borders = {
        (1, 0): blocks[:, :, -1],
        (-1, 0): blocks[:, :, 0],
        (0, 1): blocks[:, :, :, -1],
        (0, -1): blocks[:, :, :, 0],
    }
    known = own
    while not known.all():
        total, count = np.zeros_like(colours), np.zeros(own.shape)
        for step, border in borders.items():
            values = np.where(own[:, :, None], border.mean(2), colours) * known[:, :, None]
            total += _moved(values, step)
            count += _moved(known.astype(float), step)
        reached = ~known & (count > 0)
        colours[reached] = total[reached] / count[reached][:, None]
        known = known | reached
    return colours


def _moved(values: NDArray[np.float64], step: tuple[int, int]) -> NDArray[np.float64]:
    """(rows, cols, ...) by a row or a column, zeros where nothing comes from."""
    moved = np.zeros_like(values)
    to, source = (
        tuple(
            slice(max(sign * by, 0), length + min(sign * by, 0)) for by, length in zip(step, values.shape, strict=False)
        )
        for sign in (1, -1)
    )
    moved[to] = values[source]
    return moved


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
