"""Bicubic errors corrected by a small fitted model: nearly the network's own distortions at nearly no cost.

For each block side and scale, the log of the network's error per pixel is a linear function of the logs of the
bicubic errors at scales 2, 4, 8, 16 and of the block's variance.  `bbmr.training.fit_correction` fits it on training
photographs.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from bbmr.blocks import SCALES, BlockGrid

FITTED_SCALES = SCALES[1:]  # scale 1 has no error
_FLOOR = 0.25  # grey levels squared per pixel: errors below it are noise of the 8-bit rounding


@dataclass(frozen=True)
class Correction:
    """coefficients: (4 scales, 6): weights of `features` in the log of the network's error per pixel."""

    coefficients: NDArray[np.float64]


def features(
    errors: NDArray[np.float64], variance: NDArray[np.float64], pixels: NDArray[np.int64]
) -> NDArray[np.float64]:
    """(6, ...): one, logs of the bicubic errors per pixel at scales 2, 4, 8, 16, log of the variance.

    errors: (5, ...) summed squared errors at scales 1 to 16; variance and pixels: (...).
    """
    logs = [np.log(errors[row] / pixels + _FLOOR) for row in range(1, len(SCALES))]
    return np.stack([np.ones_like(variance), *logs, np.log(variance + _FLOOR)])


def fit(
    errors: NDArray[np.float64], network: NDArray[np.float64], variance: NDArray[np.float64], pixels: NDArray[np.int64]
) -> Correction:
    """Least squares in the log domain over many blocks, then an offset so that each scale's errors add up to the true
    sum.

    errors, network: (5, blocks) summed squared errors at scales 1 to 16, by bicubic and by the network.
    """
    inputs = features(errors, variance, pixels)
    rows = []
    for row in range(1, len(SCALES)):
        # Blocks with large errors decide the allocation; the root keeps the few largest from deciding the fit.
        weight = np.sqrt(np.sqrt(network[row] / pixels + _FLOOR))
        target = np.log(network[row] / pixels + _FLOOR)
        solution = np.linalg.lstsq((inputs * weight).T, target * weight, rcond=None)[0]
        predicted = np.exp(solution @ inputs) - _FLOOR
        solution[0] += np.log(network[row].sum() / (predicted * pixels).sum())
        rows.append(solution)
    return Correction(np.stack(rows))


def corrected_errors(
    errors: NDArray[np.float64], variance: NDArray[np.float64], grid: BlockGrid
) -> NDArray[np.float64]:
    """Estimate the network's summed squared luma error of each block from bicubic's.

    errors: (5, rows, cols) of `bicubic_errors` at scales 1 to 16; variance: (rows, cols).  Returns (5, rows, cols).
    """
    pixels = grid.costs(1)
    logs = np.tensordot(_shipped()[grid.side].coefficients, features(errors, variance, pixels), axes=1)
    return np.concatenate([errors[:1], np.maximum(np.exp(logs) - _FLOOR, 0) * pixels])


@cache
def _shipped() -> dict[int, Correction]:
    table = json.loads(files("bbmr.weights").joinpath("correction.json").read_text("utf-8"))
    return {int(side): Correction(np.array(rows)) for side, rows in table.items()}
