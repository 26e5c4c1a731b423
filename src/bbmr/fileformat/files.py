"""Saving and loading .bbmr files."""

import os
import stat
from os import PathLike
from pathlib import Path
from typing import BinaryIO

from bbmr.atomic import check_free, replacing
from bbmr.fileformat import codec, container
from bbmr.fileformat.container import HEADER_LIMIT, MAX_PIXELS, Header
from bbmr.fileformat.errors import FileFormatError
from bbmr.rescaled import RescaledImage


def save(rescaled: RescaledImage, path: str | PathLike[str], overwrite: bool = False) -> None:
    """Write a .bbmr file, whole or not at all.

    Raises OutputError, a BbmrError, where `path` exists and `overwrite` is false, or cannot be written.
    """
    path = Path(path)
    check_free(path, overwrite)  # before the work of encoding
    try:
        data = codec.encode(rescaled)
    except FileFormatError as error:
        raise FileFormatError(f"{path}: {error}") from error
    with replacing(path, overwrite) as file:
        file.write(data)


def load(path: str | PathLike[str], max_pixels: int = MAX_PIXELS) -> RescaledImage:
    """Read a .bbmr file.

    max_pixels: pixels of whole blocks that may be allocated.  Raises FileFormatError, a BbmrError, for files that are
    missing, unreadable, foreign, damaged, newer, or larger than that; the message names the file.
    """
    path = Path(path)
    try:
        with _open(path) as file:
            # The header first, so that a large foreign file is not read.
            _read_header(file, max_pixels)
            file.seek(0)
            return codec.decode(file.read(), max_pixels)
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read ({error.strerror or error})") from error
    except FileFormatError as error:
        raise type(error)(f"{path}: {error}") from error


def sections(path: str | PathLike[str]) -> dict[str, int]:
    """Where a file's bytes go: {"header", "recipe", "scale map", "LR samples x16", ...: bytes}, adding up to the file.

    Reads the header alone; raises FileFormatError as `load` does, whatever the picture's size.
    """
    path = Path(path)
    try:
        with _open(path) as file:
            header = _read_header(file, max_pixels=1 << 64)
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read ({error.strerror or error})") from error
    except FileFormatError as error:
        raise FileFormatError(f"{path}: {error}") from error
    return {"header": header.size} | {entry.kind.label: entry.length for entry in header.entries}


def _open(path: Path) -> BinaryIO:
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise FileFormatError("this is a folder; give a .bbmr file")
    if not stat.S_ISREG(mode):  # reading a pipe or a device may never end
        raise FileFormatError("not a regular file; give a .bbmr file")
    return path.open("rb")


def _read_header(file: BinaryIO, max_pixels: int) -> Header:
    return container.read_header(file.read(HEADER_LIMIT), os.fstat(file.fileno()).st_size, max_pixels)
