"""The rung that a size or a PSNR asks for."""

import math
from collections.abc import Callable

from bbmr.codecs.avif import QUALITIES
from bbmr.coding.coded import Coded
from bbmr.coding.ladder import Rung
from bbmr.errors import BbmrError

_TOLERANCE = 0.03
"""Share of a size that a file may stay below it."""
_TOO_GOOD = 0.25
"""dB that a PSNR may lie above what is asked for."""
_FIRST_QUALITY, _STRIDE = 40, 15
_FIRST_THRIFT = 0.2
_MOST_THRIFT = 20.0
_TRIES = 12
_QUALITIES_TRIED = 8
"""On either side: where blocks are few or alike, what thrift makes of a quality has gaps."""


def reach_size(at: Callable[[Rung], Coded], size: int) -> Coded:
    """The picture in `size` bytes at most, 97 % of them at least.

    at: as `Sender.at`.  Raises BbmrError where that cannot be reached, saying what can.
    """
    return _reach(at, lambda coded: math.log(coded.size / size), math.log(1 - _TOLERANCE), lambda c: f"{c.size} bytes")


def reach_psnr(at: Callable[[Rung], Coded], psnr: float) -> Coded:
    """The picture with a PSNR-Y of at least `psnr` dB, 0.25 dB more at most.  As `reach_size`."""
    return _reach(
        at,
        lambda coded: min(coded.psnr, 1e3) - psnr - _TOO_GOOD,
        -_TOO_GOOD,
        lambda c: f"{c.psnr:.2f} dB",
    )


def _reach(
    at: Callable[[Rung], Coded], excess: Callable[[Coded], float], lowest: float, told: Callable[[Coded], str]
) -> Coded:
    """A picture whose excess lies from `lowest` to 0: of the lowest quality that gives as much, with as much thrift as
    that takes; else of one a little below, with less thrift than usual, or a little above, in turn.
    """

    def fits(coded: Coded) -> bool:
        return lowest <= excess(coded) <= 0

    nearest = first = _lowest_quality(at, excess, lowest, told)
    middle = first.rung.quality
    for step in range(_QUALITIES_TRIED):
        for quality in dict.fromkeys((middle + step, middle - 1 - step)):
            if quality not in QUALITIES or fits(nearest):
                continue
            found = _with_thrift(at, at(Rung(quality)) if quality != middle else first, excess, fits)
            nearest = min(nearest, found, key=lambda coded: (not fits(coded), abs(excess(coded))))
    if fits(nearest):
        return nearest
    raise BbmrError(f"cannot be met exactly: the nearest is {told(nearest)}; ask for a little more or less")


def _lowest_quality(
    at: Callable[[Rung], Coded], excess: Callable[[Coded], float], lowest: float, told: Callable[[Coded], str]
) -> Coded:
    """The picture of the lowest quality with an excess of `lowest` or more, or of another with one from `lowest` to
    0.
    """
    coded = at(Rung(_FIRST_QUALITY))
    below: tuple[int, float] | None = None
    while excess(coded) < lowest:  # up, until there is enough
        below = coded.rung.quality, excess(coded)
        if coded.rung.quality == QUALITIES[-1]:
            raise BbmrError(f"out of reach: the best quality gives {told(coded)}; ask for less")
        coded = at(Rung(min(coded.rung.quality + _STRIDE, QUALITIES[-1])))
    while below is None and excess(coded) > 0:  # down, until there is too little
        if coded.rung.quality == QUALITIES[0]:
            if excess(smallest := at(Rung(QUALITIES[0], math.exp(_MOST_THRIFT)))) > 0:
                raise BbmrError(f"out of reach: the smallest that it becomes is {told(smallest)}; ask for more")
            return coded
        tried = at(Rung(max(coded.rung.quality - _STRIDE, QUALITIES[0])))
        if excess(tried) < lowest:
            below = tried.rung.quality, excess(tried)
        else:
            coded = tried
    while below and excess(coded) > 0 and coded.rung.quality - below[0] > 1:
        tried = at(Rung(_between(below, (coded.rung.quality, excess(coded)))))
        if excess(tried) < lowest:
            below = tried.rung.quality, excess(tried)
        else:
            coded = tried
    return coded


def _with_thrift(
    at: Callable[[Rung], Coded], start: Coded, excess: Callable[[Coded], float], fits: Callable[[Coded], bool]
) -> Coded:
    """From a picture of usual thrift to one that fits, or the nearest that was found: with more thrift where it has too
    much, with less where it has too little.
    """
    towards = math.copysign(1, excess(start))
    near, far, step = 0.0, math.inf, _FIRST_THRIFT  # logarithms of thrift, or of its inverse: too little, too much
    nearest = start
    for _ in range(_TRIES):
        if fits(nearest) or near > _MOST_THRIFT:
            break
        thrift = near + step if far == math.inf else (near + far) / 2
        coded = at(Rung(start.rung.quality, math.exp(towards * thrift)))
        nearest = min(nearest, coded, key=lambda one: (not fits(one), abs(excess(one))))
        if math.copysign(1, excess(coded)) == towards:
            near, step = thrift, 2 * step
        else:
            far = thrift
    return nearest


def _between(below: tuple[int, float], above: tuple[int, float]) -> int:
    """Where a straight line has no excess; an eighth of the way from either end at least, so that tries are few."""
    (low, lacking), (high, exceeding) = below, above
    share = -lacking / max(exceeding - lacking, 1e-9)
    return min(max(low + round(min(max(share, 1 / 8), 7 / 8) * (high - low)), low + 1), high - 1)
