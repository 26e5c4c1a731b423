"""Against MATLAB's algorithm written out the long way."""

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from reference.matlab import imresize

from bbmr.blocks import SCALES
from bbmr.downscaling import bicubic, bicubic_planes
from bbmr.downscaling.bicubic import downscale, upscale
from bbmr.samples import round_to_depth


@pytest.mark.parametrize("factor", SCALES)
@pytest.mark.parametrize("size", [(1, 1), (3, 50), (32, 48), (37, 45), (64, 17)])
def test_shrinking_is_matlabs(factor: int, size: tuple[int, int]) -> None:
    plane = np.random.default_rng(factor).random(size)
    ours = downscale(torch.from_numpy(plane)[None, None], factor)[0, 0].numpy()
    np.testing.assert_allclose(ours, imresize(plane, 1 / factor), atol=1e-12)


@pytest.mark.parametrize("factor", SCALES)
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 12)])
def test_enlarging_is_matlabs(factor: int, size: tuple[int, int]) -> None:
    plane = np.random.default_rng(factor).random(size)
    ours = upscale(torch.from_numpy(plane)[None, None], factor)[0, 0].numpy()
    np.testing.assert_allclose(ours, imresize(plane, factor), atol=1e-12)


def test_batches_and_channels_do_not_mix() -> None:
    images = torch.rand(3, 3, 40, 33, dtype=torch.float64)
    for n in range(3):
        for c in range(3):
            alone = downscale(images[n : n + 1, c : c + 1], 4)
            torch.testing.assert_close(downscale(images, 4)[n : n + 1, c : c + 1], alone)


@given(st.floats(-1, 2))
def test_rounding_is_to_the_nearest_level(value: float) -> None:
    rounded = round_to_depth(torch.tensor(value, dtype=torch.float64)).item() * 255
    assert abs(rounded - round(rounded)) < 1e-9
    assert abs(rounded - min(max(value, 0), 1) * 255) <= 0.5 + 1e-9


def test_planes_made_in_tiles_are_those_of_the_whole_picture() -> None:
    colour = np.random.default_rng(3).integers(0, 256, (1100, 531, 3), np.uint8)
    planes = bicubic_planes(colour, SCALES)
    whole = torch.from_numpy(colour).permute(2, 0, 1)[None].float() / 255
    assert planes[1] is colour
    for factor in SCALES[1:]:
        expected = (round_to_depth(downscale(whole, factor)) * 255)[0].permute(1, 2, 0).numpy()
        difference = np.abs(planes[factor] - expected)
        # Sums are not associative: a sample on the very edge between two levels may fall either way.
        assert difference.max() <= 1.001
        assert (difference > 0.5).mean() < 1e-4


def test_sizes_may_be_asked_for_before_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the meta device, where networks are built to see whether a file fits: it leaves nothing behind."""
    for stencils in ("_shrinking_stencil", "_enlarging_stencils"):
        monkeypatch.setattr(bicubic, stencils, cache(getattr(bicubic, stencils).__wrapped__))
    with torch.device("meta"):
        assert downscale(torch.ones(1, 1, 8, 8), 4).shape == (1, 1, 2, 2)
        assert upscale(torch.ones(1, 1, 8, 8), 4).shape == (1, 1, 32, 32)
    torch.testing.assert_close(downscale(torch.ones(1, 1, 8, 8), 4), torch.ones(1, 1, 2, 2))
    torch.testing.assert_close(upscale(torch.ones(1, 1, 8, 8), 4), torch.ones(1, 1, 32, 32))
