"""The rung that a size or a PSNR asks for.

What a rung comes to is foreseen from what blocks cost, which takes no coding; pictures that are coded for real say by
how much that was off.  Two or three of them do as a rule.  Where blocks are few or alike, sizes have gaps: qualities
around are tried in turn then, which may take a hundred of them and more before nothing is found.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bbmr.blocks import BlockGrid
from bbmr.codecs.avif import QUALITIES
from bbmr.coding.coded import Coded, Foreseen
from bbmr.coding.ladder import Rung
from bbmr.errors import BbmrError

_TOLERANCE = 0.03
"""Share of what is asked for that a file may stay below a size, or a picture be better than a PSNR."""
_TOO_GOOD = 0.25
"""dB that a PSNR may lie above what is asked for, where blocks allow."""
_MIDDLE = 40
"""Quality of which photographs have about so many bits per pixel, and dB."""
_MIDDLE_BPP, _MIDDLE_PSNR = 0.08, 35.0
_PER_QUALITY_OF_SIZE, _PER_QUALITY_OF_PSNR = 0.05, 0.3
"""What one more adds to the logarithm of the size, and in dB, about."""
_LONGEST_STEP = 30
_LOG_THRIFT = 2.0
"""The logarithm of the most thrift; its negative of the least, by which a quality is stretched."""
_MOST_LOG_THRIFT = 20.0
"""Of the lowest quality."""
_CODINGS = 6
"""Tries to come near by foresight."""
_TRIES, _FIRST_STEP = 12, 0.2
_QUALITIES_TRIED = 8
"""On either side: where blocks are few or alike, what thrift makes of a quality has gaps."""


class PictureCoder(Protocol):
    """What `bbmr.coding.sender.Sender` offers the search."""

    @property
    def grid(self) -> BlockGrid:
        """Of the picture."""

    @property
    def scales(self) -> tuple[int, ...]:
        """Those that blocks may have."""

    @property
    def besides(self) -> int:
        """Bytes of alpha and metadata, which no rung changes."""

    def at(self, rung: Rung, alone: bool = True) -> Coded:
        """Code the picture; alone: with one scale where that is better than a mixture."""

    def foresee(self, rung: Rung, roughly: bool = False) -> Foreseen:
        """What that will come to, about; roughly: by a quick look."""

    def code(self, scales: NDArray[np.uint8], rung: Rung) -> Coded:
        """Code the picture with these scales, (rows, cols)."""


@dataclass(frozen=True)
class _Aim:
    """What is sought.

    excess: how much too much of it a picture is.  lowest: the excess that is still enough, below 0.  highest: the one
    that will do where nothing is found from `lowest` to 0.  first: the quality to begin at.  per_quality: what a
    quality adds, about.  stretched: how far thrift may take it from that of a quality; much more of it costs.
    told: what a picture is, in words.  more_will_do: where even the smallest file has too much.
    """

    excess: Callable[[Coded | Foreseen], float]
    lowest: float
    highest: float
    first: float
    per_quality: float
    stretched: float
    told: Callable[[Coded], str]
    more_will_do: bool = False

    def fits(self, coded: Coded) -> bool:
        return self.lowest <= self.excess(coded) <= 0

    def distance(self, coded: Coded) -> tuple[bool, bool, float]:
        """In this order: whether it neither fits nor will do, and how far it is off."""
        excess = self.excess(coded)
        return not self.fits(coded), not self.lowest <= excess <= self.highest, abs(excess)


def reach_size(sender: PictureCoder, size: int) -> Coded:
    """The picture in `size` bytes at most, 97 % of them at least.

    Raises BbmrError where that cannot be reached, saying what can.
    """

    def excess(one: Coded | Foreseen) -> float:
        return math.log(one.size / size)

    def told(one: Coded) -> str:
        beside = f", {sender.besides} of them alpha and metadata" if sender.besides else ""
        return f"{one.size} bytes{beside}"

    bpp = 8 * size / (sender.grid.height * sender.grid.width)
    first = _MIDDLE + math.log(bpp / _MIDDLE_BPP) / _PER_QUALITY_OF_SIZE
    lowest = math.log(1 - _TOLERANCE)
    return _reach(sender, _Aim(excess, lowest, 0.0, first, _PER_QUALITY_OF_SIZE, 0.15, told))


def reach_psnr(sender: PictureCoder, psnr: float) -> Coded:
    """The picture with a PSNR-Y of at least `psnr` dB, 0.25 dB more at most, or 3 % more where there is none such; or
    the smallest file, where that has more.  Raises as `reach_size`.
    """

    def excess(one: Coded | Foreseen) -> float:
        return min(one.psnr, 1e3) - psnr - _TOO_GOOD

    highest = _TOLERANCE * psnr - _TOO_GOOD
    first = _MIDDLE + (psnr - _MIDDLE_PSNR) / _PER_QUALITY_OF_PSNR
    return _reach(
        sender,
        _Aim(excess, -_TOO_GOOD, highest, first, _PER_QUALITY_OF_PSNR, 0.6, lambda one: f"{one.psnr:.2f} dB", True),
    )


def _reach(sender: PictureCoder, aim: _Aim) -> Coded:
    """A picture that fits: at the rung that is foreseen to; or mixtures, for between one scale at one quality and the
    same at the next lie 6 % of the bytes, each corrected by what came of the one before; else of qualities around, in
    turn.
    """
    if len(sender.scales) == 1:
        return _reach_by_quality(sender, aim)
    foresight = _Foresight(sender, aim, 0.0)
    nearest = sender.at(foresight.fitting(_near_quality(foresight, aim)))
    if _is_last(nearest, aim, *_ends(nearest.rung)):
        return nearest
    tried = set[Rung]()
    while len(tried) < _CODINGS and not aim.fits(nearest):
        rung = foresight.fitting(_near_quality(foresight, aim))
        if rung in tried:  # a gap: one side of it gives too much, the other too little
            break
        tried.add(rung)
        coded = sender.at(rung, alone=False)
        if _is_last(coded, aim, *_ends(rung)):
            return coded
        nearest = min(nearest, coded, key=aim.distance)
        foresight = _Foresight(sender, aim, aim.excess(coded) - aim.excess(sender.foresee(rung)))
    if aim.fits(nearest):
        return nearest
    middle = nearest.rung.quality
    steps = [step for distance in range(_QUALITIES_TRIED) for step in (distance, -1 - distance)]
    for quality in (middle + step for step in steps if middle + step in QUALITIES):
        nearest = min(nearest, _with_thrift(sender, sender.at(Rung(quality), alone=False), aim), key=aim.distance)
        if aim.fits(nearest):
            return nearest
    return _near_enough(nearest, aim)


def _reach_by_quality(sender: PictureCoder, aim: _Aim) -> Coded:
    """As `_reach`, of one scale all over: thrift has nothing to choose there, and qualities have gaps between them."""
    low, high = QUALITIES[0] - 1, QUALITIES[-1] + 1  # too little, too much
    nearest: Coded | None = None
    while high - low > 1:
        coded = sender.at(Rung((low + high) // 2))
        nearest = coded if nearest is None else min(nearest, coded, key=aim.distance)
        if aim.fits(nearest):
            return nearest
        low, high = (low, coded.rung.quality) if aim.excess(coded) > 0 else (coded.rung.quality, high)
    assert nearest is not None  # there are qualities
    if _is_last(nearest, aim, high == QUALITIES[0], low == QUALITIES[-1]):
        return nearest
    return _near_enough(nearest, aim)


def _near_enough(nearest: Coded, aim: _Aim) -> Coded:
    """Raises BbmrError where it is not."""
    if aim.distance(nearest)[1]:
        raise BbmrError(f"cannot be met exactly: the nearest is {aim.told(nearest)}; ask for a little more or less")
    return nearest


@dataclass(frozen=True)
class _Foresight:
    """What is foreseen, corrected by what a picture that was coded came to beyond that."""

    sender: PictureCoder
    aim: _Aim
    correction: float

    def excess(self, quality: int, log_thrift: float = 0.0, roughly: bool = False) -> float:
        """Over the middle of what fits."""
        foreseen = self.sender.foresee(Rung(quality, math.exp(log_thrift)), roughly)
        return self.aim.excess(foreseen) + self.correction - self.aim.lowest / 2

    def fitting(self, quality: int) -> Rung:
        """The rung of a quality with just enough thrift to come down to the middle, or with the most there is."""
        low, high = _log_thrifts(quality)
        for _ in range(16):
            log_thrift = (low + high) / 2
            low, high = (log_thrift, high) if self.excess(quality, log_thrift) > 0 else (low, log_thrift)
        return Rung(quality, math.exp(high))


def _is_last(coded: Coded, aim: _Aim, lowest: bool, highest: bool) -> bool:
    """Whether a picture is the one at the lower end of the ladder and has more than is sought, which will do.

    lowest, highest: whether it is at that end.  Raises BbmrError where it still has too little, or too much.
    """
    if highest and aim.excess(coded) < aim.lowest:
        raise BbmrError(f"out of reach: it does not get above {aim.told(coded)}; ask for less")
    if not lowest or aim.excess(coded) <= aim.highest:
        return False
    if not aim.more_will_do:
        raise BbmrError(f"out of reach: it does not get below {aim.told(coded)}; ask for more")
    return True


def _ends(rung: Rung) -> tuple[bool, bool]:
    """Whether it is at the lower, and at the upper end of the ladder."""
    least, most = _log_thrifts(rung.quality)
    log_thrift = math.log(rung.thrift)
    return (
        rung.quality == QUALITIES[0] and log_thrift > 0.99 * most,
        rung.quality == QUALITIES[-1] and log_thrift < 0.99 * least,
    )


def _log_thrifts(quality: int) -> tuple[float, float]:
    """The logarithms of the least and the most thrift."""
    return -_LOG_THRIFT, _MOST_LOG_THRIFT if quality == QUALITIES[0] else _LOG_THRIFT


def _near_quality(foresight: _Foresight, aim: _Aim) -> int:
    """A quality from which thrift reaches what is sought; as few as possible are looked at, for each is measured."""
    quality = min(max(round(aim.first), QUALITIES[0]), QUALITIES[-1])
    for roughly in (True, False):
        quality = _quality_from(quality, foresight, aim, roughly)
    # Thrift can do without almost anything, but cannot bring more than all blocks at the finest scale have.
    while quality < QUALITIES[-1] and foresight.excess(quality, -_LOG_THRIFT) < 0:
        quality += 1
    return quality


def _quality_from(quality: int, foresight: _Foresight, aim: _Aim, roughly: bool) -> int:
    """As `_near_quality`, beginning at one."""
    low: tuple[int, float] | None = None  # the highest quality that is known to lack something
    high: tuple[int, float] | None = None  # the lowest that is known not to
    while abs(over := foresight.excess(quality, roughly=roughly)) > aim.stretched:
        if over < 0:
            low = quality, over
        else:
            high = quality, over
        if low and high:
            if high[0] - low[0] <= 1:
                break
            quality = _between(low, high)
        else:
            step = min(max(round(abs(over) / aim.per_quality), 1), _LONGEST_STEP)
            wanted = quality + step if over < 0 else quality - step
            if quality == (wanted := min(max(wanted, QUALITIES[0]), QUALITIES[-1])):
                break
            quality = wanted
    return quality


def _with_thrift(sender: PictureCoder, start: Coded, aim: _Aim) -> Coded:
    """From a picture of usual thrift to one that fits, or the nearest that was found, by coding alone: with more thrift
    where it has too much, with less where it has too little.  Single scales in place of mixtures would leave gaps.
    """
    towards = math.copysign(1, aim.excess(start))
    near, far, step = 0.0, math.inf, _FIRST_STEP  # logarithms of thrift, or of its inverse: too little, too much
    nearest = before = start
    beyond: Coded | None = None
    for _ in range(_TRIES):
        if aim.fits(nearest) or near > _MOST_LOG_THRIFT:
            break
        log_thrift = near + step if far == math.inf else (near + far) / 2
        coded = sender.at(Rung(start.rung.quality, math.exp(towards * log_thrift)), alone=False)
        nearest = min(nearest, coded, key=aim.distance)
        if math.copysign(1, aim.excess(coded)) == towards:
            near, step, before = log_thrift, 2 * step, coded
        else:
            far, beyond = log_thrift, coded
    if beyond is None or aim.fits(nearest):
        return nearest
    more, less = (before, beyond) if towards > 0 else (beyond, before)
    return min(nearest, _part_way(sender, more, less, aim), key=aim.distance)


def _part_way(sender: PictureCoder, more: Coded, less: Coded, aim: _Aim) -> Coded:
    """Between two pictures of one quality, the one with too much and the other with too little: blocks that differ are
    exchanged from the top on, as many as it takes.  A little thrift may exchange all of them at once.
    """
    finer, coarser = more.rescaled.scales, less.rescaled.scales
    changing = np.flatnonzero(finer != coarser)
    low, high, nearest = 0, len(changing), more
    while high - low > 1 and not aim.fits(nearest):
        count = (low + high) // 2
        scales = finer.copy()
        scales.flat[changing[:count]] = coarser.flat[changing[:count]]
        coded = sender.code(scales, more.rung)
        nearest = min(nearest, coded, key=aim.distance)
        low, high = (count, high) if aim.excess(coded) > 0 else (low, count)
    return nearest


def _between(below: tuple[int, float], above: tuple[int, float]) -> int:
    """Where a straight line has no excess; an eighth of the way from either end at least, so that tries are few."""
    (low, lacking), (high, exceeding) = below, above
    share = -lacking / max(exceeding - lacking, 1e-9)
    return min(max(low + round(min(max(share, 1 / 8), 7 / 8) * (high - low)), low + 1), high - 1)
