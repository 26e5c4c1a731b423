from itertools import pairwise

import pytest

from bbmr.blocks import SCALES
from bbmr.coding.ladder import Rung


def test_coarser_samples_are_coded_better_within_what_there_is() -> None:
    for quality in (0, 40, 95, 100):
        qualities = Rung(quality).qualities
        assert list(qualities) == list(SCALES)
        assert all(0 <= finer <= coarser <= 100 for finer, coarser in pairwise(qualities.values()))
    assert Rung(100).qualities[1] == 100
    assert Rung(0).qualities[1] == 0
    assert Rung(0).qualities[16] < 40


def test_a_bit_is_worth_less_the_better_the_quality_and_more_with_thrift() -> None:
    assert Rung(30).multiplier > Rung(31).multiplier > Rung(90).multiplier > 0
    assert Rung(30, 2.0).multiplier == pytest.approx(2 * Rung(30).multiplier)
    # One more quality of the codec at full size takes lambda down by 8 %.
    assert Rung(50).multiplier / Rung(60).multiplier == pytest.approx(0.919**-14, rel=0.01)
