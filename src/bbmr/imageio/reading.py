"""Reading users' pictures, whole or strip by strip.

Pixels stay as they are stored: a picture that carries an EXIF orientation is not turned, the tag survives instead.
What cannot be kept is refused with a PictureError or said by a PictureWarning.
"""

import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np

from bbmr.depth import Samples, dtype_of
from bbmr.imageio.errors import PictureError, warn
from bbmr.imageio.exif import stripped
from bbmr.imageio.formats import HEAD, READ_FORMATS, format_of
from bbmr.imageio.heic import open_heic
from bbmr.imageio.jpeg_reading import open_jpeg
from bbmr.imageio.jpegxl import open_jpegxl
from bbmr.imageio.pillow_reading import open_with_pillow
from bbmr.imageio.png_reading import open_png
from bbmr.imageio.pnm_reading import open_pnm
from bbmr.imageio.source import Source
from bbmr.imageio.tiff_reading import open_tiff
from bbmr.picture import Metadata, Picture
from bbmr.pillow_limit import no_pillow_limit

MAX_PIXELS = 1 << 27
"""Pixels that a picture may have unless the caller allows more: 134 million, 400 MB of RGB samples."""

_ROWS = 64  # of the strips that a whole picture is read in
_OPENERS: dict[str, Callable[[Path, BinaryIO, int], Source]] = {
    "PNG": open_png,
    "JPEG": open_jpeg,
    "TIFF": open_tiff,
    "JPEG XL": open_jpegxl,
    "HEIC": open_heic,
    "PPM": open_pnm,
}


class PictureReader:
    """An open picture: what its header says, and its samples from top to bottom.

    height, width: in pixels.  mode: L, LA, RGB or RGBA.  depth: 8 or 16 bits a sample.  metadata: EXIF as the bytes of
    its TIFF stream (starting with II or MM), ICC profile and XMP as stored; a resolution that the file has outside EXIF
    is put into it.
    streams: whether `strips` takes memory for a strip or so (interlaced PNG and progressive JPEG take that of the whole
    picture even so), or decodes the whole picture at once.
    """

    def __init__(self, path: Path, source: Source) -> None:
        self._path, self._source = path, source
        self.height, self.width = source.height, source.width
        self.mode, self.depth = source.mode, source.depth
        self.metadata: Metadata = source.metadata
        self.streams = source.streams

    def __enter__(self) -> "PictureReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._source = replace(self._source, strips=_closed)

    def strips(self, height: int) -> Iterator[Picture]:
        """The picture from top to bottom, each strip of `height` rows but for the last; without metadata.

        Raises PictureError where the file is damaged, on the way too.
        """
        with _naming(self._path):
            for samples in self._source.strips(height):
                self._check(samples)
                yield Picture.from_array(samples)

    def read(self) -> Picture:
        """The whole picture, metadata included.  Raises PictureError as `strips` does."""
        with _naming(self._path):
            shape = self.height, self.width, self._source.channels
            whole = np.empty(shape, dtype_of(self.depth))
            top = 0
            for samples in self._source.strips(_ROWS if self.streams else self.height):
                self._check(samples)
                whole[top : top + len(samples)] = samples
                top += len(samples)
            if top != self.height:
                raise ValueError("rows are missing")
        return replace(Picture.from_array(whole), metadata=self.metadata)

    def _check(self, samples: Samples) -> None:
        if samples.shape[1:] != (self.width, self._source.channels) or samples.dtype != dtype_of(self.depth):
            raise ValueError(f"{samples.shape} {samples.dtype} samples where its header says otherwise")


def open_picture(path: str | PathLike[str], max_pixels: int = MAX_PIXELS, strip: bool = False) -> PictureReader:
    """Open a still picture of 8 or 16 bits a sample; only its header and metadata are read.

    strip: leave out EXIF data and XMP, but for the orientation; the colour profile stays.

    The size is held against `max_pixels` before anything is decoded.  Other kinds (palette, 1 bit, CMYK, YCbCr, Lab, 10
    or 12 bits) become L, LA, RGB or RGBA of 8 or 16 bits, with a PictureWarning; CMYK by its own profile.  Raises
    PictureError if the file is missing, no regular file, unreadable, damaged or no picture, has more than `max_pixels`
    pixels, several frames or pages (of a camera's multi-picture JPEG the first is read, with a warning), samples that
    are neither 8 nor 16 bits nor can be scaled to them, or metadata beyond 64 MiB.
    """
    path = Path(path)
    with _opened(path) as file, _naming(path):
        name = format_of(file.read(HEAD))
        if name is None:
            raise PictureError(_unknown(file))
        file.seek(0)
        with no_pillow_limit():
            opener = _OPENERS.get(name)
            source = opener(path, file, max_pixels) if opener else open_with_pillow(path, file, name, max_pixels)
    for remark in source.remarks:
        warn(f"{path}: {remark}")
    if strip:
        source = replace(source, metadata=stripped(source.metadata))
    return PictureReader(path, source)


def read_picture(path: str | PathLike[str], max_pixels: int = MAX_PIXELS, strip: bool = False) -> Picture:
    """Read a whole picture, in its size, mode and depth, pixels as stored.

    strip: as of `open_picture`, which also says what it warns of and raises.
    """
    with open_picture(path, max_pixels, strip) as reader:
        return reader.read()


def _closed(height: int) -> Iterator[Samples]:
    raise PictureError("the picture has been closed")


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # reading a pipe or a device may never end
            raise PictureError(f"{path}: not a regular file; give a picture's file")
        file = path.open("rb")
    except FileNotFoundError as error:
        raise PictureError(f"{path}: there is no such file") from error
    except IsADirectoryError as error:
        raise PictureError(f"{path}: this is a folder, not a picture") from error
    except PermissionError as error:
        raise PictureError(f"{path}: you may not read this file") from error
    except (OSError, ValueError) as error:
        raise PictureError(f"{path}: cannot be read ({error})") from error
    with file:
        yield file


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Say in errors which file they are about, whatever they come from."""
    try:
        yield
    except PictureError as error:
        raise PictureError(f"{path}: {error}") from error
    except MemoryError as error:
        raise PictureError(f"{path}: the picture does not fit into memory") from error
    except Exception as error:  # decoders raise nearly anything on damaged files
        raise PictureError(
            f"{path}: the picture is damaged or truncated ({_first_line(error)}); get a new copy"
        ) from error


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines()]
    return next((line for line in lines[1:] or lines if line), type(error).__name__)


def _unknown(file: BinaryIO) -> str:
    file.seek(0)
    if not file.read(1):
        return "the file is empty"
    return f"not a picture of a known format ({', '.join(READ_FORMATS)}); save it as PNG or JPEG first"
