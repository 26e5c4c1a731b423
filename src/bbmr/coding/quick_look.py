"""What the encoder's quick speed tells of its speed of use, about; measured for a speed of 4.

Of fine scales that hardly come into question a quick look is enough; coarse ones take next to no time at any speed.
At low qualities photographs differ: those scales that come near the best are measured at the speed of use.
"""

import numpy as np

SPEED = 7
SCALES = (1, 2)
"""That are looked at quickly."""
_SLOW = 5
"""Speed of use up to which that saves time worth speaking of."""
_QUALITIES = (0, 3, 8, 16, 28, 40, 55, 70)
_ERRORS = {
    1: (0.84, 0.85, 0.85, 0.83, 0.82, 0.83, 0.85, 0.87),
    2: (0.89, 0.92, 0.91, 0.90, 0.91, 0.92, 0.95, 0.97),
}
_BITS = {
    1: (0.93, 1.00, 1.06, 1.07, 1.06, 1.03, 1.02, 1.01),
    2: (0.87, 0.96, 1.04, 1.09, 1.08, 1.06, 1.03, 1.02),
}
"""By scale, at those qualities of the codec, of what was measured at the quick speed: medians of eight training
photographs and both tunes.
"""


def speed_before(speed: int) -> int:
    """At which a scale is looked at before it is coded at `speed`."""
    return SPEED if speed <= _SLOW else speed


def errors_at_use(factor: int, quality: int) -> float:
    """Share of the squared errors at the quick speed that the speed of use leaves; of one of SCALES."""
    return float(np.interp(quality, _QUALITIES, _ERRORS[factor]))


def bits_at_use(factor: int, quality: int) -> float:
    """Bits at the speed of use over those at the quick speed; of one of SCALES."""
    return float(np.interp(quality, _QUALITIES, _BITS[factor]))
