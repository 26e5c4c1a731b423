"""One quality for users, and what follows from it: the codec's quality of each scale, and what a bit is worth.

All scales are coded such that a bit more saves the same squared error of the restored picture, lambda, wherever it is
spent: else bits could be moved to where they save more.  How much a bit saves was measured on training photographs, for
every scale and quality of the codec (docs/rate-distortion.md).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bbmr.blocks import SCALES
from bbmr.codecs.avif import QUALITIES

_LOWEST, _PER_QUALITY = -40.0, 1.4
"""The codec's quality at full size that 0 stands for, so low that only coarse scales are of use, and what 1 adds."""
_SAVED: dict[int, tuple[tuple[int, float], ...]] = {
    1: (
        *((1, 7.71), (3, 7.15), (6, 6.70), (12, 6.17), (20, 5.53), (28, 4.89), (36, 4.24), (44, 3.60), (52, 2.94)),
        *((60, 2.37), (68, 1.80), (76, 1.32), (84, 0.64), (92, -0.51)),
    ),
    2: (
        *((4, 8.59), (12, 7.70), (20, 7.11), (28, 6.60), (36, 6.01), (44, 5.43), (52, 4.77), (60, 4.23), (68, 3.70)),
        *((76, 3.13),),
    ),
    4: (
        *((4, 9.94), (12, 9.03), (20, 8.51), (28, 8.02), (36, 7.51), (44, 6.88), (52, 6.35), (60, 5.79), (68, 5.16)),
        *((76, 4.64),),
    ),
    8: ((5, 11.27), (15, 10.19), (25, 9.51), (35, 8.86), (45, 8.22), (55, 7.46), (65, 6.64), (75, 5.89)),
    16: (
        *((4, 12.63), (12, 11.81), (20, 11.18), (28, 10.79), (36, 10.15), (44, 9.57), (52, 8.96), (60, 8.32)),
        *((68, 7.70), (76, 7.05)),
    ),
}
"""By scale, at qualities of the codec: natural logarithm of the squared error, summed over the luma in grey levels
squared, that a bit saves there; straight lines between them, and beyond."""
_PER_MISSING_QUALITY = 0.09
"""What the logarithm of lambda gains with each of those that scale 1 would need and the codec has not."""


@dataclass(frozen=True)
class Rung:
    """quality: from 0, small, to 100, excellent.  thrift: factor of lambda, by which files come out smaller than their
    quality makes them, or larger: between two qualities of the codec lie some 6 % of the bytes.
    """

    quality: int
    thrift: float = 1.0

    @property
    def qualities(self) -> dict[int, int]:
        """The codec's quality by scale, the one at which a bit saves most nearly lambda, but for thrift."""
        return {factor: int(np.abs(_saved_by_quality(factor) - self._log_saved).argmin()) for factor in SCALES}

    @property
    def multiplier(self) -> float:
        """Lambda: squared error, summed over the luma in grey levels squared, that a bit has to save to be spent."""
        return math.exp(self._log_saved) * self.thrift

    @property
    def _log_saved(self) -> float:
        at_full_size = _LOWEST + _PER_QUALITY * self.quality
        missing = max(QUALITIES[0] - at_full_size, 0.0)
        return float(_saved(1, max(at_full_size, QUALITIES[0]))) + _PER_MISSING_QUALITY * missing


def quality_of(qualities: Mapping[int, int]) -> int | None:
    """The quality at which scales are coded at these of the codec; None where that is so at none or at several, for
    the codec has none below 0 nor above 100.

    qualities: of some scales, or all.
    """
    found = [quality for quality in QUALITIES if qualities.items() <= Rung(quality).qualities.items()]
    return found[0] if len(found) == 1 else None


@cache
def _saved_by_quality(factor: int) -> NDArray[np.float64]:
    """As `_SAVED`, at all of the codec's qualities."""
    return _saved(factor, np.arange(QUALITIES[0], QUALITIES[-1] + 1))


def _saved(factor: int, qualities: ArrayLike) -> NDArray[np.float64]:
    """As `_SAVED`, at whatever qualities, and beyond those that the codec has."""
    known, logs = np.array(_SAVED[factor]).T
    wanted = np.asarray(qualities, np.float64)
    piece = np.clip(np.searchsorted(known, wanted) - 1, 0, len(known) - 2)
    slopes = np.diff(logs) / np.diff(known)
    lines: NDArray[np.float64] = logs[piece] + slopes[piece] * (wanted - known[piece])
    return lines
