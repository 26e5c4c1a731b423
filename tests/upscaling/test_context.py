import numpy as np
import pytest
import torch
from upscaling.tiny_networks import random_map, rescale, textured

from bbmr.downscaling import bicubic_planes
from bbmr.downscaling.bicubic import downscale, upscale
from bbmr.lr_blocks import LRBlocks
from bbmr.upscaling.context import blocks_in_context, lr_row


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("context", [0, 5, 16])
def test_on_a_uniform_map_it_is_cut_from_the_mirrored_plane(factor: int, context: int) -> None:
    colour = textured(384, 256)
    rescaled = rescale(colour, np.full((3, 2), factor, np.uint8), 128)
    plane = bicubic_planes(colour, (factor,))[factor]
    padded = np.pad(plane, ((context, context), (context, context), (0, 0)), "symmetric")
    side = 128 // factor
    for row in range(3):
        blocks = blocks_in_context(LRBlocks.of(rescaled), row, factor, context)
        assert blocks.shape == (2, 3, side + 2 * context, side + 2 * context)
        for column, block in enumerate(blocks):
            window = padded[row * side :, column * side :][: side + 2 * context, : side + 2 * context]
            np.testing.assert_array_equal(block.mul(255).round().permute(1, 2, 0).numpy(), window)


def test_neighbours_of_other_scales_are_resampled() -> None:
    scales = np.array([[2, 8], [4, 4]], np.uint8)
    rescaled = rescale(textured(256, 256), scales, 128)
    fine, coarse = (torch.from_numpy(rescaled.blocks[k].transpose(0, 3, 1, 2)).float() / 255 for k in (2, 8))
    left, right = blocks_in_context(LRBlocks.of(rescaled), 1, 4, 6)
    torch.testing.assert_close(left[:, :6, 6:38], downscale(fine, 2)[0, :, -6:].clamp(0, 1))
    torch.testing.assert_close(right[:, :6, 6:38], upscale(coarse, 2)[0, :, -6:].clamp(0, 1))
    torch.testing.assert_close(left[:, 6:38, 38:], right[:, 6:38, 6:12])
    np.testing.assert_array_equal(right[:, 6:38, 6:38].mul(255).round().permute(1, 2, 0).numpy(), rescaled.blocks[4][1])


def test_only_blocks_of_the_scale_asked_for_in_the_order_of_columns() -> None:
    scales = random_map(3, 4)
    rescaled = rescale(textured(384, 512), scales, 128)
    for row in range(3):
        for factor in np.unique(scales[row]).tolist():
            blocks = blocks_in_context(LRBlocks.of(rescaled), row, factor, 0)
            before = int((scales[:row] == factor).sum())
            stored = rescaled.blocks[factor][before : before + len(blocks)]
            assert len(blocks) == (scales[row] == factor).sum()
            np.testing.assert_array_equal(blocks.mul(255).round().permute(0, 2, 3, 1).numpy(), stored)


def test_gray_planes_have_three_equal_channels() -> None:
    rescaled = rescale(textured(128, 256, channels=1), np.array([[2, 8]], np.uint8), 128)
    row = lr_row(LRBlocks.of(rescaled), 0, 4)
    assert row.shape == (1, 3, 32, 64)
    torch.testing.assert_close(row[:, 0], row[:, 2])
