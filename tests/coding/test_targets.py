"""The search for sizes and PSNRs, on a made-up sender."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbmr.blocks import BlockGrid
from bbmr.coding.coded import Coded
from bbmr.coding.ladder import Rung
from bbmr.coding.targets import reach_psnr, reach_size
from bbmr.errors import BbmrError
from bbmr.rescaled import Recipe, RescaledImage

GRID = BlockGrid(64, 64, 64)
PICTURE = RescaledImage(
    GRID, np.full((1, 1), 16, np.uint8), {16: np.zeros((1, 4, 4, 3), np.uint8)}, Recipe("", "", "", "psnr")
)


class MadeUp:
    """Sizes from 300 bytes up, in steps of 7 % or so between qualities that differ, a thrift of e saves a fifth."""

    def __init__(self) -> None:
        self.tried: list[Rung] = []

    def at(self, rung: Rung) -> Coded:
        self.tried.append(rung)
        level = rung.quality * 63 // 100
        size = int(200 + 100 * 1.07**level / rung.thrift**0.2)
        error = 64 * 64 * 255**2 / 10 ** ((20 + level / 2 - np.log(rung.thrift)) / 10)
        return Coded(rung, PICTURE, size, np.array([[error]]))


@given(st.integers(300, 7000))
def test_sizes_are_met_from_below_within_three_percent(size: int) -> None:
    sender = MadeUp()
    assert 0.97 * size <= reach_size(sender.at, size).size <= size
    assert len(sender.tried) <= 20


@given(st.floats(21, 50))
def test_psnrs_are_met_from_above_within_a_quarter(psnr: float) -> None:
    assert psnr <= reach_psnr(MadeUp().at, psnr).psnr <= psnr + 0.25


def test_what_is_out_of_reach_is_said() -> None:
    with pytest.raises(BbmrError, match=r"out of reach: it does not get below 20\d bytes; ask for more"):
        reach_size(MadeUp().at, 150)
    with pytest.raises(BbmrError, match="out of reach: it does not get above 7298 bytes; ask for less"):
        reach_size(MadeUp().at, 9000)
    with pytest.raises(BbmrError, match=r"it does not get above 51\.50 dB"):
        reach_psnr(MadeUp().at, 60)


def test_where_steps_are_too_coarse_the_nearest_is_said() -> None:
    def at(rung: Rung) -> Coded:
        return Coded(rung, PICTURE, 1000 if rung.quality > 30 and rung.thrift < 5 else 500, np.ones((1, 1)))

    with pytest.raises(BbmrError, match="cannot be met exactly"):
        reach_size(at, 800)
