"""What `bbmr compare` measures."""

import numpy as np
import pytest
from torch import Tensor

from bbmr.downscaling import bicubic_planes
from bbmr.downscaling.bicubic import upscale
from bbmr.evaluation import comparison
from bbmr.evaluation.comparison import compare, enlarge_bicubic
from bbmr.evaluation.metrics import psnr_rgb, psnr_y
from bbmr.fileformat import encode
from bbmr.options import Options
from bbmr.picture import Picture
from bbmr.pipeline import compress, restore
from bbmr.samples import to_samples, to_tensor


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("shape", [(530, 1101, 3), (7, 5, 1), (1, 600, 1)])
def test_bicubic_is_that_of_the_whole_picture(
    shape: tuple[int, int, int], factor: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    colour = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    whole = to_samples(upscale(to_tensor(bicubic_planes(colour, (factor,))[factor]), factor))[: shape[0], : shape[1]]
    sides: list[int] = []

    def watched(lr: Tensor, factor: int) -> Tensor:
        sides.extend(lr.shape[2:])
        return upscale(lr, factor)

    monkeypatch.setattr(comparison, "upscale", watched)
    np.testing.assert_array_equal(enlarge_bicubic(colour, factor), whole)
    assert max(sides) <= (512 + 2 * 32) // factor  # in tiles


def test_contenders_are_what_their_files_give() -> None:
    y, x = np.mgrid[:70, :90]
    picture = Picture((128 + 90 * np.sin(x / 4 + y / 9) * (y > 30))[:, :, None].astype(np.uint8))
    options = Options(block=32, tune="psnr")
    *_, ours = compare(picture, options)
    rescaled = compress(picture, options)
    restored = restore(rescaled).colour
    np.testing.assert_array_equal(ours.colour, restored)
    assert (ours.lr_pixels, ours.bytes) == (rescaled.lr_pixels, len(encode(rescaled)))
    assert (ours.psnr_y, ours.psnr_rgb) == (psnr_y(restored, picture.colour), psnr_rgb(restored, picture.colour))
