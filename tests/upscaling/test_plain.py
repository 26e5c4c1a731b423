import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from upscaling.tiny_networks import random_map, rescale, textured, tiny_joint, tiny_sr

from bbmr.downscaling import bicubic_planes
from bbmr.errors import BbmrError
from bbmr.upscaling import plain
from bbmr.upscaling.plain import PlainUpscaler


def by_hand(plane: NDArray[np.uint8], factor: int) -> NDArray[np.float64]:
    """The network of `factor` over a whole LR plane (h, w, 3), in grey levels."""
    samples = torch.tensor(plane.transpose(2, 0, 1)[None] / 255, dtype=torch.float32)
    with torch.no_grad():
        restored = tiny_sr(factor).network.eval()(samples)[0]
    colour: NDArray[np.float64] = restored.permute(1, 2, 0).double().numpy() * 255
    assert colour.min() > 0
    assert colour.max() < 255
    assert np.ptp(colour) > 20
    return colour


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_a_small_picture_is_what_the_network_makes_of_its_lr_plane(factor: int) -> None:
    colour = textured(203, 150)
    restored = PlainUpscaler(*map(tiny_sr, (2, 4, 8))).restore(rescale(colour, np.full((2, 2), factor, np.uint8), 128))
    expected = by_hand(bicubic_planes(colour, (factor,))[factor], factor)[:203, :150]
    assert np.abs(restored - expected).max() < 0.51


def test_tiles_are_close_to_the_whole_and_come_out_the_same_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Omni-SR looks at all of its input: tiles are no exact crops, but with the halo they have no seams."""
    rescaled = rescale(textured(260, 300), np.full((3, 3), 2, np.uint8), 128)
    upscaler = PlainUpscaler(tiny_sr(2))
    whole = upscaler.restore(rescaled).astype(float)
    monkeypatch.setattr(plain, "TILE", 64)
    tiled = upscaler.restore(rescaled)
    np.testing.assert_array_equal(upscaler.restore(rescaled), tiled)
    monkeypatch.setattr(plain, "HALO", 0)
    without_halo = upscaler.restore(rescaled)

    def error(restored: NDArray[np.uint8], cols: slice) -> float:
        return float(np.sqrt(np.square(restored - whole)[:, cols].mean()))

    seam, anywhere = slice(124, 132), slice(None)
    assert 0 < error(tiled, anywhere) < 0.1 * whole.std()
    assert error(tiled, seam) < 2 * error(tiled, anywhere)
    assert error(without_halo, seam) > 5 * error(tiled, seam)


def test_plane_and_stored_blocks_give_the_same_picture() -> None:
    """What the sender foresees is what the receiver makes."""
    colour = textured(150, 299)
    upscaler = PlainUpscaler(tiny_sr(4))
    from_blocks = upscaler.restore(rescale(colour, np.full((2, 3), 4, np.uint8), 128))
    from_plane = np.zeros_like(from_blocks)
    for tile, core in upscaler.restore_uniform(bicubic_planes(colour, (4,))[4], 4, (150, 299)):
        from_plane[tile.core] = (core[0] * 255).round().permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(from_plane, from_blocks)


def test_gray_is_restored_as_gray() -> None:
    colour = textured(40, 70, channels=1)
    gray = PlainUpscaler(tiny_sr(2)).restore(rescale(colour, np.full((1, 1), 2, np.uint8), 128))
    assert gray.shape == (40, 70, 1)
    expected = by_hand(bicubic_planes(colour, (2,))[2].repeat(3, 2), 2)
    assert np.abs(gray[:, :, 0] - expected.mean(2)).max() < 0.51


def test_mixed_maps_are_refused() -> None:
    with pytest.raises(BbmrError, match=r"one scale all over, not \[2, 4, 8\]"):
        PlainUpscaler(tiny_sr(2)).restore(rescale(textured(256, 256), random_map(2, 2), 128))


def test_networks_of_another_kind_are_refused() -> None:
    with pytest.raises(ValueError, match="kind 'joint'"):
        PlainUpscaler(tiny_joint())
