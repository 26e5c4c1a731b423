"""Block statistics against scipy's DCT and numpy's singular values, one block after another."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.fft import dctn

from bbmr.evaluation.no_reference.block_statistics import dct_statistics, singular_values
from bbmr.evaluation.no_reference.generalized_gaussian import fitted_shape

# 1, 2, 3: the three orientations as Saad, Bovik and Charrier draw them for blocks of 7 x 7; 0: the mean.
ORIENTATIONS = np.array(
    [
        [0, 1, 1, 1, 1, 1, 1],
        [3, 2, 1, 1, 1, 1, 1],
        [3, 3, 2, 2, 1, 1, 1],
        [3, 3, 2, 2, 2, 1, 1],
        [3, 3, 3, 2, 2, 2, 2],
        [3, 3, 3, 3, 2, 2, 2],
        [3, 3, 3, 3, 2, 2, 2],
    ]
)


def noise(height: int, width: int) -> NDArray[np.float64]:
    return np.random.default_rng(height).uniform(0, 1, (height, width)) ** 3


def variation(values: NDArray[np.float64], epsilon: float) -> float:
    return float(np.std(np.abs(values), ddof=1) / (np.mean(np.abs(values)) + epsilon))


def slowly(plane: NDArray[np.float64]) -> list[float]:
    rows, cols = (math.ceil(side / 3) for side in plane.shape)
    padded = np.zeros((3 * rows + 4, 3 * cols + 4))
    padded[2 : 2 + plane.shape[0], 2 : 2 + plane.shape[1]] = plane
    shapes, variations, orientations = [], [], []
    for row in range(rows):
        for col in range(cols):
            dct = dctn(padded[3 * row : 3 * row + 7, 3 * col : 3 * col + 7], norm="ortho")
            shapes.append(float(fitted_shape(torch.from_numpy(dct.ravel()[1:]))))
            variations.append(variation(dct.ravel()[1:], 1e-7))
            parts = [dct[np.equal(ORIENTATIONS, part)] for part in (1, 2, 3)]
            orientations.append(np.var([variation(part, 1e-8) for part in parts], ddof=1))
    count = rows * cols
    tail = int(0.9 * count) - 1
    return [
        float(np.mean(part))
        for part in (
            sorted(shapes)[: math.ceil(0.1 * count)],
            shapes,
            sorted(variations)[tail:],
            variations,
            sorted(orientations)[tail:],
            orientations,
        )
    ]


@pytest.mark.parametrize("size", [(30, 21), (25, 31), (11, 13)])
def test_dct_statistics(size: tuple[int, int]) -> None:
    plane = noise(*size)
    np.testing.assert_allclose(dct_statistics(torch.from_numpy(plane)), slowly(plane), rtol=1e-10)


def test_dct_statistics_do_not_depend_on_how_many_blocks_are_worked_on_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plane = torch.from_numpy(noise(40, 50))
    at_once = dct_statistics(plane)
    monkeypatch.setattr("bbmr.evaluation.no_reference.block_statistics._BLOCKS", 60)
    np.testing.assert_allclose(dct_statistics(plane), at_once, rtol=1e-12)


@pytest.mark.parametrize("size", [(40, 35), (41, 38), (23, 24)])
def test_singular_values(size: tuple[int, int]) -> None:
    plane = noise(*size)
    padded = np.pad(plane, [(0, -side % 5) for side in size])
    corners = [(row, col) for row in range(0, size[0], 5) for col in range(0, size[1], 5)]
    columns = np.stack([padded[row : row + 5, col : col + 5].ravel(order="F") for row, col in corners], axis=1)
    expected = np.linalg.svd(columns, compute_uv=False)
    assert len(expected) == 25
    np.testing.assert_allclose(singular_values(torch.from_numpy(plane)), expected, rtol=1e-10)


def test_singular_values_of_few_patches() -> None:
    values = singular_values(torch.from_numpy(noise(10, 10)))
    assert values.shape == (25,)
    assert bool((values[:4] > 0).all())
    assert not values[4:].any()
