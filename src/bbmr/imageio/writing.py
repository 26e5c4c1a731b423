"""Writing pictures, whole or strip by strip; a file appears under its name only when it is complete."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import BinaryIO

import numpy as np

from bbmr.atomic import replacing
from bbmr.depth import Samples, in_8_bit
from bbmr.imageio import jpegxl, pillow_writing
from bbmr.imageio.errors import PictureError, warn
from bbmr.imageio.formats import DEEP, GRAYLESS
from bbmr.imageio.holdable import check_holdable
from bbmr.imageio.jpeg_writing import JpegEncoder
from bbmr.imageio.metadata import profile_space
from bbmr.imageio.png_writing import PngEncoder
from bbmr.imageio.sheet import Encoder, Sheet
from bbmr.imageio.tiff_writing import TiffEncoder
from bbmr.picture import Metadata, Picture

_STREAMED = frozenset(("PNG", "TIFF", "JPEG"))


class PictureWriter:
    """A picture that is being written, see `create_picture`."""

    def __init__(self, path: Path, sheet: Sheet, name: str, encoder: Encoder) -> None:
        self._path, self._sheet, self._name, self._encoder = path, sheet, name, encoder
        self._missing = sheet.height

    def add(self, strip: Picture) -> None:
        """The next rows, of the picture's width, mode and depth; what metadata they have does not count.

        Raises ValueError for others, PictureError for what the format cannot hold, OSError where the system refuses.
        """
        sheet = self._sheet
        if (strip.width, strip.mode, strip.depth) != (sheet.width, sheet.mode, sheet.depth):
            raise ValueError(
                f"a strip has {strip.width} pixels a row, {strip.mode}, {strip.depth} bits: not the picture's"
            )
        if strip.height > self._missing:
            raise ValueError(f"there are more than {sheet.height} rows")
        samples = np.atleast_3d(strip.to_array())
        with _naming(self._path, self._name):
            self._encoder.add(samples if self._name in DEEP else in_8_bit(samples))
        self._missing -= strip.height

    def finish(self) -> None:
        """What comes behind the last row.  Raises ValueError where that has not been added."""
        if self._missing:
            raise ValueError(f"{self._missing} of {self._sheet.height} rows are missing")
        with _naming(self._path, self._name):
            self._encoder.finish()


@contextmanager
def create_picture(
    path: str | PathLike[str],
    height: int,
    width: int,
    mode: str,
    depth: int = 8,
    metadata: Metadata | None = None,
    overwrite: bool = False,
    quality: int = 95,
) -> Iterator[PictureWriter]:
    """Write a picture of L, LA, RGB or RGBA, 8 or 16 bits, strip by strip: `with create_picture(...) as writer:
    writer.add(strip)`, from top to bottom, of any heights.

    The file is there when the block has ended well, else nothing is.  PNG, TIFF and JPEG take memory for a few strips,
    the other formats for the whole picture.  Warns and raises as `write_picture` does, and ValueError for too few rows.
    """
    path = Path(path)
    sheet = Sheet(height, width, mode, depth, metadata or Metadata())
    name = check_holdable(path, sheet)
    if not 1 <= quality <= 100:
        raise PictureError(f"quality {quality} is not between 1 and 100")
    fitted = _fitted(path, sheet, name)
    with replacing(path, overwrite) as file:
        with _naming(path, name):
            encoder = _encoder(file, fitted, name, quality, path)
        writer = PictureWriter(path, sheet, name, encoder)
        yield writer
        writer.finish()


def write_picture(picture: Picture, path: str | PathLike[str], overwrite: bool = False, quality: int = 95) -> None:
    """Write `picture` in the format that the suffix of `path` names, whole or not at all, metadata included.

    PNG, TIFF, WebP and JPEG XL keep every sample, WebP of 8 bits.  JPEG and AVIF are lossy: `quality` 1 to 100, chroma
    at full resolution (4:4:4).  JPEG, WebP and AVIF are written with 8 bits, WebP and AVIF hold gray as RGB, with a
    PictureWarning.  Raises PictureError where `check_holdable` does;
    OutputError (see `bbmr.atomic`) if the file exists and `overwrite` is false, or cannot be written.
    """
    size = picture.height, picture.width, picture.mode, picture.depth
    with create_picture(path, *size, picture.metadata, overwrite, quality) as writer:
        writer.add(picture)


def _fitted(path: Path, sheet: Sheet, name: str) -> Sheet:
    """What the format makes of it, with a word where that is less."""
    icc = sheet.metadata.icc
    space = "GRAY" if sheet.mode.startswith("L") else "RGB"
    if name == "PNG" and icc is not None and profile_space(icc) != space:  # PNG 11.3.2.3 forbids it
        warn(f"{path}: written without its colour profile, which PNG cannot have: it is none of {space}")
        sheet = replace(sheet, metadata=replace(sheet.metadata, icc=None))
    if sheet.depth > 8 and name not in DEEP:
        warn(f"{path}: {name} is written with 8 bits a sample; the picture has {sheet.depth}")
        sheet = replace(sheet, depth=8)
    if sheet.mode.startswith("L") and name in GRAYLESS:
        sheet = replace(sheet, mode=sheet.mode.replace("L", "RGB"))
        lost = ""
        if profile_space(sheet.metadata.icc) == "GRAY":
            sheet = replace(sheet, metadata=replace(sheet.metadata, icc=None))
            lost = " and without its gray colour profile"
        warn(f"{path}: {name} has no gray pictures; written as {sheet.mode}{lost}")
    return sheet


def _encoder(file: BinaryIO, sheet: Sheet, name: str, quality: int, path: Path) -> Encoder:
    if name == "PNG":
        return PngEncoder(file, sheet)
    if name == "TIFF":
        return TiffEncoder(file, sheet, str(path))
    if name == "JPEG":
        return JpegEncoder(file, sheet, quality)
    return _WholeEncoder(file, sheet, name, quality)


class _WholeEncoder:
    """WebP, AVIF and JPEG XL: coded when all rows are there."""

    def __init__(self, file: BinaryIO, sheet: Sheet, name: str, quality: int) -> None:
        self._file, self._sheet, self._name, self._quality = file, sheet, name, quality
        self._rows: list[Samples] = []

    def add(self, samples: Samples) -> None:
        self._rows.append(samples)

    def finish(self) -> None:
        samples = self._rows[0] if len(self._rows) == 1 else np.concatenate(self._rows)
        metadata = self._sheet.metadata
        if self._name == "JPEG XL":
            self._file.write(jpegxl.encoded(replace(Picture.from_array(samples), metadata=metadata)))
            return
        pillow_writing.save(self._file, samples, self._sheet.mode, metadata, self._name, self._quality)


@contextmanager
def _naming(path: Path, name: str) -> Iterator[None]:
    """Say in errors which file they are about: each encoder has its own way to refuse sides or metadata."""
    try:
        yield
    except PictureError as error:
        raise PictureError(f"{path}: {error}") from error
    except MemoryError as error:
        hint = "" if name in _STREAMED else "; write PNG or TIFF"
        raise PictureError(f"{path}: the picture does not fit into memory{hint}") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:  # of the system, not of an encoder
            raise
        other = "TIFF" if name == "PNG" else "PNG"
        raise PictureError(f"{path}: the picture cannot be written as {name} ({error}); try {other}") from error
