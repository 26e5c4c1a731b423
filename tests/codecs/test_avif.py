"""Bare AV1 frames, against AVIF files as Pillow writes and reads them."""

from contextlib import suppress
from io import BytesIO

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from bbmr.codecs import avif
from bbmr.codecs.avif import Chroma, CodecError


def picture(height: int, width: int, channels: int = 3) -> NDArray[np.uint8]:
    y, x, c = np.ogrid[:height, :width, :channels]
    noise = np.random.default_rng(0).normal(0, 6, (height, width, channels))
    return np.clip(128 + 80 * np.sin(y / 9 + c) * np.cos(x / 7 - c) + noise, 0, 255).astype(np.uint8)


def pillow(plane: NDArray[np.uint8], quality: int, chroma: Chroma, **options: object) -> bytes:
    file = BytesIO()
    Image.fromarray(plane).save(file, "AVIF", quality=quality, subsampling=chroma, speed=8, max_threads=1, **options)
    return file.getvalue()


@pytest.mark.parametrize("chroma", ["4:2:0", "4:4:4"])
@pytest.mark.parametrize("size", [(1, 1), (5, 17), (64, 64), (100, 333)])
def test_a_frame_holds_what_the_file_around_it_did(size: tuple[int, int], chroma: Chroma) -> None:
    plane = picture(*size)
    file = pillow(plane, 40, chroma, advanced={"tune": "psnr"})
    frame = avif.encode(plane, 40, chroma, speed=8)
    assert file.endswith(frame)
    assert len(file) - len(frame) > 270
    header = avif.read_header(frame)
    assert ((header.height, header.width), header.chroma) == (size, chroma)
    with Image.open(BytesIO(file)) as image:
        np.testing.assert_array_equal(avif.decode(frame, plane.shape), np.array(image))


def test_the_directional_filter_can_be_asked_for() -> None:
    """At the edges of a few lines it takes some of the ringing away."""
    y, x = np.mgrid[:128, :128]
    lines = np.where((x + y // 3) % 40 < 4, 60, 190) + np.random.default_rng(0).normal(0, 6, (128, 128))
    plane = lines.astype(np.uint8)[:, :, None].repeat(3, 2)
    without, cdef = (avif.encode(plane, 20, cdef=wanted) for wanted in (False, True))
    assert avif.read_header(cdef) == avif.read_header(without)
    errors = [
        float(np.square(avif.decode(frame, plane.shape) - plane.astype(float)).mean()) for frame in (without, cdef)
    ]
    assert errors[1] < 0.99 * errors[0]


def test_gray_planes_stay_gray() -> None:
    plane = picture(40, 70, 1)
    back = avif.decode(avif.encode(plane, 90, speed=8), plane.shape)
    assert back.shape == plane.shape
    assert np.abs(back.astype(int) - plane).mean() < 2


def test_more_quality_is_more_bytes_and_less_error() -> None:
    plane = picture(128, 128)
    frames = [avif.encode(plane, quality, speed=8) for quality in (10, 40, 70, 95)]
    errors = [float(np.square(avif.decode(frame, plane.shape) - plane.astype(float)).mean()) for frame in frames]
    assert [len(frame) for frame in frames] == sorted(len(frame) for frame in frames)
    assert errors == sorted(errors, reverse=True)


def test_pillows_own_limit_of_pixels_is_no_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert avif.decode(FRAME, (64, 48, 3)).shape == (64, 48, 3)
    assert Image.MAX_IMAGE_PIXELS == 100


def test_sides_that_avif_does_not_hold_are_refused() -> None:
    with pytest.raises(CodecError, match=r"1 x 32769 samples are more than .* code .* without loss"):
        avif.encode(np.zeros((32769, 1, 3), np.uint8), 50)
    with pytest.raises(CodecError, match=r"16384 x 16385 samples are more than"):
        avif.encode(np.broadcast_to(np.uint8(0), (16385, 16384, 3)), 50)


def test_a_pillow_without_avif_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(Image.SAVE, "AVIF")
    with pytest.raises(CodecError, match=r"cannot code .* as AVIF .* install one with libaom"):
        avif.encode(picture(8, 8), 50)


FRAME = avif.encode(picture(64, 48), 50, speed=8)


def test_another_size_is_refused() -> None:
    with pytest.raises(CodecError, match="48 x 64 samples of AV1 where 64 x 48 are expected"):
        avif.decode(FRAME, (48, 64, 3))


def foreign(pixelformat: str) -> bytes:
    """A frame of libavif's that `encode` would not write."""
    file = bytes(imagecodecs.avif_encode(picture(64, 48), level=50, speed=8, pixelformat=pixelformat))
    return file[file.index(b"mdat") + 4 :].removeprefix(b"\x12\x00")


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "not an AV1 sequence header"),
        (FRAME[:1], "not an AV1 sequence header"),
        (FRAME[:10], "cut off"),
        (FRAME[:-1], "cut off"),
        (FRAME + b"\0", "1 bytes follow"),
        (FRAME + FRAME, "bytes follow"),
        (FRAME[12:], "not an AV1 sequence header"),
        (b"\x0a\xff\xff\xff\xff\xff\xff", "cut off"),
        (foreign("422"), "profile 2"),
        (foreign("400"), "gray"),
    ],
)
def test_what_is_no_such_frame_is_refused(data: bytes, word: str) -> None:
    with pytest.raises(CodecError, match=word):
        avif.decode(data, (64, 48, 3))


def test_ten_bits_are_refused() -> None:
    file = bytes(imagecodecs.avif_encode(picture(64, 48).astype(np.uint16) * 4, level=50, speed=8, bitspersample=10))
    with pytest.raises(CodecError, match="8 bits"):
        avif.read_header(file[file.index(b"mdat") + 4 :].removeprefix(b"\x12\x00"))


@given(st.integers(0, 8 * len(FRAME) - 1))
@settings(max_examples=200)
def test_a_damaged_frame_gives_a_picture_of_its_size_or_an_error(bit: int) -> None:
    damaged = bytearray(FRAME)
    damaged[bit // 8] ^= 1 << bit % 8
    with suppress(CodecError):
        assert avif.decode(bytes(damaged), (64, 48, 3)).shape == (64, 48, 3)
