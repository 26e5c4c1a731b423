"""What coded frames say of their blocks' bits.

Shares of a plane's bytes are foreseen (`bbmr.coding.bits`), and can be amiss: of a sky that an encoder skips next to
nothing is saved by leaving it out.  A frame that has some blocks of a plane says what these take, and so what the
others do, for the bytes of the whole plane are known.
"""

import numpy as np
from numpy.typing import NDArray

_MOST = 4.0
"""Factor by which one frame may change what is foreseen of blocks, up or down."""


class LearnedBits:
    """By scale, a factor for each block, of what it is foreseen to take beside the others."""

    def __init__(self) -> None:
        self._factors: dict[int, NDArray[np.float64]] = {}

    def correct(self, scale: int, bits: NDArray[np.float64]) -> NDArray[np.float64]:
        """Bits of every block of a scale, (rows, cols), by what was learned; their sum stays."""
        if scale not in self._factors:
            return bits
        weighted = bits * self._factors[scale]
        corrected: NDArray[np.float64] = weighted * (bits.sum() / weighted.sum())
        return corrected

    def learn(self, scale: int, bits: NDArray[np.float64], own: NDArray[np.bool_], found: float) -> None:
        """Take in what a frame says.

        bits: of every block, (rows, cols), as foreseen.  own: (rows, cols), which blocks the frame has.  found: bits
        that it took for them.
        """
        of_own, of_others = bits[own].sum(), bits[~own].sum()
        if not of_own or not of_others:
            return
        low = max(of_own / _MOST, of_own + of_others - _MOST * of_others)
        high = min(of_own * _MOST, of_own + of_others - of_others / _MOST)
        taken = min(max(found, low), high)
        factors = np.where(own, taken / of_own, (of_own + of_others - taken) / of_others)
        self._factors[scale] = self._factors.get(scale, 1.0) * factors
