import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbmr.blocks import BLOCK_SIDES, SCALES, BlockGrid, split, stitch

sizes = st.integers(1, 300)
sides = st.sampled_from(BLOCK_SIDES)
scales = st.sampled_from(SCALES)


@given(sizes, sizes, sides, scales)
def test_stitch_inverts_split(height: int, width: int, side: int, factor: int) -> None:
    grid = BlockGrid(height, width, side)
    plane = np.random.default_rng(0).integers(0, 256, (*grid.lr_size(factor), 3), np.uint8)
    blocks = split(plane, grid, factor)
    assert blocks.shape == (grid.rows, grid.cols, side // factor, side // factor, 3)
    np.testing.assert_array_equal(stitch(blocks, grid, factor), plane)


@given(sizes, sizes, sides, scales)
def test_costs_count_every_lr_sample_once(height: int, width: int, side: int, factor: int) -> None:
    grid = BlockGrid(height, width, side)
    assert grid.costs(factor).shape == (grid.rows, grid.cols)
    assert grid.costs(factor).min() >= 1
    assert grid.costs(factor).sum() == np.prod(grid.lr_size(factor))


@given(sizes, sizes, sides)
def test_block_sums_agree_with_summing_each_block(height: int, width: int, side: int) -> None:
    grid = BlockGrid(height, width, side)
    plane = np.random.default_rng(1).random((height, width))
    expected = [
        [plane[r * side : (r + 1) * side, c * side : (c + 1) * side].sum() for c in range(grid.cols)]
        for r in range(grid.rows)
    ]
    np.testing.assert_allclose(grid.block_sums(plane), expected, rtol=1e-12)


def test_partial_blocks_repeat_their_edge() -> None:
    plane = np.arange(17 * 18, dtype=np.uint16).astype(np.uint8).reshape(17, 18, 1)
    corner = split(plane, BlockGrid(17, 18, 16), 1)[1, 1]
    assert (corner[:, 2:] == corner[:, 1:2]).all()
    assert (corner[1:] == corner[0]).all()
    np.testing.assert_array_equal(corner[:1, :2], plane[16:, 16:])


@pytest.mark.parametrize(("height", "width", "side"), [(0, 5, 16), (5, 0, 16), (5, 5, 8), (5, 5, 48)])
def test_impossible_grids_are_refused(height: int, width: int, side: int) -> None:
    with pytest.raises(ValueError, match=r"pixels|side"):
        BlockGrid(height, width, side)


def test_planes_and_blocks_of_another_size_are_refused() -> None:
    grid = BlockGrid(40, 40, 16)
    with pytest.raises(ValueError, match="LR plane"):
        split(np.zeros((11, 10, 3), np.uint8), grid, 4)
    with pytest.raises(ValueError, match="blocks are"):
        stitch(np.zeros((3, 2, 4, 4, 3), np.uint8), grid, 4)
    with pytest.raises(ValueError, match="plane at factor 1 is"):
        grid.block_sums(np.zeros((40, 41)))
