"""AV1 still pictures, 8 bit: a plane of LR samples as the bare bytes of one frame.

An AVIF file spends some 275 bytes on boxes around them.  All that these say follows from the frame's own sequence
header, so they are left out here and built anew for the decoder (ISO/IEC 23000-22 and 14496-12; the headers: AV1
bitstream specification, 5.3 to 5.5).
"""

from dataclasses import dataclass
from io import BytesIO
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bbmr.errors import BbmrError
from bbmr.pillow_limit import no_pillow_limit

Chroma = Literal["4:2:0", "4:4:4"]
Tune = Literal["psnr", "ssim"]
QUALITIES: Final = range(101)
MAX_SIDE: Final = 32768
_MAX_AREA: Final = 1 << 28
"""Samples per side, and of a channel in all, that libavif reads."""
_SUPERBLOCK: Final = "64"
"""Samples per side; libaom would take 128, which costs 0.3 % more on LR planes."""
_SEQUENCE_HEADER, _FRAME = 1, 6
_TEMPORAL_DELIMITER: Final = b"\x12\x00"
_HAS_SIZE: Final = 2
_FULL_RANGE_601: Final = (1, 13, 6)  # BT.709 primaries, sRGB, BT.601 matrix: what Pillow's encoder writes


class CodecError(BbmrError):
    """Bytes that are no such frame, or samples that cannot become one."""


@dataclass(frozen=True)
class FrameHeader:
    """What a sequence header says of its frame."""

    height: int
    width: int
    chroma: Chroma


def encode(
    plane: NDArray[np.uint8],
    quality: int,
    chroma: Chroma = "4:2:0",
    tune: Tune = "psnr",
    speed: int = 4,
    cdef: bool = False,
) -> bytes:
    """(H, W, 1 or 3) uint8 -> the frame's bytes.

    quality: 0 to 100, speed: 0 to 10, of libavif.  cdef: with AV1's constrained directional enhancement filter, see
    `gains_by_cdef`.  The bytes depend on the encoder's version.  Raises CodecError for sides above MAX_SIDE, for more
    than 2^28 samples a channel, and where Pillow has no such encoder.
    """
    height, width = plane.shape[:2]
    if not _is_small_enough(height, width):
        raise CodecError(
            f"{width} x {height} samples are more than a frame may have, {MAX_SIDE} a side and 2^28 in all; code such "
            "a picture from file to file to a quality (bbmr compress --quality, compress_file), at coarser scales "
            "alone, or without loss"
        )
    picture = Image.fromarray(np.broadcast_to(plane, (*plane.shape[:2], 3)))
    file = BytesIO()
    # Tiles, and rows that several threads code at once, make files 1 to 2 % larger.
    options = {"quality": quality, "subsampling": chroma, "speed": speed, "max_threads": 1, "autotiling": False}
    advanced = {"tune": tune, "sb-size": _SUPERBLOCK, "enable-cdef": str(int(cdef))}
    try:
        picture.save(file, "AVIF", **options, advanced=advanced)
    except (KeyError, OSError, RuntimeError, ValueError) as error:
        raise CodecError(f"Pillow cannot code {plane.shape} as AVIF ({error}); install one with libaom") from error
    return _frame_of(file.getvalue())


def _is_small_enough(height: int, width: int) -> bool:
    return max(height, width) <= MAX_SIDE and height * width <= _MAX_AREA


def gains_by_cdef(factor: int) -> bool:
    """Whether LR samples of a scale do: full-size ones; smaller ones, which are sharper, lose.

    libaom leaves the filter out of still pictures unless asked for it (docs/rate-distortion.md has what it brings).
    """
    return factor == 1


def decode(data: bytes | memoryview, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """The frame's bytes -> (H, W, C) uint8.  Raises CodecError unless they hold a picture of `shape`."""
    height, width, channels = shape
    data = bytes(data)
    header = read_header(data)
    if (header.height, header.width) != (height, width):
        raise CodecError(f"{header.width} x {header.height} samples of AV1 where {width} x {height} are expected")
    if not _is_small_enough(height, width):
        raise CodecError(f"{width} x {height} samples are more than a frame may have, {MAX_SIDE} a side, 2^28 in all")
    try:
        with no_pillow_limit():  # which threads wait for one another at
            file = Image.open(BytesIO(_in_boxes(data, header)), formats=["AVIF"])
        with file:
            plane = np.array(file.convert("RGB"))
    except (KeyError, OSError, RuntimeError, SyntaxError, ValueError) as error:
        raise CodecError(f"broken AV1 frame, or a Pillow without AVIF ({error})") from error
    if plane.shape != (height, width, 3):
        raise CodecError(f"the AV1 frame holds {plane.shape} where {(height, width, 3)} are expected")
    return plane if channels == 3 else plane[:, :, 1:2]  # gray: three channels that differ by rounding at most


def read_header(data: bytes) -> FrameHeader:
    """What a frame's bytes say before their samples.

    Raises CodecError unless they are a sequence header and one frame, of a still picture as `encode` makes it.
    """
    header, rest = _take_unit(data, _SEQUENCE_HEADER)
    _, rest = _take_unit(rest, _FRAME)
    if rest:
        raise CodecError(f"{len(rest)} bytes follow the AV1 frame")
    return _read_sequence_header(header)


def _take_unit(data: bytes, kind: int) -> tuple[bytes, bytes]:
    """The payload of the first open bitstream unit, which is of `kind`, and what follows it."""
    if len(data) < 2 or data[0] != kind << 3 | _HAS_SIZE:
        raise CodecError("not an AV1 sequence header and a frame")
    size, position = 0, 1
    for shift in range(0, 35, 7):
        if position >= len(data):
            raise CodecError("the AV1 frame is cut off")
        byte = data[position]
        size |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:
            break
    if position + size > len(data):
        raise CodecError("the AV1 frame is cut off")
    return data[position : position + size], data[position + size :]


class _Bits:
    """Bits of a byte string, most significant first."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data), 8 * len(data)

    def take(self, count: int) -> int:
        if count > self._left:
            raise CodecError("the AV1 sequence header is cut off")
        self._left -= count
        return self._value >> self._left & (1 << count) - 1

    def expect(self, count: int, value: int, what: str) -> None:
        if self.take(count) != value:
            raise CodecError(f"AV1 {what} is not part of this format")


def _read_sequence_header(data: bytes) -> FrameHeader:
    bits = _Bits(data)
    profile = bits.take(3)
    if profile > 1:
        raise CodecError(f"AV1 of profile {profile} is not part of this format")
    bits.expect(2, 0b11, "other than a still picture with the short header")
    bits.take(5)  # level
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    width, height = bits.take(width_bits) + 1, bits.take(height_bits) + 1
    bits.take(3)  # 128 x 128 superblocks, intra filters
    bits.expect(1, 0, "super-resolution")
    bits.take(2)  # directional enhancement, loop restoration
    bits.expect(1, 0, "of more than 8 bits")
    if profile == 0:
        bits.expect(1, 0, "in gray")
    bits.expect(1, 1, "without a description of its colours")
    for value in _FULL_RANGE_601:
        bits.expect(8, value, "in other colours than sRGB by BT.601")
    bits.expect(1, 1, "of less than the full range")
    if profile == 0:
        bits.take(2)  # where chroma samples lie
    bits.take(1)  # separate quantisers of the chroma planes
    bits.expect(1, 0, "film grain")
    return FrameHeader(height, width, "4:4:4" if profile else "4:2:0")


def _frame_of(file: bytes) -> bytes:
    """The frame in an AVIF file with one picture and no metadata."""
    position = 0
    while position + 8 <= len(file):
        length, name = int.from_bytes(file[position : position + 4]), file[position + 4 : position + 8]
        if name == b"mdat":
            frame = file[position + 8 : position + length]
            read_header(frame.removeprefix(_TEMPORAL_DELIMITER))  # of what is written here all can be read
            return frame.removeprefix(_TEMPORAL_DELIMITER)
        position += max(length, 8)
    raise CodecError("the AVIF encoder wrote no frame; install another Pillow")


def _in_boxes(frame: bytes, header: FrameHeader) -> bytes:
    """The smallest AVIF file around a frame."""
    size = header.width.to_bytes(4) + header.height.to_bytes(4)
    profile, subsampled = (1, 0b00) if header.chroma == "4:4:4" else (0, 0b11)
    properties = _box(
        b"ipco",
        _box(b"ispe", bytes(4), size),
        _box(b"pixi", bytes(4), b"\x03\x08\x08\x08"),
        _box(b"av1C", bytes((0x81, profile << 5, subsampled << 2, 0))),
    )
    associations = _box(b"ipma", bytes(4), (1).to_bytes(4), b"\x00\x01\x03\x01\x02\x83")
    entry = _box(b"infe", b"\x02\x00\x00\x00\x00\x01\x00\x00av01\x00")
    start = _box(b"ftyp", b"avif", bytes(4), b"avifmif1miaf")

    def meta(offset: int) -> bytes:
        place = offset.to_bytes(4) + len(frame).to_bytes(4)
        return _box(
            b"meta",
            bytes(4),
            _box(b"hdlr", bytes(8), b"pict", bytes(13)),
            _box(b"pitm", bytes(4), b"\x00\x01"),
            _box(b"iloc", bytes(4), b"\x44\x00\x00\x01\x00\x01\x00\x00\x00\x01", place),
            _box(b"iinf", bytes(4), b"\x00\x01", entry),
            _box(b"iprp", properties, associations),
        )

    offset = len(start) + len(meta(0)) + 8
    return start + meta(offset) + _box(b"mdat", frame)


def _box(name: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return (len(body) + 8).to_bytes(4) + name + body
