"""JPEG XL pictures: boxes and headers are read and written here, samples by libjxl.

Written are gray and RGB without loss, in the boxes of ISO/IEC 18181-2.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import imagecodecs
import numpy as np

from bbmr.depth import Samples
from bbmr.fileformat.jpegxl import Bits, read_size, unboxed
from bbmr.imageio.colour_spaces import CURVES, D65, PRIMARIES, SRGB_TRANSFER, Point, coded_profile, profile
from bbmr.imageio.errors import PictureError
from bbmr.imageio.exif import orientation, with_orientation
from bbmr.imageio.formats import JPEG_XL_BOXES, JPEG_XL_CODESTREAM
from bbmr.imageio.metadata import EXIF_PREFIX, bounded, is_srgb, profile_name
from bbmr.imageio.source import Source, bits_remark, check_pixels, full_range, in_memory
from bbmr.picture import METADATA_LIMIT, Picture

_FILE_TYPE = b"\0\0\0\x14ftypjxl \0\0\0\0jxl "
_LEVEL_10 = b"\0\0\0\x09jxll\x0a"
"""What decoders have to be able to do (18181-1, annex M): with 16 bits, or very large sides, more than the usual."""
_EFFORT = 5  # of 1 to 10; 7 takes three times as long for 3 % less
_HEADER_LIMIT = 1 << 12
_ALPHA = 0
_RGB, _GRAY = 0, 1
# Not as by default, no ICC profile, gray, white of D65, no gamma but the transfer function of sRGB, relative intent.
_SRGB_GRAY = ((0, 1), (0, 1), (1, 2), (1, 2), (0, 1), (2, 2), (13 - 2, 4), (1, 2))
_CUSTOM, _P3 = 2, 11
_WHITES: dict[int, Point] = {1: D65, 10: (1 / 3, 1 / 3), 11: (0.314, 0.351)}


def open_jpegxl(path: Path, file: BinaryIO, max_pixels: int) -> Source:
    """Raises PictureError for what cannot be read, nearly anything for what is damaged."""
    head, exif, xmp = _boxes(file)
    header = _Header.of(head)
    check_pixels(header.width, header.height, max_pixels)
    # The codestream says how the picture is turned; what EXIF says of it counts for nothing (18181-2).
    exif = with_orientation(exif, header.orientation)
    white = (1 << header.bits) - 1

    def decode() -> Samples:
        samples = imagecodecs.jpegxl_decode(path.read_bytes(), keeporientation=True)
        return full_range(samples, white)

    depth = 8 if header.bits <= 8 else 16
    metadata = bounded(header.icc, exif, xmp)
    remarks = header.remarks + bits_remark(header.bits)
    return Source(header.height, header.width, header.mode, depth, metadata, in_memory(decode), remarks)


def encoded(picture: Picture) -> bytes:
    """A file that keeps every sample, EXIF and XMP, and whose colours are sRGB, see `check_profile`."""
    metadata = picture.metadata
    samples = np.ascontiguousarray(picture.to_array())
    boxed = bytes(imagecodecs.jpegxl_encode(samples, lossless=True, effort=_EFFORT))
    data = unboxed(boxed)
    data = _relabelled(data, orientation(metadata), picture.mode.startswith("L"))
    boxes = JPEG_XL_BOXES + _FILE_TYPE
    if _LEVEL_10 in boxed[:64]:
        boxes += _LEVEL_10
    if metadata.exif is not None:
        boxes += _box(b"Exif", bytes(4) + metadata.exif)
    if metadata.xmp is not None:
        boxes += _box(b"xml ", metadata.xmp)
    return boxes + _box(b"jxlc", data)


def check_profile(icc: bytes | None) -> None:
    """Raise PictureError for an ICC profile other than sRGB: the encoder has no way to say it."""
    if icc is not None and not is_srgb(icc):
        raise PictureError(
            f"the picture has an ICC profile ({profile_name(icc) or 'without a name'}) that cannot be written "
            "into JPEG XL here; use PNG, TIFF or AVIF"
        )


def _box(name: bytes, content: bytes) -> bytes:
    length = len(content) + 8
    if length < 1 << 32:
        return length.to_bytes(4) + name + content
    return (1).to_bytes(4) + name + (length + 8).to_bytes(8) + content


def _relabelled(data: bytes, turned: int, gray: bool) -> bytes:
    """The codestream with sRGB and an orientation in its header; the encoder says linear of 16 bits, and upright."""
    head = data[2:_HEADER_LIMIT]
    number, bits = int.from_bytes(head, "little"), Bits(head)
    fields = _Fields()

    def keep(left: int) -> None:
        fields.add((number >> (8 * len(head) - left)) & ((1 << (left - bits.left)) - 1), left - bits.left)

    start = bits.left
    read_size(bits)
    keep(start)
    if bits.take(2):
        raise PictureError("the JPEG XL encoder writes headers of a kind unknown here; use PNG or TIFF")
    fields.add(0, 1)  # not all as by default
    if turned == 1:
        fields.add(0, 1)
    else:  # further fields: the orientation; no size of its own, no preview, no animation
        fields.add(1 | (turned - 1) << 1, 7)
    start = bits.left
    _read_samples(bits)
    keep(start)
    _read_colours(bits)
    if gray:
        for value, count in _SRGB_GRAY:
            fields.add(value, count)
    else:
        fields.add(1, 1)
    if turned != 1:
        fields.add(1, 1)  # tone mapping as by default, a further field too
    start = bits.left
    bits.take(3)  # extensions, transforms
    keep(start)
    end = -(-(8 * len(head) - bits.left) // 8)
    return JPEG_XL_CODESTREAM + fields.to_bytes() + data[2 + end :]


class _Fields:
    """Bits that are put together, least significant first."""

    def __init__(self) -> None:
        self._value, self._length = 0, 0

    def add(self, value: int, count: int) -> None:
        self._value |= value << self._length
        self._length += count

    def to_bytes(self) -> bytes:
        return self._value.to_bytes(-(-self._length // 8), "little")


@dataclass(frozen=True)
class _Header:
    height: int
    width: int
    orientation: int
    bits: int
    mode: str
    icc: bytes | None
    remarks: tuple[str, ...]

    @classmethod
    def of(cls, codestream: bytes) -> "_Header":
        """Of the first bytes of a codestream.  Raises PictureError for what is not read."""
        bits = Bits(codestream[2:])
        height, width = read_size(bits)
        turned = 1
        if bits.take(1):  # all as by default
            return cls(height, width, turned, 8, "RGB", None, ())
        if bits.take(1):
            turned = 1 + bits.take(3)
            if bits.take(1):
                read_size(bits)
            if bits.take(2):
                raise PictureError("holds several frames, or a preview; save the one you want as a picture of its own")
        return cls(height, width, turned, *_read_metadata(bits))


def _read_metadata(bits: Bits) -> tuple[int, str, bytes | None, tuple[str, ...]]:
    """Bits of a sample, mode, an ICC profile if one is needed, remarks (18181-1, annex D)."""
    depth, alpha = _read_samples(bits)
    colours, icc, remarks = _read_colours(bits)
    return depth, colours + "A" * alpha, icc, remarks


def _read_samples(bits: Bits) -> tuple[int, bool]:
    """Bits of a sample, whether there is alpha."""
    depth = _read_depth(bits)
    bits.take(1)  # whether 16-bit buffers suffice
    extra = bits.choose((0, 0), (1, 0), (2, 4), (1, 12))
    if extra > 1:
        raise PictureError("has channels besides colours and alpha; save it as PNG or TIFF first")
    if extra:
        _read_alpha(bits)
    bits.take(1)  # whether it is coded in XYB: what comes out is in the colours that follow
    return depth, extra == 1


def _read_depth(bits: Bits) -> int:
    if bits.take(1):
        raise PictureError("has floating-point samples, and only 8 to 16 bits are read; save it with 8 or 16")
    depth = bits.choose((8, 0), (10, 0), (12, 0), (1, 6))
    if depth > 16:
        raise PictureError(f"has {depth} bits a sample, and only up to 16 are read; save it with 8 or 16")
    return depth


def _read_alpha(bits: Bits) -> None:
    if bits.take(1):  # as by default
        return
    if bits.enum() != _ALPHA:
        raise PictureError("has a channel besides colours and alpha; save it as PNG or TIFF first")
    _read_depth(bits)
    bits.choose((0, 0), (3, 0), (4, 0), (1, 3))  # how much smaller it is stored
    for _ in range(bits.choose((0, 0), (0, 4), (16, 5), (48, 10))):  # its name
        bits.take(8)
    if bits.take(1):
        raise PictureError("has colours multiplied by alpha, which are not read; save it as PNG or TIFF first")


def _read_colours(bits: Bits) -> tuple[str, bytes | None, tuple[str, ...]]:
    """L or RGB, an ICC profile if one is needed, remarks."""
    if bits.take(1):  # sRGB
        return "RGB", None, ()
    has_profile = bits.take(1)
    space = bits.enum()
    if space not in (_RGB, _GRAY):
        raise PictureError("has colours of a kind that is not read; save it as PNG or TIFF first")
    mode = "L" if space == _GRAY else "RGB"
    if has_profile:
        raise PictureError("has an ICC profile, which cannot be read out of JPEG XL here; save it as PNG or TIFF first")
    return mode, *_read_space(bits, mode == "L")


def _read_space(bits: Bits, gray: bool) -> tuple[bytes | None, tuple[str, ...]]:
    """White, primaries and transfer function, as an ICC profile where one is needed, or a remark."""
    number = bits.enum()
    white = _read_points(bits, 1)[0] if number == _CUSTOM else _WHITES.get(number)
    primaries = 1
    points: Sequence[Point] | None = None
    if not gray:
        primaries = {_P3: 12}.get(number := bits.enum(), number)
        if number == _CUSTOM:
            points = _read_points(bits, 3)
        elif primaries in PRIMARIES:
            points = PRIMARIES[primaries][1]
    gamma = bits.take(24) / 1e7 if bits.take(1) else None
    transfer = SRGB_TRANSFER if gamma is not None else bits.enum()
    bits.enum()  # rendering intent
    if (white, gamma) == (D65, None) and number != _CUSTOM:
        return coded_profile(primaries, transfer, gray)
    if white is None or (points is None and not gray) or transfer not in CURVES or gamma == 0:
        return None, ("its colours are of a kind that is not kept: it will look wrong",)
    curve = CURVES[transfer][1] if gamma is None else (1 / gamma,)
    return profile("JPEG XL colours", points, curve, white), ()


def _read_points(bits: Bits, count: int) -> list[Point]:
    """x and y each, in millionths, their signs last."""
    numbers = [bits.choose((0, 19), (1 << 19, 19), (1 << 20, 20), (1 << 21, 21)) for _ in range(2 * count)]
    values = [((number >> 1) ^ -(number & 1)) / 1e6 for number in numbers]
    return list(zip(values[::2], values[1::2], strict=True))


def _boxes(file: BinaryIO) -> tuple[bytes, bytes | None, bytes | None]:
    """The beginning of the codestream, EXIF, XMP."""
    head = file.read(len(JPEG_XL_BOXES))
    if head.startswith(JPEG_XL_CODESTREAM):
        return head + file.read(_HEADER_LIMIT), None, None
    found: dict[bytes, bytes] = {}
    codestream = b""
    while len(start := file.read(8)) == 8:
        length, name = int.from_bytes(start[:4]), start[4:]
        if length == 1:
            length = int.from_bytes(file.read(8)) - 8
        end = file.tell() + length - 8 if length else None
        if name in (b"jxlc", b"jxlp"):
            if name == b"jxlp":
                file.read(4)  # its number
            wanted = _HEADER_LIMIT - len(codestream)
            codestream += file.read(wanted if end is None else min(wanted, max(end - file.tell(), 0)))
        elif name in (b"Exif", b"xml ", b"brob"):
            kind, content = _content(file, name, None if end is None else end - file.tell())
            found.setdefault(kind, content)
        if end is None:
            break
        if end < file.tell():
            raise ValueError("a box is too short")
        file.seek(end)
    exif = found.get(b"Exif")
    if exif is not None:
        exif = exif[4 + int.from_bytes(exif[:4]) :].removeprefix(EXIF_PREFIX)
    return codestream, exif, found.get(b"xml ")


def _content(file: BinaryIO, name: bytes, length: int | None) -> tuple[bytes, bytes]:
    """Kind and content of a box of metadata, which may be compressed."""
    content = file.read(METADATA_LIMIT + 1 if length is None else min(length, METADATA_LIMIT + 1))
    if len(content) <= METADATA_LIMIT and name == b"brob":
        kind, compressed = content[:4], content[4:]
        if kind not in (b"Exif", b"xml "):
            return kind, b""
        return kind, bytes(imagecodecs.brotli_decode(compressed, out=bytearray(METADATA_LIMIT)))
    if len(content) > METADATA_LIMIT:
        raise PictureError("its metadata have more than 64 MiB; save the picture without them first")
    return name, content
