"""Simple, medium and hard blocks, as the paper's table 1 tells them apart: by what they lose from scale to scale.

Simple ones lose little from x4 to x8, hard ones gain much from x4 to x2; the paper gives what such blocks lose and gain
on average (1.06 and 8.21 dB) and how many there are, but not where the lines are drawn.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bbmr.blocks import PAPER_SCALES
from bbmr.errors import BbmrError
from bbmr.evaluation.choices import HARD_ABOVE, SIMPLE_BELOW
from bbmr.evaluation.measurement import BlockErrors


@dataclass(frozen=True)
class Thresholds:
    """In dB.  A simple block loses less than `simple_below` from x4 to x8, a hard one gains more than `hard_above` from
    x4 to x2; one that does both is simple.  Raises BbmrError for what is not a number.
    """

    simple_below: float = SIMPLE_BELOW
    hard_above: float = HARD_ABOVE

    def __post_init__(self) -> None:
        for value in (self.simple_below, self.hard_above):
            if not math.isfinite(value):
                raise BbmrError(f"{value} dB is no threshold between classes of blocks; give a number")


@dataclass(frozen=True)
class BlockClass:
    """blocks: how many.  psnr: mean PSNR-Y of its blocks in dB at each of PAPER_SCALES; None where it has no block."""

    name: str
    blocks: int
    share: float
    psnr: tuple[float | None, ...]


def all_psnr(errors: Sequence[BlockErrors]) -> NDArray[np.float64]:
    """PSNR-Y of the blocks of several pictures at PAPER_SCALES, (3, blocks)."""
    rows = [one.psnr()[[one.scales.index(factor) for factor in PAPER_SCALES]] for one in errors]
    return np.concatenate([np.empty((len(PAPER_SCALES), 0)), *rows], axis=1)


def classify(psnr: NDArray[np.float64], thresholds: Thresholds) -> list[BlockClass]:
    """psnr: (3, blocks) at PAPER_SCALES."""
    earned, paid = earned_and_paid(psnr)
    simple = paid < thresholds.simple_below
    hard = (earned > thresholds.hard_above) & ~simple
    classes = []
    for name, own in (("simple", simple), ("medium", ~simple & ~hard), ("hard", hard)):
        count = int(own.sum())
        means = tuple(float(row[own].mean()) if count else None for row in psnr)
        classes.append(BlockClass(name, count, count / max(1, psnr.shape[1]), means))
    return classes


def earned_and_paid(psnr: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What each block gains from x4 to x2, and loses from x4 to x8, in dB."""
    finer, middle, coarser = psnr
    return finer - middle, middle - coarser
