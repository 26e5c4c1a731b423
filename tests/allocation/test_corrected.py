import json
from importlib.resources import files

import numpy as np
import pytest
from numpy.typing import NDArray

from bbmr.allocation.corrected import (
    FALLBACK,
    FEATURES,
    LIGHT,
    SUFFIX,
    corrected_errors,
    corrections_for,
    fit,
    from_json,
    is_fitted,
    to_json,
)
from bbmr.allocation.distortion import bicubic_errors
from bbmr.blocks import BLOCK_SIDES, SCALES, BlockGrid
from bbmr.catalogue import PIPELINES
from bbmr.downscaling import bicubic_planes
from bbmr.options import DEFAULT_PIPELINE
from bbmr.weights.index import shipped_index


def features(blocks: int = 4000) -> NDArray[np.float64]:
    return np.random.default_rng(0).uniform(-1.5, 7, (FEATURES, blocks))


def network_logs_of(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Some logs of what each step loses, quadratic in the features, (4, blocks)."""
    log = 3 + 0.4 * values[0] + 0.02 * values[1] ** 2 - 0.03 * values[4] * values[2]
    return np.stack([log + shift for shift in (0, 0.5, 1, 1.5)])


def errors_by(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Errors at scales 1 to 16 with such steps; 0.05 is what keeps the log of nothing finite, (5, blocks)."""
    return np.concatenate([np.zeros_like(logs[:1]), np.maximum(np.exp(logs) - 0.05, 0).cumsum(axis=0)])


def network_errors_of(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return errors_by(network_logs_of(values))


def test_the_networks_errors_are_found() -> None:
    values = features()
    correction = fit(values, network_errors_of(values))
    unseen = features(4500)[:, 4000:]
    np.testing.assert_allclose(correction.predict(unseen), network_errors_of(unseen)[1:], rtol=1e-3, atol=1e-3)


def test_noise_of_the_networks_errors_is_averaged() -> None:
    values = features(40000)
    steps = np.diff(network_errors_of(values), axis=0, prepend=0)
    noisy = (steps * np.random.default_rng(1).lognormal(0, 0.5, steps.shape)).cumsum(axis=0)
    clean, found = (fit(values, errors).predict(values) for errors in (network_errors_of(values), noisy))
    # The weights see the noise too, and lift the fit a little.
    np.testing.assert_allclose(np.median(found / clean, axis=1), 1, atol=0.2)


def test_beyond_what_was_fitted_the_border_counts() -> None:
    values = features()
    correction = fit(values, network_errors_of(values))
    far = correction.high[:, None] + 100
    np.testing.assert_allclose(correction.predict(far), correction.predict(correction.high[:, None]))


def test_text_keeps_the_correction() -> None:
    values = features()
    correction = fit(values, network_errors_of(values))
    read = from_json(to_json({16: correction}, "0123", "4567"))[16]
    np.testing.assert_allclose(read.predict(values), correction.predict(values), rtol=0.01)


FITTED = [name for name in shipped_index() if is_fitted(name)]


def test_the_default_has_corrections_of_its_own() -> None:
    assert {FALLBACK, PIPELINES[DEFAULT_PIPELINE].weights} <= set(FITTED)
    there = {path.name for path in files("bbmr.weights").iterdir() if path.name.endswith(SUFFIX)}
    assert there == {name + SUFFIX for name in FITTED}


@pytest.mark.parametrize("weights", FITTED)
def test_every_block_side_has_a_correction(weights: str) -> None:
    assert set(corrections_for(weights)) == set(BLOCK_SIDES)


@pytest.mark.parametrize("weights", FITTED)
def test_corrections_are_those_of_the_weights_that_ship(weights: str) -> None:
    found = json.loads(files("bbmr.weights").joinpath(weights + SUFFIX).read_text("utf-8"))
    assert found["weights_sha256"] == shipped_index()[weights].sha256
    assert found["light_sha256"] == shipped_index()[LIGHT].sha256


def test_networks_that_nothing_was_fitted_to_are_taken_for_the_usual_one() -> None:
    colour = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    planes, grid = bicubic_planes(colour, SCALES), BlockGrid(64, 64, 16)
    of_others, usual = (corrected_errors(colour, planes, grid, name) for name in ("mine", "mosaic-fast"))
    np.testing.assert_array_equal(of_others, usual)


@pytest.mark.parametrize("side", BLOCK_SIDES)
def test_texture_is_foreseen_to_lose_more_than_sky_and_scale_one_nothing(side: int) -> None:
    random = np.random.default_rng(0)
    sky = np.full((128, 384, 3), 180) + random.integers(0, 2, (128, 384, 3))
    texture = random.integers(60, 200, (128, 128, 3))
    colour = np.concatenate([sky, texture], axis=1).astype(np.uint8)
    grid = BlockGrid(128, 512, side)
    planes = bicubic_planes(colour, SCALES)
    errors = corrected_errors(colour, planes, grid, "mosaic-fast")
    assert not errors[0].any()
    # The block of sky next to the texture is left out: coarse samples reach into it.
    assert errors[1:, :, grid.cols * 3 // 4 :].min() > 5 * errors[1:, :, : grid.cols // 2].max()
    # The network is trained to be better than bicubic and cannot be much worse.
    assert errors.sum() < 1.2 * bicubic_errors(colour, planes, grid).sum()


def test_what_is_lost_at_every_scale_costs_no_step() -> None:
    """Weak noise is gone at x4 already: the allocator has to see that x16 loses nothing more."""
    noise = np.random.default_rng(3).normal(128, 3, (256, 256, 1)).round().astype(np.uint8)
    grid = BlockGrid(256, 256, 16)
    errors = corrected_errors(noise, bicubic_planes(noise, SCALES), grid, "mosaic-fast").sum(axis=(1, 2))
    assert errors[4] < 1.1 * errors[2]
