"""Pictures' files and .bbmr files, one made out of the other."""

import errno
import os
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from upscaling.tiny_networks import textured

import bbmr
from bbmr import panels as panels_module
from bbmr.atomic import DiskFullError, OutputError
from bbmr.fileformat import open_file
from bbmr.imageio import PictureError, PictureWriter, read_picture
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


def test_folders_are_made_late(tmp_path: Path) -> None:
    (tmp_path / "none.png").write_bytes(b"")
    bbmr.write_picture(photograph(), tmp_path / "photo.png")
    with pytest.raises(OutputError, match="there is no folder"):
        bbmr.compress_file(tmp_path / "photo.png", tmp_path / "new" / "photo.bbmr")
    with pytest.raises(PictureError, match="empty"):
        bbmr.compress_file(tmp_path / "none.png", tmp_path / "new" / "none.bbmr", parents=True)
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
    with pytest.raises(bbmr.BbmrError, match=r"damaged\.bbmr: .*checksum of the LR samples"):
        bbmr.restore_file(tmp_path / "damaged.bbmr", tmp_path / "restored.png")

    def full(writer: PictureWriter, strip: Picture) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(PictureWriter, "add", full)
    with pytest.raises(DiskFullError, match=r"restored\.png"):
        bbmr.restore_file(packed, tmp_path / "restored.png")
    assert sorted(os.listdir(tmp_path)) == ["damaged.bbmr", "photo.bbmr", "photo.jpg"]
