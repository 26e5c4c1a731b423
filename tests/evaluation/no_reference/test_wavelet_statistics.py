"""Likeness of bands against scipy's filters over whole planes.

All 45 numbers of a photograph are compared with those of the authors' code in test_ma.py.
"""

from itertools import combinations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from reference.matlab import imresize_line
from scipy.signal import correlate2d

from bbmr.evaluation.no_reference.divisive_normalization import normalized_bands
from bbmr.evaluation.no_reference.generalized_gaussian import fitted_shape
from bbmr.evaluation.no_reference.steerable_pyramid import steerable_pyramid
from bbmr.evaluation.no_reference.wavelet_statistics import MIN_SIDE, wavelet_statistics


def noise(height: int, width: int) -> NDArray[np.float64]:
    plane = np.random.default_rng(1).uniform(0, 255, (height, width))
    return plane + np.roll(plane, 1, axis=0)


def likeness(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Z. Wang et al., 2004: the product of contrast and structure, a window of 11 x 11 and sigma 1.5, mean of all."""
    line = np.exp(-(np.arange(-5, 6) ** 2) / 4.5)
    window = np.outer(line, line) / np.outer(line, line).sum()

    def mean(plane: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(correlate2d(plane, window, "valid"))

    variances = mean(one * one) - mean(one) ** 2 + mean(other * other) - mean(other) ** 2
    covariance = mean(one * other) - mean(one) * mean(other)
    return float(np.mean((2 * covariance + 58.5225) / (variances + 58.5225)))


@pytest.mark.parametrize("size", [(90, 77), (64, 52)])
def test_all_numbers(size: tuple[int, int]) -> None:
    plane = torch.from_numpy(noise(*size))
    pyramid = steerable_pyramid(plane, 2, 6)
    fine, coarse = normalized_bands(pyramid.bands)
    expected = [float(fitted_shape(band.flatten())) for band in fine + coarse]
    for one, other in zip(fine, coarse, strict=True):
        expected.append(float(fitted_shape(torch.cat([one.flatten(), other.flatten()]))))
    expected += [likeness(band.numpy(), pyramid.high.numpy()) for band in pyramid.bands[0]]
    for band in pyramid.bands[1]:
        enlarged = band.numpy()
        for axis in (0, 1):
            enlarged = np.apply_along_axis(imresize_line, axis, enlarged, size[axis] / band.shape[axis])
        expected.append(likeness(enlarged, pyramid.high.numpy()))
    expected += [likeness(one.numpy(), other.numpy()) for one, other in combinations(fine, 2)]
    np.testing.assert_allclose(wavelet_statistics(plane), expected, atol=1e-10)


def test_smallest_picture() -> None:
    assert wavelet_statistics(torch.from_numpy(noise(MIN_SIDE, 60))).isfinite().all()
    with pytest.raises(ValueError, match="at least 45 x 45"):
        wavelet_statistics(torch.from_numpy(noise(MIN_SIDE - 1, 60)))
