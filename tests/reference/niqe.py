"""NIQE of one plane written out the long way, block after block: the paper, with the conventions of LIVE's code."""

import math

import numpy as np
from numpy.typing import NDArray
from reference.matlab import imresize

SHAPES = [0.2 + 0.001 * step for step in range(9801)]
RATIOS = np.array([math.gamma(2 / a) ** 2 / (math.gamma(1 / a) * math.gamma(3 / a)) for a in SHAPES])


def normalise(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Equation 1.  As a sum of weighted differences the deviation of a flat window is exactly 0."""
    height, width = plane.shape
    padded = np.pad(plane, 3, mode="edge")
    offsets = [(dy, dx) for dy in range(-3, 4) for dx in range(-3, 4)]
    weights = np.array([math.exp(-(dy * dy + dx * dx) / (2 * (7 / 6) ** 2)) for dy, dx in offsets])
    weights /= weights.sum()
    differences = np.array([plane - padded[3 + dy : 3 + dy + height, 3 + dx : 3 + dx + width] for dy, dx in offsets])
    deviation = sum(weight * difference for weight, difference in zip(weights, differences, strict=True))
    spread = (differences - deviation) ** 2
    variance = sum(weight * square for weight, square in zip(weights, spread, strict=True))
    return np.asarray(deviation / (np.sqrt(variance) + 1))


def fit(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Shape, left scale and right scale of the asymmetric generalised Gaussian by its moments."""
    below, above = values[values < 0], values[values > 0]
    if not below.size or not above.size:
        return 0.2, math.nan, math.nan  # MATLAB's min over NaN only: the first
    left, right = math.sqrt((below**2).mean()), math.sqrt((above**2).mean())
    g = left / right
    ratio = np.abs(values).mean() ** 2 / (values**2).mean() * (g**3 + 1) * (g + 1) / (g**2 + 1) ** 2
    shape = SHAPES[int(np.argmin((RATIOS - ratio) ** 2))]
    scale = math.sqrt(math.gamma(1 / shape) / math.gamma(3 / shape))
    return shape, left * scale, right * scale


def describe(block: NDArray[np.float64]) -> list[float]:
    shape, left, right = fit(block)
    numbers = [shape, (left + right) / 2]
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        side = len(block)
        neighbours = np.array([[block[(y - dy) % side, (x - dx) % side] for x in range(side)] for y in range(side)])
        shape, left, right = fit(block * neighbours)
        numbers += [shape, (right - left) * math.gamma(2 / shape) / math.gamma(1 / shape), left, right]
    return numbers


def niqe(plane: NDArray[np.float64], mean: NDArray[np.float64], covariance: NDArray[np.float64]) -> float:
    """NIQE of (H, W) grey levels against a Gaussian of 36 numbers."""
    rows, cols = plane.shape[0] // 96, plane.shape[1] // 96
    plane = plane[: rows * 96, : cols * 96]
    scales = [(96, normalise(plane)), (48, normalise(imresize(plane, 0.5)))]
    blocks = []
    for row in range(rows):
        for col in range(cols):
            numbers = []
            for side, normalised in scales:
                numbers += describe(normalised[row * side : (row + 1) * side, col * side : (col + 1) * side])
            blocks.append(numbers)
    described = np.array(blocks)
    complete = described[~np.isnan(described).any(axis=1)]
    centred = complete - complete.mean(axis=0)
    own = centred.T @ centred / (len(complete) - 1)
    difference = np.nanmean(described, axis=0) - mean
    return math.sqrt(difference @ np.linalg.inv((covariance + own) / 2) @ difference)
