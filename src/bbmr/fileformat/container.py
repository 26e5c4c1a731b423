"""The container: a header with a table of sections, then the sections, each under a checksum.

docs/format.md is the specification.  Everything that is allocated later follows from this header, so what it claims
is held against the file's own length here.
"""

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from bbmr.blocks import BLOCK_SIDES, SCALES, BlockGrid
from bbmr.fileformat.errors import FileFormatError, PictureTooLargeError

MAGIC = b"\xbbBMR"
VERSION = 1
MAX_PIXELS = 1 << 28
"""Pixels of whole blocks that a reader takes unless asked for more: 16384 x 16384, 0.8 GB restored."""

FREE_PIXELS = 1 << 20
PIXELS_PER_BYTE = 1 << 12
"""A file of n bytes stands for at most FREE_PIXELS + PIXELS_PER_BYTE * n pixels of whole blocks.

Photographs need about a byte for ten pixels; blank pictures are padded.  So a small file cannot ask for much memory.
"""

_START = struct.Struct("<4sBBBBII")  # magic, version, block side, channels, sections, height, width
_ENTRY = struct.Struct("<BBII")  # kind, codec, length, checksum
_CHECKSUM = struct.Struct("<I")
HEADER_LIMIT = _START.size + 255 * _ENTRY.size + _CHECKSUM.size


class Kind(IntEnum):
    """What a section holds; the LR samples of scale k are of kind 16 + log2 k."""

    RECIPE = 1
    SCALE_MAP = 2
    ALPHA = 3
    ICC = 4
    EXIF = 5
    XMP = 6
    PADDING = 7
    LR_1 = 16
    LR_2 = 17
    LR_4 = 18
    LR_8 = 19
    LR_16 = 20

    @property
    def label(self) -> str:
        """The section's name in messages and tables."""
        if self >= Kind.LR_1:
            return f"LR samples x{1 << (self - Kind.LR_1)}"
        return {Kind.SCALE_MAP: "scale map", Kind.ICC: "ICC profile", Kind.EXIF: "EXIF", Kind.XMP: "XMP"}.get(
            self, self.name.lower()
        )


LR_KINDS = dict(zip(SCALES, (Kind.LR_1, Kind.LR_2, Kind.LR_4, Kind.LR_8, Kind.LR_16), strict=True))


class Codec(IntEnum):
    """How a section's bytes are coded."""

    STORED = 0
    ZLIB = 1
    JPEG_XL = 2
    AV1 = 3


@dataclass(frozen=True)
class Section:
    """One part of a file, as its codec left it."""

    kind: Kind
    codec: Codec
    payload: bytes | memoryview


@dataclass(frozen=True)
class Entry:
    """A line of the header's table: where a section lies and what its checksum is."""

    kind: Kind
    codec: Codec
    start: int
    length: int
    checksum: int


@dataclass(frozen=True)
class Header:
    """What a file says before its sections."""

    grid: BlockGrid
    channels: int
    entries: tuple[Entry, ...]
    size: int
    """Bytes of the header itself."""


def area(grid: BlockGrid) -> int:
    """Pixels of all blocks, partial ones counted whole: what bounds the LR samples of any map of scales."""
    return grid.rows * grid.cols * grid.side**2


def check_size(grid: BlockGrid, max_pixels: int, advice: str) -> None:
    """Raise PictureTooLargeError, ending with `advice`, if whole blocks hold more than `max_pixels`."""
    if area(grid) > max_pixels:
        raise PictureTooLargeError(
            f"{grid.width} x {grid.height} pixels, {area(grid)} in whole blocks, are more than the {max_pixels} "
            f"allowed; {advice}"
        )


def write(grid: BlockGrid, channels: int, sections: Iterable[Section]) -> bytes:
    """The file's bytes; a section of zeros is added where it would otherwise claim too many pixels for its length."""
    sections = list(sections)
    for section in sections:
        if len(section.payload) >= 1 << 32:
            raise FileFormatError(f"the {section.kind.label} takes {len(section.payload)} bytes; 4 GiB is the limit")
    length = _header_size(len(sections)) + sum(len(section.payload) for section in sections)
    needed = -(-(area(grid) - FREE_PIXELS) // PIXELS_PER_BYTE)
    if length < needed:
        zeros = bytes(max(needed - length - _ENTRY.size, 0))
        sections.append(Section(Kind.PADDING, Codec.STORED, zeros))
    start = _START.pack(MAGIC, VERSION, grid.side, channels, len(sections), grid.height, grid.width)
    table = b"".join(_ENTRY.pack(s.kind, s.codec, len(s.payload), zlib.crc32(s.payload)) for s in sections)
    header = start + table
    return b"".join((header, _CHECKSUM.pack(zlib.crc32(header)), *(section.payload for section in sections)))


def read_header(head: bytes, length: int, max_pixels: int = MAX_PIXELS) -> Header:
    """Read and check the header.

    head: the first HEADER_LIMIT bytes of the file, or all if there are fewer; length: bytes of the whole file.
    Raises FileFormatError for files that are foreign, newer, cut off, extended or damaged, or that claim more pixels
    than a file of this length may; PictureTooLargeError for more than `max_pixels`.
    """
    if not head:
        raise FileFormatError("the file is empty")
    if head[: len(MAGIC)] != MAGIC[: len(head)]:
        raise FileFormatError("not a .bbmr file; give one that `bbmr compress` wrote")
    if len(head) > len(MAGIC) and head[len(MAGIC)] > VERSION:
        raise FileFormatError(
            f"written by a newer bbmr (format version {head[len(MAGIC)]}, this one reads {VERSION}): update bbmr"
        )
    if len(head) < _START.size:
        raise FileFormatError("cut off within its header; get a whole copy of the file")
    _, version, side, channels, count, height, width = _START.unpack_from(head)
    size = _header_size(count)
    if len(head) < size:
        raise FileFormatError("cut off within its header; get a whole copy of the file")
    (checksum,) = _CHECKSUM.unpack_from(head, size - _CHECKSUM.size)
    if checksum != zlib.crc32(head[: size - _CHECKSUM.size]):
        raise FileFormatError("damaged: the checksum of the header does not match")
    if version != VERSION or channels not in (1, 3) or side not in BLOCK_SIDES or not height or not width:
        raise FileFormatError(
            f"broken header: version {version}, {width} x {height} pixels, block {side}, {channels} channels"
        )
    entries = _read_entries(head, count, size)
    end = entries[-1].start + entries[-1].length if entries else size
    if length != end:
        what = f"cut off: {length} of {end} bytes are there" if length < end else f"{length - end} bytes too long"
        raise FileFormatError(f"{what}; get a whole copy of the file")
    grid = BlockGrid(height, width, side)
    check_size(grid, max_pixels, "if the file is what it should be, raise max_pixels (--max-pixels)")
    if area(grid) > FREE_PIXELS + PIXELS_PER_BYTE * length:
        raise FileFormatError(f"broken: {length} bytes cannot hold {width} x {height} pixels")
    return Header(grid, channels, entries, size)


def read_sections(header: Header, data: bytes) -> dict[Kind, Section]:
    """The sections of the whole file `data`, views without a copy.  Raises FileFormatError where one is damaged."""
    view = memoryview(data)
    sections = {}
    for entry in header.entries:
        payload = view[entry.start : entry.start + entry.length]
        if zlib.crc32(payload) != entry.checksum:
            raise FileFormatError(f"damaged: the checksum of the {entry.kind.label} does not match")
        sections[entry.kind] = Section(entry.kind, entry.codec, payload)
    return sections


def _header_size(sections: int) -> int:
    return _START.size + sections * _ENTRY.size + _CHECKSUM.size


def _read_entries(head: bytes, count: int, start: int) -> tuple[Entry, ...]:
    entries: dict[Kind, Entry] = {}
    for index in range(count):
        number, codec, length, checksum = _ENTRY.unpack_from(head, _START.size + index * _ENTRY.size)
        if number not in set(Kind):
            raise FileFormatError(f"holds a section of unknown kind {number}: update bbmr")
        kind = Kind(number)
        if codec not in set(Codec):
            raise FileFormatError(f"the {kind.label} has the unknown codec {codec}: update bbmr")
        if kind in entries:
            raise FileFormatError(f"broken: it holds the {kind.label} twice")
        entries[kind] = Entry(kind, Codec(codec), start, length, checksum)
        start += length
    return tuple(entries.values())
