import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bbmr.allocation.visual import visual_distortion


def test_even_maps_are_divided_by_a_power_of_the_variance() -> None:
    """Where all blocks are alike, the mean with the neighbours changes nothing: the value by hand."""
    errors = np.full((2, 3, 4), 5000.0)
    distortion = visual_distortion(errors, np.full((3, 4), 80.0), np.full((3, 4), 256))
    np.testing.assert_allclose(distortion, 5000 / (80 + 20) ** 0.65)


def test_a_lone_block_is_drawn_towards_its_neighbours() -> None:
    """Weights of the binomial mean by hand: the centre counts 4/16, a direct neighbour 2/16, a diagonal one 1/16."""
    errors = np.ones((1, 3, 3))
    errors[0, 1, 1] = 100
    distortion = visual_distortion(errors, np.zeros((3, 3)), np.ones((3, 3), np.int64)) * 20**0.65
    np.testing.assert_allclose(distortion[0, 1, 1], np.sqrt(100 * (4 * 100 + 12) / 16))
    np.testing.assert_allclose(distortion[0, 0, 1], np.sqrt((2 * 100 + 14) / 16))
    np.testing.assert_allclose(distortion[0, 0, 0], np.sqrt((100 + 15) / 16))


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**32))
def test_partial_blocks_count_by_their_pixels(rows: int, cols: int, seed: int) -> None:
    """Halving a block's pixels and its error leaves the other blocks' distortion alone and halves its own."""
    random = np.random.default_rng(seed)
    errors, variance = random.exponential(100, (5, rows, cols)), random.exponential(100, (rows, cols))
    pixels = np.full((rows, cols), 256)
    whole = visual_distortion(errors, variance, pixels)
    errors[:, -1], pixels[-1] = errors[:, -1] / 2, 128
    partial = visual_distortion(errors, variance, pixels)
    np.testing.assert_allclose(partial[:, :-1], whole[:, :-1])
    np.testing.assert_allclose(partial[:, -1], whole[:, -1] / 2)


def test_no_error_is_no_distortion() -> None:
    assert not visual_distortion(np.zeros((5, 2, 2)), np.zeros((2, 2)), np.ones((2, 2), np.int64)).any()
