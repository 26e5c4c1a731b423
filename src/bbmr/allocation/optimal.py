"""Least squared error: the scales that minimise the summed distortion within a budget of LR pixels.

A multiple-choice knapsack.  The Lagrangian solution (every block takes the scale with the least D + lambda R) lies on
the convex hull of the problem and is exact up to one block; the few blocks next to the break, where lambda falls, are
then solved exactly by dynamic programming (the "core" of the knapsack literature; D. Pisinger, EJOR 1995).
Small pictures are all core, so for them the result is the true optimum.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_TABLE_LIMIT = 16_000_000
"""Entries of the dynamic program's table (core blocks x budget): 16 MB, a fraction of a second."""
_CORE_LIMIT = 256


class BudgetTooSmallError(ValueError):
    """No allocation fits: even the coarsest scales cost more than the budget."""


def least_squared_error(distortion: NDArray[np.floating], cost: NDArray[np.int64], budget: int) -> NDArray[np.int64]:
    """Choose one row (scale) for every column (block): least summed distortion, summed cost at most `budget`.

    distortion: (scales, blocks), any non-negative measure that adds up over blocks.
    cost: (scales, blocks), LR pixels.
    Returns (blocks,) row indices.  Raises BudgetTooSmallError, a ValueError.
    """
    errors = np.asarray(distortion, np.float64)
    steps = _hull_steps(errors, cost)
    choice = steps.start
    left = budget - int(cost[choice, np.arange(cost.shape[1])].sum())
    if left < 0:
        raise BudgetTooSmallError(f"{budget} LR pixels are asked for, but these scales need at least {budget - left}")
    choice, left, last = _take_steps(steps, choice, left)
    if last == len(steps.block):  # every block has its best scale
        return choice
    choice = _solve_core(errors, cost, choice, left, steps, last)
    assert int(cost[choice, np.arange(cost.shape[1])].sum()) <= budget
    return choice


def multiplier(distortion: NDArray[np.floating], cost: NDArray[np.int64], budget: int) -> float:
    """The Lagrange multiplier lambda (distortion per LR pixel) at which least D + lambda R meets the budget."""
    steps = _hull_steps(np.asarray(distortion, np.float64), cost)
    spent = int(cost[steps.start, np.arange(cost.shape[1])].sum()) + np.cumsum(steps.cost)
    affordable = int(np.searchsorted(spent, budget, side="right"))
    return float(steps.slope[min(affordable, len(steps.slope) - 1)]) if len(steps.slope) else 0.0


@dataclass(frozen=True)
class _HullSteps:
    """Each block's walk along its lower convex hull, all steps of all blocks sorted by falling slope."""

    start: NDArray[np.int64]  # (blocks,) cheapest row
    slope: NDArray[np.float64]  # distortion saved per LR pixel
    block: NDArray[np.int64]
    row: NDArray[np.int64]  # the row that the step leads to
    cost: NDArray[np.int64]  # LR pixels that the step adds


def _hull_steps(distortion: NDArray[np.float64], cost: NDArray[np.int64]) -> _HullSteps:
    scales, blocks = cost.shape
    columns = np.arange(blocks)
    start = np.lexsort((distortion, cost), axis=0)[0]
    current = start.copy()
    found = []
    for _ in range(scales - 1):
        extra = cost - cost[current, columns]
        saved = distortion[current, columns] - distortion
        slope = np.where((extra > 0) & (saved > 0), saved / np.maximum(extra, 1), 0.0)
        row = slope.argmax(axis=0)
        moving = np.flatnonzero(slope[row, columns] > 0)
        found.append((slope[row[moving], moving], moving, row[moving], extra[row[moving], moving]))
        current[moving] = row[moving]
    slope, block, row, step_cost = (
        (np.concatenate(parts) for parts in zip(*found, strict=True)) if found else (np.empty(0),) * 4
    )
    # Stable, so that equal slopes of one block keep their order along its hull.
    order = np.argsort(-slope, kind="stable")
    return _HullSteps(
        start,
        slope[order],
        block[order].astype(np.int64),
        row[order].astype(np.int64),
        step_cost[order].astype(np.int64),
    )


def _take_steps(steps: _HullSteps, choice: NDArray[np.int64], left: int) -> tuple[NDArray[np.int64], int, int]:
    """Take steps from the steepest down while they fit; returns the choice, the LR pixels left, and the first step
    not taken.
    """
    taken = int(np.searchsorted(np.cumsum(steps.cost), left, side="right"))
    choice = choice.copy()
    # A block's later steps overwrite its earlier ones.
    choice[steps.block[:taken]] = steps.row[:taken]
    return choice, left - int(steps.cost[:taken].sum()), taken


def _solve_core(
    distortion: NDArray[np.float64],
    cost: NDArray[np.int64],
    choice: NDArray[np.int64],
    left: int,
    steps: _HullSteps,
    break_step: int,
) -> NDArray[np.int64]:
    """Solve the blocks whose hull steps lie nearest to the break exactly, everything else held."""
    nearest = np.argsort(np.abs(np.arange(len(steps.block)) - break_step), kind="stable")
    by_nearness, first_seen = np.unique(steps.block[nearest], return_index=True)
    candidates = by_nearness[np.argsort(first_seen)][:_CORE_LIMIT]
    if not len(candidates):
        return choice
    unit = int(np.gcd.reduce(cost, axis=None))
    held = np.cumsum(cost[choice[candidates], candidates]) + left
    size = int(np.searchsorted(np.arange(1, len(candidates) + 1) * (held // unit + 1), _TABLE_LIMIT, side="right"))
    core = candidates[:size]
    if not len(core):
        return choice
    capacity = int(held[size - 1]) // unit
    refined = choice.copy()
    refined[core] = _dynamic_program(distortion[:, core], cost[:, core] // unit, capacity)
    return refined


def _dynamic_program(distortion: NDArray[np.float64], cost: NDArray[np.int64], capacity: int) -> NDArray[np.int64]:
    """Exact multiple-choice knapsack: best[w] = least distortion of the blocks so far that cost at most w."""
    scales, blocks = cost.shape
    best = np.zeros(capacity + 1)
    taken = np.empty((blocks, capacity + 1), np.uint8)
    for block in range(blocks):
        options = np.full((scales, capacity + 1), math.inf)
        for row in range(scales):
            price = int(cost[row, block])
            if price <= capacity:
                options[row, price:] = best[: capacity + 1 - price] + distortion[row, block]
        taken[block] = options.argmin(axis=0)
        best = options.min(axis=0)
    choice = np.empty(blocks, np.int64)
    weight = capacity
    for block in reversed(range(blocks)):
        choice[block] = taken[block, weight]
        weight -= int(cost[choice[block], block])
    return choice
