"""Pictures in strips: what comes out of a reader, what goes into a writer, and what memory that takes."""

import io
import signal
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from bbmr.atomic import OutputError
from bbmr.depth import Samples
from bbmr.imageio import (
    PictureError,
    PictureWarning,
    PictureWriter,
    create_picture,
    open_picture,
    read_picture,
    write_picture,
)
from bbmr.imageio.exif import ORIENTATION, SHORT, entry, stream_of
from bbmr.large import Strips
from bbmr.picture import Metadata, Picture

CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}
STREAMED = [".png", ".tif", ".jpg"]


@pytest.fixture(autouse=True)
def _strict_warnings() -> None:
    warnings.simplefilter("error")


def picture(mode: str, depth: int = 8, height: int = 150, width: int = 70) -> Picture:
    y, x, c = np.ogrid[:height, :width, : CHANNELS[mode]]
    samples: Samples = 128 + 90 * np.sin(y / 9 + c) * np.cos(x / 7 - c)
    return Picture.from_array((samples * (257 if depth == 16 else 1)).astype(f"u{depth // 8}").squeeze())


def in_strips(path: Path, whole: Picture, heights: list[int], quality: int = 95) -> None:
    size = whole.height, whole.width, whole.mode, whole.depth
    with create_picture(path, *size, whole.metadata, quality=quality) as writer:
        top = 0
        for height in heights:
            writer.add(whole.crop(slice(top, top + height), slice(None)))
            top += height
    assert top == whole.height


@pytest.mark.parametrize("height", [1, 7, 64, 150, 400])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".webp", ".jxl", ".avif"])
def test_strips_are_the_whole_picture_in_parts(tmp_path: Path, suffix: str, height: int) -> None:
    write_picture(picture("RGB"), tmp_path / f"a{suffix}")
    whole = read_picture(tmp_path / f"a{suffix}")
    with open_picture(tmp_path / f"a{suffix}") as reader:
        assert (reader.height, reader.width, reader.mode, reader.depth) == (150, 70, "RGB", 8)
        assert reader.metadata == whole.metadata
        assert reader.streams == (suffix in STREAMED)
        parts = list(reader.strips(height))
        again = list(reader.strips(height))
    assert [part.height for part in parts[:-1]] == [height] * (len(parts) - 1)
    np.testing.assert_array_equal(np.concatenate([part.colour for part in parts]), whole.colour)
    assert parts == again


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("mode", CHANNELS)
@pytest.mark.parametrize("suffix", [".png", ".tif", ".jxl"])
def test_a_picture_written_in_strips_comes_back(tmp_path: Path, suffix: str, mode: str, depth: int) -> None:
    whole = replace(picture(mode, depth), metadata=Metadata(xmp=b"<x/>"))
    in_strips(tmp_path / f"a{suffix}", whole, [1, 63, 5, 81])
    assert read_picture(tmp_path / f"a{suffix}") == whole


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_jpeg_of_several_strips_is_one_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    whole = replace(picture(mode, height=333, width=45), metadata=Metadata(xmp=b"<x/>"))
    write_picture(whole, tmp_path / "alone.jpg", quality=90)
    monkeypatch.setattr("bbmr.imageio.jpeg_writing._STRIP", 64 * 45)
    in_strips(tmp_path / "parts.jpg", whole, [100, 1, 232], quality=90)
    content = (tmp_path / "parts.jpg").read_bytes()
    assert content.count(b"\xff\xd7") == 5  # between strips of 64 rows
    with Image.open(tmp_path / "parts.jpg") as parts, Image.open(tmp_path / "alone.jpg") as alone:
        np.testing.assert_array_equal(np.array(parts), np.array(alone))  # the same quantised samples
    assert read_picture(tmp_path / "parts.jpg") == read_picture(tmp_path / "alone.jpg")


def test_a_tiff_that_may_pass_4_gigabytes_is_a_bigtiff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bbmr.imageio.tiff_writing._CLASSIC_LIMIT", 1000)
    exif = Image.Exif()
    exif[0x010F] = "A maker of cameras"
    exif.get_ifd(0x8769)[0x9003] = "2026:01:02 03:04:05"
    whole = replace(picture("RGB", 16), metadata=Metadata(exif=exif.tobytes().removeprefix(b"Exif\0\0")))
    write_picture(whole, tmp_path / "a.tif")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.is_bigtiff
        np.testing.assert_array_equal(file.asarray(), whole.colour)
        assert file.pages.first.tags[0x010F].value == "A maker of cameras"
        assert file.pages.first.tags[0x8769].value["DateTimeOriginal"] == "2026:01:02 03:04:05"
    again = read_picture(tmp_path / "a.tif")
    seen = Image.Exif()
    seen.load(b"Exif\0\0" + (again.metadata.exif or b""))
    assert seen.get_ifd(0x8769)[0x9003] == "2026:01:02 03:04:05"


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("mode", CHANNELS)
@pytest.mark.parametrize(("size", "order"), [((256, 256), "<"), ((600, 513), ">"), ((257, 1024), "<")])
def test_a_large_tiff_has_tiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], order: str, mode: str, depth: int
) -> None:
    """order: of its EXIF data, and so of the file; the higher one is a BigTIFF."""
    monkeypatch.setattr("bbmr.imageio.tiff_writing._TILED", 256 * 256 - 1)
    monkeypatch.setattr("bbmr.imageio.tiff_writing._CLASSIC_LIMIT", 0 if size[0] == 600 else 1 << 32)
    exif = stream_of(order, {ORIENTATION: entry(order, SHORT, 6)})
    whole = replace(picture(mode, depth, *size), metadata=Metadata(exif=exif))
    in_strips(tmp_path / "a.tif", whole, [1, 200, size[0] - 201])
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        page = file.pages.first
        assert (file.byteorder, file.is_bigtiff) == (order, size[0] == 600)
        assert page.is_tiled
        assert page.tile == (256, 256)
        np.testing.assert_array_equal(file.asarray(), np.squeeze(whole.to_array()))
    assert read_picture(tmp_path / "a.tif") == whole


@pytest.mark.parametrize("size", [(256, 255), (2560, 200), (256, 256)])
def test_small_and_narrow_tiffs_have_strips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    monkeypatch.setattr("bbmr.imageio.tiff_writing._TILED", 256 * 256)
    write_picture(picture("RGB", 8, *size), tmp_path / "a.tif")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert not file.pages.first.is_tiled


def _add_and_fail(writer: PictureWriter, whole: Picture) -> None:
    writer.add(whole.crop(slice(100), slice(None)))
    raise RuntimeError("on the way")


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".webp", ".jxl"])
def test_nothing_is_left_of_what_was_not_finished(tmp_path: Path, suffix: str) -> None:
    whole, size = picture("RGB"), (150, 70, "RGB", 8)
    with pytest.raises(RuntimeError, match="on the way"), create_picture(tmp_path / f"a{suffix}", *size) as writer:
        _add_and_fail(writer, whole)
    with pytest.raises(ValueError, match="50 of 150 rows"), create_picture(tmp_path / f"a{suffix}", *size) as writer:
        writer.add(whole.crop(slice(100), slice(None)))
    for wrong in (picture("L"), picture("RGB", 16), picture("RGB", width=71), picture("RGB", height=151)):
        with pytest.raises(ValueError, match=r"strip|rows"), create_picture(tmp_path / f"a{suffix}", *size) as writer:
            writer.add(wrong)
    assert not list(tmp_path.iterdir())
    (tmp_path / f"a{suffix}").write_bytes(b"precious")
    with pytest.raises(OutputError, match="exists already"), create_picture(tmp_path / f"a{suffix}", *size) as writer:
        pass
    assert (tmp_path / f"a{suffix}").read_bytes() == b"precious"


@pytest.mark.parametrize("suffix", STREAMED)
def test_damage_in_the_middle_is_an_error_that_names_the_file(tmp_path: Path, suffix: str) -> None:
    write_picture(picture("RGB", height=900), tmp_path / f"a{suffix}")
    content = (tmp_path / f"a{suffix}").read_bytes()
    cut = len(content) * 3 // 5
    damaged = content[:cut] + b"\xff\0" * 30 + content[cut + 60 :] if suffix == ".tif" else content[:cut]
    (tmp_path / f"b{suffix}").write_bytes(damaged)
    with pytest.raises(PictureError, match=rf"b{suffix}: .*damaged"), open_picture(tmp_path / f"b{suffix}") as reader:
        list(reader.strips(100))


@pytest.mark.parametrize("kind", ["garbled", "cut"])
@pytest.mark.parametrize("compression", ["deflate", "lzw", "jpeg", "zstd"])
def test_a_damaged_tile_is_an_error_too(tmp_path: Path, compression: str, kind: str) -> None:
    samples = picture("RGB", height=200, width=300).colour
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="rgb", tile=(64, 64), compression=compression)
    content = bytearray((tmp_path / "a.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        start, count = file.pages.first.dataoffsets[7], file.pages.first.databytecounts[7]
    if kind == "cut":
        del content[start + 40 :]
    else:
        content[start + 20 : start + count] = (b"\xff\0" * count)[: count - 20]
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(PictureError, match=r"a\.tif: .*damaged"):
        read_picture(tmp_path / "a.tif")
    with pytest.raises(PictureError, match=r"a\.tif: .*damaged"), open_picture(tmp_path / "a.tif") as reader:
        list(reader.strips(10))


def test_interlaced_and_progressive_files_are_read_in_strips_too(tmp_path: Path) -> None:
    whole = picture("RGB")
    Image.fromarray(whole.colour).save(tmp_path / "a.jpg", progressive=True, quality=90)
    with open_picture(tmp_path / "a.jpg") as reader, Image.open(tmp_path / "a.jpg") as seen:
        np.testing.assert_array_equal(np.concatenate([p.colour for p in reader.strips(40)]), np.array(seen))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not say what a process took")
@pytest.mark.parametrize(("suffix", "heights"), [(".png", (640, 9600)), (".tif", (640, 9600)), (".jpg", (9600, 38400))])
def test_memory_does_not_grow_with_the_height(tmp_path: Path, suffix: str, heights: tuple[int, int]) -> None:
    program = f"""
import re
import numpy as np
from bbmr.imageio import create_picture, open_picture, tiff_writing
from bbmr.picture import Picture
tiff_writing._TILED = 1 << 20
strip = Picture(np.random.default_rng(0).integers(0, 256, (64, 500, 3), dtype=np.uint8))
for height in {heights}:
    with create_picture("a{suffix}", height, 500, "RGB", overwrite=True) as writer:
        for _ in range(height // 64):
            writer.add(strip)
    with open_picture("a{suffix}") as reader:
        assert sum(part.height for part in reader.strips(64)) == height
    print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])  # the peak, in kB
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    low, high = map(int, done.stdout.split())
    assert high - low < (heights[1] - heights[0]) * 500 * 3 / 1000 / 2  # half of the samples that are more
    assert not done.stderr


def test_a_reader_is_what_large_pictures_are_compressed_from(tmp_path: Path) -> None:
    whole = replace(picture("RGB"), metadata=Metadata(xmp=b"<x/>"))
    write_picture(whole, tmp_path / "a.tif")

    def size_of(source: Strips) -> tuple[int, int, Metadata, int]:
        return source.height, source.width, source.metadata, len(list(source.strips(64)))

    with open_picture(tmp_path / "a.tif") as reader:
        assert size_of(reader) == (150, 70, whole.metadata, 3)


def test_warnings_of_a_reader_come_when_it_is_opened(tmp_path: Path) -> None:
    Image.fromarray(picture("RGB").colour).convert("P").save(tmp_path / "a.png")
    with pytest.warns(PictureWarning, match="read as RGB"):
        reader = open_picture(tmp_path / "a.png")
    with reader:
        list(reader.strips(50))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_ctrl_c_in_the_midst_of_reading_is_heard(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """libvips asks Python for bytes, and what that raises would go nowhere."""
    path = tmp_path / f"a{suffix}"
    write_picture(picture("RGB"), path)
    opened = Path.open

    class Interrupting(io.FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            signal.raise_signal(signal.SIGINT)
            return super().read(size)

    def interrupting(self: Path, mode: str = "r", buffering: int = -1) -> Any:
        return opened(self, mode, buffering) if buffering else Interrupting(self, mode)

    monkeypatch.setattr(Path, "open", interrupting)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            read_picture(path)
    finally:
        signal.signal(signal.SIGINT, before)
    assert capfd.readouterr().err == ""
