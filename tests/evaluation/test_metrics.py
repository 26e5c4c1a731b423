"""Metrics against hand values, scikit-image, and the formulas of the papers written out plainly."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from bbmr.evaluation.metrics import block_edge_ratio, decibels, ms_ssim_y, psnr_rgb, psnr_y, ssim_rgb, ssim_y

Metric = Callable[[NDArray[np.uint8], NDArray[np.uint8]], float]
METRICS: tuple[Metric, ...] = (psnr_y, psnr_rgb, ssim_y, ssim_rgb, ms_ssim_y)
GRAY_Y_SLOPE = (65.481 + 128.553 + 24.966) / 255  # levels of Y for each level of gray


def photo(height: int, width: int, channels: int = 3, seed: int = 1) -> NDArray[np.uint8]:
    """Soft shapes and some texture, like a photograph's."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[:height, :width]
    waves = [rng.uniform(0.01, 0.8, 2) @ np.stack([rows, cols]).reshape(2, -1) for _ in range(channels)]
    smooth = np.stack([np.sin(wave).reshape(height, width) for wave in waves], axis=-1)
    return np.clip(128 + 80 * smooth + rng.normal(0, 8, smooth.shape), 0, 255).astype(np.uint8)


def noisy(picture: NDArray[np.uint8], sigma: float, seed: int = 2) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).normal(0, sigma, picture.shape)
    return np.clip(np.round(picture + noise), 0, 255).astype(np.uint8)


def plain_luma(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    red, green, blue = np.moveaxis(picture.astype(np.float64) / 255, -1, 0)
    return np.asarray(16 + 65.481 * red + 128.553 * green + 24.966 * blue)


def test_psnr_y_by_hand() -> None:
    original = np.full((20, 30, 3), 100, np.uint8)
    green = original.copy()
    green[..., 1] += 10
    expected = 20 * math.log10(255 / (10 * 128.553 / 255))
    assert psnr_y(green, original) == pytest.approx(expected, abs=1e-9)


def test_psnr_y_ignores_the_border() -> None:
    original = photo(40, 50)
    damaged = original.copy()
    damaged[:4], damaged[:, -4:] = 0, 255
    assert psnr_y(damaged, original) == math.inf
    assert psnr_y(damaged, original, border=3) < 40
    assert psnr_rgb(damaged, original) < 20


def test_psnr_y_of_a_picture_no_larger_than_its_borders() -> None:
    original = np.full((8, 50, 3), 100, np.uint8)
    damaged = original.copy()
    damaged[0, 0] = 110
    assert psnr_y(damaged, original) == pytest.approx(20 * math.log10(255 / (10 * GRAY_Y_SLOPE / math.sqrt(400))))


def test_psnr_rgb_by_hand() -> None:
    original = np.zeros((2, 2, 3), np.uint8)
    other = original.copy()
    other[0, 0] = 1, 2, 255
    assert psnr_rgb(other, original) == pytest.approx(10 * math.log10(255**2 / ((1 + 4 + 255**2) / 12)), abs=1e-9)


@pytest.mark.parametrize("shape", [(300, 170, 3), (170, 300, 1), (170, 300)])
def test_psnr_y_written_out(shape: tuple[int, ...]) -> None:
    original = photo(shape[0], shape[1], channels=(*shape, 1)[2]).reshape(shape)
    restored = noisy(original, 3)
    rgb = [np.broadcast_to(picture.reshape(*shape[:2], -1), (*shape[:2], 3)) for picture in (restored, original)]
    error = (plain_luma(rgb[0]) - plain_luma(rgb[1]))[4:-4, 4:-4]
    assert psnr_y(restored, original) == pytest.approx(10 * math.log10(255**2 / (error**2).mean()), abs=1e-9)


@pytest.mark.parametrize("size", [(290, 333), (128, 138), (19, 40), (11, 11)])
def test_ssim_is_that_of_scikit_image(size: tuple[int, int]) -> None:
    original = photo(*size)
    restored = noisy(original, 12)
    _, similarity = structural_similarity(  # type: ignore[no-untyped-call]
        plain_luma(restored),
        plain_luma(original),
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
        full=True,
    )
    border = 4 if min(size) >= 19 else 0
    whole_windows = similarity[border + 5 : size[0] - border - 5, border + 5 : size[1] - border - 5]
    # scikit-image lets its windows at the crop's edge see past it; those of whole windows inside the crop do not.
    assert ssim_y(restored, original) == pytest.approx(whole_windows.mean(), abs=1e-9)


@pytest.mark.parametrize("shape", [(61, 40, 3), (40, 61, 1), (40, 61)])
def test_ssim_of_all_channels_is_that_of_scikit_image(shape: tuple[int, ...]) -> None:
    original = photo(shape[0], shape[1], channels=(*shape, 1)[2]).reshape(shape)
    restored = noisy(original, 12)
    expected = structural_similarity(  # type: ignore[no-untyped-call]
        restored.reshape(*shape[:2], -1),
        original.reshape(*shape[:2], -1),
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
        channel_axis=2,
    )
    assert ssim_rgb(restored, original) == pytest.approx(expected, abs=1e-9)


def plain_ms_ssim(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Wang 2003, written out."""
    taps = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    taps /= taps.sum()

    def blur(plane: NDArray[np.float64]) -> NDArray[np.float64]:
        for axis in (0, 1):
            plane = np.apply_along_axis(np.convolve, axis, plane, taps, mode="valid")
        return plane

    result = 1.0
    for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        mx, my = blur(x), blur(y)
        vx, vy, vxy = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
        cs = (2 * vxy + 58.5225) / (vx + vy + 58.5225)
        luminance = (2 * mx * my + 6.5025) / (mx**2 + my**2 + 6.5025)
        result *= (cs * luminance if scale == 4 else cs).mean() ** weight
        x, y = (np.pad(p, ((0, p.shape[0] % 2), (0, p.shape[1] % 2)), mode="edge") for p in (x, y))
        x, y = ((p[::2, ::2] + p[1::2, ::2] + p[::2, 1::2] + p[1::2, 1::2]) / 4 for p in (x, y))
    return float(result)


@pytest.mark.parametrize("size", [(161, 161), (256, 320), (301, 171)])
def test_ms_ssim_written_out(size: tuple[int, int]) -> None:
    original = photo(*size)
    restored = noisy(original, 15)
    expected = plain_ms_ssim(plain_luma(restored), plain_luma(original))
    assert 0.3 < expected < 0.999
    assert ms_ssim_y(restored, original) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("metric", METRICS)
def test_more_noise_is_worse(metric: Metric) -> None:
    original = photo(180, 200)
    values = [metric(noisy(original, sigma), original) for sigma in (1, 4, 16, 64)]
    assert values == sorted(values, reverse=True)
    assert len(set(values)) == 4


def test_identical_pictures() -> None:
    original = photo(180, 200)
    assert psnr_y(original, original) == psnr_rgb(original, original) == math.inf
    assert ssim_y(original, original) == pytest.approx(1, abs=1e-12)
    assert ms_ssim_y(original, original) == pytest.approx(1, abs=1e-12)


def test_ms_ssim_of_a_negative_is_zero() -> None:
    original = photo(180, 200)
    assert ms_ssim_y(255 - original, original) == 0


def test_decibels() -> None:
    assert decibels(0.99) == pytest.approx(20)
    assert decibels(0.0) == 0
    assert decibels(1.0) == decibels(1 + 1e-15) == math.inf


def test_too_small_pictures_name_the_least_size() -> None:
    with pytest.raises(ValueError, match="161 x 161 pixels, not 300 x 160"):
        ms_ssim_y(photo(160, 300), photo(160, 300))
    with pytest.raises(ValueError, match="11 x 11 pixels, not 10 x 12"):
        ssim_y(photo(12, 10), photo(12, 10))


@pytest.mark.parametrize("metric", METRICS)
def test_unfit_arrays_are_refused(metric: Metric) -> None:
    picture = photo(180, 200)
    with pytest.raises(ValueError, match=r"\(180, 200, 3\), the original \(179, 200, 3\)"):
        metric(picture, picture[1:])
    with pytest.raises(TypeError, match="float32"):
        metric(picture.astype(np.float32), picture.astype(np.float32))
    with_alpha = np.zeros((180, 200, 4), np.uint8)
    with pytest.raises(ValueError, match="180, 200, 4"):
        metric(with_alpha, with_alpha)


def in_bands(height: int, width: int, side: int, band: int) -> NDArray[np.bool_]:
    """Pixels with a pixel of another block at most `band` away along a row or a column: written out naively."""
    found = np.zeros((height, width), bool)
    for row, col in np.ndindex(height, width):
        for step in range(-band, band + 1):
            down, right = row + step, col + step
            found[row, col] |= 0 <= down < height and down // side != row // side
            found[row, col] |= 0 <= right < width and right // side != col // side
    return found


@pytest.mark.parametrize(("size", "side", "band"), [((64, 96), 16, 4), ((70, 45), 16, 4), ((70, 150), 64, 7)])
def test_block_edge_ratio_finds_the_band(size: tuple[int, int], side: int, band: int) -> None:
    original = np.full((*size, 3), 100, np.uint8)
    bands = in_bands(*size, side, band)[..., None]
    for factor in (1, 2, 3):
        restored = np.where(bands, original + 10 * factor, original + 10).astype(np.uint8)
        assert block_edge_ratio(restored, original, side, band) == pytest.approx(factor**2, abs=1e-9)


def test_block_edge_ratio_compares_within_blocks() -> None:
    # Blocks at the picture's border have less band than those in the midst; their larger error alone is no seam.
    original = np.full((48, 48, 3), 100, np.uint8)
    restored = original + 2
    restored[:16], restored[-16:], restored[:, :16], restored[:, -16:] = 120, 120, 120, 120
    assert block_edge_ratio(restored, original, 16) == pytest.approx(1, abs=1e-9)


def test_block_edge_ratio_at_its_limits() -> None:
    original = np.full((64, 64, 3), 100, np.uint8)
    edges_only = original.copy()
    edges_only[32] = 110
    inside_only = original.copy()
    inside_only[8, 8] = 110
    assert block_edge_ratio(original, original, 32) == 1
    assert block_edge_ratio(edges_only, original, 32) == math.inf
    assert block_edge_ratio(inside_only, original, 32) == 0
    assert math.isnan(block_edge_ratio(edges_only, original, 64))
    with pytest.raises(ValueError, match="band of 8"):
        block_edge_ratio(original, original, 16, band=8)
    with pytest.raises(ValueError, match="block side 20"):
        block_edge_ratio(original, original, 20)


def test_a_border_is_not_negative() -> None:
    picture = np.zeros((20, 20, 3), np.uint8)
    for meter in (psnr_y, ssim_y):
        with pytest.raises(ValueError, match="a border of -1 pixels"):
            meter(picture, picture, -1)


def test_decibels_of_what_is_no_number() -> None:
    assert decibels(1.0) == math.inf
    assert math.isnan(decibels(math.nan))
