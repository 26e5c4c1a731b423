import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from upscaling.tiny_networks import float_blocks, random_map, rescale, textured, tiny_joint, tiny_sr

from bbmr.downscaling import bicubic_planes
from bbmr.networks.joint import JointSR
from bbmr.rescaled import RescaledImage
from bbmr.upscaling import blockwise
from bbmr.upscaling import joint as joint_room
from bbmr.upscaling.joint import JointUpscaler


def by_hand(rescaled: RescaledImage, band: int = 4) -> NDArray[np.float64]:
    """The network over all blocks at once, in grey levels, cropped to the picture."""
    scales = torch.tensor(rescaled.scales[None].astype(np.int64))
    with torch.no_grad():
        restored = tiny_joint(band).network.eval()(float_blocks(rescaled), scales)[0]
    colour: NDArray[np.float64] = restored.permute(1, 2, 0).double().numpy() * 255
    assert colour.min() > 0
    assert colour.max() < 255
    assert np.ptp(colour) > 20
    return colour[: rescaled.grid.height, : rescaled.grid.width]


@pytest.mark.parametrize("band", [0, 4])
@pytest.mark.parametrize(
    ("size", "rows", "cols"), [((2 * 128 + 37, 3 * 128 + 3), 3, 4), ((7 * 128 + 1, 90), 8, 1), ((128, 128), 1, 1)]
)
def test_strips_give_what_the_network_makes_of_the_whole_picture(
    size: tuple[int, int], rows: int, cols: int, band: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blockwise, "_BATCH", 2)
    rescaled = rescale(textured(*size), random_map(rows, cols), 128)
    expected = by_hand(rescaled, band)
    for strip in (1, 2, 3, 9):
        monkeypatch.setattr(joint_room, "STRIP", strip)
        restored = JointUpscaler(tiny_joint(band, context=0)).restore(rescaled)
        assert restored.shape == expected.shape
        assert np.abs(restored - expected).max() < 0.51


def test_the_band_makes_a_difference() -> None:
    """The test above can tell whether the band is where it should be."""
    rescaled = rescale(textured(256, 256), random_map(2, 2), 128)
    assert np.abs(by_hand(rescaled, 0) - by_hand(rescaled, 4)).max() > 2


def test_no_block_goes_through_its_branch_twice() -> None:
    rescaled = rescale(textured(9 * 128, 256), random_map(9, 2), 128)
    descriptor = tiny_joint()
    network = descriptor.network
    assert isinstance(network, JointSR)
    seen = dict.fromkeys((2, 4, 8), 0)

    def count(factor: int, inputs: tuple[torch.Tensor]) -> None:
        seen[factor] += len(inputs[0])

    for factor in seen:
        network.tails[str(factor)].register_forward_pre_hook(lambda _, inputs, factor=factor: count(factor, inputs))
    JointUpscaler(descriptor).restore(rescaled)
    assert seen == rescaled.blocks_per_scale


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_uniform_map_is_the_network_over_the_blocks_of_the_lr_plane(factor: int, channels: int) -> None:
    colour = textured(300, 141, channels)
    expected = by_hand(rescale(colour, np.full((3, 2), factor, np.uint8), 128))
    plane = bicubic_planes(colour, (factor,))[factor]
    restored = np.zeros_like(expected[:, :, :channels])
    for tile, core in JointUpscaler(tiny_joint(context=0)).restore_uniform(plane, factor, (300, 141)):
        assert core.shape[1] == channels
        restored[tile.core] = core[0].permute(1, 2, 0).numpy() * 255
    if channels == 1:
        expected = expected.mean(2, keepdims=True)
    assert np.abs(restored - expected).max() < 0.51


def test_context_reaches_as_far_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks see their neighbours, in every strip alike, and nothing beyond the context."""
    rescaled = rescale(textured(9 * 128, 256), np.full((9, 2), 4, np.uint8), 128)
    restored = JointUpscaler(tiny_joint(0, context=8)).restore(rescaled)
    for strip in (1, 2, 9):
        monkeypatch.setattr(joint_room, "STRIP", strip)
        np.testing.assert_array_equal(JointUpscaler(tiny_joint(0, context=8)).restore(rescaled), restored)

    def changed(row: int) -> list[int]:
        """Block rows that look different when a row of LR samples in the fifth block row is inverted.

        But for their edges, where the network's last convolution sees the next block.
        """
        other = rescaled.blocks[4].copy()
        other[8:10, row] ^= 255
        different = RescaledImage(rescaled.grid, rescaled.scales, {4: other}, rescaled.recipe)
        seen = JointUpscaler(tiny_joint(0, context=8)).restore(different) != restored
        rows: list[int] = seen.reshape(9, 128, -1)[:, 2:-2].any((1, 2)).nonzero()[0].tolist()
        return rows

    assert changed(7) == [3, 4]
    assert changed(8) == [4]
    assert changed(24) == [4, 5]


def test_gray_is_restored_as_gray() -> None:
    rescaled = rescale(textured(200, 150, channels=1), random_map(2, 2), 128)
    restored = JointUpscaler(tiny_joint(context=0)).restore(rescaled)
    assert restored.shape == (200, 150, 1)
    assert np.abs(restored[:, :, 0] - by_hand(rescaled).mean(2)).max() < 0.51


def test_it_says_what_it_can_restore() -> None:
    assert JointUpscaler(tiny_joint()).scales == (2, 4, 8)
    assert JointUpscaler(tiny_joint()).sides == (128,)


def test_more_context_than_a_block_has_is_refused() -> None:
    with pytest.raises(ValueError, match="wants 17 samples around a block; 16 is the most"):
        JointUpscaler(tiny_joint(context=17))


def test_networks_of_another_kind_are_refused() -> None:
    with pytest.raises(ValueError, match="kind 'joint'"):
        JointUpscaler(tiny_sr(2))
