import numpy as np
import pytest

from bbmr.allocation.greedy import algorithm_1
from bbmr.allocation.optimal import BudgetTooSmallError

SCALES = (2, 4, 8)
COST = np.array([[4096], [1024], [256]])
PIXELS = 128 * 128


def errors_for(psnr: list[tuple[float, float, float]]) -> np.ndarray:
    """Squared errors of 128 x 128 blocks with the given PSNR at the three scales."""
    return 255**2 * PIXELS * 10 ** (-np.array(psnr).T / 10)


def allocate(psnr: list[tuple[float, float, float]], **options: float) -> list[int]:
    cost = COST * np.ones((3, len(psnr)), np.int64)
    rows = algorithm_1(
        errors_for(psnr),
        np.full(len(psnr), PIXELS),
        cost,
        SCALES,
        int(cost[1].sum()),
        **options,  # type: ignore[arg-type]
    )
    return [SCALES[row] for row in rows]


def test_one_hard_block_is_paid_by_the_four_easiest() -> None:
    """Eq. (1) by hand: one block at x2 costs 3072 more, four at x8 save 768 each."""
    hard = (40.0, 30.0, 25.0)
    easy = [(38.0 + i, 37.8 + i, 37.5 + i) for i in range(4)]
    dear = (35.0, 33.0, 20.0)
    assert allocate([dear, hard, *easy, dear]) == [4, 2, 8, 8, 8, 8, 4]


def test_a_trade_that_does_not_pay_is_not_made() -> None:
    assert allocate([(31.0, 30.0, 25.0)] * 10) == [4] * 10


def test_the_threshold_is_a_gain_in_decibels_that_a_round_has_to_exceed() -> None:
    blocks = [(40.0, 30.0, 25.0)] + [(38.0, 37.0, 36.0)] * 4  # earns 10, pays 4 x 1
    assert allocate(blocks, threshold=5.9) == [2, 8, 8, 8, 8]
    assert allocate(blocks, threshold=6.1) == [4] * 5


def test_rounds_end_at_block_max_k1() -> None:
    blocks = [(50.0, 30.0, 29.0)] * 2 + [(38.0, 37.9, 37.8)] * 8
    assert allocate(blocks).count(2) == 2
    assert allocate(blocks, max_rounds=1).count(2) == 1


def test_no_block_is_in_both_groups() -> None:
    """All blocks earn much and pay nothing: each is spent once, in groups of one to four."""
    chosen = allocate([(50.0, 30.0, 30.0)] * 11)
    assert (chosen.count(2), chosen.count(8), chosen.count(4)) == (2, 8, 1)


def test_partial_blocks_never_break_the_budget() -> None:
    """Blocks that are cheap at x4 save little at x8: a round then takes more than four of them."""
    cost = np.concatenate(
        [np.array([[4096], [1024], [256]]), np.array([[512], [128], [32]]) * np.ones((1, 40), int)], 1
    )
    errors = errors_for([(60.0, 30.0, 25.0)] + [(37.01, 37.0, 36.99)] * 40)
    rows = algorithm_1(errors, np.full(41, PIXELS), cost, SCALES, int(cost[1].sum()))
    assert rows[0] == 0
    assert (rows == 2).sum() == 32  # 3072 / (128 - 32)
    assert cost[rows, np.arange(41)].sum() <= cost[1].sum()


def test_a_budget_below_the_middle_scale_is_refused() -> None:
    with pytest.raises(BudgetTooSmallError, match="uniform x4"):
        algorithm_1(np.ones((3, 2)), np.full(2, PIXELS), COST * np.ones((3, 2), np.int64), SCALES, 2000)
