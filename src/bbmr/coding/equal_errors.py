"""Which of two ways to code a picture takes fewer bits for the same error.

Lambda says what a bit saves in photographs in general.  In one photograph it may save more or less, and what costs less
by lambda may be what another quality of the codec brings for fewer bits.
"""

import math
from dataclasses import dataclass

_FARTHEST = 3
"""Times the way between two qualities that an error may lie away from the first, to be foreseen from them."""
_LEAST_CHANGE = 1e-3
"""Of the logarithm of the error between two qualities: with less, bits follow anything but the error."""
_MOST = 20.0
"""Logarithm of a ratio, about half a billion, beyond which it does not matter."""


@dataclass(frozen=True)
class Total:
    """Of a picture.  error: summed squared luma error, weighted by what it counts in each block.  bits: of its file."""

    error: float
    bits: float

    def cost(self, multiplier: float) -> float:
        """Error + lambda x bits."""
        return self.error + multiplier * self.bits


def bits_by_error(near: Total, beyond: Total, sought: float) -> float | None:
    """The exponent, below 0, by which bits follow the error from one quality on towards another.

    sought: the error that is looked for in that direction.  None where there is no such exponent (blank pictures, and
    noise, of which a better quality restores no more), or that is too far away.
    """
    if min(near.error, beyond.error, sought) <= 0:
        return None
    change = math.log(beyond.error / near.error)
    if abs(change) < _LEAST_CHANGE or not 0 <= math.log(sought / near.error) / change <= _FARTHEST:
        return None
    return math.log(beyond.bits / near.bits) / change


def ratio_at_equal_errors(one: Total, other: Total, exponent: float) -> float:
    """What `other` takes of the bits of `one`, for the error that `one` leaves.

    exponent: of `bits_by_error`; both errors are above 0.
    """
    log_ratio = exponent * math.log(one.error / other.error) + math.log(other.bits / one.bits)
    return math.exp(min(max(log_ratio, -_MOST), _MOST))
