"""The container: a header, then sections one after the other, each under a checksum.

docs/format.md is the specification.  Everything that is allocated later follows from the header, so what it claims is
held against the file's own length here.
"""

import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import BinaryIO

from bbmr.blocks import BLOCK_SIDES, SCALES, BlockGrid
from bbmr.depth import DEPTHS
from bbmr.fileformat.errors import FileFormatError, PictureTooLargeError
from bbmr.panels import PANEL_PIXELS, PanelGrid
from bbmr.picture import mode_of

MAGIC = b"\xbbBMR"
VERSION = 2
MAX_PIXELS = 1 << 28
"""Pixels of whole blocks that a reader takes unless asked for more: 16384 x 16384, 0.8 GB restored."""

FREE_PIXELS = 1 << 20
PIXELS_PER_BYTE = 1 << 12
"""A file of n bytes stands for at most FREE_PIXELS + PIXELS_PER_BYTE * n pixels of whole blocks.

Photographs need about a byte for ten pixels; blank pictures are padded.  So a small file cannot ask for much memory.
"""

SMALLEST_PANEL = 256
"""Pixels per side, of pictures with several."""
_HEADER = struct.Struct("<4sBBBBIIHHQ")  # magic, version, block side, channels, depth, height, width, panel, length
_CHECKSUM = struct.Struct("<I")
HEADER_SIZE = _HEADER.size + _CHECKSUM.size
_HEAD = struct.Struct("<BBI")  # kind, codec, length
SECTION_OVERHEAD = _HEAD.size + _CHECKSUM.size


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
BEFORE = (Kind.RECIPE, Kind.ICC)
"""Sections of the whole picture in front of its panels, in this order."""
OF_PANELS = (Kind.SCALE_MAP, *reversed(LR_KINDS.values()), Kind.ALPHA)
"""Sections of each panel.  Coarse scales come first: what arrives first is worth most."""
BEHIND = (Kind.EXIF, Kind.XMP, Kind.PADDING)


class Codec(IntEnum):
    """How a section's bytes are coded."""

    STORED = 0
    ZLIB = 1
    JPEG_XL = 2
    AV1 = 3


_POSSIBLE: Mapping[Kind, Sequence[Codec]] = {
    Kind.RECIPE: (Codec.STORED,),
    Kind.SCALE_MAP: (Codec.STORED, Codec.ZLIB, Codec.JPEG_XL),
    **dict.fromkeys(LR_KINDS.values(), (Codec.JPEG_XL, Codec.AV1)),
    Kind.ALPHA: (Codec.JPEG_XL,),
    **dict.fromkeys((Kind.ICC, Kind.EXIF, Kind.XMP), (Codec.STORED, Codec.ZLIB)),
    Kind.PADDING: (Codec.STORED,),
}


@dataclass(frozen=True)
class Section:
    """One part of a file, as its codec left it."""

    kind: Kind
    codec: Codec
    payload: bytes

    def to_bytes(self) -> bytes:
        """As it stands in the file.  Raises FileFormatError for 4 GiB and more."""
        if len(self.payload) >= 1 << 32:
            raise FileFormatError(f"the {self.kind.label} takes {len(self.payload)} bytes; 4 GiB is the limit")
        head = _HEAD.pack(self.kind, self.codec, len(self.payload))
        return head + _CHECKSUM.pack(zlib.crc32(self.payload, zlib.crc32(head))) + self.payload


@dataclass(frozen=True)
class Entry:
    """Where a section's payload lies, and the checksum of `covered` and that."""

    kind: Kind
    codec: Codec
    start: int
    length: int
    checksum: int
    covered: bytes


@dataclass(frozen=True)
class Header:
    """What a file says before its sections.

    channels: 1 (gray) or 3 (RGB), without alpha.  depth: bits of a sample, 8 or 16.  length: bytes of the whole file.
    """

    panels: PanelGrid
    channels: int
    alpha: bool
    depth: int
    length: int

    @property
    def grid(self) -> BlockGrid:
        """Of the whole picture."""
        return self.panels.grid

    @property
    def mode(self) -> str:
        """As of `bbmr.picture.mode_of`."""
        return mode_of(self.channels, self.alpha)

    def to_bytes(self) -> bytes:
        """As it stands in the file."""
        grid, panels = self.grid, self.panels
        whole = len(panels) == 1
        panel = (0, 0) if whole else (panels.height, panels.width)
        channels = self.channels + self.alpha
        fields = MAGIC, VERSION, grid.side, channels, self.depth, grid.height, grid.width, *panel, self.length
        head = _HEADER.pack(*fields)
        return head + _CHECKSUM.pack(zlib.crc32(head))


@dataclass(frozen=True)
class Index:
    """A file without the payloads of its sections.

    whole: sections of the whole picture.  panels: those of each panel, in their order.
    """

    header: Header
    whole: Mapping[Kind, Entry]
    panels: tuple[Mapping[Kind, Entry], ...]

    def entries(self) -> list[Entry]:
        """All of them, as they stand in the file."""
        every = [entry for entries in (self.whole, *self.panels) for entry in entries.values()]
        return sorted(every, key=lambda entry: entry.start)


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


def padding_for(grid: BlockGrid, length: int) -> bytes:
    """What has to follow `length` bytes of a file, so that they do not claim too many pixels: nothing, or a section of
    zeros.
    """
    needed = -(-(area(grid) - FREE_PIXELS) // PIXELS_PER_BYTE)
    if length >= needed:
        return b""
    return Section(Kind.PADDING, Codec.STORED, bytes(max(needed - length - SECTION_OVERHEAD, 0))).to_bytes()


def padded(grid: BlockGrid, length: int) -> int:
    """Bytes of a file that has `length` without its padding."""
    return length + len(padding_for(grid, length))


def read_header(head: bytes, length: int, max_pixels: int = MAX_PIXELS) -> Header:
    """Read and check the header.

    head: the first HEADER_SIZE bytes of the file, or all if there are fewer; length: bytes of the whole file.  Raises
    FileFormatError for files that are foreign, newer, cut off, extended or damaged, or that claim more pixels than a
    file of this length may; PictureTooLargeError for more than `max_pixels`.
    """
    check_magic(head)
    if len(head) < HEADER_SIZE:
        raise FileFormatError("cut off within its header; get a whole copy of the file")
    _, _, side, channels, depth, height, width, panel_height, panel_width, stated = _HEADER.unpack_from(head)
    (checksum,) = _CHECKSUM.unpack_from(head, _HEADER.size)
    if checksum != zlib.crc32(head[: _HEADER.size]):
        raise FileFormatError("damaged: the checksum of the header does not match")
    possible = channels in range(1, 5) and depth in DEPTHS and side in BLOCK_SIDES and height and width
    if not possible or (not panel_height) != (not panel_width):
        raise FileFormatError(
            f"broken header: {width} x {height} pixels, block {side}, {channels} channels of {depth} bits, panels of "
            f"{panel_width} x {panel_height} blocks"
        )
    check_length(length, stated)
    grid = BlockGrid(height, width, side)
    check_size(grid, max_pixels, "if the file is what it should be, raise max_pixels (--max-pixels)")
    check_claim(grid, length)
    panel = panel_height * side, panel_width * side
    if panel_height and (min(panel) < SMALLEST_PANEL or math.prod(panel) > PANEL_PIXELS):
        raise FileFormatError(f"broken: panels of {panel_width} x {panel_height} blocks are too small or too large")
    panels = PanelGrid(grid, panel_height, panel_width) if panel_height else PanelGrid.whole(grid)
    return Header(panels, channels - 1 | 1, channels % 2 == 0, depth, length)


def check_magic(head: bytes) -> None:
    """Raise FileFormatError unless a file begins as one that this version knows."""
    if not head:
        raise FileFormatError("the file is empty")
    if head[: len(MAGIC)] != MAGIC[: len(head)]:
        raise FileFormatError("not a .bbmr file; give one that `bbmr compress` wrote")
    version = head[len(MAGIC)] if len(head) > len(MAGIC) else VERSION
    if version > VERSION:
        raise FileFormatError(
            f"written by a newer bbmr (format version {version}, this one reads {VERSION}): update bbmr"
        )
    if not version:
        raise FileFormatError("broken header: there is no format version 0")


def check_length(length: int, stated: int) -> None:
    """Raise FileFormatError unless a file is as long as it says."""
    if length != stated:
        what = (
            f"cut off: {length} of {stated} bytes are there" if length < stated else f"{length - stated} bytes too long"
        )
        raise FileFormatError(f"{what}; get a whole copy of the file")


def check_claim(grid: BlockGrid, length: int) -> None:
    """Raise FileFormatError where a file of `length` bytes may not have so many pixels."""
    if area(grid) > FREE_PIXELS + PIXELS_PER_BYTE * length:
        raise FileFormatError(f"broken: {length} bytes cannot hold {grid.width} x {grid.height} pixels")


def read_index(file: BinaryIO, header: Header) -> Index:
    """Where the sections are; `file` stands behind its header, and is read by their heads alone.

    Raises FileFormatError for what is no section, for sections in another order than they are written in, and where
    alpha is there or not against what the header says.
    """
    limit = len(BEFORE) + len(BEHIND) + len(header.panels) * len(OF_PANELS)
    entries = _read_entries(file, header.length, limit)
    whole, position = _take(entries, 0, BEFORE)
    panels = []
    for _ in range(len(header.panels)):
        own, position = _take(entries, position, OF_PANELS)
        panels.append(own)
    behind, position = _take(entries, position, BEHIND)
    if position < len(entries):
        raise FileFormatError(f"broken: the {entries[position].kind.label} is out of place, or there twice")
    for own in panels:
        if (Kind.ALPHA in own) != header.alpha:
            found = "there, though the picture has none" if Kind.ALPHA in own else "missing"
            raise FileFormatError(f"broken {Kind.ALPHA.label}: {found}")
    return Index(header, whole | behind, tuple(panels))


def read_section(file: BinaryIO, entry: Entry) -> Section:
    """Raises FileFormatError where it is damaged."""
    file.seek(entry.start)
    payload = file.read(entry.length)
    if len(payload) < entry.length or zlib.crc32(payload, zlib.crc32(entry.covered)) != entry.checksum:
        raise FileFormatError(f"damaged: the checksum of the {entry.kind.label} does not match")
    return Section(entry.kind, entry.codec, payload)


def known_kind(number: int) -> Kind:
    """Raises FileFormatError for a kind of section that there is not."""
    if number not in set(Kind):
        raise FileFormatError(f"holds a section of unknown kind {number}: update bbmr")
    return Kind(number)


def known_codec(kind: Kind, number: int) -> Codec:
    """Raises FileFormatError for a codec that there is not, or not of this kind."""
    if number not in set(Codec):
        raise FileFormatError(f"the {kind.label} has the unknown codec {number}: update bbmr")
    codec = Codec(number)
    if codec not in _POSSIBLE[kind]:
        raise FileFormatError(f"broken {kind.label}: coded as {codec.name}, which is not possible here")
    return codec


def _read_entries(file: BinaryIO, length: int, limit: int) -> list[Entry]:
    entries: list[Entry] = []
    position = file.tell()
    while position < length:
        if len(entries) == limit:
            raise FileFormatError(f"broken: more than {limit} sections")
        head = file.read(SECTION_OVERHEAD)
        if len(head) < SECTION_OVERHEAD:
            raise FileFormatError("damaged: the file ends within the head of a section")
        number, codec, size = _HEAD.unpack_from(head)
        kind = known_kind(number)
        start = position + SECTION_OVERHEAD
        if start + size > length:
            raise FileFormatError(f"damaged: the {kind.label} goes on beyond the file's end")
        (checksum,) = _CHECKSUM.unpack_from(head, _HEAD.size)
        entries.append(Entry(kind, known_codec(kind, codec), start, size, checksum, head[: _HEAD.size]))
        position = start + size
        file.seek(position)
    return entries


def _take(entries: Sequence[Entry], position: int, order: Sequence[Kind]) -> tuple[dict[Kind, Entry], int]:
    """From a position on those of the kinds, each once at most and in this order; and the position behind them."""
    found: dict[Kind, Entry] = {}
    left = list(order)
    for entry in entries[position : position + len(order)]:
        if entry.kind not in left:
            break
        del left[: left.index(entry.kind) + 1]
        found[entry.kind] = entry
    return found, position + len(found)
