"""Saving, loading and opening .bbmr files."""

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import BinaryIO

from bbmr.atomic import check_free, replacing
from bbmr.errors import BbmrError
from bbmr.fileformat.container import MAX_PIXELS
from bbmr.fileformat.errors import FileFormatError
from bbmr.fileformat.reader import Reader
from bbmr.fileformat.writer import encode
from bbmr.rescaled import Outline, RescaledImage


def save(
    rescaled: RescaledImage, path: str | PathLike[str], overwrite: bool = False, max_pixels: int = MAX_PIXELS
) -> None:
    """Write a .bbmr file, whole or not at all.

    max_pixels: larger pictures are refused, as `load` would refuse them.  Raises OutputError where `path` exists and
    `overwrite` is false, or cannot be written; FileFormatError as `encode` does; both are BbmrErrors.
    """
    path = Path(path)
    check_free(path, overwrite)  # before the work of encoding
    with naming(path):
        data = encode(rescaled, max_pixels)
    with replacing(path, overwrite) as file:
        file.write(data)


def load(path: str | PathLike[str], max_pixels: int = MAX_PIXELS) -> RescaledImage:
    """Read a .bbmr file of one panel.

    max_pixels: pixels of whole blocks that may be allocated.  Raises FileFormatError, a BbmrError, for files that are
    missing, unreadable, foreign, damaged, newer, or larger than that; the message names the file.
    """
    with open_file(path, max_pixels) as reader:
        return reader.rescaled()


def load_outline(path: str | PathLike[str], max_pixels: int = MAX_PIXELS) -> Outline:
    """Read of a .bbmr file all but samples and metadata, quickly; checks that it is whole.  As `load`."""
    with open_file(path, max_pixels) as reader:
        reader.check()
        return reader.outline


def sections(path: str | PathLike[str]) -> dict[str, int]:
    """Where a file's bytes go: {"header", "recipe", "scale map", "LR samples x16", ...: bytes}, adding up to the file.

    Reads the heads of sections alone; raises FileFormatError as `load` does, whatever the picture's size.
    """
    with open_file(path, max_pixels=1 << 64) as reader:
        return reader.sizes()


@contextmanager
def open_file(path: str | PathLike[str], max_pixels: int = MAX_PIXELS, salvage: bool = False) -> Iterator[Reader]:
    """A .bbmr file of any size, whose sections are read when they are asked for.

    max_pixels: of whole blocks, in all.  salvage: as of `Reader`.  Raises FileFormatError as `load` does; so does what
    the reader gives.
    """
    with naming(path), _open(path) as file:
        yield Reader(file, max_pixels, salvage)


@contextmanager
def naming(path: str | PathLike[str]) -> Iterator[None]:
    """Say in errors which file they are about."""
    try:
        yield
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read ({error.strerror or error})") from error
    except FileFormatError as error:
        raise type(error)(f"{path}: {error}") from error
    except BbmrError as error:  # what is asked of it
        raise BbmrError(f"{path}: {error}") from error


def _open(path: str | PathLike[str]) -> BinaryIO:
    path = Path(path)
    try:
        mode = path.stat().st_mode
    except ValueError as error:
        raise FileFormatError(f"this is no name of a file ({error}); give another") from error
    if stat.S_ISDIR(mode):
        raise FileFormatError("this is a folder; give a .bbmr file")
    if not stat.S_ISREG(mode):  # reading a pipe or a device may never end
        raise FileFormatError("not a regular file; give a .bbmr file")
    return path.open("rb")
