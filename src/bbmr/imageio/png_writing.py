"""PNG of 8 and 16 bits, row by row."""

import struct
import zlib
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from bbmr.depth import Samples
from bbmr.imageio.exif import CENTIMETRE, resolution
from bbmr.imageio.png_reading import SIGNATURE, XMP_KEYWORD
from bbmr.imageio.sheet import Sheet
from bbmr.picture import Metadata

_COLOURS = {"L": 0, "RGB": 2, "LA": 4, "RGBA": 6}
_LEVEL = 6
_FILTERED = 1 << 18
"""Bytes that are filtered at once: they stay in the cache."""
_SUB, _UP, _PAETH = 1, 2, 4

Bytes = NDArray[np.uint8]


class PngEncoder:
    """Each row filtered by what leaves the smallest differences, then deflated."""

    def __init__(self, file: BinaryIO, sheet: Sheet) -> None:
        self._file = file
        self._pixel = sheet.channels * sheet.depth // 8  # bytes
        self._above: Bytes = np.zeros((1, sheet.width * self._pixel), np.uint8)
        self._deflate = zlib.compressobj(_LEVEL, strategy=zlib.Z_FILTERED)
        file.write(SIGNATURE)
        header = sheet.width, sheet.height, sheet.depth, _COLOURS[sheet.mode], 0, 0, 0
        self._chunk(b"IHDR", struct.pack(">IIBBBBB", *header))
        for name, content in _metadata_chunks(sheet.metadata):
            self._chunk(name, content)

    def add(self, samples: Samples) -> None:
        rows = np.ascontiguousarray(samples.astype(">u2") if samples.dtype == np.uint16 else samples)
        data = rows.view(np.uint8).reshape(len(samples), -1)
        count = max(1, _FILTERED // data.shape[1])
        for top in range(0, len(data), count):
            part = data[top : top + count]
            self._put(self._deflate.compress(self._filtered(part).tobytes()))
            self._above = part[-1:].copy()

    def finish(self) -> None:
        self._put(self._deflate.flush())
        self._chunk(b"IEND", b"")

    def _filtered(self, rows: Bytes) -> Bytes:
        """Each led by the number of its filter."""
        above = np.concatenate([self._above, rows[:-1]])
        left, corner = _shifted(rows, self._pixel), _shifted(above, self._pixel)
        candidates = {_SUB: rows - left, _UP: rows - above, _PAETH: rows - _paeth(left, above, corner)}
        names = np.array(list(candidates), np.uint8)
        best = np.argmin([_size(residue) for residue in candidates.values()], axis=0)
        filtered = np.empty((len(rows), rows.shape[1] + 1), np.uint8)
        filtered[:, 0] = names[best]
        for number, residue in enumerate(candidates.values()):
            filtered[best == number, 1:] = residue[best == number]
        return filtered

    def _put(self, data: bytes) -> None:
        if data:
            self._chunk(b"IDAT", data)

    def _chunk(self, name: bytes, content: bytes) -> None:
        self._file.write(struct.pack(">I", len(content)) + name)
        self._file.write(content)
        self._file.write(struct.pack(">I", zlib.crc32(content, zlib.crc32(name))))


def _metadata_chunks(metadata: Metadata) -> list[tuple[bytes, bytes]]:
    chunks: list[tuple[bytes, bytes]] = []
    if metadata.icc is not None:
        chunks.append((b"iCCP", b"ICC Profile\0\0" + zlib.compress(metadata.icc)))
    found = resolution(metadata)
    if found is not None:
        across, down, unit = found
        metre = 100 if unit == CENTIMETRE else 10_000 / 254
        sizes = round(across * metre), round(down * metre)
        if max(sizes) < 1 << 31:
            chunks.append((b"pHYs", struct.pack(">IIB", *sizes, 1)))
    if metadata.exif is not None:
        chunks.append((b"eXIf", metadata.exif))
    if metadata.xmp is not None:
        chunks.append((b"iTXt", XMP_KEYWORD + bytes(5) + metadata.xmp))
    return chunks


def _size(residue: Bytes) -> NDArray[np.int64]:
    """Sum of the magnitudes in each row, as of signed numbers."""
    sums: NDArray[np.int64] = np.minimum(residue, 0 - residue).sum(axis=1, dtype=np.int64)
    return sums


def _shifted(rows: Bytes, pixel: int) -> Bytes:
    """What stands a pixel to the left."""
    shifted = np.zeros_like(rows)
    shifted[:, pixel:] = rows[:, :-pixel]
    return shifted


def _paeth(left: Bytes, above: Bytes, corner: Bytes) -> Bytes:
    """Of the three the one nearest to left + above - corner."""
    wide_corner = corner.astype(np.int16)
    to_left, to_above = above - wide_corner, left - wide_corner
    to_corner = np.abs(to_left + to_above)
    to_left, to_above = np.abs(to_left), np.abs(to_above)
    chosen = np.where(to_above <= to_corner, above, corner)
    return np.where((to_left <= to_above) & (to_left <= to_corner), left, chosen)
