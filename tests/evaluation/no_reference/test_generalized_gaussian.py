"""Fitted shapes against samples that scipy draws with a known shape, and against every shape tried one by one."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import gennorm

from bbmr.evaluation.no_reference.generalized_gaussian import fitted_shape


@pytest.mark.parametrize("shape", [0.5, 1.0, 1.5, 2.0, 4.0])
def test_known_shapes(shape: float) -> None:
    samples = gennorm.rvs(shape, loc=3, scale=20, size=200_000, random_state=np.random.default_rng(1))
    assert float(fitted_shape(torch.from_numpy(samples))) == pytest.approx(shape, rel=0.03)


def test_one_shape_for_each_row() -> None:
    samples = torch.from_numpy(np.random.default_rng(2).laplace(size=(2, 3, 1000)))
    shapes = fitted_shape(samples)
    assert shapes.shape == (2, 3)
    assert float(shapes[1, 2]) == float(fitted_shape(samples[1, 2]))


def test_nearest_of_all_shapes() -> None:
    samples = np.random.default_rng(3).normal(size=(40, 30)) ** np.arange(1, 41)[:, None]
    tried = [0.03 + index / 1000 for index in range(9971)]
    ratios = np.array([math.gamma(1 / s) * math.gamma(3 / s) / math.gamma(2 / s) ** 2 for s in tried])
    for row, shape in zip(samples, fitted_shape(torch.from_numpy(samples)), strict=True):
        ratio = row.var(ddof=1) / (np.abs(row - row.mean()).mean() ** 2 + 1e-7)
        assert float(shape) == pytest.approx(tried[int(np.argmin(np.abs(ratios - ratio)))], abs=1e-9)


def test_equal_samples() -> None:
    assert float(fitted_shape(torch.full((48,), 7.0, dtype=torch.float64))) == pytest.approx(10)
