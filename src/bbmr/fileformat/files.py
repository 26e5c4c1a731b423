"""Saving and loading .bbmr files."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import BinaryIO

from bbmr.atomic import check_free, replacing
from bbmr.fileformat import codec, container
from bbmr.fileformat.container import HEADER_LIMIT, MAX_PIXELS, Header
from bbmr.fileformat.errors import FileFormatError
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
    with _naming(path):
        data = codec.encode(rescaled, max_pixels)
    with replacing(path, overwrite) as file:
        file.write(data)


def load(path: str | PathLike[str], max_pixels: int = MAX_PIXELS) -> RescaledImage:
    """Read a .bbmr file.

    max_pixels: pixels of whole blocks that may be allocated.  Raises FileFormatError, a BbmrError, for files that are
    missing, unreadable, foreign, damaged, newer, or larger than that; the message names the file.
    """
    with _naming(path):
        return codec.decode(_read(path, max_pixels), max_pixels)


def load_outline(path: str | PathLike[str], max_pixels: int = MAX_PIXELS) -> Outline:
    """Read of a .bbmr file all but samples and metadata, quickly; checks that it is whole.  As `load`."""
    with _naming(path):
        return codec.decode_outline(_read(path, max_pixels), max_pixels)


def sections(path: str | PathLike[str]) -> dict[str, int]:
    """Where a file's bytes go: {"header", "recipe", "scale map", "LR samples x16", ...: bytes}, adding up to the file.

    Reads the header alone; raises FileFormatError as `load` does, whatever the picture's size.
    """
    with _naming(path), _open(path) as file:
        header = _read_header(file, max_pixels=1 << 64)
    return {"header": header.size} | {entry.kind.label: entry.length for entry in header.entries}


@contextmanager
def _naming(path: str | PathLike[str]) -> Iterator[None]:
    """Say in errors which file they are about."""
    try:
        yield
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read ({error.strerror or error})") from error
    except FileFormatError as error:
        raise type(error)(f"{path}: {error}") from error


def _read(path: str | PathLike[str], max_pixels: int) -> bytes:
    with _open(path) as file:
        # The header first, so that a large foreign file is not read.
        _read_header(file, max_pixels)
        file.seek(0)
        return file.read()


def _open(path: str | PathLike[str]) -> BinaryIO:
    path = Path(path)
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise FileFormatError("this is a folder; give a .bbmr file")
    if not stat.S_ISREG(mode):  # reading a pipe or a device may never end
        raise FileFormatError("not a regular file; give a .bbmr file")
    return path.open("rb")


def _read_header(file: BinaryIO, max_pixels: int) -> Header:
    return container.read_header(file.read(HEADER_LIMIT), os.fstat(file.fileno()).st_size, max_pixels)
