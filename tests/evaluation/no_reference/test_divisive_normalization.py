"""Normalisation against the formula for one coefficient after another; enlarging against MATLAB's imresize."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from reference.matlab import imresize

from bbmr.evaluation.no_reference.divisive_normalization import enlarged, normalized_bands
from bbmr.evaluation.no_reference.generalized_gaussian import fitted_shape

Planes = list[list[NDArray[np.float64]]]


def noise(size: tuple[int, int], orientations: int, seed: int = 5) -> list[NDArray[np.float64]]:
    """Bands that depend on each other."""
    planes = np.random.default_rng(seed).laplace(size=(orientations, *size))
    planes += np.roll(planes, 1, axis=0) + np.roll(planes, 1, axis=2)
    return list(planes)


def slowly(bands: Planes) -> Planes:
    """Every coefficient by itself: sqrt(y' C^-1 y / N) of the 3 x 3 around it, its parent, its siblings."""
    result: Planes = []
    for level, oriented in enumerate(bands):
        result.append([])
        guard = 16 // 2**level
        for index, band in enumerate(oriented):
            height, width = band.shape
            parent = None
            if level + 1 < len(bands) and index + 1 < len(oriented):
                parent = imresize(bands[level + 1][index], 2)
            vectors = {}
            for row in range(1, height - 1):
                for col in range(1, width - 1):
                    vector = list(band[row - 1 : row + 2, col - 1 : col + 2].ravel())
                    vector += [] if parent is None else [parent[row, col]]
                    vectors[row, col] = [*vector, *(other[row, col] for other in oriented if other is not band)]
            samples = np.array(list(vectors.values()))
            inverse = np.linalg.pinv(samples.T @ samples / len(samples))
            mean = band[1:-1, 1:-1].mean()
            ratios = np.zeros((height - 2, width - 2))
            for (row, col), vector in vectors.items():
                factor = np.sqrt(np.array(vector) @ inverse @ vector / (9 + (parent is not None)))
                ratios[row - 1, col - 1] = (band[row, col] - mean) / factor
            kept = ratios[guard:-guard, guard:-guard]
            result[-1].append(kept - kept.mean())
    return result


@pytest.mark.parametrize("size", [(44, 42), (43, 41)])
def test_every_coefficient(size: tuple[int, int]) -> None:
    half = ((size[0] + 1) // 2, (size[1] + 1) // 2)
    bands = [noise(size, 3), noise(half, 3, seed=6)]
    normalized = normalized_bands([[torch.from_numpy(band) for band in oriented] for oriented in bands])
    for oriented, expected in zip(normalized, slowly(bands), strict=True):
        for band, plane in zip(oriented, expected, strict=True):
            np.testing.assert_allclose(band, plane, atol=1e-9)


def test_scale_mixtures_become_nearly_gaussian() -> None:
    rng = np.random.default_rng(7)
    factor = np.kron(np.exp(rng.normal(0, 1, (20, 20))), np.ones((16, 16)))
    band, sibling = factor * rng.normal(size=(2, 320, 320))
    normalized = normalized_bands([[torch.from_numpy(band), torch.from_numpy(sibling)]])[0][0]
    assert float(fitted_shape(torch.from_numpy(band.ravel()))) < 0.8
    assert 1.8 < float(fitted_shape(normalized.flatten())) < 3.5


def test_no_energy_at_all() -> None:
    normalized = normalized_bands([[torch.zeros(50, 50, dtype=torch.float64)] * 6])
    assert not torch.stack(normalized[0]).any()


def test_no_energy_in_parts_and_equal_bands() -> None:
    band = torch.from_numpy(noise((60, 60), 2)[0])
    band[:, 20:40] = 0
    one, other = normalized_bands([[band, band.clone()]])[0]  # the covariance has no inverse
    assert one.isfinite().all()
    assert torch.equal(one, other)
    assert one.shape == (26, 26)
    assert one.std() > 0.5


@pytest.mark.parametrize("scale", [2, 59 / 30, 1.5, 1])
def test_enlarged_as_matlab_does(scale: float) -> None:
    plane = np.random.default_rng(8).normal(size=(30, 30))
    expected = imresize(plane, scale)
    height, width = expected.shape
    np.testing.assert_allclose(enlarged(torch.from_numpy(plane), (height, width), (scale, scale)), expected, atol=1e-12)
    cut = enlarged(torch.from_numpy(plane), (height - 1, width - 3), (scale, scale))
    np.testing.assert_allclose(cut, expected[:-1, :-3], atol=1e-12)
