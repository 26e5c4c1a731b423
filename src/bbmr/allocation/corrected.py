"""The network's distortions foreseen at a fraction of their cost: by a light network, corrected by a fitted model.

The light network restores the luma alone from x2, x4 and x8, and so tells edges, which a network restores, from
texture, which it does not; at x16 there is little to restore, and bicubic enlargement does.  What a block then loses
from each scale to the next coarser one, and its variance, foresee what the restoring network loses: for each block side
and scale the log of that is a quadratic function of the logs of these.  Steps and not errors, since steps are what the
allocator trades: noise is lost at x4 as it is at x16, the steps say so, and small biases of four separate errors would
hide it.  `bbmr.training.fit_correction` fits the functions on training photographs, for each network that is used with
them; that the network may restore other LR planes than bicubic ones makes no difference to this.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bbmr.allocation.distortion import bicubic_errors, light_errors, luma_variance
from bbmr.blocks import SCALES, BlockGrid
from bbmr.depth import Samples
from bbmr.networks.fast import FastLuma
from bbmr.progress import Progress, silent
from bbmr.weights import load_weights

LIGHT = "luma-fast"
FALLBACK = "mosaic-fast"
SUFFIX = ".correction.json"  # behind the name of the weights that the corrections in it were fitted to
FEATURES = len(SCALES) - 1 + 1  # steps from scale to scale, and the variance
_STEP_FLOOR = 0.05  # grey levels squared per pixel: steps below it are noise of the 8-bit rounding
_VARIANCE_FLOOR = 0.25


@dataclass(frozen=True, eq=False)
class Correction:
    """The fitted model for one block side.

    low, high: (FEATURES,) range of each feature in the photographs it was fitted on; beyond it nothing is promised.
    coefficients: (4 scales, terms) of `_terms` in the log of what the network loses per pixel on each scale's step.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    coefficients: NDArray[np.float64]

    def predict(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Features (FEATURES, ...) -> the network's squared error per pixel at scales 2 to 16, (4, ...)."""
        logs = np.tensordot(self.coefficients, _terms(features, self.low, self.high), axes=1)
        errors: NDArray[np.float64] = np.maximum(np.exp(logs) - _STEP_FLOOR, 0).cumsum(axis=0)
        return errors


def measure_features(
    colour: Samples,
    planes: Mapping[int, Samples],
    grid: BlockGrid,
    progress: Progress = silent,
) -> NDArray[np.float64]:
    """What is cheap to know of each block, (FEATURES, rows, cols): logs of what the light network loses per pixel on
    each step up to scale 8, of bicubic's last step, and of the luma's variance.

    colour: (H, W, C) uint8 or uint16; planes: {factor: (ceil(H/k), ceil(W/k), C)} likewise, of all scales.
    """
    by_light = light_errors(colour, {factor: planes[factor] for factor in SCALES[:-1]}, grid, _light(), progress)
    by_bicubic = bicubic_errors(colour, {factor: planes[factor] for factor in SCALES[-2:]}, grid)
    steps = np.concatenate([_steps(by_light), _steps(by_bicubic)]) / grid.costs(1)
    variance = luma_variance(colour, grid)[None]
    return np.concatenate([np.log(steps + _STEP_FLOOR), np.log(variance + _VARIANCE_FLOOR)])


def _light() -> FastLuma:
    network = load_weights(LIGHT).network
    assert isinstance(network, FastLuma)
    return network.eval()


def fit(features: NDArray[np.float64], network: NDArray[np.float64]) -> Correction:
    """Weighted least squares in the log domain, over many blocks.

    features: (FEATURES, blocks) of `measure_features`; network: (5, blocks), its squared errors per pixel at scales 1
    to 16.
    """
    low, high = features.min(axis=1), features.max(axis=1)
    terms = _terms(features, low, high)
    rows = []
    for steps in _steps(network):
        # Blocks with large steps decide the allocation; the root of the root keeps a few from deciding the fit.
        weight = (steps + _STEP_FLOOR) ** 0.25
        rows.append(np.linalg.lstsq((terms * weight).T, np.log(steps + _STEP_FLOOR) * weight, rcond=1e-6)[0])
    return Correction(low, high, np.stack(rows))


def _steps(errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Errors at rising scales, (scales, ...) -> what each but the first loses in addition, at least 0."""
    steps: NDArray[np.float64] = np.maximum(np.diff(errors, axis=0), 0)
    return steps


def corrected_errors(
    colour: Samples,
    planes: Mapping[int, Samples],
    grid: BlockGrid,
    weights: str,
    progress: Progress = silent,
) -> NDArray[np.float64]:
    """Estimate the summed squared luma error of each block at every scale, (5, rows, cols), as restored by the network
    with these weights; by those that nothing was fitted to, as by FALLBACK.  Other arguments as of `measure_features`.
    """
    correction = corrections_for(weights if is_fitted(weights) else FALLBACK)[grid.side]
    errors = correction.predict(measure_features(colour, planes, grid, progress)) * grid.costs(1)
    return np.concatenate([np.zeros_like(errors[:1]), errors])


def _terms(features: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
    """All monomials of degree 0, 1 and 2 of the features, scaled to [-1, 1] over the fitted range and kept in it."""

    def like_features(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return values.reshape(-1, *(1,) * (features.ndim - 1))

    scaled = np.clip((features - like_features(low)) / like_features(high - low) * 2 - 1, -1, 1)
    squares = [scaled[i] * scaled[j] for i in range(len(scaled)) for j in range(i, len(scaled))]
    return np.concatenate([np.ones_like(scaled[:1]), scaled, np.stack(squares)])


def to_json(corrections: Mapping[int, Correction], weights_sha256: str, light_sha256: str) -> str:
    """The text of a file of corrections: for each block side the range of the features and the coefficients; the
    weights whose errors they foresee, and those of the light network that they foresee them by.
    """
    by_side: dict[str, Any] = {}
    for side, correction in corrections.items():
        by_side[str(side)] = {
            "low": np.round(correction.low, 4).tolist(),
            "high": np.round(correction.high, 4).tolist(),
            "coefficients": np.round(correction.coefficients, 4).tolist(),
        }
    hashes = {"weights_sha256": weights_sha256, "light_sha256": light_sha256}
    return json.dumps({**hashes, "corrections": by_side}) + "\n"


def from_json(text: str) -> dict[int, Correction]:
    """The inverse of `to_json`."""
    return {
        int(side): Correction(**{name: np.array(values) for name, values in fields.items()})
        for side, fields in json.loads(text)["corrections"].items()
    }


def is_fitted(weights: str) -> bool:
    """Whether there are corrections for these weights."""
    return _file_of(weights).is_file()


@cache
def corrections_for(weights: str) -> Mapping[int, Correction]:
    """The corrections fitted to these weights, by block side."""
    return from_json(_file_of(weights).read_text("utf-8"))


def _file_of(weights: str) -> Traversable:
    return files("bbmr.weights").joinpath(weights + SUFFIX)
