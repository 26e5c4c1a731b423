"""Colours made paler for the codec, and strong again after it, so that it spends fewer bits on them.

Its own balance is for what it sends; here a network repairs what comes of it, and of colours it repairs more.
docs/rate-distortion.md has what that gains in luma and what it costs in colour.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

FULL: Final = 100
"""Per cent: colours as they are."""
_LUMA: Final = np.array((0.299, 0.587, 0.114), np.float32)  # BT.601: what the codec parts luma and chroma by
_STRIP = 64  # rows at a time: in float32 a plane takes four times its memory, several times over


def fade(plane: NDArray[np.uint8], percent: int) -> NDArray[np.uint8]:
    """(H, W, C) uint8 -> the same with `percent` of its colour, 1 to 100; gray planes as they are."""
    return _scaled(plane, percent / FULL)


def revive(plane: NDArray[np.uint8], percent: int) -> NDArray[np.uint8]:
    """Inverse of `fade`, up to rounding and the clipping of colours that the codec made too strong."""
    return _scaled(plane, FULL / percent)


def _scaled(plane: NDArray[np.uint8], gain: float) -> NDArray[np.uint8]:
    if gain == 1 or plane.shape[2] == 1:
        return plane
    scaled = np.empty_like(plane)
    for first in range(0, plane.shape[0], _STRIP):
        part = plane[first : first + _STRIP]
        grey = (part @ _LUMA)[:, :, None]
        scaled[first : first + _STRIP] = (grey + np.float32(gain) * (part - grey)).round().clip(0, 255)
    return scaled
