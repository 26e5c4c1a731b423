"""One quality for users, and what follows from it: the codec's quality of each scale, and what a bit is worth.

All scales are coded such that a bit more saves the same squared error of the restored picture, lambda, wherever it is
spent: else bits could be moved to where they save more.  How much a bit saves was measured on training photographs, for
every scale and quality of the codec (docs/rate-distortion.md): it falls by a constant factor from one quality to the
next, and samples of twice the scale need 18 of them more to come down to the same.
"""

import math
from dataclasses import dataclass

from bbmr.blocks import SCALES
from bbmr.codecs.avif import QUALITIES

_LOWEST, _PER_QUALITY = -40.0, 1.4
"""The codec's quality at full size that 0 stands for, so low that only coarse scales are of use, and what 1 adds."""
PER_DOUBLING = 18.0
"""The codec's quality that each doubling of the scale adds."""
LAMBDA = 1700.0
"""Squared error, summed over the luma in grey levels squared, that a bit saves at the codec's quality 0, full size."""
FALL = 0.0846
"""How the logarithm of lambda falls with the codec's quality at full size."""


@dataclass(frozen=True)
class Rung:
    """quality: from 0, small, to 100, excellent.  thrift: factor of lambda, by which files come out smaller than their
    quality makes them, or larger: between two qualities of the codec lie some 6 % of the bytes.
    """

    quality: int
    thrift: float = 1.0

    @property
    def qualities(self) -> dict[int, int]:
        """The codec's quality by scale."""
        wanted = {factor: round(self._at_full_size + PER_DOUBLING * math.log2(factor)) for factor in SCALES}
        return {factor: min(max(quality, QUALITIES[0]), QUALITIES[-1]) for factor, quality in wanted.items()}

    @property
    def multiplier(self) -> float:
        """Lambda: squared error, summed over the luma in grey levels squared, that a bit has to save to be spent."""
        return LAMBDA * math.exp(-FALL * self._at_full_size) * self.thrift

    @property
    def _at_full_size(self) -> float:
        return _LOWEST + _PER_QUALITY * self.quality
