"""Scales by rate and distortion, against all maps there are."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bbmr.coding.allocation import Overhead, frame_bits, least_cost, visibility

Maps = tuple[NDArray[np.float64], NDArray[np.float64]]
"""errors, bits: (scales, rows, cols)."""
SEEDS = st.integers(0, 2**32 - 1)


def cost(maps: Maps, rows: NDArray[np.int64], lam: float, overhead: Overhead) -> float:
    """One block after another."""
    (errors, bits), frame, sides = maps, overhead.frame, overhead.sides
    height, width = rows.shape
    total = lam * frame * len(set(rows.ravel().tolist()))
    for row, col in np.ndindex(height, width):
        total += float(errors[rows[row, col], row, col] + lam * bits[rows[row, col], row, col])
        for beside in ((row + 1, col), (row, col + 1)):
            if beside[0] < height and beside[1] < width and rows[beside] != rows[row, col]:
                total += lam * float(sides[rows[row, col]] + sides[rows[beside]])
    return total


def random_maps(seed: int, *shape: int) -> Maps:
    errors, bits = np.random.default_rng(seed).random((2, *shape)) * 5
    return errors, bits


@given(st.integers(1, 3), st.integers(1, 2), st.integers(1, 3), st.floats(0, 9), st.floats(0, 3), SEEDS)
def test_without_edges_no_map_costs_less(
    scales: int, height: int, width: int, lam: float, frame: float, seed: int
) -> None:
    maps = random_maps(seed, scales, height, width)
    every = (np.array(rows).reshape(height, width) for rows in product(range(scales), repeat=height * width))
    overhead = Overhead(frame, np.zeros(scales))
    best = min(cost(maps, rows, lam, overhead) for rows in every)
    assert cost(maps, least_cost(*maps, lam, overhead), lam, overhead) == pytest.approx(best)


@given(st.integers(2, 4), st.floats(0.1, 2), SEEDS)
def test_edges_are_avoided_where_that_pays(scales: int, edge: float, seed: int) -> None:
    maps = random_maps(seed, scales, 5, 6)
    sides = edge * np.random.default_rng(seed).random(scales)
    overhead, within = Overhead(1.0, sides), Overhead(0.0, sides)
    alone, settled = (least_cost(*maps, 1.0, looked_at) for looked_at in (Overhead(1.0, 0 * sides), overhead))
    assert cost(maps, settled, 1.0, overhead) <= cost(maps, alone, 1.0, overhead) + 1e-9
    for row, col, scale in np.ndindex(5, 6, scales):
        if scale in settled:
            other = settled.copy()
            other[row, col] = scale
            assert cost(maps, settled, 1.0, within) <= cost(maps, other, 1.0, within) + 1e-9


def test_frames_take_together_what_their_map_does() -> None:
    """Their overheads too, but for the sections that the file has them in."""
    _, bits = random_maps(1, 3, 5, 6)
    bits *= 1000
    rows = np.random.default_rng(2).integers(0, 3, (5, 6))
    overhead = Overhead.foreseen(bits)
    together = sum(frame_bits(rows == scale, bits[scale]) for scale in range(3))
    of_blocks = sum(float(bits[rows[row, col], row, col]) for row, col in np.ndindex(5, 6))
    assert 0 < of_blocks + overhead.of(rows) - together < 3 * overhead.frame
    assert overhead.of(np.zeros_like(rows)) == overhead.frame


def test_even_blocks_count_more_and_all_of_them_as_much_as_before() -> None:
    variance, errors = np.array([[0.0, 100.0], [400.0, 2000.0]]), np.array([[10.0, 20.0], [30.0, 40.0]])
    weights = visibility(variance, errors)
    assert (np.diff(weights.ravel()) < 0).all()
    assert (weights * errors).sum() == pytest.approx(errors.sum())
    assert weights[0, 0] / weights[1, 0] == pytest.approx(np.sqrt(420 / 20))


def test_where_nothing_is_lost_weights_still_weigh() -> None:
    weights = visibility(np.array([[0.0, 500.0]]), np.zeros((1, 2)))
    assert weights.mean() == pytest.approx(1)
    assert weights[0, 0] / weights[0, 1] == pytest.approx(np.sqrt(520 / 20))
