"""Tiles with a halo: work on large pictures in bounded memory, with the samples of the whole.

Every stage sees a bounded neighbourhood, so a tile enlarged by that neighbourhood gives, inside, the very samples
that the whole picture gives.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from bbmr.blocks import CELL


@dataclass(frozen=True)
class Tile:
    """A part of a picture, in pixels: `core` is what the tile is for, `outer` what it has to see for that.

    Both are (rows, columns); all edges are multiples of 16 but those at the picture's far ends.
    """

    core: tuple[slice, slice]
    outer: tuple[slice, slice]

    def with_halo(self, halo: int) -> "Tile":
        """The same with no more than `halo` pixels around the core, a multiple of 16."""
        rows, cols = (
            slice(max(inner.start - halo, outer.start), min(inner.stop + halo, outer.stop))
            for inner, outer in zip(self.core, self.outer, strict=True)
        )
        return Tile(self.core, (rows, cols))

    def core_at(self, factor: int) -> tuple[slice, slice]:
        """The core as slices of the LR plane at `factor`."""
        return _shrunk(self.core[0], factor), _shrunk(self.core[1], factor)

    def outer_at(self, factor: int) -> tuple[slice, slice]:
        """The outer part as slices of the LR plane at `factor`."""
        return _shrunk(self.outer[0], factor), _shrunk(self.outer[1], factor)

    def core_in_outer_at(self, factor: int) -> tuple[slice, slice]:
        """The core as slices of an array that holds the outer part of the LR plane at `factor`; 1 for the picture."""
        rows, cols = (
            slice(inner.start - outer.start, inner.stop - outer.start)
            for inner, outer in zip(self.core_at(factor), self.outer_at(factor), strict=True)
        )
        return rows, cols


def tiles(height: int, width: int, side: int, halo: int) -> Iterator[Tile]:
    """Cut height x width pixels into tiles of at most side x side, row by row, each with `halo` more around it.

    `side` and `halo` are multiples of 16, so that blocks of any allowed side up to gcd(side, 128) and LR samples stay
    whole.
    """
    return tiles_of_part((slice(0, height), slice(0, width)), height, width, side, halo)


def tiles_of_part(part: tuple[slice, slice], height: int, width: int, side: int, halo: int) -> Iterator[Tile]:
    """As `tiles`, of a part of the picture alone: rows and columns that begin at multiples of 16."""
    rows, cols = part
    if any(number % CELL for number in (side, halo, rows.start, cols.start)):
        raise ValueError(f"tile side {side}, halo {halo} and where {part} begins have to be multiples of {CELL}")
    for inner_rows, outer_rows in _intervals(rows, height, side, halo):
        for inner_cols, outer_cols in _intervals(cols, width, side, halo):
            yield Tile((inner_rows, inner_cols), (outer_rows, outer_cols))


def count_tiles(height: int, width: int, side: int) -> int:
    """How many tiles `tiles` yields."""
    return -(-height // side) * -(-width // side)


def _intervals(part: slice, length: int, side: int, halo: int) -> Iterator[tuple[slice, slice]]:
    for start in range(part.start, part.stop, side):
        stop = min(start + side, part.stop)
        yield slice(start, stop), slice(max(start - halo, 0), min(stop + halo, length))


def _shrunk(part: slice, factor: int) -> slice:
    return slice(part.start // factor, -(-part.stop // factor))
