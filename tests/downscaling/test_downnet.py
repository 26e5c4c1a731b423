"""Down-Net as it is described, and as the filter that it folds into."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bbmr.downscaling import bicubic_planes
from bbmr.downscaling.bicubic import downscale
from bbmr.downscaling.downnet import DownNet, LearnedPlanes, fold, shrink

SIZES = [(64, 96), (37, 50), (3, 70), (1, 1)]


def random_net(factor: int) -> DownNet:
    torch.manual_seed(factor)
    network = DownNet(factor)
    nn.init.normal_(network.last.weight, std=0.3)
    return network


@pytest.mark.parametrize(("factor", "parameters"), [(2, 10_176), (4, 19_392), (8, 28_608)])
def test_parameters_are_as_many_as_published(factor: int, parameters: int) -> None:
    assert sum(parameter.numel() for parameter in DownNet(factor).parameters()) == parameters


@pytest.mark.parametrize("factor", [2, 4, 8, 16])
@torch.no_grad()
def test_it_begins_as_bicubic(factor: int) -> None:
    picture = torch.rand(2, 3, 40, 52)
    torch.testing.assert_close(DownNet(factor)(picture), downscale(picture, factor), rtol=0, atol=0)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("factor", [2, 4, 8, 16])
@torch.no_grad()
def test_the_filter_gives_the_same_lr_picture(factor: int, size: tuple[int, int]) -> None:
    """Up to the border, and beyond what is a multiple of the factor."""
    network, picture = random_net(factor), torch.rand(1, 3, *size)
    expected = network(picture)
    assert expected.shape == (1, 3, -(-size[0] // factor), -(-size[1] // factor))
    assert float((expected - downscale(picture, factor)).std()) > 0.01 or size == (1, 1)
    torch.testing.assert_close(shrink(picture, fold(network), factor), expected, rtol=0, atol=2e-5)


@torch.no_grad()
def test_away_from_the_border_it_is_its_layers_and_bicubic() -> None:
    """Those of the picture alone: what they take to lie around it, zeros, does not reach the inside."""
    network, picture = random_net(4), torch.rand(1, 3, 48, 48)
    features = nn.functional.conv2d(picture, network.first.weight, padding=1)
    for halve in network.halvings:
        convolved = nn.functional.conv2d(features, halve.get_parameter("weight"), stride=2, padding=1)
        rows, cols = convolved.shape[2:]
        features = convolved + features.view(1, -1, rows, 2, cols, 2).mean((3, 5))
    expected = downscale(picture, 4) + nn.functional.conv2d(features, network.last.weight)
    found = network(picture)
    torch.testing.assert_close(found[:, :, 1:-1, 1:-1], expected[:, :, 1:-1, 1:-1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_planes_of_all_scales_come_from_tiles(channels: int) -> None:
    """As from the whole picture at once."""
    colour = np.random.default_rng(0).integers(0, 256, (530, 570, channels), np.uint8)
    filters = {factor: fold(random_net(factor)) for factor in (2, 4, 8, 16)}
    planes = LearnedPlanes(filters)(colour, (1, 2, 4, 8, 16))
    assert planes[1] is colour
    picture = torch.from_numpy(colour.transpose(2, 0, 1).copy()).float()[None].expand(-1, 3, -1, -1) / 255
    for factor, taps in filters.items():
        whole: Tensor = shrink(picture, taps.detach(), factor)
        whole = whole if channels == 3 else whole.mean(1, keepdim=True)
        expected = (whole[0].clamp(0, 1) * 255).round().permute(1, 2, 0).numpy()
        assert planes[factor].shape == expected.shape
        # Sums in another order: a sample may fall on the other side of a half.
        difference = np.abs(planes[factor].astype(int) - expected)
        assert difference.max() <= 1
        assert (difference > 0).mean() < 1e-3


def test_an_untrained_net_stores_bicubic_samples() -> None:
    colour = np.random.default_rng(1).integers(0, 256, (70, 90, 3), np.uint8)
    ours = LearnedPlanes({4: fold(DownNet(4))})(colour, (4,))[4].astype(int)
    assert np.abs(ours - bicubic_planes(colour, (4,))[4]).max() <= 1


@pytest.mark.parametrize("factor", [1, 3, 12])
def test_other_factors_are_refused(factor: int) -> None:
    with pytest.raises(ValueError, match=f"powers of two, not by {factor}"):
        DownNet(factor)
