"""NIQE against the values of BasicSR, the slow way of reference/niqe.py, and what the metric promises.

BasicSR names 5.7295763 as its value for its baboon.png, and 5.7295734 as that of LIVE's MATLAB code.
"""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from reference.niqe import niqe as slow_niqe
from safetensors.numpy import load_file
from skimage import data

import bbmr.evaluation.no_reference
from bbmr.evaluation.no_reference.niqe import niqe_live, niqe_pirm

Metric = Callable[[NDArray[np.uint8]], float]
METRICS: tuple[Metric, ...] = (niqe_live, niqe_pirm)


@pytest.fixture(scope="module")
def cat() -> NDArray[np.uint8]:
    """A photograph of 300 x 451 pixels that scikit-image brings along."""
    return np.asarray(data.chelsea())  # type: ignore[no-untyped-call]


def gray_plane(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.asarray(np.round(picture @ np.array([0.298936, 0.587043, 0.114021])))


def luma_plane(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.asarray(np.round(16 + picture @ np.array([65.481, 128.553, 24.966]) / 255))


def slow(plane: NDArray[np.float64]) -> float:
    model = load_file(Path(bbmr.evaluation.no_reference.__file__).with_name("niqe_pristine.safetensors"))
    return slow_niqe(plane, model["mean"], model["covariance"])


def noisy(picture: NDArray[np.uint8], sigma: float) -> NDArray[np.uint8]:
    noise = np.random.default_rng(1).normal(0, sigma, picture.shape)
    return np.clip(np.round(picture + noise), 0, 255).astype(np.uint8)


def blurred(picture: NDArray[np.uint8], sigma: float) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(sigma)))


@pytest.mark.parametrize(
    ("name", "border", "expected"),
    [("chelsea", 4, 2.689315), ("chelsea", 0, 2.625536), ("coffee", 4, 4.079430)],
)
def test_pirm_is_that_of_basicsr(name: str, border: int, expected: float) -> None:
    """BasicSR 1.4.2: calculate_niqe(picture, crop_border=border, convert_to="y")."""
    assert niqe_pirm(getattr(data, name)(), border) == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize(("name", "expected"), [("coins", 3.622679), ("camera", 3.096377)])
def test_live_of_gray_is_that_of_basicsr(name: str, expected: float) -> None:
    """BasicSR 1.4.2: calculate_niqe(picture, crop_border=0, input_order="HW")."""
    assert niqe_live(getattr(data, name)()) == pytest.approx(expected, abs=2e-4)


def test_written_out(cat: NDArray[np.uint8]) -> None:
    picture = cat[:240, 60:310]
    assert niqe_live(picture) == pytest.approx(slow(gray_plane(picture)), abs=1e-9)
    assert niqe_pirm(picture) == pytest.approx(slow(luma_plane(picture)[4:-4, 4:-4]), abs=1e-9)


def test_flat_parts_written_out(cat: NDArray[np.uint8]) -> None:
    picture = cat[:240, 60:310].copy()
    picture[:110, :110] = 200  # a whole block, and what it sees around it
    picture[150:170, 150:200] = 255
    assert niqe_live(picture) == pytest.approx(slow(gray_plane(picture)), abs=1e-9)


@pytest.mark.parametrize("metric", METRICS)
def test_damage_makes_it_worse(metric: Metric, cat: NDArray[np.uint8]) -> None:
    for damaged in (noisy, blurred):
        scores = [metric(cat)] + [metric(damaged(cat, sigma)) for sigma in (2, 6)]
        assert scores == sorted(scores)
        assert scores[2] > scores[0] + 1


@pytest.mark.parametrize("metric", METRICS)
def test_gray_is_rgb_of_equal_channels(metric: Metric, cat: NDArray[np.uint8]) -> None:
    gray = cat[..., 1]
    assert metric(gray) == metric(gray[..., None])
    assert metric(gray) == pytest.approx(metric(gray[..., None].repeat(3, axis=2)), abs=1e-9)


def test_pixels_outside_the_blocks_do_not_count(cat: NDArray[np.uint8]) -> None:
    damaged = cat.copy()
    damaged[288:], damaged[:, 384:] = 0, 255
    assert niqe_live(damaged) == niqe_live(cat) == niqe_live(cat[:288, :384])


def test_border_is_cut_off(cat: NDArray[np.uint8]) -> None:
    damaged = cat.copy()
    damaged[:4], damaged[:, :4] = 0, 255
    assert niqe_pirm(damaged) == niqe_pirm(cat) == niqe_pirm(cat[4:-4, 4:-4], border=0)
    assert niqe_pirm(damaged, border=3) != niqe_pirm(cat, border=3)


@pytest.mark.parametrize("metric", METRICS)
def test_pictures_without_texture_have_no_value(metric: Metric, cat: NDArray[np.uint8]) -> None:
    assert math.isnan(metric(np.full((200, 300, 3), 77, np.uint8)))
    one_block = np.full((200, 300, 3), 77, np.uint8)
    one_block[20:80, 20:80] = cat[100:160, 100:160]
    assert math.isnan(metric(one_block))


@pytest.mark.parametrize("shape", [(191, 191, 3), (95, 2000)])
def test_pictures_of_less_than_two_blocks_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="two whole blocks"):
        niqe_live(np.zeros(shape, np.uint8))


def test_border_counts_towards_the_size(cat: NDArray[np.uint8]) -> None:
    picture = cat[:100, :199]
    assert math.isfinite(niqe_pirm(picture, border=2))
    with pytest.raises(ValueError, match="191 x 92 pixels"):
        niqe_pirm(picture)


@pytest.mark.parametrize("metric", METRICS)
def test_other_arrays_are_refused(metric: Metric) -> None:
    with pytest.raises(TypeError, match="uint8"):
        metric(np.zeros((200, 300, 3), np.float32))
    for shape in ((200, 300, 4), (1, 3, 200, 300), (300,)):
        with pytest.raises(ValueError, match="pictures are"):
            metric(np.zeros(shape, np.uint8))
