"""Pictures' files and .bbmr files, one made out of the other."""

import errno
import os
import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fileformat import independent_reader
from PIL import Image
from upscaling.tiny_networks import textured

import bbmr
from bbmr import api, file_to_file, fileformat
from bbmr import panels as panels_module
from bbmr.atomic import DiskFullError, OutputError
from bbmr.coding.options import CodedOptions
from bbmr.fileformat import Reader, Writer, open_file
from bbmr.imageio import PictureError, PictureWarning, PictureWriter, read_picture
from bbmr.picture import Metadata, Picture


@pytest.fixture
def small_panels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of which the pictures here have four."""
    monkeypatch.setattr(panels_module, "PANEL_PIXELS", 1 << 16)
    monkeypatch.setattr(panels_module, "PANEL_HEIGHT", 256)
    monkeypatch.setattr(panels_module, "PANEL_WIDTH", 384)


def photograph(depth: int = 8) -> Picture:
    colour = textured(300, 500)
    colour[:, :200] = 90
    if depth == 16:
        colour = colour.astype(np.uint16) * 257 + np.random.default_rng(0).integers(0, 200, colour.shape, np.uint16)
    return Picture(colour, metadata=Metadata(xmp=b"<x:xmpmeta/>"))


@pytest.mark.usefixtures("small_panels")
@pytest.mark.filterwarnings("ignore:.* coded with loss as 8 bits")
@pytest.mark.parametrize(("suffix", "depth"), [(".png", 8), (".png", 16), (".tif", 16), (".jxl", 8)])
def test_in_strips_as_in_memory(suffix: str, depth: int, tmp_path: Path) -> None:
    picture = photograph(depth)
    source, packed, target = (tmp_path / name for name in (f"photo{suffix}", "photo.bbmr", f"restored{suffix}"))
    bbmr.write_picture(picture, source)
    outline = bbmr.compress_file(source, packed, quality=40, tune="psnr")
    assert (outline.grid.height, outline.grid.width, outline.mode, outline.depth) == (300, 500, "RGB", depth)
    with open_file(packed) as reader:
        assert len(reader.panels) == 4
    sheet = bbmr.restore_file(packed, target)
    assert (sheet.height, sheet.width, sheet.mode, sheet.depth) == (300, 500, "RGB", depth)
    restored = read_picture(target)
    assert restored == bbmr.restore(packed)
    assert restored.metadata == picture.metadata
    error = (restored.in_8_bit().colour.astype(float) - picture.in_8_bit().colour).ravel()
    assert 10 * np.log10(255**2 / np.mean(error**2)) > 25


def test_small_ones_are_worked_on_whole(tmp_path: Path) -> None:
    picture = photograph()
    bbmr.write_picture(picture, tmp_path / "photo.png")
    bbmr.compress_file(tmp_path / "photo.png", tmp_path / "photo.bbmr", quality=40)
    assert bbmr.load(tmp_path / "photo.bbmr") == bbmr.compress(picture, quality=40)
    bbmr.restore_file(tmp_path / "photo.bbmr", tmp_path / "part.png", region=(10, 20, 30, 40))
    assert read_picture(tmp_path / "part.png") == bbmr.restore(tmp_path / "photo.bbmr", region=(10, 20, 30, 40))
    bbmr.restore_file(tmp_path / "photo.bbmr", tmp_path / "small.png", preview=4)
    assert read_picture(tmp_path / "small.png") == bbmr.preview(tmp_path / "photo.bbmr", 4)


@pytest.mark.parametrize("panels", [False, True])
def test_folders_are_there_with_their_file_alone(panels: bool, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if panels:
        request.getfixturevalue("small_panels")
    (tmp_path / "none.png").write_bytes(b"")
    bbmr.write_picture(photograph(), tmp_path / "photo.png")
    with pytest.raises(OutputError, match=r"f: this folder cannot be made \(File name too long\)"):
        bbmr.compress_file(tmp_path / "photo.png", tmp_path / ("f" * 300) / "a.bbmr", parents=True)
    with pytest.raises(OutputError, match="there is no folder"):
        bbmr.compress_file(tmp_path / "photo.png", tmp_path / "new" / "photo.bbmr")
    with pytest.raises(PictureError, match="empty"):
        bbmr.compress_file(tmp_path / "none.png", tmp_path / "new" / "none.bbmr", parents=True)
    whole = (tmp_path / "photo.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PictureError, match="damaged"):
        bbmr.compress_file(tmp_path / "cut.png", tmp_path / "new" / "er" / "cut.bbmr", parents=True, quality=20)
    assert not (tmp_path / "new").exists()
    bbmr.compress_file(tmp_path / "photo.png", tmp_path / "new" / "photo.bbmr", parents=True, quality=20)
    bbmr.restore_file(tmp_path / "new" / "photo.bbmr", tmp_path / "newer" / "photo.png", parents=True)
    assert (tmp_path / "newer" / "photo.png").is_file()


@pytest.mark.usefixtures("small_panels")
def test_what_fails_on_the_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, packed = tmp_path / "photo.jpg", tmp_path / "photo.bbmr"
    whole = BytesIO()
    Image.fromarray(photograph().colour).save(whole, "JPEG", quality=95)
    source.write_bytes(whole.getvalue()[: len(whole.getvalue()) * 3 // 4])
    with pytest.raises(PictureError, match=r"photo\.jpg: the picture is damaged") as caught:
        bbmr.compress_file(source, packed, quality=40)
    assert str(caught.value).count("photo.jpg") == 1
    assert os.listdir(tmp_path) == ["photo.jpg"]

    source.write_bytes(whole.getvalue())
    bbmr.compress_file(source, packed, quality=40)
    with pytest.raises(OutputError, match="exists already"):
        bbmr.compress_file(source, packed, quality=40)
    damaged = bytearray(packed.read_bytes())
    damaged[-100] ^= 1  # in the last panel
    (tmp_path / "damaged.bbmr").write_bytes(damaged)
    stages: list[str] = []
    with pytest.raises(bbmr.BbmrError, match=r"damaged\.bbmr: .*checksum of the LR samples"):
        bbmr.restore_file(
            tmp_path / "damaged.bbmr", tmp_path / "restored.png", progress=lambda stage, _: stages.append(stage)
        )
    assert "restore" not in stages  # found before the work, which may take hours

    def full(writer: PictureWriter, strip: Picture) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(PictureWriter, "add", full)
    with pytest.raises(DiskFullError, match=r"restored\.png"):
        bbmr.restore_file(packed, tmp_path / "restored.png")
    assert sorted(os.listdir(tmp_path)) == ["damaged.bbmr", "photo.bbmr", "photo.jpg"]


def test_what_would_be_refused_in_the_end_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bbmr.write_picture(photograph(), tmp_path / "photo.png")
    monkeypatch.setattr(fileformat, "MAX_PIXELS", 300 * 500)
    monkeypatch.setattr(api, "compress", None)
    with pytest.raises(bbmr.BbmrError, match=r"photo\.png: 500 x 300 pixels, 155648 in whole blocks"):
        bbmr.compress_file(tmp_path / "photo.png", tmp_path / "a.bbmr", lossless_lr=True, max_pixels=300 * 500)


def test_what_does_not_go_together_is_refused(tmp_path: Path) -> None:
    photo, packed = tmp_path / "photo.png", tmp_path / "photo.bbmr"
    bbmr.write_picture(photograph(), photo)
    with pytest.raises(OutputError, match=r"photo\.png: the result would replace this input"):
        bbmr.compress_file(photo, photo, overwrite=True)
    with pytest.raises(bbmr.BbmrError, match="quality given beside options"):
        bbmr.compress_file(photo, packed, options=CodedOptions(quality=40), quality=3)
    bbmr.compress_file(photo, packed, quality=20)
    with pytest.raises(bbmr.BbmrError, match="leave one out"):
        bbmr.restore_file(packed, tmp_path / "a.png", region=(0, 0, 5, 5), preview=4)
    for region in ((0, 0, 5), (0, 0, 5.5, 5), (490, 0, 20, 5), (0, 0, 0, 0)):
        with pytest.raises(bbmr.BbmrError, match="give left, top, width and height"):
            bbmr.restore_file(packed, tmp_path / "a.png", region=region)  # type: ignore[arg-type]
    assert not (tmp_path / "a.png").exists()


@pytest.mark.parametrize("lossless", [False, True])
def test_it_is_said_that_loss_is_as_of_8_bits(lossless: bool, tmp_path: Path) -> None:
    bbmr.write_picture(photograph(depth=16), tmp_path / "photo.png")
    with warnings.catch_warnings(record=True) as said:
        bbmr.compress_file(tmp_path / "photo.png", tmp_path / "photo.bbmr", lossless_lr=lossless)
    assert [str(one.message).partition(": ")[2] for one in said if one.category is PictureWarning] == (
        [] if lossless else ["coded with loss as 8 bits a sample, restored with 16"]
    )


@pytest.mark.usefixtures("small_panels")
def test_one_quality_of_a_scale_in_all_panels(tmp_path: Path) -> None:
    """A file whose panels were coded at different ones is refused whole, not only where they meet."""
    parts = []
    for quality in (20, 60):
        file = tmp_path / f"{quality}.bbmr"
        options = CodedOptions(quality=quality, scales=(1,), tune="psnr")
        bbmr.write_picture(photograph(), tmp_path / "photo.png", overwrite=True)
        bbmr.compress_file(tmp_path / "photo.png", file, options=options)
        parts.append(file)
    with open_file(parts[0]) as one, open_file(parts[1]) as other:
        mixed = BytesIO()
        writer = Writer(mixed, one.header, one.recipe, one.metadata)
        for number in range(4):
            writer.add((other if number == 3 else one).panel(number))
        writer.finish(one.recipe)
    with pytest.raises(bbmr.BbmrError, match="LR samples x1 have one quality here and another there"):
        Reader(mixed).check()
    with pytest.raises(ValueError, match="one quality here and another there"):
        independent_reader.read(mixed.getvalue())


def _must_not_run(*_: object) -> None:
    raise AssertionError("this comes before what is known to fail")


def test_what_a_format_cannot_hold_is_said_before_parts_are_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = photograph()
    with_alpha = Picture(picture.colour, picture.colour[:, :, 0])
    fileformat.save(bbmr.compress(with_alpha, lossless_lr=True), tmp_path / "a.bbmr")
    monkeypatch.setattr(api, "restore", _must_not_run)
    monkeypatch.setattr(api, "preview", _must_not_run)
    for part in ({"region": (5, 7, 60, 50)}, {"preview": 4}):
        with pytest.raises(PictureError, match="JPEG cannot hold the picture's transparency"):
            bbmr.restore_file(tmp_path / "a.bbmr", tmp_path / "part.jpg", **part)


def test_a_folder_is_made_when_there_is_something_to_put_into_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may have made it, and takes it away again where it fails."""
    bbmr.write_picture(photograph(), tmp_path / "a.png")
    encode = fileformat.encode

    def seen(*arguments: Any) -> bytes:
        assert not (tmp_path / "out").exists()
        return encode(*arguments)

    monkeypatch.setattr(file_to_file, "encode", seen)
    bbmr.compress_file(tmp_path / "a.png", tmp_path / "out" / "a.bbmr", parents=True, lossless_lr=True)
    assert (tmp_path / "out" / "a.bbmr").exists()
