"""Panels: a picture too large to be worked on whole is cut into parts that are compressed one after the other.

Each panel has blocks, scales and LR samples of its own; what is restored sees across their borders.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from bbmr.blocks import BlockGrid
from bbmr.codecs.avif import MAX_SIDE

PANEL_PIXELS = 1 << 24
"""Pixels of whole blocks up to which a picture is one panel, unless a side is longer than a frame may have."""
PANEL_HEIGHT, PANEL_WIDTH = 1024, 4096
"""Of the panels of larger ones.  Wide, so that the rows that are read or written at a time are few."""


@dataclass(frozen=True)
class PanelGrid:
    """The picture of a `BlockGrid` cut into panels of `height` x `width` blocks, row by row; those at the right and
    bottom edge may be smaller.
    """

    grid: BlockGrid
    height: int
    width: int

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise ValueError(f"a panel has at least 1 x 1 blocks, not {self.width} x {self.height}")

    @classmethod
    def whole(cls, grid: BlockGrid) -> "PanelGrid":
        """One panel."""
        return cls(grid, grid.rows, grid.cols)

    @classmethod
    def usual(cls, grid: BlockGrid) -> "PanelGrid":
        """As pictures of this size are stored."""
        if grid.rows * grid.cols * grid.side**2 <= PANEL_PIXELS and max(grid.height, grid.width) <= MAX_SIDE:
            return cls.whole(grid)
        return cls(grid, PANEL_HEIGHT // grid.side, PANEL_WIDTH // grid.side)

    @property
    def rows(self) -> int:
        return -(-self.grid.rows // self.height)

    @property
    def cols(self) -> int:
        return -(-self.grid.cols // self.width)

    def __len__(self) -> int:
        return self.rows * self.cols

    def blocks(self, index: int) -> tuple[slice, slice]:
        """Rows and columns of the grid that a panel has."""
        row, col = divmod(index, self.cols)
        return (
            slice(row * self.height, min((row + 1) * self.height, self.grid.rows)),
            slice(col * self.width, min((col + 1) * self.width, self.grid.cols)),
        )

    def pixels(self, index: int) -> tuple[slice, slice]:
        """Rows and columns of the picture that a panel has."""
        rows, cols = self.blocks(index)
        side = self.grid.side
        return (
            slice(rows.start * side, min(rows.stop * side, self.grid.height)),
            slice(cols.start * side, min(cols.stop * side, self.grid.width)),
        )

    def grid_of(self, index: int) -> BlockGrid:
        """Of a panel by itself."""
        rows, cols = self.pixels(index)
        return BlockGrid(rows.stop - rows.start, cols.stop - cols.start, self.grid.side)

    def touching(self, rows: slice, cols: slice) -> Iterator[int]:
        """The panels that have some of these rows and columns of blocks."""
        for row in range(rows.start // self.height, -(-rows.stop // self.height)):
            for col in range(cols.start // self.width, -(-cols.stop // self.width)):
                yield row * self.cols + col
