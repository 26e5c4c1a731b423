"""The rung that a size or a PSNR asks for."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from bbmr.codecs.avif import QUALITIES
from bbmr.coding.coded import Coded
from bbmr.coding.ladder import Rung
from bbmr.errors import BbmrError

_TOLERANCE = 0.03
"""Share of what is asked for that a file may stay below a size, or a picture be better than a PSNR."""
_TOO_GOOD = 0.25
"""dB that a PSNR may lie above what is asked for, where blocks allow."""
_FIRST_QUALITY, _STRIDE = 40, 15
_FIRST_THRIFT = 0.2
_MOST_THRIFT = 20.0
_TRIES = 12
_QUALITIES_TRIED = 8
"""On either side: where blocks are few or alike, what thrift makes of a quality has gaps."""


At = Callable[[Rung], Coded]


@dataclass(frozen=True)
class _Aim:
    """What is sought.

    excess: how much too much of it a picture is.  lowest: the excess that is still enough, below 0.  highest: the one
    that will do where nothing is found from `lowest` to 0.  told: what a picture is, in words.
    """

    excess: Callable[[Coded], float]
    lowest: float
    highest: float
    told: Callable[[Coded], str]

    def fits(self, coded: Coded) -> bool:
        return self.lowest <= self.excess(coded) <= 0

    def distance(self, coded: Coded) -> tuple[bool, bool, float]:
        """In this order: whether it neither fits nor will do, and how far it is off."""
        excess = self.excess(coded)
        return not self.fits(coded), not self.lowest <= excess <= self.highest, abs(excess)


def reach_size(at: At, size: int) -> Coded:
    """The picture in `size` bytes at most, 97 % of them at least.

    at: as `Sender.at`.  Raises BbmrError where that cannot be reached, saying what can.
    """
    aim = _Aim(lambda coded: math.log(coded.size / size), math.log(1 - _TOLERANCE), 0.0, lambda c: f"{c.size} bytes")
    return _reach(at, aim)


def reach_psnr(at: At, psnr: float) -> Coded:
    """The picture with a PSNR-Y of at least `psnr` dB, 0.25 dB more at most, or 3 % more where there is none such.  As
    `reach_size`.
    """

    def excess(coded: Coded) -> float:
        return min(coded.psnr, 1e3) - psnr - _TOO_GOOD

    return _reach(at, _Aim(excess, -_TOO_GOOD, _TOLERANCE * psnr - _TOO_GOOD, lambda coded: f"{coded.psnr:.2f} dB"))


def _reach(at: At, aim: _Aim) -> Coded:
    """A picture that fits: of the lowest quality that gives as much, with as much thrift as that takes; else of one a
    little below, with less thrift than usual, or a little above, in turn.
    """
    nearest = first = _lowest_quality(at, aim)
    middle = first.rung.quality
    for step in range(_QUALITIES_TRIED):
        for quality in dict.fromkeys((middle + step, middle - 1 - step)):
            if quality in QUALITIES and not aim.fits(nearest):
                start = at(Rung(quality)) if quality != middle else first
                nearest = min(nearest, _with_thrift(at, start, aim), key=aim.distance)
    if aim.distance(nearest)[1]:
        raise BbmrError(f"cannot be met exactly: the nearest is {aim.told(nearest)}; ask for a little more or less")
    return nearest


def _lowest_quality(at: At, aim: _Aim) -> Coded:
    """The picture of the lowest quality that gives enough, or of another that fits."""
    coded = at(Rung(_FIRST_QUALITY))
    below: tuple[int, float] | None = None
    while aim.excess(coded) < aim.lowest:  # up, until there is enough
        below = coded.rung.quality, aim.excess(coded)
        if coded.rung.quality == QUALITIES[-1]:
            raise BbmrError(f"out of reach: it does not get above {aim.told(coded)}; ask for less")
        coded = at(Rung(min(coded.rung.quality + _STRIDE, QUALITIES[-1])))
    while below is None and aim.excess(coded) > 0:  # down, until there is too little
        if coded.rung.quality == QUALITIES[0]:
            if aim.excess(smallest := at(Rung(QUALITIES[0], math.exp(_MOST_THRIFT)))) > aim.highest:
                raise BbmrError(f"out of reach: it does not get below {aim.told(smallest)}; ask for more")
            return coded
        tried = at(Rung(max(coded.rung.quality - _STRIDE, QUALITIES[0])))
        if aim.excess(tried) < aim.lowest:
            below = tried.rung.quality, aim.excess(tried)
        else:
            coded = tried
    while below and aim.excess(coded) > 0 and coded.rung.quality - below[0] > 1:
        tried = at(Rung(_between(below, (coded.rung.quality, aim.excess(coded)))))
        if aim.excess(tried) < aim.lowest:
            below = tried.rung.quality, aim.excess(tried)
        else:
            coded = tried
    return coded


def _with_thrift(at: At, start: Coded, aim: _Aim) -> Coded:
    """From a picture of usual thrift to one that fits, or the nearest that was found: with more thrift where it has too
    much, with less where it has too little.
    """
    towards = math.copysign(1, aim.excess(start))
    near, far, step = 0.0, math.inf, _FIRST_THRIFT  # logarithms of thrift, or of its inverse: too little, too much
    nearest = start
    for _ in range(_TRIES):
        if aim.fits(nearest) or near > _MOST_THRIFT:
            break
        thrift = near + step if far == math.inf else (near + far) / 2
        coded = at(Rung(start.rung.quality, math.exp(towards * thrift)))
        nearest = min(nearest, coded, key=aim.distance)
        if math.copysign(1, aim.excess(coded)) == towards:
            near, step = thrift, 2 * step
        else:
            far = thrift
    return nearest


def _between(below: tuple[int, float], above: tuple[int, float]) -> int:
    """Where a straight line has no excess; an eighth of the way from either end at least, so that tries are few."""
    (low, lacking), (high, exceeding) = below, above
    share = -lacking / max(exceeding - lacking, 1e-9)
    return min(max(low + round(min(max(share, 1 / 8), 7 / 8) * (high - low)), low + 1), high - 1)
