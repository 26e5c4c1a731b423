"""Pictures in and out: made by Pillow, read by us, written by us, read back by Pillow."""

import os
import struct
import warnings
import zlib
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from bbmr.atomic import OutputError
from bbmr.imageio import (
    MAX_PIXELS,
    PictureError,
    PictureWarning,
    Sheet,
    check_holdable,
    create_picture,
    orientation,
    read_picture,
    write_picture,
)
from bbmr.imageio.colour_spaces import profile
from bbmr.imageio.jpeg_writing import JpegEncoder
from bbmr.imageio.png_writing import PngEncoder
from bbmr.picture import Metadata, Picture

CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>caf\xc3\xa9</x:xmpmeta>"


@pytest.fixture(autouse=True)
def _strict_warnings() -> None:
    warnings.simplefilter("error")


def samples(mode: str, height: int = 5, width: int = 7) -> NDArray[np.uint8]:
    array = np.random.default_rng(1).integers(0, 256, (height, width, CHANNELS[mode]), dtype=np.uint8)
    return array[:, :, 0] if mode == "L" else array


def smooth(mode: str) -> NDArray[np.uint8]:
    ramp = np.add.outer(np.arange(32), np.arange(48)) * 3
    return np.dstack([ramp // (c + 1) for c in range(CHANNELS[mode])]).astype(np.uint8).squeeze()


def icc_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif(turned: int = 6) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = turned
    tags[0x010F] = "A camera maker"
    tags.get_ifd(0x8769)[0x9003] = "2026:01:02 03:04:05"  # DateTimeOriginal
    return tags


def file_in(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_header(width: int, height: int, depth: int, colour: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (5, 7)])
@pytest.mark.parametrize("mode", CHANNELS)
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_every_size_and_mode_comes_back_exactly(tmp_path: Path, mode: str, suffix: str, size: tuple[int, int]) -> None:
    array = samples(mode, *size)
    Image.fromarray(array).save(tmp_path / f"made{suffix}")
    picture = read_picture(tmp_path / f"made{suffix}")
    assert picture.mode == mode
    np.testing.assert_array_equal(picture.to_array(), array)
    write_picture(picture, tmp_path / f"written{suffix}")
    with Image.open(tmp_path / f"written{suffix}") as again:
        assert again.mode == mode
        np.testing.assert_array_equal(np.array(again), array)


@pytest.mark.parametrize("suffix", [".webp", ".avif"])
@pytest.mark.parametrize("mode", ["L", "LA"])
def test_gray_is_written_as_rgb_where_the_format_has_no_gray(tmp_path: Path, mode: str, suffix: str) -> None:
    picture = Picture.from_array(smooth(mode))
    with pytest.warns(PictureWarning, match="no gray"):
        write_picture(picture, tmp_path / f"a{suffix}")
    again = read_picture(tmp_path / f"a{suffix}")
    assert again.mode == mode.replace("L", "RGB")
    assert np.abs(again.colour.astype(int) - picture.colour).max() <= (0 if suffix == ".webp" else 4)


def test_webp_keeps_every_sample_even_under_full_transparency(tmp_path: Path) -> None:
    array = samples("RGBA")
    array[..., 3] = 0
    write_picture(Picture.from_array(array), tmp_path / "a.webp")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.webp").to_array(), array)


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".avif"])
def test_lossy_formats_stay_near(tmp_path: Path, suffix: str) -> None:
    array = smooth("RGB")
    write_picture(Picture.from_array(array), tmp_path / f"fine{suffix}")
    write_picture(Picture.from_array(array), tmp_path / f"coarse{suffix}", quality=10)
    fine = np.abs(read_picture(tmp_path / f"fine{suffix}").colour.astype(int) - array).mean()
    assert fine < 1.5
    assert (tmp_path / f"coarse{suffix}").stat().st_size < (tmp_path / f"fine{suffix}").stat().st_size


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".avif"])
def test_metadata_and_pixels_survive_as_stored(tmp_path: Path, suffix: str) -> None:
    tags = exif()
    plain = Picture.from_array(smooth("RGB"))
    first = replace(plain, metadata=Metadata(icc_profile(), tags.tobytes().removeprefix(b"Exif\0\0"), XMP))
    write_picture(first, tmp_path / f"a{suffix}")
    again = read_picture(tmp_path / f"a{suffix}")
    assert (again.height, again.width) == (32, 48)
    assert again.metadata.icc == first.metadata.icc
    assert again.metadata.xmp == XMP
    assert orientation(again.metadata) == 6
    stored = Image.Exif()
    stored.load(b"Exif\0\0" + (again.metadata.exif or b""))
    assert stored[0x010F] == "A camera maker"
    assert stored.get_ifd(0x8769)[0x9003] == "2026:01:02 03:04:05"
    assert np.abs(again.colour.astype(int) - first.colour).mean() < 1.5
    # A second trip changes nothing more.
    write_picture(again, tmp_path / f"b{suffix}")
    assert read_picture(tmp_path / f"b{suffix}").metadata == again.metadata


@pytest.mark.parametrize("turned", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".jpg"])
def test_orientation_never_turns_pixels(tmp_path: Path, suffix: str, turned: int) -> None:
    array = smooth("RGB")
    options = {"lossless": True} if suffix == ".webp" else {"quality": 95} if suffix == ".jpg" else {}
    Image.fromarray(array).save(tmp_path / f"a{suffix}", exif=exif(turned), **options)
    picture = read_picture(tmp_path / f"a{suffix}")
    assert orientation(picture.metadata) == turned
    assert picture.colour.shape == array.shape
    assert np.abs(picture.colour.astype(int) - array).mean() < (2 if suffix == ".jpg" else 0.001)


def test_metadata_of_pillow_files_is_kept_byte_for_byte(tmp_path: Path) -> None:
    content = exif().tobytes()
    Image.fromarray(smooth("RGB")).save(tmp_path / "a.jpg", exif=content, icc_profile=icc_profile(), xmp=XMP)
    assert read_picture(tmp_path / "a.jpg").metadata == Metadata(icc_profile(), content.removeprefix(b"Exif\0\0"), XMP)


def test_damaged_exif_counts_as_upright(tmp_path: Path) -> None:
    assert orientation(Metadata(exif=b"MM\0*\xff\xff\xff\xff")) == 1
    assert orientation(Metadata(exif=b"no EXIF at all")) == 1
    tags = Image.Exif()
    tags[0x0112] = 77
    assert orientation(Metadata(exif=tags.tobytes().removeprefix(b"Exif\0\0"))) == 1


@pytest.mark.parametrize(
    ("mode", "suffix", "expected"),
    [
        ("1", ".png", "L"),
        ("P", ".png", "RGB"),
        ("P", ".gif", "RGB"),
        ("CMYK", ".jpg", "RGB"),
        ("CMYK", ".tif", "RGB"),
        ("YCbCr", ".tif", "RGB"),
        ("LAB", ".tif", "RGB"),
    ],
)
def test_other_modes_are_converted_with_a_word(tmp_path: Path, mode: str, suffix: str, expected: str) -> None:
    made = Image.fromarray(smooth("RGB"))
    if mode == "LAB":
        lab = ImageCms.createProfile("LAB")
        made = ImageCms.profileToProfile(made, ImageCms.createProfile("sRGB"), lab, outputMode="LAB") or made
    else:
        made = made.convert(mode)
    made.save(tmp_path / f"a{suffix}")
    with pytest.warns(PictureWarning, match=f"read as {expected}"):
        picture = read_picture(tmp_path / f"a{suffix}")
    assert picture.mode == expected
    if mode in ("YCbCr", "LAB", "CMYK"):
        assert np.abs(picture.colour.astype(int) - smooth("RGB")).mean() < 4


def test_transparent_palette_and_colour_key_become_alpha(tmp_path: Path) -> None:
    palette = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8))
    palette.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    palette.save(tmp_path / "p.png", transparency=1)
    Image.fromarray(np.array([[0, 9], [9, 3]], np.uint8)).save(tmp_path / "l.png", transparency=9)
    with pytest.warns(PictureWarning, match="RGBA"):
        coloured = read_picture(tmp_path / "p.png")
    with pytest.warns(PictureWarning, match="LA"):
        gray = read_picture(tmp_path / "l.png")
    np.testing.assert_array_equal(coloured.alpha, [[255, 0], [255, 0]])
    np.testing.assert_array_equal(coloured.colour[0, 1], [40, 50, 60])
    np.testing.assert_array_equal(gray.alpha, [[255, 0], [0, 255]])


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".tif", ".avif"])
def test_animations_and_pages_are_refused(tmp_path: Path, suffix: str) -> None:
    frames = [Image.fromarray(np.full((8, 8, 3), value, np.uint8)) for value in (0, 200)]
    frames[0].save(tmp_path / f"many{suffix}", save_all=True, append_images=frames[1:])
    with pytest.raises(PictureError, match=rf"many{suffix}: holds 2 frames or pages"):
        read_picture(tmp_path / f"many{suffix}")


def test_of_a_multi_picture_jpeg_the_photograph_is_read(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((8, 8, 3), value, np.uint8)) for value in (20, 200)]
    frames[0].save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=frames[1:])
    with pytest.warns(PictureWarning, match="holds 2 pictures"):
        assert read_picture(tmp_path / "a.jpg").colour.max() <= 21


def test_a_bomb_is_refused_until_allowed(tmp_path: Path) -> None:
    content = png_header(30_000, 30_000, 8, 0) + png_chunk(b"IDAT", zlib.compress(b"")) + png_chunk(b"IEND", b"")
    before = Image.MAX_IMAGE_PIXELS
    with pytest.raises(PictureError, match=rf"30000 x 30000 .* more than the {MAX_PIXELS} allowed.*max_pixels"):
        read_picture(file_in(tmp_path, "bomb.png", content))
    write_picture(Picture.from_array(samples("RGB")), tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png", max_pixels=35).width == 7
    with pytest.raises(PictureError, match="max_pixels"):
        read_picture(tmp_path / "a.png", max_pixels=34)
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".avif", ".gif", ".bmp"])
def test_every_truncation_is_an_error_that_names_the_file(tmp_path: Path, suffix: str) -> None:
    buffer = BytesIO()
    Image.fromarray(np.random.default_rng(2).integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(
        buffer, {"tif": "TIFF", "jpg": "JPEG"}.get(suffix[1:], suffix[1:].upper())
    )
    content = buffer.getvalue()
    for kept in (*range(1, 40), *range(40, len(content) * 3 // 4, len(content) // 12)):
        warnings.simplefilter("ignore")  # Pillow's own remarks on what it finds
        with pytest.raises(PictureError, match=f"cut{suffix}: "):
            read_picture(file_in(tmp_path, f"cut{suffix}", content[:kept]))


def test_what_is_no_picture_is_named(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"none.png: there is no such file"):
        read_picture(tmp_path / "none.png")
    with pytest.raises(PictureError, match="folder"):
        read_picture(tmp_path)
    with pytest.raises(PictureError, match="empty"):
        read_picture(file_in(tmp_path, "empty.png", b""))
    with pytest.raises(PictureError, match="not a picture of a known format"):
        read_picture(file_in(tmp_path, "text.png", b"just some words, quite a few of them\n" * 9))
    with pytest.raises(PictureError, match="damaged or truncated"):
        read_picture(file_in(tmp_path, "head.png", b"\x89PNG\r\n\x1a\n"))
    with pytest.raises(PictureError, match="cannot be read"):
        read_picture("nul\0byte.png")


@pytest.mark.parametrize(
    "content",
    [
        b"P2 2 1 255\n-5 7\n",
        b"P2 2 1 255\n1_0 7\n",
        b"P2 2 1 100\n101 7\n",
        b"P2 2 1 255\n1 2 3\n",
        b"P2 2 1 255x\n1 2\n",
        b"P1 3 1 5x2",
        b"P1 3 1 102",
        b"P1 3 1 1011",
        b"P5 2 1 100\n\xff\x10",
        b"P5 2 1 1000\n\x03\xe9\0\0",
        b"P5 2 1 255x12",
    ],
)
def test_damaged_pnm_is_not_read_as_something(tmp_path: Path, content: bytes) -> None:
    warnings.simplefilter("ignore")
    with pytest.raises(PictureError, match=r"a\.pnm: .*damaged"):
        read_picture(file_in(tmp_path, "a.pnm", content))


@pytest.mark.parametrize("content", [b"P2 2 1 255\n1 # one\n2\n", b"P1 2 1\n10\n", b"P6 1 1 255\nabc", b"P4 2 1\n\x80"])
def test_of_several_pnm_pictures_none_is_read(tmp_path: Path, content: bytes) -> None:
    warnings.simplefilter("ignore")
    for behind in (b"", b"\n", b"\n\n"):
        assert read_picture(file_in(tmp_path, "one.pnm", content + behind)).height == 1
        with pytest.raises(PictureError, match=r"two\.pnm: holds several pictures; save the one"):
            read_picture(file_in(tmp_path, "two.pnm", content + behind + content))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_pipes_and_devices_are_refused_before_they_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for path in (Path(os.devnull), tmp_path / "pipe.png"):
        with pytest.raises(PictureError, match=f"{path}: not a regular file; give a picture's file"):
            read_picture(path)


def test_unknown_suffix_lists_the_known_ones(tmp_path: Path) -> None:
    picture = Picture.from_array(samples("RGB"))
    for name in ("a.heic", "a", "a.bbmr"):
        with pytest.raises(PictureError, match=r"use one of \.png, \.jpg"):
            write_picture(picture, tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_into_jpeg_is_refused_with_advice(tmp_path: Path, mode: str) -> None:
    with pytest.raises(PictureError, match=r"a\.jpg: JPEG cannot hold .*PNG"):
        write_picture(Picture.from_array(samples(mode)), tmp_path / "a.jpg")
    assert not list(tmp_path.iterdir())


def test_existing_files_are_kept_unless_asked(tmp_path: Path) -> None:
    path = file_in(tmp_path, "a.png", b"precious")
    picture = Picture.from_array(samples("L"))
    with pytest.raises(OutputError, match=r"a\.png: exists already"):
        write_picture(picture, path)
    assert path.read_bytes() == b"precious"
    write_picture(picture, path, overwrite=True)
    np.testing.assert_array_equal(read_picture(path).to_array(), picture.to_array())
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = file_in(tmp_path, "a.webp", b"precious")
    too_wide = Picture.from_array(np.zeros((1, 20_000, 3), np.uint8))  # WebP ends at 16383
    with pytest.raises(PictureError, match=r"a\.webp: .*20000 x 1 pixels, .*WEBP at most 16383"):
        write_picture(too_wide, path, overwrite=True)
    assert path.read_bytes() == b"precious"
    with pytest.raises(OutputError, match="there is no folder"):
        write_picture(too_wide, tmp_path / "none" / "a.png")
    with pytest.raises(PictureError, match="quality 0"):
        write_picture(too_wide, tmp_path / "b.jpg", quality=0)
    assert [file.name for file in tmp_path.iterdir()] == ["a.webp"]


@pytest.mark.parametrize(("suffix", "other"), [(".png", "TIFF"), (".jpg", "PNG")])
def test_where_a_format_fails_another_one_is_advised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, other: str
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("out of luck")

    for encoder in (PngEncoder, JpegEncoder):
        monkeypatch.setattr(encoder, "finish", fail)
    path = file_in(tmp_path, f"a{suffix}", b"precious")
    with pytest.raises(PictureError, match=rf"a\{suffix}: .*\(out of luck\); try {other}$"):
        write_picture(Picture.from_array(smooth("RGB")), path, overwrite=True)
    assert path.read_bytes() == b"precious"
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("name", "size", "metadata", "words"),
    [
        ("a.jpg", (65501, 1), Metadata(), "JPEG at most 65500"),
        ("a.webp", (1, 16384), Metadata(), "WEBP at most 16383"),
        ("a.avif", (32769, 1), Metadata(), "AVIF at most 32768"),
        ("a.avif", (16385, 16384), Metadata(), "AVIF at most 268435456"),
        ("a.jpg", (1, 1), Metadata(exif=bytes(65528)), "EXIF data of 65528 bytes .* JPEG, which takes 65527"),
        ("a.jpg", (1, 1), Metadata(xmp=bytes(65505)), "XMP of 65505 bytes .* JPEG, which takes 65504"),
        ("a.jpg", (1, 1), Metadata(icc=bytes(16_707_346)), "ICC profile of 16707346 bytes .* which takes 16707345"),
        ("a.avif", (1, 1), Metadata(exif=b"garbage"), "metadata cannot be written into AVIF"),
        ("a.jxl", (1, 1), Metadata(icc=b"garbage"), "ICC profile .*JPEG XL"),
    ],
)
def test_what_a_format_cannot_hold_is_refused_before_the_work(
    tmp_path: Path, name: str, size: tuple[int, int], metadata: Metadata, words: str
) -> None:
    path = tmp_path / name
    with pytest.raises(PictureError, match=rf"{name}: .*{words}.*; use PNG"):
        check_holdable(path, Sheet(*size, "RGB", 8, metadata))
    with pytest.raises(PictureError, match=words), create_picture(path, *size, "RGB", 8, metadata):
        pytest.fail("it was let in")


@pytest.mark.parametrize(
    ("name", "size", "metadata"),
    [
        ("a.jpg", (65500, 1), Metadata()),
        ("a.jpg", (1, 65500), Metadata()),
        ("a.webp", (1, 16383), Metadata()),
        ("a.avif", (32768, 1), Metadata()),
        ("a.jpg", (1, 1), Metadata(bytes(16_707_345), bytes(65527), bytes(65504))),
        ("a.webp", (1, 1), Metadata(b"garbage", b"garbage", b"garbage")),
    ],
)
def test_what_a_format_can_just_hold_comes_back(
    tmp_path: Path, name: str, size: tuple[int, int], metadata: Metadata
) -> None:
    first = replace(Picture.from_array(np.zeros((*size, 3), np.uint8)), metadata=metadata)
    write_picture(first, tmp_path / name)
    again = read_picture(tmp_path / name)
    assert again.colour.shape == first.colour.shape
    assert again.metadata == metadata


def test_a_profile_of_other_channels_is_not_put_into_a_png(tmp_path: Path) -> None:
    gray = profile("gray", None, (2.2,))
    for mode, fits, other in (("L", gray, icc_profile()), ("RGBA", icc_profile(), gray), ("LA", gray, b"garbage")):
        picture = Picture.from_array(smooth(mode))
        write_picture(replace(picture, metadata=Metadata(icc=fits)), tmp_path / "a.png", overwrite=True)
        assert read_picture(tmp_path / "a.png").metadata.icc == fits
        with pytest.warns(PictureWarning, match=r"b\.png: written without its colour profile, which PNG cannot have"):
            write_picture(replace(picture, metadata=Metadata(icc=other)), tmp_path / "b.png", overwrite=True)
        assert read_picture(tmp_path / "b.png").metadata.icc is None


def test_the_comment_of_a_gif_is_not_dropped_without_a_word(tmp_path: Path) -> None:
    Image.fromarray(smooth("L")).save(tmp_path / "a.gif", comment=b"words")
    with (
        pytest.warns(PictureWarning, match="read as RGB"),
        pytest.warns(PictureWarning, match=r"a\.gif: its comment is not kept"),
    ):
        read_picture(tmp_path / "a.gif")


def test_gray_profile_is_not_put_into_a_picture_that_became_rgb(tmp_path: Path) -> None:
    gray = profile("gray", None, (2.2,))
    picture = replace(Picture.from_array(smooth("L")), metadata=Metadata(icc=gray))
    with pytest.warns(PictureWarning, match="without its gray colour profile"):
        write_picture(picture, tmp_path / "a.webp")
    assert read_picture(tmp_path / "a.webp").metadata.icc is None
