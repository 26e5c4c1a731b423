"""MATLAB's bicubic imresize written out the long way: one output sample after another, in float64."""

import numpy as np
from numpy.typing import NDArray


def cubic(x: float) -> float:
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x <= 2 else 0.0


def imresize_line(line: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    """imresize along one line: `contributions` of MATLAB, one output sample after another."""
    length = len(line)
    antialias = min(scale, 1.0)
    out = []
    for i in range(int(np.ceil(length * scale - 1e-9))):
        centre = (i + 0.5) / scale - 0.5
        reach = 2 / antialias
        left = int(np.floor(centre - reach))
        taps = range(left, left + int(np.ceil(2 * reach)) + 2)
        weights = np.array([antialias * cubic(antialias * (centre - tap)) for tap in taps])
        mirrored = [tap % (2 * length) for tap in taps]
        samples = np.array([line[tap if tap < length else 2 * length - 1 - tap] for tap in mirrored])
        out.append(weights @ samples / weights.sum())
    return np.array(out)


def imresize(plane: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    rows = np.apply_along_axis(imresize_line, 0, plane, scale)
    return np.apply_along_axis(imresize_line, 1, rows, scale)
