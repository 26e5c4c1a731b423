"""What the blocks of an LR plane cost in bits, foreseen: the plane's real bytes, shared by what its blocks hold.

A codec gives no account of where its bits go.  Some go to whatever a block holds: how it is divided and predicted.
The others go to transform coefficients that outlast the quantiser, in proportion to log2(1 + (1.5 c / step)^4) or so
for one of size c; so blocks share the bytes of the whole plane, really coded, by that sum over the coefficients of
16 x 16 samples.  docs/rate-distortion.md has how near that comes.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from bbmr.blocks import BlockGrid, merge

_SIDE = 16  # samples of a transform
_FINEST_STEP = 0.5  # grey levels, at quality 100
_OCTAVES = 8.84  # that the step grows by down to quality 0: from 4 to 1828 of AV1's units
_CHROMA = 0.5  # what a coefficient of Cb or Cr at full resolution counts, with 4:2:0 and, for want of better, 4:4:4
_PLAIN_BYTES = 3.0  # of 128 x 128 samples whatever they hold, times the sixth root of the mean of blocks
_OF_SMALLER = 0.6  # power of the side by which that falls
_MOST_PLAIN = 0.9  # of the mean
_STRIP = 32  # rows of transforms that are worked on at once


def quantiser_step(quality: float) -> float:
    """Step of AV1's quantiser in grey levels, at libavif's quality from 0 to 100; about."""
    return float(_FINEST_STEP * 2 ** ((100 - quality) / 100 * _OCTAVES))


def share_bits(plane: NDArray[np.uint8], size: int, quality: int, grid: BlockGrid, factor: int) -> NDArray[np.float64]:
    """Bits of each block, (rows, cols), of an LR plane of the whole picture that was coded in `size` bytes.

    plane: (ceil(H/k), ceil(W/k), C) uint8.
    """
    weights = _weights(plane, quantiser_step(quality), grid, factor)
    weights += max(weights.mean(), 1.0) * 1e-6  # where nothing outlasts the quantiser all blocks are alike
    mean = size / weights.size
    plain = _PLAIN_BYTES * mean ** (1 / 6) * (grid.side / factor / 128) ** _OF_SMALLER
    plain = min(plain, _MOST_PLAIN * mean)
    shares: NDArray[np.float64] = 8 * (plain + (mean - plain) * weights / weights.mean())
    return shares


def _weights(plane: NDArray[np.uint8], step: float, grid: BlockGrid, factor: int) -> NDArray[np.float64]:
    """Bits that coefficients would take if each were coded by itself, of each block."""
    side = grid.side // factor
    unit = min(_SIDE, side)
    sums = np.zeros((-(-plane.shape[0] // unit), -(-plane.shape[1] // unit)))
    for first in range(0, sums.shape[0], _STRIP):
        strip = slice(first, first + _STRIP)
        sums[strip] = _transform_bits(plane[first * unit : (first + _STRIP) * unit], step, unit)
    merged: NDArray[np.float64] = merge(sums[None], side // unit)[0]
    return merged


def _transform_bits(plane: NDArray[np.uint8], step: float, unit: int) -> NDArray[np.float64]:
    """Of each unit x unit samples, repeated beyond the edge."""
    rows, cols = (-(-length // unit) for length in plane.shape[:2])
    sums = np.zeros((rows, cols))
    for channel, part in zip(_components(plane), (1.0, _CHROMA, _CHROMA), strict=False):
        missing = [(0, count * unit - have) for count, have in zip((rows, cols), channel.shape, strict=True)]
        cells = np.pad(channel, missing, mode="edge").reshape(rows, unit, cols, unit).swapaxes(1, 2)
        coefficients = _dct(unit) @ cells @ _dct(unit).T
        coefficients[:, :, 0, 0] = 0  # means are foretold from the neighbours
        sums += part * np.log2(1 + (coefficients * (1.5 / step)) ** 4).sum((2, 3))
    return sums


@cache
def _dct(length: int) -> NDArray[np.float32]:
    """The orthonormal DCT-II as a matrix."""
    rows = np.sqrt(2 / length) * np.cos(np.pi / length * np.outer(np.arange(length), np.arange(length) + 0.5))
    rows[0] /= np.sqrt(2)
    matrix: NDArray[np.float32] = rows.astype(np.float32)
    return matrix


def _components(plane: NDArray[np.uint8]) -> tuple[NDArray[np.float32], ...]:
    """Luma, and of colours Cb and Cr, full range."""
    samples = plane.astype(np.float32)
    if plane.shape[2] == 1:
        return (samples[:, :, 0],)
    red, green, blue = np.moveaxis(samples, 2, 0)
    y = 0.299 * red + 0.587 * green + 0.114 * blue
    return y, 0.564 * (blue - y), 0.713 * (red - y)
