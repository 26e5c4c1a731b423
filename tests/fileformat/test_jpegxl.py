"""The reader of JPEG XL headers, against the encoder of libjxl."""

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from bbmr.depth import dtype_of
from bbmr.fileformat import FileFormatError, jpegxl


@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from((1, 3)), st.sampled_from((8, 16)))
@settings(max_examples=150)
def test_shape_as_the_encoder_wrote_it(height: int, width: int, channels: int, depth: int) -> None:
    data = jpegxl.encode(np.zeros((height, width, channels), dtype_of(depth)))
    assert jpegxl.read_shape(data) == (height, width, channels, depth)


@pytest.mark.parametrize(
    "shape", [(256, 256, 3), (90, 160, 3), (120, 100, 1), (2, 300_000, 1), (300_000, 2, 3), (1, 9000, 3)]
)
def test_large_sides_and_common_ratios(shape: tuple[int, int, int]) -> None:
    plane = (np.arange(np.prod(shape)) % 251).astype(np.uint8).reshape(shape)
    data = jpegxl.encode(plane)
    assert jpegxl.read_shape(data) == (*shape, 8)
    np.testing.assert_array_equal(jpegxl.decode(data, shape), plane)


@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=40).flatmap(
    lambda shape: st.sampled_from(((*shape, 1), (*shape, 3)))
)))  # fmt: skip
@settings(max_examples=100)
def test_lossless(plane: np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]) -> None:
    np.testing.assert_array_equal(jpegxl.decode(jpegxl.encode(plane), plane.shape), plane)
    deep = plane.astype(np.uint16) * 253 + 100
    np.testing.assert_array_equal(jpegxl.decode(jpegxl.encode(deep), deep.shape, depth=16), deep)


PLANE = np.arange(64 * 48 * 3).astype(np.uint8).reshape(64, 48, 3)


@pytest.mark.parametrize(
    "data",
    [
        imagecodecs.jpegxl_encode(PLANE, lossless=False),
        imagecodecs.jpegxl_encode(PLANE, lossless=True, usecontainer=True),
        imagecodecs.jpegxl_encode(PLANE.astype(np.uint16), lossless=True),
        imagecodecs.jpegxl_encode(np.dstack([PLANE, PLANE[:, :, :1]]), lossless=True),
        imagecodecs.jpegxl_encode(np.stack([PLANE, PLANE]), lossless=True),
        b"",
        b"\xff\x0a",
        b"\xff\x0a\x00\x10",
    ],
    ids=["lossy", "boxes", "16 bit", "alpha", "animation", "empty", "signature", "cut off"],
)
def test_what_this_format_does_not_use_is_refused(data: bytes) -> None:
    with pytest.raises(FileFormatError):
        jpegxl.decode(data, PLANE.shape)


def test_another_shape_is_refused() -> None:
    with pytest.raises(FileFormatError, match="expected"):
        jpegxl.decode(jpegxl.encode(PLANE), (48, 64, 3))


BOX = imagecodecs.jpegxl_encode(PLANE, lossless=True, usecontainer=True)


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff", BOX[:12], b"\0\0\0\0free" + BOX, b"\0\0\0\1free" + BOX, b"\0\0\xff\xffftyp" + BOX],
    ids=["nothing", "cut off", "no codestream", "to the end", "long length", "beyond the end"],
)
def test_an_encoder_without_a_codestream_is_an_error(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imagecodecs, "jpegxl_encode", lambda *_, **__: data)
    with pytest.raises(FileFormatError, match="no JPEG XL codestream"):
        jpegxl.encode(PLANE)


def test_an_encoder_without_a_plain_codestream_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    lossy = imagecodecs.jpegxl_encode(PLANE, lossless=False)
    monkeypatch.setattr(imagecodecs, "jpegxl_encode", lambda *_, **__: lossy)
    with pytest.raises(FileFormatError, match="install another imagecodecs"):
        jpegxl.encode(PLANE)
