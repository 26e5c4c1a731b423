"""How close a restored picture is to its original: PSNR, SSIM, MS-SSIM, and the error along block edges.

Pictures are (H, W), (H, W, 1) or (H, W, 3) uint8 arrays of equal shape, gray or RGB; every function raises ValueError
for other shapes and TypeError for other types.  Y is the luma of `bbmr.luma`, not rounded.  All sums are in float64.
"""

import math
from collections.abc import Iterator
from functools import partial
from statistics import fmean

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from bbmr.blocks import BlockGrid
from bbmr.evaluation.planes import TooSmallError, gaussian_means, weighed_plane
from bbmr.luma import luma

BORDER = 4
"""Pixels cut off at each side of the picture before Y is compared, as the field does for x4."""
MIN_SIDE_MS_SSIM = 161
"""Pixels per side below which the coarsest of the five scales does not hold one window."""

_PEAK = 255.0
_C1 = (0.01 * _PEAK) ** 2
_C2 = (0.03 * _PEAK) ** 2
_WINDOW = 11
_SIGMA = 1.5
_MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_STRIP = 128  # rows worked on at once: a picture of 4K then needs its two luma planes and little more


def psnr_y(restored: NDArray[np.uint8], original: NDArray[np.uint8], border: int = BORDER) -> float:
    """PSNR of Y in dB, peak 255, `border` pixels cut off at each side; infinite for equal pictures.

    This is the "paper" column: what super-resolution papers report.  Pictures of at most 2 * border pixels in height
    or width are compared whole.
    """
    plane, reference = (_cropped(plane, border, 1) for plane in _luma_planes(restored, original))
    return _psnr(float(sum((a - b).square().sum() for a, b in _strips(plane, reference))) / plane.numel())


def psnr_rgb(restored: NDArray[np.uint8], original: NDArray[np.uint8]) -> float:
    """PSNR of all samples of all channels in dB, peak 255, nothing cut off; infinite for equal pictures.

    This is the "honest" column: Y flatters learned downscalers by up to 3.5 dB.
    """
    _check(restored, original)
    return _psnr(int(np.square(np.subtract(restored, original, dtype=np.int32)).sum(dtype=np.int64)) / restored.size)


def ssim_y(restored: NDArray[np.uint8], original: NDArray[np.uint8], border: int = BORDER) -> float:
    """Mean SSIM of Y, at most 1: Z. Wang et al., "Image quality assessment", IEEE TIP 2004.

    Gaussian window of 11 x 11 and sigma 1.5, K1 = 0.01, K2 = 0.03, L = 255, averaged over the windows that lie wholly
    inside the picture, after `border` pixels are cut off at each side, without shrinking the picture first: the
    convention of the MATLAB code that the field uses.  Where no window would be left, nothing is cut off.
    Raises TooSmallError, a ValueError, for pictures of less than 11 x 11 pixels.
    """
    plane, reference = (_cropped(plane, border, _WINDOW) for plane in _luma_planes(restored, original))
    return _ssim(plane, reference)


def ssim_rgb(restored: NDArray[np.uint8], original: NDArray[np.uint8]) -> float:
    """Mean SSIM of R, G and B, or of gray, nothing cut off: the "honest" one; window and constants of `ssim_y`.

    Raises TooSmallError, a ValueError, for pictures of less than 11 x 11 pixels.
    """
    _check(restored, original)
    channels = range(original.shape[2] if original.ndim == 3 else 1)
    planes = ([weighed_plane(one, partial(_channel, index)) for one in (restored, original)] for index in channels)
    return fmean(_ssim(plane, reference) for plane, reference in planes)


def ms_ssim_y(restored: NDArray[np.uint8], original: NDArray[np.uint8]) -> float:
    """Multi-scale SSIM of Y, 0 to 1: Z. Wang, E. Simoncelli, A. Bovik, Asilomar 2003.

    Five scales with the paper's weights, each the 2 x 2 mean of the one before (an odd last row or column counts
    twice, as in the authors' code); window and constants of `ssim_y`; nothing cut off.  Contrast and structure at
    every scale, luminance at the coarsest.  A scale with a negative mean counts as 0.
    Raises TooSmallError, a ValueError, for pictures of less than 161 x 161 pixels.
    """
    plane, reference = _luma_planes(restored, original)
    if min(plane.shape) < MIN_SIDE_MS_SSIM:
        raise TooSmallError(
            f"MS-SSIM needs pictures of at least {MIN_SIDE_MS_SSIM} x {MIN_SIDE_MS_SSIM} pixels, "
            f"not {plane.shape[1]} x {plane.shape[0]}"
        )
    similarity = 1.0
    for weight in _MS_SSIM_WEIGHTS[:-1]:
        similarity *= _power(_mean_ssim(plane, reference)[1], weight)
        plane, reference = _halved(plane), _halved(reference)
    return similarity * _power(_mean_ssim(plane, reference)[0], _MS_SSIM_WEIGHTS[-1])


def decibels(similarity: float) -> float:
    """MS-SSIM (or SSIM) in dB, -10 log10(1 - x): differences near 1 become visible.  Infinite for 1, NaN for NaN."""
    return math.inf if similarity >= 1 else -10 * math.log10(1 - similarity)


def block_edge_ratio(restored: NDArray[np.uint8], original: NDArray[np.uint8], side: int, band: int = BORDER) -> float:
    """Mean squared Y error along block edges over the mean squared Y error inside the same blocks; 1 = no seams.

    The picture is cut into blocks of `side` x `side` pixels (16, 32, 64 or 128).  A block's band is its pixels less
    than `band` away from an edge that it shares with another block (band 4 leaves 8 x 8 inner pixels of a block of 16
    in the midst of the picture); the picture's own border is no such edge.  The result is the error summed over all
    bands, over what it were if each band had the mean error of its block's inside: for equal blocks just the ratio of
    the two means.  Partial blocks that are all band are left out.

    Returns 1 where no error is left at all, infinity where all of it lies in the bands, NaN where there is no band (a
    picture of one block).  Raises ValueError for other sides, and for bands that leave nothing of a block.
    """
    if not 0 < 2 * band < side:
        raise ValueError(f"a band of {band} pixels along each edge leaves nothing of a block of {side}")
    plane, reference = _luma_planes(restored, original)
    grid = BlockGrid(plane.shape[0], plane.shape[1], side)
    in_band = np.logical_or.outer(_near_inner_edge(grid.height, side, band), _near_inner_edge(grid.width, side, band))
    error = (plane - reference).square_().numpy()
    total = grid.block_sums(error)
    total_band = grid.block_sums(error * in_band)
    pixels, pixels_band = grid.costs(1), grid.block_sums(in_band.astype(np.float32))
    counted = (pixels_band > 0) & (pixels_band < pixels)
    if not counted.any():
        return math.nan
    inside = (total - total_band)[counted] / (pixels - pixels_band)[counted]
    along_edges, expected = float(total_band[counted].sum()), float((inside * pixels_band[counted]).sum())
    if expected == 0:
        return math.inf if along_edges else 1.0
    return along_edges / expected


def _check(restored: NDArray[np.uint8], original: NDArray[np.uint8]) -> None:
    for picture in (restored, original):
        if picture.dtype != np.uint8:
            raise TypeError(f"pictures are arrays of uint8 (0 to 255), not {picture.dtype}")
    if restored.shape != original.shape:
        raise ValueError(f"the restored picture is {restored.shape}, the original {original.shape}")
    if original.ndim not in (2, 3) or original.shape[2:] not in ((), (1,), (3,)) or 0 in original.shape:
        raise ValueError(f"pictures are (H, W), (H, W, 1) or (H, W, 3) with at least one pixel, not {original.shape}")


def _luma_planes(restored: NDArray[np.uint8], original: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
    """Y of both pictures, (H, W) float64, in grey levels."""
    _check(restored, original)
    return weighed_plane(restored, luma), weighed_plane(original, luma)


def _cropped(plane: Tensor, border: int, smallest: int) -> Tensor:
    """Cut `border` off at each side if at least `smallest` x `smallest` remain."""
    if border < 0:
        raise ValueError(f"a border of {border} pixels cannot be cut off; give 0 or more")
    if min(plane.shape) < 2 * border + smallest:
        return plane
    return plane[border : plane.shape[0] - border, border : plane.shape[1] - border]


def _strips(plane: Tensor, reference: Tensor, overlap: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Cut both planes into strips of _STRIP rows, each with `overlap` rows of the next."""
    for top in range(0, plane.shape[0] - overlap, _STRIP):
        rows = slice(top, top + _STRIP + overlap)
        yield plane[rows], reference[rows]


def _psnr(mean_squared_error: float) -> float:
    return 10 * math.log10(_PEAK**2 / mean_squared_error) if mean_squared_error else math.inf


def _channel(index: int, image: Tensor) -> Tensor:
    """(1, C, h, w) in [0, 1] -> grey levels of one channel."""
    return image[:, index : index + 1] * _PEAK


def _ssim(plane: Tensor, reference: Tensor) -> float:
    if min(plane.shape) < _WINDOW:
        raise TooSmallError(
            f"SSIM needs pictures of at least {_WINDOW} x {_WINDOW} pixels, not {plane.shape[1]} x {plane.shape[0]}"
        )
    return _mean_ssim(plane, reference)[0]


def _mean_ssim(plane: Tensor, reference: Tensor) -> tuple[float, float]:
    """Mean over all whole windows of SSIM, and of its contrast-structure part alone."""
    sum_ssim = sum_contrast = 0.0
    for x, y in _strips(plane, reference, _WINDOW - 1):
        mean_x, mean_y, mean_squares, mean_product = gaussian_means(
            torch.stack([x, y, x * x + y * y, x * y]), _WINDOW, _SIGMA
        )
        means_product = mean_x * mean_y
        squared_means = mean_x.square() + mean_y.square()
        contrast = (2 * (mean_product - means_product) + _C2) / (mean_squares - squared_means + _C2)
        sum_contrast += float(contrast.sum())
        sum_ssim += float((contrast * (2 * means_product + _C1) / (squared_means + _C1)).sum())
    windows = (plane.shape[0] - _WINDOW + 1) * (plane.shape[1] - _WINDOW + 1)
    return sum_ssim / windows, sum_contrast / windows


def _power(mean: float, weight: float) -> float:
    return math.pow(max(mean, 0.0), weight)


def _halved(plane: Tensor) -> Tensor:
    """2 x 2 means of (H, W): (ceil(H/2), ceil(W/2)), an odd last row or column repeated."""
    even = F.pad(plane[None, None], (0, plane.shape[1] % 2, 0, plane.shape[0] % 2), mode="replicate")
    return F.avg_pool2d(even, 2)[0, 0]


def _near_inner_edge(length: int, side: int, band: int) -> NDArray[np.bool_]:
    """Along one axis: which of `length` positions are less than `band` away from an edge between two blocks."""
    near = np.zeros(length, np.bool_)
    for edge in range(side, length, side):
        near[edge - band : edge + band] = True
    return near
