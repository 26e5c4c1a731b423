"""Colours made paler and strong again."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from bbmr.codecs.colour import fade, revive


def colours() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype(np.uint8)


def chroma(plane: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Cb and Cr as Pillow has them, (H, W, 2), around 0."""
    return np.asarray(Image.fromarray(plane).convert("YCbCr"))[:, :, 1:] - 128.0


@pytest.mark.parametrize("percent", [30, 80])
def test_luma_stays_and_chroma_shrinks(percent: int) -> None:
    plane = colours()
    faded = fade(plane, percent)
    lumas = [np.asarray(Image.fromarray(one).convert("L")).astype(int) for one in (plane, faded)]
    assert np.abs(lumas[0] - lumas[1]).max() <= 1
    assert np.abs(chroma(faded) - percent / 100 * chroma(plane)).max() <= 2


@pytest.mark.parametrize("percent", [50, 80, 100])
def test_they_come_back(percent: int) -> None:
    plane = colours()
    found = revive(fade(plane, percent), percent).astype(int)
    # Half a grey level of rounding, grown by what the colour grows by, and half a level more.
    assert np.abs(found - plane).max() <= np.ceil(100 / percent)


def test_too_strong_colours_are_clipped() -> None:
    plane = np.array([[[255, 0, 0], [0, 255, 255]]], np.uint8)
    np.testing.assert_array_equal(revive(plane, 50), plane)


def test_gray_stays() -> None:
    gray, plane = colours()[:, :, :1], np.repeat(colours()[:, :, :1], 3, 2)
    assert fade(gray, 10) is gray
    np.testing.assert_array_equal(fade(plane, 10), plane)


def test_the_law_of_the_format() -> None:
    """docs/format.md: grey + 100 / p (x - grey), rounded to the nearest, in numbers that no rounding decides."""
    for first in range(0, 256, 5):
        plane = np.array([[[first, 100, 100], [100, first, 7], [3, 250, first]]], np.uint8)
        grey = plane.astype(int) @ np.array([299, 587, 114])
        for percent in (50, 80, 93):
            exact = (100_000 * plane.astype(int) - (100 - percent) * grey[:, :, None]) / (1000 * percent)
            apart = np.abs(exact - np.floor(exact) - 0.5)
            clear = (apart > 1e-3) | (exact < 0) | (exact > 255)
            expected = np.floor(exact + 0.5).clip(0, 255)
            np.testing.assert_array_equal(revive(plane, percent)[clear], expected[clear])
