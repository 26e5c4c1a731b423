"""The block grid: which pixels, and which LR samples, belong to which block.

Blocks at the right and bottom edge may be partial: a block that holds h x w true pixels has
ceil(h/k) x ceil(w/k) LR samples at scale k.  `split` and `stitch` invert each other.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bbmr.depth import Samples

SCALES = (1, 2, 4, 8, 16)
"""Every scaling factor that a block may have."""
CELL = max(SCALES)
"""Pixels per side of the smallest block: the largest scale has to divide it."""
BLOCK_SIDES = (16, 32, 64, 128)
PAPER_SCALES = (2, 4, 8)
"""Of Li & Zhou (AAAI-25), whose SR networks, Joint SR and Algorithm 1 know no others."""
PAPER_SIDE = 128
"""Of their blocks, in pixels; at x8 a smaller one has fewer than the 16 x 16 samples that Omni-SR needs."""


def up_to_cell(length: int) -> int:
    """The next multiple of 16 pixels."""
    return -(-length // CELL) * CELL


@dataclass(frozen=True)
class BlockGrid:
    """A picture of `height` x `width` pixels cut into blocks of `side` x `side` pixels, row by row."""

    height: int
    width: int
    side: int

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise ValueError(f"a picture has at least 1 x 1 pixels, not {self.width} x {self.height}")
        if self.side not in BLOCK_SIDES:
            raise ValueError(f"block side {self.side} is not one of {', '.join(map(str, BLOCK_SIDES))}")

    @property
    def rows(self) -> int:
        return -(-self.height // self.side)

    @property
    def cols(self) -> int:
        return -(-self.width // self.side)

    def lr_size(self, factor: int) -> tuple[int, int]:
        """(height, width) of the whole picture's LR plane at `factor`."""
        return -(-self.height // factor), -(-self.width // factor)

    def block_sizes(self, factor: int = 1) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """LR samples of each block at `factor`: heights (rows,) and widths (cols,); partial at the far edges."""
        heights, widths = (
            np.minimum(np.arange(1, count + 1) * (self.side // factor), samples)
            - np.arange(count) * (self.side // factor)
            for count, samples in zip((self.rows, self.cols), self.lr_size(factor), strict=True)
        )
        return heights, widths

    def costs(self, factor: int) -> NDArray[np.int64]:
        """(rows, cols): number of LR samples (pixels) that each block stores at `factor`."""
        heights, widths = self.block_sizes(factor)
        return np.outer(heights, widths)

    def block_sums(self, plane: NDArray[np.floating], factor: int = 1) -> NDArray[np.float64]:
        """(rows, cols): sum of a plane, (height, width) at `factor`, over the true samples of each block."""
        if plane.shape != self.lr_size(factor):
            raise ValueError(f"plane at factor {factor} is {plane.shape}, not {self.lr_size(factor)}")
        side = self.side // factor
        by_row = np.add.reduceat(plane, np.arange(self.rows) * side, axis=0, dtype=np.float64)
        return np.add.reduceat(by_row, np.arange(self.cols) * side, axis=1)

    def covered(self, part: tuple[slice, slice]) -> tuple[slice, slice]:
        """Rows and columns of the blocks in a part of the picture, in pixels, that holds them whole."""
        rows, cols = (slice(pixels.start // self.side, -(-pixels.stop // self.side)) for pixels in part)
        return rows, cols

    def sums_of_part(self, plane: NDArray[np.floating]) -> NDArray[np.float64]:
        """As `block_sums`, of such a part alone: (height, width) pixels of it -> (its rows, its cols)."""
        height, width = plane.shape
        return BlockGrid(height, width, self.side).block_sums(plane)


def merge(sums: NDArray[np.float64], step: int) -> NDArray[np.float64]:
    """(N, rows, cols) sums over blocks -> sums over blocks of `step` times the side, (N, ceil(rows/step), ...)."""
    by_row = np.add.reduceat(sums, np.arange(0, sums.shape[1], step), axis=1)
    return np.add.reduceat(by_row, np.arange(0, sums.shape[2], step), axis=2)


def split(plane: Samples, grid: BlockGrid, factor: int) -> Samples:
    """Cut an LR plane (ceil(H/factor), ceil(W/factor), C) into blocks (rows, cols, side/factor, side/factor, C).

    Partial blocks are filled by repeating their last row and column.
    """
    if plane.shape[:2] != grid.lr_size(factor):
        raise ValueError(f"LR plane at factor {factor} has {plane.shape[:2]} samples, not {grid.lr_size(factor)}")
    side = grid.side // factor
    missing = [(0, count * side - have) for count, have in zip((grid.rows, grid.cols), plane.shape[:2], strict=True)]
    whole = np.pad(plane, (*missing, (0, 0)), mode="edge")
    return whole.reshape(grid.rows, side, grid.cols, side, plane.shape[2]).swapaxes(1, 2)


def stitch(blocks: Samples, grid: BlockGrid, factor: int) -> Samples:
    """Inverse of `split`: blocks (rows, cols, side/factor, side/factor, C) -> plane (ceil(H/factor), ceil(W/factor),
    C).
    """
    side = grid.side // factor
    if blocks.shape[:4] != (grid.rows, grid.cols, side, side):
        raise ValueError(f"blocks are {blocks.shape[:4]}, not {(grid.rows, grid.cols, side, side)}")
    height, width = grid.lr_size(factor)
    return blocks.swapaxes(1, 2).reshape(grid.rows * side, grid.cols * side, -1)[:height, :width]
