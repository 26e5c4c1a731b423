"""What the wavelet coefficients of a whole picture tell of its quality.

C. Ma, C.-Y. Yang, X. Yang, M.-H. Yang, "Learning a no-reference quality metric for single-image super-resolution",
CVIU 2017: its global frequency features, in the details as in the authors' code.
"""

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor

from bbmr.evaluation.no_reference.divisive_normalization import enlarged, normalized_bands
from bbmr.evaluation.no_reference.generalized_gaussian import fitted_shape
from bbmr.evaluation.no_reference.steerable_pyramid import SteerablePyramid, steerable_pyramid
from bbmr.evaluation.planes import gaussian_means

MIN_SIDE = 45
"""Pixels per side below which the first level's normalised bands do not hold one window of structure."""

_LEVELS = 2
_ORIENTATIONS = 6
_CONTRAST = (0.03 * 255) ** 2
_WINDOW = 11
_SIGMA = 1.5
_STRIP = 32  # rows worked on at once


def wavelet_statistics(plane: Tensor) -> Tensor:
    """(H, W) float64 in grey levels, 0 to 255 -> (45,).

    Shapes of the generalised Gaussians of the 12 normalised bands (2 levels of 6 orientations) and of the two bands of
    each orientation together; how alike in structure are the high-pass residual and each of the 12 bands, enlarged to
    its size, and the 15 pairs of the first level's normalised bands.  Raises ValueError for sides of less than
    MIN_SIDE pixels.
    """
    if min(plane.shape) < MIN_SIDE:
        raise ValueError(f"wavelet statistics need planes of at least {MIN_SIDE} x {MIN_SIDE} pixels")
    pyramid = steerable_pyramid(plane, _LEVELS, _ORIENTATIONS)
    likeness = _likeness_to_high(pyramid)
    bands = pyramid.bands
    del pyramid  # planes of the picture's size that nobody needs any more: of a large one they fill the memory
    normalized = normalized_bands(bands)
    del bands
    likeness += _structure(normalized[0], list(combinations(range(_ORIENTATIONS), 2)))
    flat = [[band.flatten() for band in oriented] for oriented in normalized]
    shapes = [fitted_shape(band) for oriented in flat for band in oriented]
    shapes += [fitted_shape(torch.cat(levels)) for levels in zip(*flat, strict=True)]
    return torch.cat([torch.stack(shapes), torch.tensor(likeness, dtype=torch.float64)])


def _likeness_to_high(pyramid: SteerablePyramid) -> list[float]:
    likeness = []
    height, width = pyramid.high.shape
    for bands in pyramid.bands:
        scales = (height / bands[0].shape[0], width / bands[0].shape[1])
        planes = [pyramid.high, *(enlarged(band, (height, width), scales) for band in bands)]
        likeness += _structure(planes, [(0, index) for index in range(1, len(planes))])
    return likeness


def _structure(planes: Sequence[Tensor], pairs: Sequence[tuple[int, int]]) -> list[float]:
    """Mean contrast-structure term of SSIM, as in `bbmr.evaluation.metrics`, of pairs among planes (H, W)."""
    height, width = (side - _WINDOW + 1 for side in planes[0].shape)
    sums = torch.zeros(len(pairs), dtype=torch.float64)
    for top in range(0, height, _STRIP):
        rows = [plane[top : top + _STRIP + _WINDOW - 1] for plane in planes]
        means = [gaussian_means(plane, _WINDOW, _SIGMA) for plane in rows]
        variances = [
            gaussian_means(plane.square(), _WINDOW, _SIGMA) - mean.square()
            for plane, mean in zip(rows, means, strict=True)
        ]
        for index, (a, b) in enumerate(pairs):
            covariance = gaussian_means(rows[a] * rows[b], _WINDOW, _SIGMA).sub_(means[a] * means[b])
            sums[index] += ((2 * covariance + _CONTRAST) / (variances[a] + variances[b] + _CONTRAST)).sum()
    return (sums / (height * width)).tolist()
