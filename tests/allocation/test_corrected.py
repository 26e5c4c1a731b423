import numpy as np
import pytest
from numpy.typing import NDArray

from bbmr.allocation.corrected import FEATURES, corrected_errors, fit, from_json, shipped_corrections, to_json
from bbmr.allocation.distortion import bicubic_errors
from bbmr.blocks import BLOCK_SIDES, SCALES, BlockGrid
from bbmr.downscaling import bicubic_planes


def features(blocks: int = 4000) -> NDArray[np.float64]:
    return np.random.default_rng(0).uniform(-1.5, 7, (FEATURES, blocks))


def network_errors_of(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Some errors whose logs are quadratic in the features, (4, blocks)."""
    logs = 3 + 0.4 * values[0] + 0.02 * values[1] ** 2 - 0.03 * values[4] * values[6]
    return np.stack([np.exp(logs + shift) - 0.25 for shift in (0, 0.5, 1, 1.5)])


def test_a_quadratic_relation_is_found() -> None:
    values = features()
    correction = fit(values, network_errors_of(values))
    unseen = features(4500)[:, 4000:]
    np.testing.assert_allclose(correction.predict(unseen), network_errors_of(unseen), rtol=1e-3)


def test_errors_add_up_to_the_networks() -> None:
    values = features()
    noisy = network_errors_of(values) * np.random.default_rng(1).lognormal(0, 0.5, (4, values.shape[1]))
    np.testing.assert_allclose(fit(values, noisy).predict(values).sum(axis=1), noisy.sum(axis=1), rtol=0.01)


def test_beyond_what_was_fitted_the_border_counts() -> None:
    values = features()
    correction = fit(values, network_errors_of(values))
    far = correction.high[:, None] + 100
    np.testing.assert_allclose(correction.predict(far), correction.predict(correction.high[:, None]))


def test_text_keeps_the_correction() -> None:
    values = features()
    correction = fit(values, network_errors_of(values))
    read = from_json(to_json({16: correction}, "0123"))[16]
    np.testing.assert_allclose(read.predict(values), correction.predict(values), rtol=0.01)


def test_every_block_side_has_a_correction() -> None:
    assert set(shipped_corrections()) == set(BLOCK_SIDES)


@pytest.mark.parametrize("side", BLOCK_SIDES)
def test_texture_is_foreseen_to_lose_more_than_sky_and_scale_one_nothing(side: int) -> None:
    random = np.random.default_rng(0)
    sky = np.full((128, 128, 3), 180) + random.integers(0, 2, (128, 128, 3))
    texture = random.integers(60, 200, (128, 128, 3))
    colour = np.concatenate([sky, texture], axis=1).astype(np.uint8)
    grid = BlockGrid(128, 256, side)
    planes = bicubic_planes(colour, SCALES)
    errors = corrected_errors(colour, planes, grid)
    assert not errors[0].any()
    assert errors[1:, :, grid.cols // 2 :].min() > 5 * errors[1:, :, : grid.cols // 2].max()
    # The network is trained to be better than bicubic and cannot be much worse.
    assert errors.sum() < 1.2 * bicubic_errors(colour, planes, grid).sum()
