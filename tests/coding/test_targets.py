"""The search for sizes and PSNRs, on a made-up sender."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bbmr.blocks import SCALES, BlockGrid
from bbmr.coding.coded import Coded, Foreseen
from bbmr.coding.ladder import Rung
from bbmr.coding.targets import reach_psnr, reach_size
from bbmr.errors import BbmrError
from bbmr.rescaled import Recipe, RescaledImage

GRID = BlockGrid(64, 64, 64)
PICTURE = RescaledImage(
    GRID, np.full((1, 1), 16, np.uint8), {16: np.zeros((1, 4, 4, 3), np.uint8)}, Recipe("", "", "", "psnr")
)


class MadeUp:
    """Sizes from 300 bytes up, in steps of 7 % or so between qualities that differ, a thrift of e saves a fifth; what
    is foreseen is off by some factor.
    """

    def __init__(self, foresight: float = 1.0, scales: tuple[int, ...] = SCALES) -> None:
        self.grid, self.scales, self.besides = GRID, scales, 0
        self.foresight = foresight
        self.coded: list[Rung] = []
        self.measured: set[int] = set()

    def at(self, rung: Rung, alone: bool = True) -> Coded:
        self.coded.append(rung)
        level = rung.quality * 63 // 100
        size = int(200 + 100 * 1.07**level / rung.thrift**0.2)
        error = 64 * 64 * 255**2 / 10 ** ((20 + level / 2 - np.log(rung.thrift)) / 10)
        return Coded(rung, PICTURE, size, np.array([[error]]))

    def foresee(self, rung: Rung, roughly: bool = False) -> Foreseen:
        self.measured.add(rung.quality)
        coded = MadeUp().at(rung)
        return Foreseen(coded.size * self.foresight, coded.psnr + 3 * np.log(self.foresight))

    def code(self, scales: NDArray[np.uint8], rung: Rung) -> Coded:
        raise AssertionError("there are no two blocks to choose between")


def test_what_no_quality_changes_is_told_where_a_size_is_out_of_reach() -> None:
    sender = MadeUp()
    sender.besides = 150
    with pytest.raises(BbmrError, match=r"does not get below \d+ bytes, 150 of them alpha and metadata; ask for more"):
        reach_size(sender, 200)


FORESIGHT = st.sampled_from((1.0, 0.7, 0.95, 1.2, 2.0))


@given(st.integers(300, 7000), FORESIGHT)
def test_sizes_are_met_from_below_within_three_percent(size: int, foresight: float) -> None:
    sender = MadeUp(foresight)
    assert 0.97 * size <= reach_size(sender, size).size <= size
    assert len(sender.coded) <= 8
    assert len(sender.measured) <= 10


@given(st.floats(21, 50), FORESIGHT)
def test_psnrs_are_met_from_above_within_a_quarter(psnr: float, foresight: float) -> None:
    assert psnr <= reach_psnr(MadeUp(foresight), psnr).psnr <= psnr + 0.25


def test_foresight_saves_codings() -> None:
    sender = MadeUp()
    reach_size(sender, 2500)
    assert len(sender.coded) == 1
    assert len(sender.measured) <= 4


def test_what_is_out_of_reach_is_said() -> None:
    with pytest.raises(BbmrError, match=r"out of reach: it does not get below 20\d bytes; ask for more"):
        reach_size(MadeUp(), 150)
    with pytest.raises(BbmrError, match=r"out of reach: it does not get above 10[0-9]{3} bytes; ask for less"):
        reach_size(MadeUp(), 12000)
    with pytest.raises(BbmrError, match=r"it does not get above 53\.50 dB"):
        reach_psnr(MadeUp(), 60)


@pytest.mark.parametrize("scales", [SCALES, (2,)])
@pytest.mark.parametrize("psnr", [48.0, np.inf])
def test_a_picture_that_is_better_at_its_smallest_than_asked_for_is_taken(scales: tuple[int, ...], psnr: float) -> None:
    class Smooth(MadeUp):
        def at(self, rung: Rung, alone: bool = True) -> Coded:
            coded = super().at(rung, alone)
            error = 64 * 64 * 255**2 / 10 ** ((psnr + rung.quality / 100) / 10)
            return Coded(rung, PICTURE, coded.size, np.array([[error]]))

        def foresee(self, rung: Rung, roughly: bool = False) -> Foreseen:
            coded = Smooth().at(rung)
            return Foreseen(coded.size, coded.psnr)

    sender = Smooth(scales=scales)
    assert reach_psnr(sender, 36).psnr == pytest.approx(psnr)
    assert len(sender.coded) <= 7


@given(st.integers(150, 12000))
def test_with_one_scale_the_best_quality_is_found_in_seven_codings(size: int) -> None:
    """Thrift changes nothing then, so that sizes have gaps of 7 %."""

    class Alone(MadeUp):
        def at(self, rung: Rung, alone: bool = True) -> Coded:
            assert rung.thrift == 1
            return super().at(rung, alone)

    sender = Alone(scales=(2,))
    possible = [MadeUp().at(Rung(quality)).size for quality in range(101)]
    fitting = [one for one in possible if 0.97 * size <= one <= size]
    if fitting:
        assert reach_size(sender, size).size in fitting
    else:
        end = "out of reach" if not possible[0] <= size <= possible[-1] else "cannot be met exactly: the nearest is"
        with pytest.raises(BbmrError, match=end):
            reach_size(sender, size)
    assert len(sender.coded) <= 7


def test_where_steps_are_too_coarse_the_nearest_is_said() -> None:
    class Coarse(MadeUp):
        def at(self, rung: Rung, alone: bool = True) -> Coded:
            return Coded(rung, PICTURE, 1000 if rung.quality > 30 and rung.thrift < 5 else 500, np.ones((1, 1)))

    with pytest.raises(BbmrError, match="cannot be met exactly"):
        reach_size(Coarse(), 800)


def test_gaps_are_stepped_over() -> None:
    """Where one quality jumps over what is sought, others are tried."""

    class Jumping(MadeUp):
        def at(self, rung: Rung, alone: bool = True) -> Coded:
            coded = super().at(rung, alone)
            even = rung.quality * 63 // 100 % 4 > 0
            return Coded(rung, PICTURE, coded.size // 250 * 250 + 1 if even else coded.size, coded.errors)

    sender = Jumping()
    assert 0.97 * 2200 <= reach_size(sender, 2200).size <= 2200


@given(st.integers(300, 7000))
def test_a_quality_that_lacks_something_even_without_thrift_is_left(size: int) -> None:
    """Where all blocks have the finest scale already, less thrift changes nothing."""

    class AtItsFinest(MadeUp):
        def at(self, rung: Rung, alone: bool = True) -> Coded:
            coded = super().at(Rung(rung.quality, max(rung.thrift, 1.0)), alone)
            return Coded(rung, PICTURE, coded.size, coded.errors)

        def foresee(self, rung: Rung, roughly: bool = False) -> Foreseen:
            return super().foresee(Rung(rung.quality, max(rung.thrift, 1.0)), roughly)

    sender = AtItsFinest()
    sender.grid = BlockGrid(1024, 1024, 64)  # so many pixels that the search comes from below
    assert 0.97 * size <= reach_size(sender, size).size <= size
    assert len(sender.coded) <= 3


def test_mixtures_fill_the_gaps_between_single_scales() -> None:
    """The first coding is of one scale, and a quarter too large."""

    class Gaps(MadeUp):
        def at(self, rung: Rung, alone: bool = True) -> Coded:
            coded = super().at(rung, alone)
            return Coded(rung, PICTURE, coded.size * 5 // 4, coded.errors) if alone else coded

    sender = Gaps()
    assert 0.97 * 2200 <= reach_size(sender, 2200).size <= 2200
    assert len(sender.coded) <= 3


def test_blocks_that_change_all_at_once_are_exchanged_one_by_one() -> None:
    """A hundred alike: all at 100 bytes up to some thrift, all at 10 beyond."""
    grid = BlockGrid(640, 640, 64)

    class Alike(MadeUp):
        def __init__(self) -> None:
            super().__init__()
            self.grid = grid

        def at(self, rung: Rung, alone: bool = True) -> Coded:
            return self.code(np.full((10, 10), 1 if rung.thrift < 1.3 else 16, np.uint8), rung)

        def foresee(self, rung: Rung, roughly: bool = False) -> Foreseen:
            coded = self.at(rung)
            return Foreseen(coded.size, coded.psnr)

        def code(self, scales: NDArray[np.uint8], rung: Rung) -> Coded:
            factors, counts = np.unique(scales, return_counts=True)
            blocks = {
                int(k): np.zeros((n, 64 // k, 64 // k, 3), np.uint8) for k, n in zip(factors, counts, strict=True)
            }
            rescaled = RescaledImage(grid, scales, blocks, PICTURE.recipe)
            size = sum((100 if k == 1 else 10) * len(own) for k, own in blocks.items())
            return Coded(rung, rescaled, size, np.ones((10, 10)))

    for size in (3500, 5000, 9500):  # 3 % are more than a block
        assert 0.97 * size <= reach_size(Alike(), size).size <= size
