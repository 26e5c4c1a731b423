"""Files are saved whole or not at all, and what cannot be read is named."""

import os
from pathlib import Path

import numpy as np
import pytest
from fileformat.rescaled_samples import make_rescaled, mixed

from bbmr.atomic import OutputError
from bbmr.blocks import BlockGrid
from bbmr.depth import Samples
from bbmr.errors import BbmrError
from bbmr.fileformat import (
    FileFormatError,
    PictureTooLargeError,
    encode,
    files,
    jpegxl,
    load,
    load_outline,
    save,
    sections,
    writer,
)
from bbmr.picture import Metadata
from bbmr.rescaled import RescaledImage


@pytest.fixture(name="rescaled")
def _rescaled() -> RescaledImage:
    return make_rescaled(*mixed(50, 70), alpha=True, metadata=Metadata(exif=b"Exif"))


def test_save_and_load(rescaled: RescaledImage, tmp_path: Path) -> None:
    save(rescaled, tmp_path / "a.bbmr")
    save(rescaled, str(tmp_path / "b.bbmr"))
    assert load(tmp_path / "a.bbmr") == rescaled
    assert (tmp_path / "a.bbmr").read_bytes() == (tmp_path / "b.bbmr").read_bytes() == encode(rescaled)


def test_sections_add_up_to_the_file(rescaled: RescaledImage, tmp_path: Path) -> None:
    path = tmp_path / "a.bbmr"
    save(rescaled, path)
    sizes = sections(path)
    assert sum(sizes.values()) == path.stat().st_size
    lr = [f"LR samples x{factor}" for factor in (16, 8, 4, 2, 1)]
    assert list(sizes) == ["header", "recipe", "scale map", *lr, "alpha", "EXIF"]


def test_the_outline_needs_no_samples(rescaled: RescaledImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(rescaled, tmp_path / "a.bbmr")
    decoded: list[tuple[int, ...]] = []
    decode = jpegxl.decode

    def watched(data: bytes, shape: tuple[int, int, int], depth: int = 8) -> Samples:
        decoded.append(shape)
        return decode(data, shape, depth)

    monkeypatch.setattr(jpegxl, "decode", watched)
    outline = load_outline(tmp_path / "a.bbmr")
    assert set(decoded) <= {(*rescaled.scales.shape, 1)}  # the map at most
    for name in ("grid", "recipe", "mode", "blocks_per_scale", "lr_pixels"):
        assert getattr(outline, name) == getattr(rescaled, name)
    np.testing.assert_array_equal(outline.scales, rescaled.scales)


def test_what_is_saved_can_be_loaded(tmp_path: Path) -> None:
    grid = BlockGrid(1, 200, 128)  # thin: 200 pixels, and 32,768 in whole blocks
    thin = make_rescaled(grid, np.full((1, 2), 4, np.uint8))
    with pytest.raises(PictureTooLargeError, match=r"a\.bbmr: 200 x 1 pixels, 32768 .* 32767 allowed; choose smaller"):
        save(thin, tmp_path / "a.bbmr", max_pixels=32767)
    assert not list(tmp_path.iterdir())
    save(thin, tmp_path / "a.bbmr", max_pixels=32768)
    assert load(tmp_path / "a.bbmr", max_pixels=32768) == thin
    for read in (load, load_outline):
        with pytest.raises(PictureTooLargeError, match="raise max_pixels"):
            read(tmp_path / "a.bbmr", max_pixels=32767)


def test_nothing_is_overwritten_unless_asked(rescaled: RescaledImage, tmp_path: Path) -> None:
    path = tmp_path / "a.bbmr"
    path.write_bytes(b"precious")
    with pytest.raises(OutputError, match="exists already"):
        save(rescaled, path)
    assert path.read_bytes() == b"precious"
    save(rescaled, path, overwrite=True)
    assert load(path) == rescaled


def test_a_failure_in_the_middle_leaves_nothing_behind(
    rescaled: RescaledImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: object, target: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "link", full)
    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(OutputError, match=r"a\.bbmr: cannot be written \(No space left"):
        save(rescaled, tmp_path / "a.bbmr")
    monkeypatch.setattr(files, "encode", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save(rescaled, tmp_path / "a.bbmr")
    assert not list(tmp_path.iterdir())


def test_oversized_metadata_names_the_file(
    rescaled: RescaledImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "METADATA_LIMIT", 3)
    with pytest.raises(FileFormatError, match=r"a\.bbmr: the EXIF has 4 bytes"):
        save(rescaled, tmp_path / "a.bbmr")


def test_what_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    with pytest.raises(BbmrError, match=r"none\.bbmr: cannot be read \(No such file"):
        load(tmp_path / "none.bbmr")
    with pytest.raises(BbmrError, match="this is a folder"):
        load(tmp_path)
    with pytest.raises(BbmrError, match="not a regular file"):
        load("/dev/zero")
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    for read in (load, load_outline, sections):
        with pytest.raises(FileFormatError, match=r"photo\.jpg: not a \.bbmr file"):
            read(tmp_path / "photo.jpg")


def test_no_right_to_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, os.strerror(13))

    (tmp_path / "a.bbmr").touch()
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(BbmrError, match=r"a\.bbmr: cannot be read \(Permission denied"):
        load(tmp_path / "a.bbmr")


def test_large_foreign_files_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "film.bbmr"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # sparse: reading it would take a terabyte of memory
    with pytest.raises(FileFormatError, match=r"not a \.bbmr file"):
        load(path)
