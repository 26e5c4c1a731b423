"""JPEG 2000: what its boxes say that Pillow does not tell (ISO/IEC 15444-1, annex I)."""

from dataclasses import dataclass, field
from typing import BinaryIO

from bbmr.imageio.errors import PictureError
from bbmr.picture import METADATA_LIMIT

_CODESTREAM = b"\xff\x4f\xff\x51"
_EXIF = b"JpgTiffExif->JP2"
_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_HAS_PROFILE = (2, 3)  # methods of saying colours: a restricted profile, any profile


@dataclass
class Boxes:
    """Bits of a sample, and metadata."""

    bits: int = 0
    icc: bytes | None = None
    texts: dict[bytes, bytes] = field(default_factory=dict)

    @property
    def exif(self) -> bytes | None:
        return self.texts.get(_EXIF)

    @property
    def xmp(self) -> bytes | None:
        return self.texts.get(_XMP)


def read_boxes(file: BinaryIO) -> Boxes:
    """Of a file, or of a bare codestream.  Raises PictureError for too large metadata, ValueError where damaged."""
    found = Boxes()
    if file.read(4) == _CODESTREAM:
        file.seek(0)
        _read_codestream(file, found)
        return found
    file.seek(0)
    _read_boxes(file, None, found)
    if not found.bits:
        raise ValueError("no codestream")
    return found


def _read_boxes(file: BinaryIO, end: int | None, found: Boxes) -> None:
    while (end is None or file.tell() < end) and len(start := file.read(8)) == 8:
        begin, length, name = file.tell() - 8, int.from_bytes(start[:4]), start[4:]
        if length == 1:
            length = int.from_bytes(file.read(8))
        if 0 < length < 8:
            raise ValueError("a box is too short")
        after = begin + length if length else None
        if name == b"jp2c":
            _read_codestream(file, found)
        elif name == b"jp2h":
            _read_boxes(file, after, found)
        elif name in (b"colr", b"uuid") and after is not None:
            content = _content(file, after - file.tell())
            if name == b"uuid":
                found.texts.setdefault(content[:16], content[16:])
            elif content[0] in _HAS_PROFILE and found.icc is None:
                found.icc = content[3:]
        if after is None:
            return
        file.seek(after)


def _content(file: BinaryIO, length: int) -> bytes:
    if length > METADATA_LIMIT:
        raise PictureError("its metadata have more than 64 MiB; save the picture without them first")
    return file.read(length)


def _read_codestream(file: BinaryIO, found: Boxes) -> None:
    head = file.read(43)
    if len(head) < 43 or not head.startswith(_CODESTREAM):
        raise ValueError("no codestream")
    found.bits = (head[42] & 0x7F) + 1  # SIZ marker: Ssiz of the first component
