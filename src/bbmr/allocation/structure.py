"""How much of a block's detail is edges: the structure tensor of its luma at several resolutions.

A network restores coherent edges well and random texture hardly; bicubic enlargement loses both alike.  The two
eigenvalues tell them apart: across an edge the first is large and the second small, in texture they are alike
(W. Foerstner and E. Guelch, "A fast operator for detection and precise location of distinct points", 1987).
"""

from collections.abc import Mapping

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from bbmr.blocks import CELL, BlockGrid
from bbmr.luma import luma
from bbmr.samples import to_tensor
from bbmr.tiles import tiles

STRUCTURE_SCALES = (1, 2, 4)
"""LR planes whose gradients are looked at; coarser ones have too few samples in a block of 16."""
_TILE = 512


def structure(planes: Mapping[int, NDArray[np.uint8]], grid: BlockGrid) -> NDArray[np.float64]:
    """Eigenvalues, the larger one first, of each block's mean gradient tensor at scales 1, 2 and 4: (6, rows, cols),
    grey levels squared per sample squared.

    planes: {factor: (ceil(H/k), ceil(W/k), C) uint8}, at least of the scales 1, 2 and 4.
    """
    eigenvalues = np.empty((2 * len(STRUCTURE_SCALES), grid.rows, grid.cols))
    for tile in tiles(grid.height, grid.width, _TILE, CELL):
        rows, cols = (slice(part.start // grid.side, -(-part.stop // grid.side)) for part in tile.core)
        height, width = (part.stop - part.start for part in tile.core)
        part = BlockGrid(height, width, grid.side)
        for index, factor in enumerate(STRUCTURE_SCALES):
            down, right = _gradients(luma(to_tensor(planes[factor][tile.outer_at(factor)])))
            core = tile.core_in_outer_at(factor)
            products = (down * down, right * right, down * right)
            samples = part.costs(factor)
            a, b, c = (part.block_sums(product[0, 0][core].numpy(), factor) / samples for product in products)
            middle, radius = (a + b) / 2, np.hypot((a - b) / 2, c)
            eigenvalues[2 * index, rows, cols] = middle + radius
            eigenvalues[2 * index + 1, rows, cols] = np.maximum(middle - radius, 0)
    return eigenvalues


def _gradients(plane: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences downwards and to the right, (1, 1, H, W); beyond the border the outermost samples repeat."""
    padded = F.pad(plane, (1, 1, 1, 1), mode="replicate")
    down = (padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]) / 2
    right = (padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]) / 2
    return down, right
