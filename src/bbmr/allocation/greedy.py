"""Algorithm 1 of the paper: trade blocks between three scales by their PSNR.

Li & Zhou, "Block-Based Multi-Scale Image Rescaling", AAAI-25, eq. (1) and Algorithm 1.  The paper prints the two sort
directions the other way round; the algorithm only makes sense as it stands here.  Where the paper is silent: a block
is never in both groups, and a round whose blocks are partial takes further `pay` blocks until it is paid for.
"""

from collections.abc import Iterator
from math import gcd

import numpy as np
from numpy.typing import NDArray

from bbmr.allocation.optimal import BudgetTooSmallError

_PEAK_SQUARED = 255.0**2


def algorithm_1(
    squared_error: NDArray[np.floating],
    pixels: NDArray[np.int64],
    cost: NDArray[np.int64],
    scales: tuple[int, int, int],
    budget: int,
    threshold: float = 0.0,
    max_rounds: int | None = None,
) -> NDArray[np.int64]:
    """Choose one of three scales for every block; LR pixels at most `budget`, which has to cover the middle scale.

    Every round pays for its finer blocks with coarser ones, so what the budget leaves beyond the middle scale stays
    unspent.

    squared_error: (3, blocks), summed over each block, grey levels squared.  pixels: (blocks,) true pixels of each
    block.
    cost: (3, blocks), LR pixels.  scales: k1 < k2 < k3.  threshold: t in dB.  max_rounds: block_max_k1.
    Returns (blocks,) row indices.  Raises BudgetTooSmallError, a ValueError.
    """
    columns = np.arange(pixels.size)
    choice = np.ones(pixels.size, np.int64)
    left = budget - int(cost[1].sum())
    if left < 0:
        raise BudgetTooSmallError(
            f"Algorithm 1 starts from a uniform x{scales[1]}, which needs {budget - left} LR pixels; "
            f"the budget is {budget}"
        )
    psnr = 10 * np.log10(_PEAK_SQUARED / np.maximum(squared_error / pixels, 1e-3))
    earn, pay = psnr[0] - psnr[1], psnr[1] - psnr[2]
    earning = iter(np.argsort(-earn, kind="stable").tolist())
    paying = iter(np.argsort(pay, kind="stable").tolist())
    to_k1, to_k3 = _exchange_rate(scales)
    free = np.ones(pixels.size, bool)
    rounds = 0
    while max_rounds is None or rounds < max_rounds:
        finer = _take_next(earning, free, to_k1)
        price = int((cost[0, finer] - cost[1, finer]).sum()) - left
        coarser: list[int] = []
        while price > 0 or len(coarser) < to_k3:
            found = _take_next(paying, free, 1)
            if not found:
                break
            coarser += found
            price -= int(cost[1, found[0]] - cost[2, found[0]])
        complete = len(finer) == to_k1 and len(coarser) >= to_k3 and price <= 0
        if not complete or pay[coarser].sum() + threshold > earn[finer].sum():
            break
        choice[finer], choice[coarser] = 0, 2
        left = -price
        rounds += 1
    assert int(cost[choice, columns].sum()) <= budget
    return choice


def _exchange_rate(scales: tuple[int, int, int]) -> tuple[int, int]:
    """Eq. (1): a blocks at k1 and c at k3 cost what a + c at k2 cost; the smallest such (a, c).  (1, 4) for 2, 4, 8."""
    k1, k2, k3 = scales
    # Both sides of a (1/k1^2 - 1/k2^2) = c (1/k2^2 - 1/k3^2), times (k1 k2 k3)^2.
    a_costs = k3 * k3 * (k2 * k2 - k1 * k1)
    c_saves = k1 * k1 * (k3 * k3 - k2 * k2)
    common = gcd(a_costs, c_saves)
    return c_saves // common, a_costs // common


def _take_next(queue: Iterator[int], free: NDArray[np.bool_], count: int) -> list[int]:
    """Take the next `count` free blocks off the queue, fewer at its end; they are free no longer."""
    taken: list[int] = []
    for block in queue:
        if free[block]:
            free[block] = False
            taken.append(block)
        if len(taken) == count:
            break
    return taken
