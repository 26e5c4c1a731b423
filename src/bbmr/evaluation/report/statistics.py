"""Means over the pictures of a set, and gains of one system over another, picture by picture."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

from bbmr.evaluation.results import PictureResults
from bbmr.evaluation.systems import System


@dataclass(frozen=True)
class Gain:
    """mean: over the pictures.  error: standard error of the mean; None for a single picture.  worst: the least."""

    mean: float
    error: float | None
    worst: float


def mean(values: Iterable[float | None]) -> float | None:
    """Of the values that are there; None where there is none."""
    present = [value for value in values if value is not None]
    return fmean(present) if present else None


def mean_of(pictures: Sequence[PictureResults], system: System, name: str) -> float | None:
    """Mean of a field of `Measurement`."""
    return mean(getattr(one.systems[system], name) for one in pictures)


def gains_by_picture(pictures: Sequence[PictureResults], system: System, over: System, name: str) -> dict[Path, float]:
    """How much higher a field of `Measurement` is than of another system, on each picture; where it is missing or not
    finite, the picture is left out.
    """
    gains = {}
    for one in pictures:
        ours, theirs = (getattr(one.systems[each], name) for each in (system, over))
        if ours is not None and theirs is not None and math.isfinite(ours - theirs):
            gains[one.path] = ours - theirs
    return gains


def gain(pictures: Sequence[PictureResults], system: System, over: System, name: str) -> Gain | None:
    """Of `gains_by_picture`; None where no picture has both."""
    gains = gains_by_picture(pictures, system, over, name)
    if not gains:
        return None
    error = stdev(gains.values()) / math.sqrt(len(gains)) if len(gains) > 1 else None
    return Gain(fmean(gains.values()), error, min(gains.values()))
