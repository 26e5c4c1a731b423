"""Bits of blocks, foreseen."""

import numpy as np
import pytest
from scipy.fft import dctn

from bbmr.blocks import BlockGrid
from bbmr.codecs import avif
from bbmr.codecs.planes import gather
from bbmr.coding.allocation import frame_bits
from bbmr.coding.bits import _dct, quantiser_step, share_bits


def test_the_transform_is_scipys() -> None:
    cells = np.random.default_rng(0).normal(size=(3, 16, 16))
    np.testing.assert_allclose(_dct(16) @ cells @ _dct(16).T, dctn(cells, axes=(1, 2), norm="ortho"), atol=1e-5)


def test_steps_are_av1s_at_both_ends() -> None:
    # ac quantisers of index 0 and 255 (AV1 specification, 7.12.2), which 8-bit samples have in eighths
    assert quantiser_step(100) == pytest.approx(4 / 8)
    assert quantiser_step(0) == pytest.approx(1828 / 8, rel=0.01)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("factor", [1, 2, 16])
def test_blocks_share_all_bits(factor: int, channels: int) -> None:
    grid = BlockGrid(200, 330, 64)
    plane = np.random.default_rng(0).integers(0, 256, (*grid.lr_size(factor), channels), np.uint8)
    shares = share_bits(plane, 1000, 50, grid, factor)
    assert shares.shape == (grid.rows, grid.cols)
    assert shares.min() > 0
    assert shares.sum() == pytest.approx(8000)


def test_an_even_picture_shares_them_too() -> None:
    grid = BlockGrid(128, 128, 64)
    shares = share_bits(np.full((64, 64, 3), 90, np.uint8), 50, 30, grid, 2)
    np.testing.assert_allclose(shares, 100)


@pytest.mark.parametrize("quality", [20, 60])
def test_frames_take_what_is_foreseen(quality: int) -> None:
    """Against the codec itself, for the halves of a picture that is smooth above and ever busier below."""
    grid = BlockGrid(256, 256, 64)
    y, x = np.mgrid[:256, :256]
    detail = np.random.default_rng(0).normal(0, 1, (256, 256)) * (y / 256) ** 2 * 30
    plane = np.clip(120 + 40 * np.sin(x / 20) + detail, 0, 255).astype(np.uint8)[:, :, None].repeat(3, 2)
    size = len(avif.encode(plane, quality, speed=8))
    shares = share_bits(plane, size, quality, grid, 1)
    for half in (slice(0, 2), slice(2, 4)):
        own = np.zeros((4, 4), bool)
        own[half] = True
        taken = len(avif.encode(gather(plane, own, grid, 1), quality, speed=8))
        assert frame_bits(own, shares) / 8 == pytest.approx(taken, abs=0.08 * size)
