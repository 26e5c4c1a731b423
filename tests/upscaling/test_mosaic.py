from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from reference.matlab import imresize
from torch import nn
from upscaling.tiny_networks import rescale, tiny_sr

from bbmr.blocks import SCALES, BlockGrid
from bbmr.downscaling import bicubic_planes
from bbmr.networks import NetworkDescriptor, build_network
from bbmr.rescaled import WIENER_TAPS, Frame, RescaledImage
from bbmr.upscaling import mosaic as mosaic_room
from bbmr.upscaling.mosaic import CodedUpscaler, MosaicUpscaler, build_mosaic, correct_mosaic


def random_fast(seed: int = 0) -> NetworkDescriptor:
    """`fast` with random weights that do something: an untrained one ends in zeros."""
    torch.manual_seed(seed)
    descriptor = build_network("fast")
    for name, parameter in descriptor.network.named_parameters():
        # Corrections of some hundredths of the value range, as those of a trained network.
        nn.init.normal_(parameter, std=0.01 if name.startswith("tail") else 0.06)
    return descriptor


def naive_mosaic(planes: dict[int, NDArray[np.float64]], scales: NDArray[np.int64]) -> NDArray[np.float64]:
    """The formulas of the mosaic, one sample after another; scales: factor of every pixel."""
    height, width = scales.shape
    fine: dict[int, NDArray[np.float64]] = {}
    for k in SCALES:
        fine[k] = np.full((height // k, width // k), np.nan)
        for y, x in np.ndindex(*fine[k].shape):
            own = scales[y * k, x * k]
            if own == k:
                fine[k][y, x] = planes[k][y, x]
            elif own < k:
                fine[k][y, x] = fine[k // 2][2 * y : 2 * y + 2, 2 * x : 2 * x + 2].mean()
    result = fine[16]
    for k in (8, 4, 2, 1):
        enlarged = imresize(result, 2)
        result = np.where(np.isnan(fine[k]), enlarged, fine[k])
    return result


@pytest.mark.parametrize("allowed", [SCALES, (2, 4, 8), (1, 16), (4,), (1,), (16,)])
def test_the_mosaic_is_the_one_of_the_formulas(allowed: tuple[int, ...]) -> None:
    random = np.random.default_rng(len(allowed))
    cells = random.choice(allowed, (3, 4))
    planes = {k: random.random((48 // k, 64 // k)) for k in SCALES}
    expected = naive_mosaic(planes, np.kron(cells, np.ones((16, 16), np.int64)))
    tensors = {k: torch.from_numpy(planes[k])[None, None] for k in np.unique(cells).tolist()}
    levels = torch.from_numpy(np.log2(cells).astype(np.int64))[None]
    np.testing.assert_allclose(build_mosaic(tensors, levels)[0, 0].numpy(), expected, atol=1e-12)


def test_the_mosaic_is_differentiable_in_every_lr_sample_and_in_no_other() -> None:
    levels = torch.tensor([[[0, 1], [2, 3], [4, 2]]])
    planes = {k: torch.rand(1, 1, 48 // k, 32 // k, requires_grad=True) for k in SCALES}
    torch.autograd.backward((build_mosaic(planes, levels) ** 2).sum())
    for level, factor in enumerate(SCALES):
        gradient = planes[factor].grad
        assert gradient is not None
        own = (levels == level).repeat_interleave(16 // factor, 1).repeat_interleave(16 // factor, 2)[:, None]
        torch.testing.assert_close(gradient != 0, own)


def test_nothing_is_added_where_the_scale_is_one() -> None:
    mosaic = torch.rand(1, 3, 32, 48)
    levels = torch.tensor([[[0, 1, 2], [3, 4, 0]]])
    restored = correct_mosaic(mosaic, levels, random_fast().network)
    exact = (levels == 0).repeat_interleave(16, 1).repeat_interleave(16, 2)[0]
    assert torch.equal(restored[0, :, exact], mosaic[0, :, exact])
    assert (restored[0, :, ~exact] != mosaic[0, :, ~exact]).float().mean() > 0.9


def test_coded_samples_of_scale_one_are_corrected_by_their_quality() -> None:
    colour = np.random.default_rng(1).integers(60, 190, (40, 39, 3)).astype(np.uint8)
    torch.manual_seed(0)
    descriptor = build_network("fast-coded")
    nn.init.normal_(descriptor.network.get_parameter("tail.weight"), std=0.1)
    nn.init.normal_(descriptor.network.get_parameter("head_bias"))
    upscaler = CodedUpscaler(descriptor)
    plain = rescale(colour, np.ones((3, 3), np.uint8), 16)
    restored = [upscaler.restore(replace(plain, frames={1: Frame(quality, b"")})) for quality in (10, 90)]
    assert (restored[0] != colour).mean() > 0.5
    assert (restored[0] != restored[1]).mean() > 0.1
    with pytest.raises(ValueError, match="needs one of kind 'coded'"):
        CodedUpscaler(random_fast())


@pytest.mark.parametrize(("side", "channels"), [(16, 3), (32, 1), (128, 3)])
def test_tiles_give_the_samples_of_the_whole(side: int, channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(side)
    colour = random.integers(0, 256, (403, 531, channels), np.uint8)
    grid = BlockGrid(403, 531, side)
    rescaled = rescale(colour, random.choice(SCALES, (grid.rows, grid.cols)).astype(np.uint8), side)
    upscaler = MosaicUpscaler(random_fast())
    monkeypatch.setattr(mosaic_room, "TILE", 1024)
    whole = upscaler.restore(rescaled).astype(int)
    monkeypatch.setattr(mosaic_room, "TILE", 128)
    tiled = upscaler.restore(rescaled).astype(int)
    assert np.abs(tiled - whole).max() <= 1
    assert (tiled != whole).mean() < 1e-4


def test_tiles_give_the_samples_of_the_whole_with_filters_too(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(5)
    colour = np.cumsum(random.integers(-2, 3, (403, 531, 3)), 0).__abs__().clip(0, 255).astype(np.uint8)
    grid = BlockGrid(403, 531, 64)
    plain = rescale(colour, random.choice(SCALES, (grid.rows, grid.cols)).astype(np.uint8), 64)
    filters = {factor: tuple(random.integers(-20, 21, 4 * WIENER_TAPS).tolist()) for factor in SCALES}
    rescaled = replace(plain, frames={factor: Frame(50, b"", 100, own) for factor, own in filters.items()})
    torch.manual_seed(0)
    descriptor = build_network("fast-coded")
    nn.init.normal_(descriptor.network.get_parameter("tail.weight"), std=0.01)
    upscaler = CodedUpscaler(descriptor)
    monkeypatch.setattr(mosaic_room, "TILE", 1024)
    whole = upscaler.restore(rescaled).astype(int)
    monkeypatch.setattr(mosaic_room, "TILE", 128)
    # Where activity is all but that between two classes, sums in another order may decide otherwise.
    assert (upscaler.restore(rescaled).astype(int) != whole).mean() < 1e-4
    assert (upscaler.restore(plain_frames(rescaled)).astype(int) != whole).mean() > 0.1
    upscaler.halo = 0
    assert (upscaler.restore(rescaled).astype(int) != whole).mean() > 1e-3


def plain_frames(rescaled: RescaledImage) -> RescaledImage:
    """The same without filters."""
    return replace(rescaled, frames={factor: Frame(50, b"") for factor in rescaled.frames})


def test_a_smaller_halo_would_not_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above can fail: with a smaller halo it does."""
    random = np.random.default_rng(7)
    colour = random.integers(0, 256, (256, 512, 3), np.uint8)
    rescaled = rescale(colour, np.full((16, 32), 16, np.uint8), 16)
    upscaler = MosaicUpscaler(random_fast())
    whole = upscaler.restore(rescaled).astype(int)
    upscaler.halo = 16
    monkeypatch.setattr(mosaic_room, "TILE", 128)
    assert (upscaler.restore(rescaled).astype(int) != whole).mean() > 1e-4


def test_scale_one_all_over_gives_the_picture_back() -> None:
    colour = np.random.default_rng(1).integers(0, 256, (50, 39, 3), np.uint8)
    rescaled = rescale(colour, np.ones((4, 3), np.uint8), 16)
    np.testing.assert_array_equal(MosaicUpscaler(random_fast()).restore(rescaled), colour)


@pytest.mark.parametrize("factor", [2, 4, 8, 16])
def test_a_uniform_map_restores_the_same_from_plane_and_from_blocks(factor: int) -> None:
    colour = np.random.default_rng(2).integers(0, 256, (150, 77, 3), np.uint8)
    upscaler = MosaicUpscaler(random_fast())
    from_blocks = upscaler.restore(rescale(colour, np.full((2, 1), factor, np.uint8), 128))
    plane = bicubic_planes(colour, (factor,))[factor]
    from_plane = np.zeros_like(from_blocks)
    for tile, core in upscaler.restore_uniform(plane, factor, (150, 77)):
        from_plane[tile.core] = (core[0] * 255).round().permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(from_plane, from_blocks)


def test_gray_is_restored_as_gray() -> None:
    colour = np.random.default_rng(3).integers(90, 160, (40, 40, 1)).astype(np.uint8)  # nothing is clipped
    scales = np.full((3, 3), 4, np.uint8)
    upscaler = MosaicUpscaler(random_fast())
    gray = upscaler.restore(rescale(colour, scales, 16))
    rgb = upscaler.restore(rescale(np.repeat(colour, 3, 2), scales, 16))
    assert gray.shape == (40, 40, 1)
    assert np.abs(gray[:, :, 0] - rgb.mean(2)).max() <= 1


def test_progress_ends_at_one() -> None:
    seen: list[float] = []
    colour = np.zeros((20, 20, 3), np.uint8)
    MosaicUpscaler(random_fast()).restore(
        rescale(colour, np.full((2, 2), 2, np.uint8), 16), lambda stage, done: seen.append(done)
    )
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_networks_of_another_kind_are_refused() -> None:
    with pytest.raises(ValueError, match="tiny-x4 is a network of kind 'sr'; this needs one of kind 'mosaic'"):
        MosaicUpscaler(tiny_sr(4))
