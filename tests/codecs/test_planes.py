"""Blocks of one scale on the plane that the codec is given, and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbmr.blocks import SCALES, BlockGrid, split
from bbmr.codecs import avif
from bbmr.codecs.avif import Chroma
from bbmr.codecs.planes import covered, gather, plane_size, scatter


@given(
    st.integers(1, 400),
    st.integers(1, 400),
    st.sampled_from((64, 128)),
    st.sampled_from(SCALES),
    st.floats(0, 1),
    st.integers(0, 2**32 - 1),
)
def test_own_blocks_come_back_and_each_of_the_others_is_even(
    height: int, width: int, side: int, factor: int, share: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    grid = BlockGrid(height, width, side)
    plane = random.integers(0, 256, (*grid.lr_size(factor), 3), np.uint8)
    own = random.random((grid.rows, grid.cols)) < share
    own[random.integers(grid.rows), random.integers(grid.cols)] = True
    given_to_codec = gather(plane, own, grid, factor)
    assert given_to_codec.shape[:2] == plane_size(own, grid, factor)
    np.testing.assert_array_equal(scatter(given_to_codec, own, grid, factor), split(plane, grid, factor)[own])
    rows, cols = covered(own)
    assert own[rows, cols].sum() == own.sum()
    assert own[rows][[0, -1]].any(1).all()
    assert own[:, cols][:, [0, -1]].any(0).all()
    if (~own[rows, cols]).any():
        for row, col in np.argwhere(~own):
            if rows.start <= row < rows.stop and cols.start <= col < cols.stop:
                foreign = given_to_codec[
                    (row - rows.start) * side // factor : (row - rows.start + 1) * side // factor,
                    (col - cols.start) * side // factor : (col - cols.start + 1) * side // factor,
                ].reshape(-1, 3)
                assert (foreign == foreign[0]).all()


def test_places_have_the_colour_of_what_borders_on_them() -> None:
    """Also those that are further away, and only the samples at the border count."""
    grid = BlockGrid(64, 5 * 64, 64)
    plane = np.full((32, 5 * 32, 3), 200, np.uint8)
    plane[:, 31], plane[:, 4 * 32] = (10, 20, 30), (50, 60, 71)
    filled = gather(plane, np.array([[True, False, False, False, True]]), grid, 2)
    assert (filled[:, 32:64] == (10, 20, 30)).all()
    assert (filled[:, 64:96] == (30, 40, 50)).all()  # 50.5, to even
    assert (filled[:, 96:128] == (50, 60, 71)).all()


@pytest.mark.parametrize("chroma", ["4:2:0", "4:4:4"])
def test_foreign_places_leave_no_lines_in_even_regions(chroma: Chroma) -> None:
    """Sky left and fur right of a gap: neither sees the other's colour."""
    grid = BlockGrid(128, 384, 64)
    plane = np.zeros((64, 192, 3), np.uint8)
    plane[:, :96], plane[:, 96:] = (226, 246, 246), (90, 60, 50)
    own = np.array([[True, True, False, False, True, True]] * 2)
    given_to_codec = gather(plane, own, grid, 2)
    coded = avif.decode(avif.encode(given_to_codec, 60, chroma), given_to_codec.shape)
    error = np.abs(scatter(coded, own, grid, 2).astype(float) - split(plane, grid, 2)[own])
    assert error.max() < 4
