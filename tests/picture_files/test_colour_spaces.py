"""ICC profiles made here, held against others'."""

import re
from io import BytesIO

import numpy as np
import pytest
import pyvips
from numpy.typing import NDArray
from PIL import Image, ImageCms

from bbmr.imageio.colour_spaces import CURVES, PRIMARIES, SRGB_TRANSFER, coded_profile, profile


def colours() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (30, 30, 3), dtype=np.uint8)


def in_srgb(samples: NDArray[np.uint8], icc: bytes) -> NDArray[np.int_]:
    own, srgb = ImageCms.ImageCmsProfile(BytesIO(icc)), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(Image.fromarray(samples), own, srgb, outputMode="RGB")
    assert converted is not None
    return np.array(converted).astype(int)


def test_a_profile_of_srgb_changes_nothing() -> None:
    made = profile("sRGB of ours", PRIMARIES[1][1], CURVES[SRGB_TRANSFER][1])
    assert ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(BytesIO(made))).strip() == "sRGB of ours"
    assert np.abs(in_srgb(colours(), made) - colours()).max() <= 1


def test_display_p3_is_what_libvips_has_of_it() -> None:
    icc, remarks = coded_profile(12, SRGB_TRANSFER)
    assert icc is not None
    assert not remarks
    samples = colours() // 4 + 96  # within sRGB
    vips = pyvips.Image.new_from_array(samples, interpretation="srgb")
    theirs = vips.icc_transform("srgb", input_profile="p3", intent="relative").numpy()
    assert np.abs(in_srgb(samples, icc) - theirs).max() <= 2


@pytest.mark.parametrize("gray", [False, True])
def test_linear_samples_are_raised_to_the_curve_of_srgb(gray: bool) -> None:
    icc, _ = coded_profile(1, 8, gray)
    assert icc is not None
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None], 2, axis=0)
    light = ramp / 255
    expected = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    seen = in_srgb(ramp if gray else np.dstack([ramp] * 3), icc)
    start = 64 if gray else 0  # of gray LittleCMS interpolates, badly where it is dark
    assert np.abs(seen - expected[:, :, None])[:, start:].max() <= 1


@pytest.mark.parametrize(("primaries", "transfer"), [(1, 13), (2, 2), (1, 1), (6, 6), (5, 2)])
def test_srgb_and_what_is_shown_as_it_need_no_profile(primaries: int, transfer: int) -> None:
    assert coded_profile(primaries, transfer) == (None, ())


@pytest.mark.parametrize(("primaries", "transfer", "words"), [(9, 16, r"BT\.2020 with .*PQ"), (77, 13, "primaries 77")])
def test_what_no_profile_says_is_said(primaries: int, transfer: int, words: str) -> None:
    icc, (remark,) = coded_profile(primaries, transfer)
    assert icc is None
    assert re.search(words, remark)
