"""Blocks of one scale on the plane that the codec is given, and back."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bbmr.blocks import SCALES, BlockGrid, split
from bbmr.coding.planes import covered, gather, plane_size, scatter


@given(
    st.integers(1, 400),
    st.integers(1, 400),
    st.sampled_from((64, 128)),
    st.sampled_from(SCALES),
    st.floats(0, 1),
    st.integers(0, 2**32 - 1),
)
def test_own_blocks_come_back_and_others_are_one_colour(
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
        foreign = np.concatenate(
            [
                given_to_codec[
                    (row - rows.start) * side // factor : (row - rows.start + 1) * side // factor,
                    (col - cols.start) * side // factor : (col - cols.start + 1) * side // factor,
                ].reshape(-1, 3)
                for row, col in np.argwhere(~own)
                if rows.start <= row < rows.stop and cols.start <= col < cols.stop
            ]
        )
        assert (foreign == foreign[0]).all()


def test_the_colour_between_blocks_is_their_mean() -> None:
    grid = BlockGrid(64, 192, 64)
    plane = np.zeros((32, 96, 3), np.uint8)
    plane[:, :32], plane[:, 32:64], plane[:, 64:] = 10, 200, 21
    given_to_codec = gather(plane, np.array([[True, False, True]]), grid, 2)
    assert (given_to_codec[:, 32:64] == 16).all()  # 15.5, to even
