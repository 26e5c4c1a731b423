import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbmr.tiles import count_tiles, tiles, tiles_of_part

multiples = st.integers(1, 10).map(lambda n: 16 * n)


@given(st.integers(1, 500), st.integers(1, 500), multiples, st.integers(0, 5).map(lambda n: 16 * n))
def test_cores_cover_every_pixel_once_and_outer_parts_hold_the_halo(h: int, w: int, side: int, halo: int) -> None:
    seen = np.zeros((h, w), np.int64)
    index = np.arange(h * w).reshape(h, w)
    found = list(tiles(h, w, side, halo))
    assert len(found) == count_tiles(h, w, side)
    for tile in found:
        seen[tile.core] += 1
        np.testing.assert_array_equal(index[tile.outer][tile.core_in_outer_at(1)], index[tile.core])
        for core, outer, length in zip(tile.core, tile.outer, (h, w), strict=True):
            assert outer.start == max(core.start - halo, 0)
            assert outer.stop == min(core.stop + halo, length)
    assert (seen == 1).all()


@given(st.integers(1, 500), st.integers(1, 500), multiples, st.data())
def test_tiles_of_a_part_cover_it_alone_and_see_beyond_it(h: int, w: int, side: int, data: st.DataObject) -> None:
    rows, cols = (
        slice(start := 16 * data.draw(st.integers(0, (length - 1) // 16)), data.draw(st.integers(start + 1, length)))
        for length in (h, w)
    )
    seen = np.zeros((h, w), np.int64)
    for tile in tiles_of_part((rows, cols), h, w, side, 32):
        seen[tile.core] += 1
        for core, outer, length in zip(tile.core, tile.outer, (h, w), strict=True):
            assert (outer.start, outer.stop) == (max(core.start - 32, 0), min(core.stop + 32, length))
    assert (seen[rows, cols] == 1).all()
    assert seen.sum() == (rows.stop - rows.start) * (cols.stop - cols.start)


@given(st.integers(1, 500), st.integers(1, 500), multiples, st.sampled_from([1, 2, 4, 8, 16]))
def test_cores_cover_every_lr_sample_once(h: int, w: int, side: int, factor: int) -> None:
    seen = np.zeros((-(-h // factor), -(-w // factor)), np.int64)
    for tile in tiles(h, w, side, 32):
        seen[tile.core_at(factor)] += 1
    assert (seen == 1).all()


@pytest.mark.parametrize(("side", "halo"), [(100, 16), (96, 20)])
def test_tiles_off_the_grid_of_cells_are_refused(side: int, halo: int) -> None:
    with pytest.raises(ValueError, match="multiples of 16"):
        list(tiles(10, 10, side, halo))
