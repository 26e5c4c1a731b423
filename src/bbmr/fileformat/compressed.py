"""Sections of plain bytes: stored, or through zlib where that is shorter."""

import zlib

from bbmr.fileformat.container import Codec, Kind, Section
from bbmr.fileformat.errors import FileFormatError


def deflate(kind: Kind, data: bytes) -> Section:
    """Bytes -> section."""
    packed = zlib.compress(data, 9)
    return Section(kind, Codec.ZLIB, packed) if len(packed) < len(data) else Section(kind, Codec.STORED, data)


def inflate(section: Section, limit: int) -> bytes:
    """Section -> bytes.  Raises FileFormatError if there would be more than `limit` of them."""
    if section.codec == Codec.STORED:
        data, ended = bytes(section.payload), True
    else:
        inflater = zlib.decompressobj()
        try:
            data = inflater.decompress(section.payload, limit + 1)
        except zlib.error as error:
            raise FileFormatError(f"broken zlib data ({error})") from error
        ended = inflater.eof and not inflater.unused_data
    if len(data) > limit:
        raise FileFormatError(f"longer than {limit} bytes")
    if not ended:
        raise FileFormatError("broken zlib data (its end is missing or followed by more)")
    return data
