"""Peers without a network, against Pillow and against MATLAB's bicubic as `bbmr compare` has it."""

import numpy as np
import pytest
from PIL import Image
from upscaling.tiny_networks import textured

from bbmr.evaluation.comparison import enlarge_bicubic
from bbmr.evaluation.measurement import Bench
from bbmr.evaluation.peers import lanczos_planes
from bbmr.evaluation.systems import BICUBIC, LANCZOS, System
from bbmr.picture import Picture


@pytest.mark.parametrize("channels", [1, 3])
def test_bicubic(channels: int) -> None:
    colour = textured(210, 301, channels)
    rescaled, restored = Bench(Picture(colour)).restored(System("plain-x4", own=BICUBIC))
    np.testing.assert_array_equal(restored, enlarge_bicubic(colour, 4))
    assert rescaled.lr_pixels == 53 * 76


@pytest.mark.parametrize("channels", [1, 3])
def test_lanczos(channels: int) -> None:
    colour = textured(208, 304, channels)
    _, restored = Bench(Picture(colour)).restored(System("plain-x4", own=LANCZOS))
    picture = Image.fromarray(colour.squeeze())
    small = picture.resize((76, 52), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(lanczos_planes(colour, (4,))[4].squeeze(), np.asarray(small))
    expected = np.asarray(small.resize(picture.size, Image.Resampling.LANCZOS))
    np.testing.assert_array_equal(restored.squeeze(), expected)


def test_lanczos_of_odd_sizes() -> None:
    colour = textured(37, 51)
    planes = lanczos_planes(colour, (1, 2, 8, 16))
    assert {factor: plane.shape[:2] for factor, plane in planes.items()} == {
        1: (37, 51), 2: (19, 26), 8: (5, 7), 16: (3, 4),
    }  # fmt: skip
    flat = lanczos_planes(np.full((37, 51, 3), 77, np.uint8), (16,))[16]
    assert (flat == 77).all()
