import numpy as np
import pytest
import torch
from upscaling.tiny_networks import float_blocks, random_map, rescale, textured, tiny_sr

from bbmr.blocks import BlockGrid
from bbmr.downscaling import bicubic_planes
from bbmr.upscaling.separate import SeparateUpscaler


def upscaler() -> SeparateUpscaler:
    return SeparateUpscaler(*map(tiny_sr, (8, 2, 4)))


@pytest.mark.parametrize("channels", [1, 3])
def test_every_block_is_what_the_network_of_its_scale_makes_of_it_alone(channels: int) -> None:
    height, width = 2 * 128 + 37, 3 * 128 + 3  # partial blocks on both sides
    scales = random_map(3, 4)
    rescaled = rescale(textured(height, width, channels), scales, 128)
    restored = upscaler().restore(rescaled)
    assert restored.shape == (height, width, channels)
    blocks, taken = float_blocks(rescaled), {2: 0, 4: 0, 8: 0}
    networks = {k: tiny_sr(k).network.eval() for k in taken}
    for row, col in np.ndindex(3, 4):
        factor = int(scales[row, col])
        with torch.no_grad():
            alone = networks[factor](blocks[factor][taken[factor]][None])[0].permute(1, 2, 0).double().numpy() * 255
        taken[factor] += 1
        part = restored[128 * row : 128 * (row + 1), 128 * col : 128 * (col + 1)]
        expected = alone if channels == 3 else alone.mean(2, keepdims=True)
        assert np.ptp(expected) > 20
        assert expected.min() > 0
        assert np.abs(part - expected[: part.shape[0], : part.shape[1]]).max() < 0.51


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("size", [(130, 259), (1, 1), (700, 40)])
def test_plane_and_stored_blocks_give_the_same_picture(factor: int, size: tuple[int, int]) -> None:
    """What the sender foresees is what the receiver makes."""
    colour = textured(*size)
    grid = BlockGrid(*size, 128)
    from_blocks = upscaler().restore(rescale(colour, np.full((grid.rows, grid.cols), factor, np.uint8), 128))
    from_plane = np.zeros_like(from_blocks)
    for tile, core in upscaler().restore_uniform(bicubic_planes(colour, (factor,))[factor], factor, size):
        from_plane[tile.core] = (core[0] * 255).round().permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(from_plane, from_blocks)


def test_it_says_what_it_can_restore() -> None:
    assert upscaler().scales == (2, 4, 8)
    assert upscaler().sides == (128,)


def test_progress_ends_at_one() -> None:
    seen: list[float] = []
    upscaler().restore(rescale(textured(300, 100), random_map(3, 1), 128), lambda stage, done: seen.append(done))
    assert seen == sorted(seen)
    assert (len(seen), seen[0], seen[-1]) == (4, 0.0, 1.0)
