"""Version 1 of the container: a table of all sections in the header, one panel, 8 bits a sample.

It was written until panels and deeper samples came.  Sections are coded as they are now.
"""

import struct
import zlib

from bbmr.blocks import BLOCK_SIDES, BlockGrid
from bbmr.fileformat.container import (
    BEFORE,
    BEHIND,
    OF_PANELS,
    Entry,
    Header,
    Index,
    Kind,
    check_claim,
    check_length,
    check_size,
    known_codec,
    known_kind,
)
from bbmr.fileformat.errors import FileFormatError
from bbmr.panels import PanelGrid

_START = struct.Struct("<4sBBBBII")  # magic, version, block side, channels, sections, height, width
_ENTRY = struct.Struct("<BBII")  # kind, codec, length, checksum
_CHECKSUM = struct.Struct("<I")
HEADER_LIMIT = _START.size + 255 * _ENTRY.size + _CHECKSUM.size


def read_index(head: bytes, length: int, max_pixels: int) -> Index:
    """As `container.read_header` and `read_index`; head: the first HEADER_LIMIT bytes of the file, or all there are."""
    if len(head) < _START.size:
        raise FileFormatError("cut off within its header; get a whole copy of the file")
    _, version, side, channels, count, height, width = _START.unpack_from(head)
    size = _START.size + count * _ENTRY.size + _CHECKSUM.size
    if len(head) < size:
        raise FileFormatError("cut off within its header; get a whole copy of the file")
    (checksum,) = _CHECKSUM.unpack_from(head, size - _CHECKSUM.size)
    if checksum != zlib.crc32(head[: size - _CHECKSUM.size]):
        raise FileFormatError("damaged: the checksum of the header does not match")
    if version != 1 or channels not in (1, 3) or side not in BLOCK_SIDES or not height or not width:
        raise FileFormatError(
            f"broken header: version {version}, {width} x {height} pixels, block {side}, {channels} channels"
        )
    entries: dict[Kind, Entry] = {}
    position = size
    for index in range(count):
        number, codec, own_length, own_checksum = _ENTRY.unpack_from(head, _START.size + index * _ENTRY.size)
        kind = known_kind(number)
        if kind in entries:
            raise FileFormatError(f"broken: it holds the {kind.label} twice")
        entries[kind] = Entry(kind, known_codec(kind, codec), position, own_length, own_checksum, b"")
        position += own_length
    check_length(length, position)
    grid = BlockGrid(height, width, side)
    check_size(grid, max_pixels, "if the file is what it should be, raise max_pixels (--max-pixels)")
    check_claim(grid, length)
    header = Header(PanelGrid.whole(grid), channels, Kind.ALPHA in entries, 8, length)
    panel = {kind: entry for kind, entry in entries.items() if kind in OF_PANELS}
    return Index(header, {kind: entries[kind] for kind in (*BEFORE, *BEHIND) if kind in entries}, (panel,))
