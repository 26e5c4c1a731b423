"""TIFF of 8 and 16 bits, strip by strip, deflated; BigTIFF where 32 bits may not suffice for offsets.

Large pictures are stored in tiles, so that a viewer reads what it shows and not whole rows.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

import imagecodecs
import numpy as np

from bbmr.depth import Samples
from bbmr.imageio.errors import warn
from bbmr.imageio.exif import LONG, LONG8, SHORT, UNDEFINED, Directory, Entry, ExifError, directory_bytes, entry
from bbmr.imageio.regrouping import Regrouping
from bbmr.imageio.sheet import Sheet
from bbmr.imageio.tiff_reading import ICC, XMP, directory_of

_STRIP = 1 << 20
"""Bytes of samples in a strip, at least a row."""
_TILE, _TILED = 256, 1 << 24
"""Rows and columns of a tile, and the pixels above which a picture has tiles."""
_CLASSIC_LIMIT = (1 << 32) - (1 << 28)
_DEFLATE, _DIFFERENCES = 8, 2
_BLACK_IS_ZERO, _RGB = 1, 2
_UNASSOCIATED_ALPHA = 2
_EXIF, _MAKER_NOTE = 34665, 37500
_LEVEL = 6


class TiffEncoder:
    """The directory comes last, when it is known where the strips lie; EXIF tags are among its own."""

    def __init__(self, file: BinaryIO, sheet: Sheet, name: str) -> None:
        self._file, self._sheet = file, sheet
        metadata = sheet.metadata
        self._order, self._tags = "<", dict[int, Entry | Directory]()
        if metadata.exif is not None:
            try:
                self._order, tags, lost = directory_of(metadata.exif)
                self._tags = dict(tags)
                for words in lost:
                    warn(f"{name}: {words}")
                photograph = tags.get(_EXIF)
                if isinstance(photograph, dict) and _MAKER_NOTE in photograph:
                    warn(f"{name}: the camera's own notes (MakerNote) are kept, but what they point to has moved")
            except ExifError as error:
                warn(f"{name}: written without the EXIF data, which are damaged ({error})")
        size = sheet.height * sheet.width * sheet.channels * sheet.depth // 8
        more = sum(len(part or b"") for part in (metadata.icc, metadata.exif, metadata.xmp))
        self._big = size + more > _CLASSIC_LIMIT
        self._is_tiled = sheet.height * sheet.width > _TILED and min(sheet.height, sheet.width) >= _TILE
        self._height = _TILE if self._is_tiled else max(1, _STRIP // (sheet.width * sheet.channels * sheet.depth // 8))
        self._rows = Regrouping(self._height, sheet.height)
        self._pieces: list[tuple[int, int]] = []  # offset, length of each strip or tile
        self._file.write(self._header(0))
        self._position = 16 if self._big else 8

    def add(self, samples: Samples) -> None:
        for rows in self._rows.add(samples):
            for piece in _tiles(rows) if self._is_tiled else (rows,):
                self._write_piece(piece)

    def finish(self) -> None:
        at = self._position + self._position % 2
        self._file.write(bytes(at - self._position))
        self._file.write(directory_bytes(self._order, self._tags | self._layout(), at, self._big))
        self._file.seek(0)
        self._file.write(self._header(at))
        self._file.seek(0, 2)

    def _header(self, directory: int) -> bytes:
        mark = b"II" if self._order == "<" else b"MM"
        if self._big:
            return mark + struct.pack(f"{self._order}HHHQ", 43, 8, 0, directory)
        return mark + struct.pack(f"{self._order}HI", 42, directory)

    def _write_piece(self, samples: Samples) -> None:
        """Samples are lost by it."""
        samples[:, 1:] = np.diff(samples, axis=1)  # unsigned, so it wraps as it should
        if samples.dtype == np.uint16:
            samples = samples.astype(f"{self._order}u2")
        data = imagecodecs.zlib_encode(samples.tobytes(), _LEVEL)
        self._file.write(data)
        self._pieces.append((self._position, len(data)))
        self._position += len(data)

    def _layout(self) -> dict[int, Entry | Directory]:
        sheet, order = self._sheet, self._order
        offsets, lengths = (
            entry(order, LONG8 if self._big else LONG, *numbers) for numbers in zip(*self._pieces, strict=True)
        )
        tags: dict[int, Entry | Directory] = {
            256: entry(order, LONG, sheet.width),
            257: entry(order, LONG, sheet.height),
            258: entry(order, SHORT, *(sheet.depth,) * sheet.channels),
            259: entry(order, SHORT, _DEFLATE),
            262: entry(order, SHORT, _RGB if sheet.channels > 2 else _BLACK_IS_ZERO),
            277: entry(order, SHORT, sheet.channels),
            284: entry(order, SHORT, 1),
            317: entry(order, SHORT, _DIFFERENCES),
        }
        if self._is_tiled:
            side = entry(order, LONG, _TILE)
            tags |= {322: side, 323: side, 324: offsets, 325: lengths}
        else:
            tags |= {273: offsets, 278: entry(order, LONG, self._height), 279: lengths}
        if sheet.mode.endswith("A"):
            tags[338] = entry(order, SHORT, _UNASSOCIATED_ALPHA)
        if sheet.metadata.icc is not None:
            tags[ICC] = Entry(UNDEFINED, len(sheet.metadata.icc), sheet.metadata.icc)
        if sheet.metadata.xmp is not None:
            tags[XMP] = Entry(1, len(sheet.metadata.xmp), sheet.metadata.xmp)
        return tags


def _tiles(rows: Samples) -> Iterator[Samples]:
    """From left to right, whole ones: beyond the picture its last samples go on, which deflate well."""
    height, width = rows.shape[:2]
    for left in range(0, width, _TILE):
        tile = rows[:, left : left + _TILE]
        missing = (0, _TILE - height), (0, _TILE - tile.shape[1]), (0, 0)
        yield np.pad(tile, missing, "edge")
