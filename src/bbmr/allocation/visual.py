"""What `--tune visual` minimises: squared error as the eye weighs it.

Squared error alone smears low contrasts (a roof against a bright sky) to sharpen what is busy already.  Three changes
mend that.  Errors are divided by the root of the block's variance, since busy blocks hide them.  They enter a geometric
mean with those of the neighbours, since a single sharp block in a smeared region is seen as a speck, and a smeared one
in a sharp region as a hole.  And what a block loses against one scale for the whole picture counts more than what it
gains: a picture that is sharper in most places and visibly worse in some is not the better one.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

VARIANCE_FLOOR = 20.0
"""Grey levels squared, added to the variance of a block: it keeps even blocks from weighing without bound."""
LOSS_AVERSION = 3.0
"""How much more a loss against the uniform scale counts than a gain (docs/how-it-works.md has what others give)."""


def visual_distortion(
    errors: NDArray[np.float64], variance: NDArray[np.float64], pixels: NDArray[np.int64], uniform: int
) -> NDArray[np.float64]:
    """Weigh the summed squared errors of blocks, (scales, rows, cols), scales rising, as the eye does; same shape.

    variance: (rows, cols), of each block's luma, grey levels squared.  pixels: (rows, cols), true pixels of each block.
    uniform: row of the scale that one scale for all would be, see `uniform_row`.
    """
    weighted = errors / (pixels * np.sqrt(variance + VARIANCE_FLOOR))
    distortion: NDArray[np.float64] = np.sqrt(weighted * _smoothed(weighted)) * pixels
    losses = np.maximum(distortion[uniform + 1 :] - distortion[uniform], 0)
    distortion[uniform + 1 :] = distortion[uniform] + LOSS_AVERSION * losses
    return distortion


def uniform_row(scales: Sequence[int], pixels: int, budget: int) -> int:
    """Which of `scales` is the nearest to one scale for all `pixels` that takes `budget` LR pixels."""
    factor = math.sqrt(pixels / budget)
    return min(range(len(scales)), key=lambda row: abs(math.log2(scales[row] / factor)))


def _smoothed(maps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Binomial 3 x 3 mean of each map, (scales, rows, cols); beyond the border the outermost blocks repeat."""
    padded = np.pad(maps, ((0, 0), (1, 1), (1, 1)), mode="edge")
    by_row = (padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]) / 4
    smoothed: NDArray[np.float64] = (by_row[:, :, :-2] + 2 * by_row[:, :, 1:-1] + by_row[:, :, 2:]) / 4
    return smoothed
