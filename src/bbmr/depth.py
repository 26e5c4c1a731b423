"""Bits of a sample: 8 or 16."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[Any]
"""uint8 or uint16; 0 is black, the largest value white."""
DEPTHS = (8, 16)


def dtype_of(depth: int) -> np.dtype[np.unsignedinteger[Any]]:
    """Of samples of 8 or 16 bits."""
    return np.dtype(np.uint8 if depth == 8 else np.uint16)


def depth_of(samples: Samples) -> int:
    """8 or 16."""
    return 8 * samples.dtype.itemsize


def white_of(depth: int) -> int:
    """The largest value: 255 or 65535."""
    return (1 << depth) - 1


def in_8_bit(samples: Samples) -> NDArray[np.uint8]:
    """Rounded to 256 levels."""
    if samples.dtype == np.uint8:
        return samples.view(np.uint8)
    rounded: NDArray[np.uint8] = ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return rounded
