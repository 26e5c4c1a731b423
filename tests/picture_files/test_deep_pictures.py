"""Pictures of 16 bits a sample: made by other programs' code, read by us; written by us, read by others'."""

import struct
import warnings
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import pyvips
import tifffile
from numpy.typing import NDArray

from bbmr.imageio import PictureError, PictureWarning, read_picture, write_picture
from bbmr.picture import Picture

CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}
Deep = NDArray[np.uint16]


@pytest.fixture(autouse=True)
def _strict_warnings() -> None:
    warnings.simplefilter("error")


def deep(mode: str, height: int = 21, width: int = 34, bits: int = 16) -> Deep:
    samples = np.random.default_rng(3).integers(0, 1 << bits, (height, width, CHANNELS[mode]), dtype=np.uint16)
    samples[0, 0], samples[0, 1] = 0, (1 << bits) - 1
    return samples[:, :, 0] if mode == "L" else samples


def made_tiff(path: Path, samples: Deep, **options: Any) -> None:
    channels = samples.shape[2] if samples.ndim == 3 else 1
    alpha = ["unassalpha"] if channels in (2, 4) else None
    tifffile.imwrite(
        path,
        samples,
        photometric="rgb" if channels > 2 else "minisblack",
        planarconfig="contig" if channels > 1 else None,
        extrasamples=alpha,
        **options,
    )


@pytest.mark.parametrize("mode", CHANNELS)
def test_png_comes_in_and_goes_out_exactly(tmp_path: Path, mode: str) -> None:
    samples = deep(mode)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(samples))
    picture = read_picture(tmp_path / "a.png")
    assert (picture.mode, picture.depth) == (mode, 16)
    np.testing.assert_array_equal(picture.to_array(), samples)
    write_picture(picture, tmp_path / "b.png")
    np.testing.assert_array_equal(imagecodecs.png_decode((tmp_path / "b.png").read_bytes()), samples)


@pytest.mark.parametrize("mode", CHANNELS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "deflate", "predictor": True, "tile": (16, 16)},
        {"compression": "lzw", "rowsperstrip": 4, "byteorder": ">"},
        {"bigtiff": True, "compression": "packbits"},
    ],
    ids=str,
)
def test_tiff_comes_in_and_goes_out_exactly(tmp_path: Path, mode: str, options: dict[str, Any]) -> None:
    samples = deep(mode)
    made_tiff(tmp_path / "a.tif", samples, **options)
    picture = read_picture(tmp_path / "a.tif")
    assert (picture.mode, picture.depth) == (mode, 16)
    np.testing.assert_array_equal(picture.to_array(), samples)
    write_picture(picture, tmp_path / "b.tif")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.tif"), samples)


def test_planar_and_inverted_tiffs_are_understood(tmp_path: Path) -> None:
    colours, gray = deep("RGB"), deep("L")
    planes = np.ascontiguousarray(np.moveaxis(colours, 2, 0))
    tifffile.imwrite(tmp_path / "planes.tif", planes, photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read_picture(tmp_path / "planes.tif").to_array(), colours)
    tifffile.imwrite(tmp_path / "white.tif", gray, photometric="miniswhite")
    np.testing.assert_array_equal(read_picture(tmp_path / "white.tif").to_array(), 65535 - gray)


def test_tiffs_of_ours_are_what_libtiff_reads(tmp_path: Path) -> None:
    samples = deep("RGBA", 700, 900)  # several strips
    write_picture(Picture.from_array(samples), tmp_path / "a.tif")
    seen = pyvips.Image.new_from_file(str(tmp_path / "a.tif"))
    np.testing.assert_array_equal(seen.numpy(), samples)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        page = file.pages.first
        assert len(page.dataoffsets) > 2
        assert page.extrasamples == (2,)


@pytest.mark.parametrize("mode", CHANNELS)
def test_jpeg_xl_comes_in_and_goes_out_exactly(tmp_path: Path, mode: str) -> None:
    samples = deep(mode)
    (tmp_path / "a.jxl").write_bytes(imagecodecs.jpegxl_encode(samples, lossless=True))
    picture = read_picture(tmp_path / "a.jxl")
    assert (picture.mode, picture.depth) == (mode, 16)
    np.testing.assert_array_equal(picture.to_array(), samples)
    assert picture.metadata.icc is not None  # linear, as imagecodecs has samples of 16 bits
    with pytest.raises(PictureError, match=r"ICC profile \(BT\.709, linear\).*PNG, TIFF or AVIF"):
        write_picture(picture, tmp_path / "b.jxl")
    own = Picture.from_array(samples)
    write_picture(own, tmp_path / "b.jxl")
    np.testing.assert_array_equal(imagecodecs.jpegxl_decode((tmp_path / "b.jxl").read_bytes()), samples)
    assert read_picture(tmp_path / "b.jxl") == own  # as sRGB


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_pnm_of_16_bits(tmp_path: Path, mode: str) -> None:
    samples = deep(mode)
    head = f"P{5 if mode == 'L' else 6}\n# by hand\n34 21\n65535\n".encode()
    (tmp_path / "a.ppm").write_bytes(head + samples.astype(">u2").tobytes())
    np.testing.assert_array_equal(read_picture(tmp_path / "a.ppm").to_array(), samples)


def encoded(samples: Deep, container: str, bits: int) -> bytes:
    if container == "avif":
        return bytes(imagecodecs.avif_encode(samples, level=100, bitspersample=bits, pixelformat="444"))
    if container == "jxl":
        return bytes(imagecodecs.jpegxl_encode(samples, lossless=True, bitspersample=bits))
    if container == "jp2":
        return bytes(imagecodecs.jpeg2k_encode(samples, level=0, bitspersample=bits))
    return b"P6 34 21 %d\n" % ((1 << bits) - 1) + samples.astype(">u2").tobytes()


@pytest.mark.parametrize(("bits", "white"), [(10, 1023), (12, 4095)])
@pytest.mark.parametrize("container", ["avif", "jxl", "jp2", "ppm"])
def test_10_and_12_bits_fill_the_range_of_16(tmp_path: Path, container: str, bits: int, white: int) -> None:
    samples = deep("RGB", bits=bits)
    (tmp_path / f"a.{container}").write_bytes(encoded(samples, container, bits))
    with pytest.warns(PictureWarning, match=f"own .*{white if container == 'ppm' else bits}"):
        picture = read_picture(tmp_path / f"a.{container}")
    expected = np.rint(samples * (65535 / white)).astype(np.uint16)
    assert picture.depth == 16
    if container == "avif":  # YCbCr of so many bits cannot say all of RGB
        assert np.abs(picture.colour.astype(int) - expected).max() <= 65535 // white * 4
    else:
        np.testing.assert_array_equal(picture.colour, expected)


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".avif"])
def test_formats_of_8_bits_get_them_rounded_and_say_so(tmp_path: Path, suffix: str) -> None:
    ramp = np.linspace(0, 65535, 48 * 32 * 3).reshape(32, 48, 3).astype(np.uint16)
    with pytest.warns(PictureWarning, match="8 bits a sample; the picture has 16"):
        write_picture(Picture.from_array(ramp), tmp_path / f"a{suffix}")
    again = read_picture(tmp_path / f"a{suffix}")
    assert again.depth == 8
    assert np.abs(again.colour - ramp / 257).max() <= (0.5 if suffix == ".webp" else 6)


@pytest.mark.parametrize(
    ("dtype", "words"),
    [
        (np.float32, "32 bits a sample .floating-point"),
        (np.uint32, "32 bits a sample .integers"),
        (np.int16, "16 bits a sample .signed"),
        (np.float16, "16 bits a sample .floating-point"),
    ],
)
def test_samples_of_other_kinds_are_refused_by_name(tmp_path: Path, dtype: type, words: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 5), dtype))
    with pytest.raises(PictureError, match=rf"a\.tif: has {words}.*save it with 8 or 16"):
        read_picture(tmp_path / "a.tif")


def test_compressions_that_are_not_read_are_named(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", deep("RGB"), compression="jpegxl", photometric="rgb")
    with pytest.raises(PictureError, match=r"a\.tif: is a TIFF with compression 5"):
        read_picture(tmp_path / "a.tif")


def test_jpegs_of_12_bits_are_refused_by_name(tmp_path: Path) -> None:
    frame = struct.pack(">HBHHB", 11, 12, 8, 8, 1) + bytes((1, 0x11, 0))
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff\xc1" + frame + b"\xff\xd9")
    with pytest.raises(PictureError, match="JPEG of 12 bits"):
        read_picture(tmp_path / "a.jpg")
