"""Panels cover a picture's blocks once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbmr.blocks import BLOCK_SIDES, BlockGrid
from bbmr.panels import PANEL_PIXELS, PanelGrid


@given(
    st.integers(1, 900),
    st.integers(1, 900),
    st.sampled_from(BLOCK_SIDES),
    st.integers(1, 9),
    st.integers(1, 9),
    st.data(),
)
def test_every_block_and_pixel_is_in_one_panel(
    height: int, width: int, side: int, rows: int, cols: int, data: st.DataObject
) -> None:
    grid = BlockGrid(height, width, side)
    panels = PanelGrid(grid, rows, cols)
    blocks, pixels = np.zeros((grid.rows, grid.cols), int), np.zeros((height, width), int)
    for number in range(len(panels)):
        blocks[panels.blocks(number)] += 1
        pixels[panels.pixels(number)] += 1
        of_blocks, own = panels.blocks(number), panels.grid_of(number)
        assert (own.rows, own.cols) == tuple(part.stop - part.start for part in of_blocks)
        assert (own.height, own.width) == pixels[panels.pixels(number)].shape
    assert (blocks == 1).all()
    assert (pixels == 1).all()
    part = tuple(
        slice(start := data.draw(st.integers(0, count - 1)), data.draw(st.integers(start + 1, count)))
        for count in (grid.rows, grid.cols)
    )
    touching = {number for number in range(len(panels)) if _overlap(panels.blocks(number), part)}
    assert list(panels.touching(*part)) == sorted(touching)


def _overlap(one: tuple[slice, ...], other: tuple[slice, ...]) -> bool:
    return all(a.start < b.stop and b.start < a.stop for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("height", "width", "count"),
    [(4096, 4096, 1), (4097, 4096, 5), (9000, 9000, 27), (100, 32768, 1), (100, 32769, 9), (40000, 100, 40)],
)
def test_large_pictures_have_several(height: int, width: int, count: int) -> None:
    panels = PanelGrid.usual(BlockGrid(height, width, 128))
    assert len(panels) == count
    assert panels.height * panels.width * 128**2 <= PANEL_PIXELS
