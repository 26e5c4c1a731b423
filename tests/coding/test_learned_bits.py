"""Bits of blocks, by frames that were coded."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbmr.coding.learned_bits import LearnedBits


@given(st.integers(0, 2**32 - 1), st.floats(0.5, 1.5))
def test_what_a_frame_took_is_foreseen_thereafter(seed: int, share: float) -> None:
    random = np.random.default_rng(seed)
    bits, own = random.uniform(50, 100, (4, 6)), random.permuted(np.arange(24) < 12).reshape(4, 6)
    learned = LearnedBits()
    found = share * bits[own].sum()
    learned.learn(2, bits, own, found)
    corrected = learned.correct(2, bits)
    total = bits.sum()
    assert corrected.sum() == pytest.approx(total)
    assert (corrected > 0).all()
    of_others = max(total - found, bits[~own].sum() / 4)
    assert corrected[own].sum() == pytest.approx(total - of_others)
    np.testing.assert_array_equal(learned.correct(1, bits), bits)


def test_lessons_add_up() -> None:
    """Of blocks that cost 1, 2, 3 and 6, foreseen alike."""
    true, learned = np.array([[1.0, 2.0], [3.0, 6.0]]), LearnedBits()
    foreseen = np.full((2, 2), 3.0)
    for own in 200 * [[[True, False], [False, False]], [[True, True], [False, False]], [[False, False], [True, False]]]:
        chosen = np.array(own)
        learned.learn(1, learned.correct(1, foreseen), chosen, true[chosen].sum())
    np.testing.assert_allclose(learned.correct(1, foreseen), true, rtol=1e-3)


def test_whole_planes_teach_nothing() -> None:
    learned, bits = LearnedBits(), np.ones((2, 2))
    learned.learn(1, bits, np.ones((2, 2), bool), 3.0)
    np.testing.assert_array_equal(learned.correct(1, bits), bits)
