"""The optimal allocator against brute force, and against Algorithm 1."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bbmr.allocation import optimal
from bbmr.allocation.greedy import algorithm_1
from bbmr.allocation.optimal import BudgetTooSmallError, least_squared_error, multiplier
from bbmr.blocks import SCALES, BlockGrid


def brute_force(distortion: NDArray[np.float64], cost: NDArray[np.int64], budget: int) -> float:
    """Least summed distortion over every possible choice within the budget."""
    columns = range(cost.shape[1])
    return min(
        sum(float(distortion[row, column]) for row, column in zip(choice, columns, strict=True))
        for choice in product(range(cost.shape[0]), repeat=cost.shape[1])
        if sum(cost[row, column] for row, column in zip(choice, columns, strict=True)) <= budget
    )


def totals(values: NDArray[np.float64] | NDArray[np.int64], choice: NDArray[np.int64]) -> float:
    return float(values[choice, np.arange(values.shape[1])].sum())


@given(st.integers(1, 5), st.integers(2, 4), st.integers(0, 2**32), st.floats(0, 1))
@settings(max_examples=200)
def test_small_cases_are_optimal(blocks: int, scales: int, seed: int, generosity: float) -> None:
    random = np.random.default_rng(seed)
    distortion = random.exponential(100, (scales, blocks))
    cost = random.integers(1, 300, (scales, blocks))
    budget = int(cost.min(0).sum() + generosity * (cost.max(0).sum() - cost.min(0).sum()))
    choice = least_squared_error(distortion, cost, budget)
    assert totals(cost, choice) <= budget
    assert totals(distortion, choice) == pytest.approx(brute_force(distortion, cost, budget))


@given(st.integers(30, 400), st.integers(30, 400), st.sampled_from([16, 32, 64]), st.integers(0, 2**32))
@settings(max_examples=60)
def test_never_over_the_budget_and_never_behind_algorithm_1(height: int, width: int, side: int, seed: int) -> None:
    grid = BlockGrid(height, width, side)
    factors = (2, 4, 8)
    cost = np.stack([grid.costs(factor).ravel() for factor in factors])
    random = np.random.default_rng(seed)
    hardness = random.lognormal(0, 2, cost.shape[1])
    distortion = hardness * np.cumsum(random.exponential(1, cost.shape), axis=0) * grid.costs(1).ravel()
    budget = int(cost[1].sum())
    ours = least_squared_error(distortion, cost, budget)
    theirs = algorithm_1(distortion, grid.costs(1).ravel(), cost, factors, budget)
    assert totals(cost, ours) <= budget
    assert totals(cost, theirs) <= budget
    assert totals(distortion, ours) <= totals(distortion, theirs) * (1 + 1e-12)


def test_large_pictures_come_within_one_block_of_the_lagrangian_bound() -> None:
    """Weak duality: no choice is better than min D + lambda R - lambda budget, for any lambda."""
    grid = BlockGrid(1365, 2048, 16)
    cost = np.stack([grid.costs(factor).ravel() for factor in SCALES])
    random = np.random.default_rng(0)
    distortion = random.lognormal(0, 2, cost.shape[1]) * np.cumsum(random.exponential(1, cost.shape), axis=0)
    distortion[0] = 0
    budget = int(np.prod(grid.lr_size(4)))
    choice = least_squared_error(distortion, cost, budget)
    slope = multiplier(distortion, cost, budget)
    bound = (distortion + slope * cost).min(0).sum() - slope * budget
    assert totals(cost, choice) <= budget
    assert bound <= totals(distortion, choice) <= bound + slope * cost.max()


def test_what_is_left_of_the_budget_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond its exact core the allocator still hands out what fits."""
    monkeypatch.setattr(optimal, "_CORE_LIMIT", 4)
    random = np.random.default_rng(5)
    cost = np.array([[256], [64], [16], [4], [1]]) * np.ones((5, 500), np.int64)
    distortion = random.lognormal(0, 1, 500) * np.arange(5)[:, None].astype(float)
    budget = 500 * 16
    choice = least_squared_error(distortion, cost, budget)
    assert budget - 256 < totals(cost, choice) <= budget


def test_a_budget_that_no_scale_meets_is_refused() -> None:
    cost = np.array([[4, 4], [1, 1]])
    with pytest.raises(BudgetTooSmallError, match="at least 2"):
        least_squared_error(np.zeros((2, 2)), cost, 1)


def test_one_scale_leaves_no_choice() -> None:
    np.testing.assert_array_equal(least_squared_error(np.ones((1, 3)), np.full((1, 3), 16), 48), [0, 0, 0])
