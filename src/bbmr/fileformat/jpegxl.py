"""JPEG XL, lossless, 8 or 16 bit: one plain picture per codestream and nothing else.

The format can also hold animations, previews, and frames larger than the picture.  So that a few hostile bytes cannot
make the decoder allocate gigabytes, the headers are read here first (ISO/IEC 18181-1, annexes C to F) and everything
is refused that the encoder below does not write.
"""

from typing import Final

import imagecodecs
import numpy as np

from bbmr.depth import Samples, dtype_of
from bbmr.fileformat.errors import FileFormatError

EFFORT: Final = 7
"""Of 1 to 10; effort 9 saves 0.9 % more of LR samples and takes four times as long (docs/format-choices.md)."""
_PLAIN_SETTINGS: Final = ((EFFORT, 4), (4, 0), (1, 0))
"""Effort and decoding speed at which the encoder was never seen to add frames of patches that repeat, as it likes to do
for text; which is the smallest depends on the picture.
"""
_CODESTREAM: Final = b"\xff\x0a"  # no box is that long: its length would begin with these bytes
_HEADERS_LIMIT: Final = 64
"""The headers that are read here take at most 30 bytes."""
_RATIOS: Final = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_GRAY: Final = 1


def encode(plane: Samples) -> bytes:
    """(H, W, 1 or 3) uint8 or uint16 -> codestream.

    Raises FileFormatError where the encoder has no plain one for these samples, rather than write what nobody reads.
    """
    samples = np.ascontiguousarray(plane if plane.shape[2] == 3 else plane[:, :, 0])
    data = _encode(samples, EFFORT, 0)
    if _is_plain(data):
        return data
    others = (_encode(samples, effort, speed) for effort, speed in _PLAIN_SETTINGS)
    plain = [data for data in others if _is_plain(data)]
    if not plain:
        raise FileFormatError(
            "the JPEG XL encoder uses features that this format leaves out; install another imagecodecs"
        )
    return min(plain, key=len)


def read_shape(data: bytes | memoryview) -> tuple[int, int, int, int]:
    """(height, width, channels, bits of a sample) that a codestream says it holds.

    Raises FileFormatError unless it is a single modular frame of 8 or 16 bits and of that very size, gray or RGB.
    """
    if bytes(data[:2]) != _CODESTREAM:
        raise FileFormatError("no JPEG XL codestream")
    bits = Bits(bytes(data[2:_HEADERS_LIMIT]))
    height, width = read_size(bits)
    channels, depth = _read_metadata(bits)
    bits.align()
    _read_frame_header(bits)
    return height, width, channels, depth


def decode(data: bytes | memoryview, shape: tuple[int, int, int], depth: int = 8) -> Samples:
    """Codestream -> (H, W, C) uint8, of 16 bits uint16.  Raises FileFormatError unless it holds a picture of `shape`
    and depth.
    """
    found = read_shape(data)
    if found != (*shape, depth):
        raise FileFormatError(
            f"{found[:3]} samples of {found[3]} bits of JPEG XL where {shape} of {depth} are expected"
        )
    try:
        plane: Samples = imagecodecs.jpegxl_decode(bytes(data))
    except (RuntimeError, ValueError) as error:
        raise FileFormatError(f"broken JPEG XL ({error})") from error
    if plane.dtype != dtype_of(depth) or plane.size != np.prod(shape):
        raise FileFormatError(f"JPEG XL holds {plane.shape} {plane.dtype} where {shape} are expected")
    return plane.reshape(shape)


class Bits:
    """Bits of a byte string, least significant first."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "little")
        self.left = 8 * len(data)

    def take(self, count: int) -> int:
        if count > self.left:
            raise FileFormatError("JPEG XL headers are cut off")
        value = self._value & ((1 << count) - 1)
        self._value >>= count
        self.left -= count
        return value

    def choose(self, *options: tuple[int, int]) -> int:
        """A U32: two bits choose one of four (offset, bits)."""
        offset, count = options[self.take(2)]
        return offset + self.take(count)

    def enum(self) -> int:
        return self.choose((0, 0), (1, 0), (2, 4), (18, 6))

    def align(self) -> None:
        if self.take(self.left % 8):
            raise FileFormatError("JPEG XL headers are broken")

    def refuse(self, count: int, what: str) -> None:
        """Take bits that are zero in everything `encode` writes."""
        if self.take(count):
            raise FileFormatError(f"JPEG XL with {what} is not part of this format")


def _encode(samples: Samples, effort: int, decoding_speed: int) -> bytes:
    return unboxed(
        bytes(imagecodecs.jpegxl_encode(samples, lossless=True, effort=effort, decodingspeed=decoding_speed))
    )


def unboxed(data: bytes) -> bytes:
    """The codestream without the boxes that the encoder puts around pictures of 16 bits, or with a side
    above 2^18.
    """
    position = 0
    while position < len(data):
        if data[position : position + 2] == _CODESTREAM:
            return data[position:]
        length, name = int.from_bytes(data[position : position + 4]), data[position + 4 : position + 8]
        if name == b"jxlc":
            position += 8
        elif length >= 8:
            position += length
        else:  # 0: up to the end of the file, 1: a longer length follows; neither holds what is sought
            break
    raise FileFormatError("no JPEG XL codestream")


def _is_plain(data: bytes) -> bool:
    try:
        read_shape(data)
    except FileFormatError:
        return False
    return True


def read_size(bits: Bits) -> tuple[int, int]:
    """Height and width, from the first bits behind the signature."""
    small = bits.take(1)

    def side() -> int:
        if small:
            return 8 * (bits.take(5) + 1)
        return bits.choose((1, 9), (1, 13), (1, 18), (1, 30))

    height = side()
    ratio = bits.take(3)
    if not ratio:
        return height, side()
    numerator, denominator = _RATIOS[ratio - 1]
    return height, height * numerator // denominator


def _read_metadata(bits: Bits) -> tuple[int, int]:
    """Number of channels, bits of a sample."""
    if bits.take(1):
        raise FileFormatError("JPEG XL in XYB colours is not part of this format")
    bits.refuse(1, "orientation, preview or animation")
    bits.refuse(1, "floating-point samples")
    depth = bits.choose((8, 0), (10, 0), (12, 0), (1, 6))
    if depth not in (8, 16):
        raise FileFormatError(f"JPEG XL of {depth} bits is not part of this format")
    bits.take(1)  # whether 16-bit buffers suffice
    bits.refuse(2, "extra channels")
    bits.refuse(1, "XYB colours")
    channels = 3
    if not bits.take(1):
        bits.refuse(1, "an ICC profile")
        space = bits.enum()
        if space not in (0, _GRAY):
            raise FileFormatError(f"JPEG XL of colour space {space} is not part of this format")
        if bits.enum() != 1 or (space != _GRAY and bits.enum() != 1):
            raise FileFormatError("JPEG XL of custom colours is not part of this format")
        bits.take(24) if bits.take(1) else bits.enum()  # gamma or transfer function
        bits.enum()  # rendering intent
        channels = 1 if space == _GRAY else 3
    bits.refuse(2, "extensions")
    if not bits.take(1):
        raise FileFormatError("JPEG XL with custom transforms is not part of this format")
    return channels, depth


def _read_frame_header(bits: Bits) -> None:
    if bits.take(1) or bits.take(2) or not bits.take(1):
        raise FileFormatError("JPEG XL frames other than one modular frame are not part of this format")
    bits.refuse(2, "patches, splines or noise")
    bits.refuse(1, "YCbCr colours")
    bits.refuse(2, "upsampling")
    bits.take(2)  # size of the groups
    bits.refuse(2, "several passes")
    bits.refuse(1, "a cropped frame")
    bits.refuse(2, "blending")
    if not bits.take(1):
        raise FileFormatError("JPEG XL of several frames is not part of this format")
