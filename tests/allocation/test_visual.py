import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbmr.allocation.visual import uniform_row, visual_distortion


def test_even_maps_are_divided_by_the_root_of_the_variance() -> None:
    """Where all blocks are alike, the mean with the neighbours changes nothing: the value by hand."""
    errors = np.full((2, 3, 4), 5000.0)
    distortion = visual_distortion(errors, np.full((3, 4), 80.0), np.full((3, 4), 256), 1)
    np.testing.assert_allclose(distortion, 5000 / np.sqrt(80 + 20))


def test_a_lone_block_is_drawn_towards_its_neighbours() -> None:
    """Weights of the binomial mean by hand: the centre counts 4/16, a direct neighbour 2/16, a diagonal one 1/16."""
    errors = np.ones((1, 3, 3))
    errors[0, 1, 1] = 100
    distortion = visual_distortion(errors, np.zeros((3, 3)), np.ones((3, 3), np.int64), 0) * np.sqrt(20)
    np.testing.assert_allclose(distortion[0, 1, 1], np.sqrt(100 * (4 * 100 + 12) / 16))
    np.testing.assert_allclose(distortion[0, 0, 1], np.sqrt((2 * 100 + 14) / 16))
    np.testing.assert_allclose(distortion[0, 0, 0], np.sqrt((100 + 15) / 16))


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**32))
def test_partial_blocks_count_by_their_pixels(rows: int, cols: int, seed: int) -> None:
    """Halving a block's pixels and its error leaves the other blocks' distortion alone and halves its own."""
    random = np.random.default_rng(seed)
    errors, variance = random.exponential(100, (5, rows, cols)), random.exponential(100, (rows, cols))
    pixels = np.full((rows, cols), 256)
    whole = visual_distortion(errors, variance, pixels, 2)
    errors[:, -1], pixels[-1] = errors[:, -1] / 2, 128
    partial = visual_distortion(errors, variance, pixels, 2)
    np.testing.assert_allclose(partial[:, :-1], whole[:, :-1])
    np.testing.assert_allclose(partial[:, -1], whole[:, -1] / 2)


def test_no_error_is_no_distortion() -> None:
    assert not visual_distortion(np.zeros((5, 2, 2)), np.zeros((2, 2)), np.ones((2, 2), np.int64), 2).any()


def test_losses_against_one_scale_for_all_count_three_times() -> None:
    """By hand, where all blocks are alike: 100, 50 finer and 90, 400 coarser than the uniform scale's 80."""
    errors = np.broadcast_to(np.array([50.0, 100.0, 80.0, 90.0, 400.0])[:, None, None], (5, 2, 2))
    distortion = visual_distortion(errors, np.full((2, 2), 80.0), np.ones((2, 2), np.int64), 2)[:, 0, 0]
    np.testing.assert_allclose(distortion * 10, [50, 100, 80, 80 + 3 * 10, 80 + 3 * 320])


@pytest.mark.parametrize(
    ("scales", "budget", "row"),
    [((1, 2, 4, 8, 16), 6250, 2), ((1, 2, 4, 8, 16), 6300, 2), ((2, 4, 8), 100_000, 0), ((4, 8), 1800, 1)],
)
def test_the_uniform_scale_is_the_one_nearest_to_the_budget(scales: tuple[int, ...], budget: int, row: int) -> None:
    assert uniform_row(scales, 100_000, budget) == row
