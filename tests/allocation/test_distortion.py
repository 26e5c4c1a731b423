import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from bbmr.allocation import distortion
from bbmr.allocation.distortion import bicubic_errors, light_errors, network_errors
from bbmr.blocks import BlockGrid
from bbmr.downscaling import bicubic_planes
from bbmr.networks import NetworkDescriptor
from bbmr.networks.fast import FastLuma
from bbmr.upscaling.mosaic import MosaicUpscaler


@pytest.fixture
def light() -> FastLuma:
    torch.manual_seed(0)
    network = FastLuma(channels=8, pairs=1)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.05)
    return network.eval()


def smooth_picture(height: int, width: int) -> NDArray[np.uint8]:
    y, x = np.mgrid[:height, :width] / 9
    waves = np.stack([np.sin(x + y), np.cos(x - 2 * y), np.sin(3 * x)], 2)
    return (waves * 40 + 128).round().astype(np.uint8)


@pytest.mark.parametrize("size", [(48, 64), (53, 77), (3, 5)])
def test_on_luma_alone_the_network_errs_as_on_the_whole_picture(size: tuple[int, int], light: FastLuma) -> None:
    """Restored in colour, as any network, it is rounded to 8 bit: a difference of a fraction of a grey level."""
    colour, grid = smooth_picture(*size), BlockGrid(*size, 16)
    planes = bicubic_planes(colour, (1, 2, 4, 8))
    upscaler = MosaicUpscaler(NetworkDescriptor("fast-luma", light, "mosaic", None, light.reach))
    in_colour = network_errors(colour, planes, grid, upscaler)
    on_luma = light_errors(colour, planes, grid, light)
    by_bicubic = bicubic_errors(colour, planes, grid)
    assert not on_luma[0].any()
    rms, expected, untouched = (np.sqrt(errors / grid.costs(1)) for errors in (on_luma, in_colour, by_bicubic))
    assert np.abs(rms - expected).max() < 0.5
    assert np.abs(rms - untouched).max() > 2


def test_tiles_change_nothing(light: FastLuma, monkeypatch: pytest.MonkeyPatch) -> None:
    colour, grid = smooth_picture(200, 330), BlockGrid(200, 330, 16)
    planes = bicubic_planes(colour, (2, 8))
    whole = light_errors(colour, planes, grid, light)
    monkeypatch.setattr(distortion, "_LIGHT_TILE", 64)
    np.testing.assert_allclose(light_errors(colour, planes, grid, light), whole, rtol=1e-3, atol=1e-2)
