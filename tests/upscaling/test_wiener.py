"""Wiener filters of what was restored: what they do, and what the sender finds for them."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from bbmr.blocks import SCALES
from bbmr.coding.wiener_fit import WienerFit
from bbmr.luma import luma
from bbmr.rescaled import WIENER_CLASSES, WIENER_TAPS, WienerFilter
from bbmr.tiles import Tile
from bbmr.upscaling.mosaic import Restored
from bbmr.upscaling.wiener import REACH, STEP, activity_classes, filtered, grey

OFFSETS = [(0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0)]
SIDE = 32
EVEN, BUSY = (5, -3, 2, 1, -2, 4, 30), (-9, 8, 0, 3, 6, -5, -20)


def pictures(height: int = 64, width: int = 96) -> tuple[Tensor, Tensor]:
    """Restored and mosaic, (1, 3, H, W): even at the left, busy at the right."""
    random = torch.Generator().manual_seed(3)
    noise = torch.linspace(0, 0.1, width) ** 2 * 20
    restored, mosaic = (0.5 + noise * torch.rand((1, 3, height, width), generator=random) for _ in range(2))
    return restored, mosaic


def uniform_levels(height: int, width: int, factor: int) -> Tensor:
    return torch.full((1, height, width), SCALES.index(factor))


def by_definition(restored: Tensor, mosaic: Tensor, coefficients: NDArray[np.float64]) -> NDArray[np.float64]:
    """What is added, pixel by pixel; coefficients: (H, W, WIENER_TAPS)."""
    y, m = ((luma(one)[0, 0].double().numpy() - 16) / 219 for one in (restored, mosaic))
    height, width = y.shape

    def at(row: int, col: int) -> float:
        return float(y[min(max(row, 0), height - 1), min(max(col, 0), width - 1)])

    added = np.zeros(y.shape)
    for row, col in np.ndindex(y.shape):
        own = coefficients[row, col]
        for value, (down, right) in zip(own, OFFSETS, strict=False):
            added[row, col] += value * (at(row + down, col + right) + at(row - down, col - right) - 2 * y[row, col])
        added[row, col] += own[-1] * (m[row, col] - y[row, col])
    return added


def test_it_does_what_its_definition_says() -> None:
    restored, mosaic = pictures(20, 30)
    levels = uniform_levels(20, 30, 2)
    levels[:, :, 16:] = SCALES.index(4)
    found = filtered(restored, mosaic, levels, {2: EVEN, 8: BUSY})
    coefficients = np.zeros((20, 30, WIENER_TAPS))
    coefficients[:, :16] = np.array(EVEN) * STEP
    expected = by_definition(restored, mosaic, coefficients)
    for channel in range(3):
        np.testing.assert_allclose((found - restored)[0, channel].numpy(), expected, atol=1e-6)
    assert np.abs(expected).max() > 0.005


def test_classes_have_filters_of_their_own() -> None:
    restored, mosaic = pictures()
    levels = uniform_levels(64, 96, 1)
    classes = activity_classes(grey(restored))
    assert set(classes.flatten().tolist()) == {0, 1, 2, 3}
    assert (classes[:, :, 1:] >= classes[:, :, :-1]).float().mean() > 0.98  # from even to busy
    single = [filtered(restored, mosaic, levels, {1: own}) for own in (EVEN, BUSY)]
    both = filtered(restored, mosaic, levels, {1: (*EVEN, *EVEN, *BUSY, *BUSY)})
    torch.testing.assert_close(both, torch.where((classes < 2).unsqueeze(1), *single), atol=1e-7, rtol=0)


def test_its_reach_is_what_it_says() -> None:
    restored, mosaic = pictures()
    middle, moved = (slice(None), slice(None), 30, 40), restored.clone()
    moved[middle] += 0.2
    levels = uniform_levels(64, 96, 1)
    own = {1: (*EVEN, *BUSY, *EVEN, *BUSY)}
    changed = (filtered(restored, mosaic, levels, own) != filtered(moved, mosaic, levels, own))[0].any(0)
    rows, cols = (changed.any(axis).nonzero() for axis in (1, 0))
    assert 30 - REACH <= rows.min() <= rows.max() <= 30 + REACH
    assert 40 - REACH <= cols.min() <= cols.max() <= 40 + REACH


def fit(restored: Tensor, mosaic: Tensor, target: NDArray[np.uint8], factor: int, multiplier: float) -> WienerFilter:
    """What the sender finds, in two parts."""
    fitted = WienerFit(SIDE)
    height, width = restored.shape[2:]
    for cols in (slice(0, SIDE), slice(SIDE, width)):
        tile = Tile((slice(0, height), cols), (slice(0, height), slice(0, width)))
        part = Restored(tile, mosaic, restored, torch.full((1, height // 16, width // 16), SCALES.index(factor)))
        weights = np.ones((height // SIDE, (cols.stop - cols.start) // SIDE))
        fitted.add(part, target[:, cols], weights)
    return fitted.filters(multiplier).get(factor, ())


def rounded(image: Tensor) -> NDArray[np.uint8]:
    return image[0].mul(255).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()


@pytest.mark.parametrize("classes", WIENER_CLASSES)
def test_the_sender_finds_the_filter_that_the_picture_went_through(classes: int) -> None:
    restored, mosaic = pictures(256, 256)
    own = EVEN if classes == 1 else (*EVEN, *EVEN, *BUSY, *BUSY)
    target = rounded(filtered(restored, mosaic, uniform_levels(256, 256, 4), {4: own}))
    found = fit(restored, mosaic, target, 4, 0.01)
    # Rounding hides what happens in even parts.
    busiest = slice(-WIENER_TAPS, None)
    assert np.abs(np.array(found[busiest]) - own[busiest]).max() <= 2


def test_none_where_it_is_not_worth_its_bytes() -> None:
    restored, mosaic = pictures(256, 256)
    target = rounded(filtered(restored, mosaic, uniform_levels(256, 256, 4), {4: EVEN}))
    before, after = (
        float((luma(one) - luma(torch.from_numpy(target.copy()).permute(2, 0, 1)[None] / 255)).square().sum())
        for one in (restored, filtered(restored, mosaic, uniform_levels(256, 256, 4), {4: EVEN}))
    )
    worth = (before - after) / (8 * WIENER_TAPS)
    assert len(fit(restored, mosaic, target, 4, 0.9 * worth)) == WIENER_TAPS
    assert fit(restored, mosaic, target, 4, 1.1 * worth) == ()


def test_what_counts_more_decides() -> None:
    """Two halves that want opposite filters."""
    restored, mosaic = pictures(64, 64)
    restored = restored.flip(3).where(torch.arange(64) < 32, restored)  # as busy in both
    levels = uniform_levels(64, 64, 1)
    left, right = (filtered(restored, mosaic, levels, {1: own}) for own in (EVEN, tuple(-value for value in EVEN)))
    target = rounded(torch.where(torch.arange(64) < 32, left, right))
    signs = []
    for weights in ([[9.0, 1.0], [9.0, 1.0]], [[1.0, 9.0], [1.0, 9.0]]):
        fitted = WienerFit(SIDE)
        tile = Tile((slice(0, 64), slice(0, 64)), (slice(0, 64), slice(0, 64)))
        fitted.add(
            Restored(tile, mosaic, restored, torch.zeros((1, 4, 4), dtype=torch.int64)), target, np.array(weights)
        )
        signs.append(fitted.filters(1e-4)[1][WIENER_TAPS - 1 :: WIENER_TAPS])
    assert max(signs[0]) > 0
    assert min(signs[1]) < 0
