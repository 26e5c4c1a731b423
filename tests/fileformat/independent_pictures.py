"""The pictures in `.bbmr` files, read by docs/format.md alone: JPEG XL and AV1.

Their headers are looked at before they are decoded.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import imagecodecs
import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.unsignedinteger]
# JPEG XL: bits that follow a selector of two bits and what is added to them; width to height
ENUM = ((0, 0), (0, 1), (4, 2), (6, 18))
SIDE = ((9, 1), (13, 1), (18, 1), (30, 1))
RATIOS = ((0, 1), (1, 1), (6, 5), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


@dataclass(frozen=True)
class Coding:
    """How the LR samples of a scale were coded with loss."""

    quality: int  # 0 to 100
    colour: int  # per cent, 1 to 100
    wiener: NDArray[np.int8]  # (classes, 7): coefficients times 128


def need(condition: object, message: str) -> None:
    if not condition:
        raise ValueError(message)


def unpack(layout: str, data: bytes, at: int = 0) -> tuple[int, ...]:
    need(at + struct.calcsize(layout) <= len(data), "the file ends too early")
    return struct.unpack_from(layout, data, at)


class _Bits:
    """Numbers from the bits of a header; of each byte the lowest (JPEG XL) or the highest (AV1) comes first."""

    def __init__(self, data: bytes, step: int) -> None:
        self._bits, self._step, self._at = "".join(f"{byte:08b}"[::step] for byte in data), step, 0

    def take(self, count: int) -> int:
        self._at += count
        need(self._at <= len(self._bits), "a picture ends within its header")
        return int(self._bits[self._at - count : self._at][:: self._step] or "0", 2)

    def choice(self, options: tuple[tuple[int, int], ...]) -> int:
        count, offset = options[self.take(2)]
        return offset + self.take(count)

    def next_byte(self) -> None:
        self._at += -self._at % 8


def jpegxl(content: bytes, depth: int, channels: int, fits: Callable[[int, int], bool]) -> Samples:
    """Decodes a codestream to (height, width, channels) after a look at its headers (ISO/IEC 18181-1)."""
    need(content[:2] == b"\xff\x0a", "not a JPEG XL codestream")
    bits = _Bits(content[2:256], step=-1)
    in_eighths = bits.take(1)
    height = 8 + 8 * bits.take(5) if in_eighths else bits.choice(SIDE)
    across, down = RATIOS[bits.take(3)]
    width = height * across // down if across else 8 + 8 * bits.take(5) if in_eighths else bits.choice(SIDE)
    need(fits(height, width), f"JPEG XL: {width} x {height} samples")
    need(bits.take(1) == 0, "JPEG XL: XYB")  # which is what the shortest form of the fields stands for
    need(bits.take(2) == 0, "JPEG XL: orientation, preview, animation, tone mapping or no integers")
    need(bits.choice(((0, 8), (0, 10), (0, 12), (6, 1))) == depth, "JPEG XL: depth")
    bits.take(1)  # whether buffers of 16 bits are enough
    need(bits.take(3) == 0, "JPEG XL: extra channels or XYB")
    space = 0
    if not bits.take(1):
        need(bits.take(1) == 0, "JPEG XL: ICC profile")
        space = bits.choice(ENUM)
        need(bits.choice(ENUM) == 1 and (space == 1 or bits.choice(ENUM) == 1), "JPEG XL: white point or primaries")
        bits.take(24) if bits.take(1) else bits.choice(ENUM)  # gamma or transfer function
        bits.choice(ENUM)  # rendering intent
    need(space == (1 if channels == 1 else 0), "JPEG XL: gray for colours or colours for gray")
    need(bits.take(2) == 0 and bits.take(1) == 1, "JPEG XL: extensions or custom transforms")
    bits.next_byte()
    need(bits.take(4) == 0b1000, "JPEG XL: not a regular modular frame")
    need(bits.take(2) == 0, "JPEG XL: patches, splines or noise")
    need(bits.take(3) == 0, "JPEG XL: YCbCr or upsampling")
    bits.take(2)  # size of groups
    need(bits.take(5) == 0 and bits.take(1) == 1, "JPEG XL: passes, crop, blending or several frames")
    try:
        picture = imagecodecs.jpegxl_decode(content)
    except Exception as error:  # whatever the codec's own errors are
        raise ValueError(f"JPEG XL: {error}") from error
    need(picture.size == height * width * channels and picture.dtype == f"u{depth // 8}", "JPEG XL: samples")
    return np.asarray(picture).reshape(height, width, channels)


def _unit(data: bytes, kind: int) -> tuple[bytes, bytes]:
    """The content of the AV1 unit that comes first, and what follows the unit."""
    need(data[:1] == bytes([kind << 3 | 2]), f"AV1: unit {kind} is missing")
    size = 0
    for at in range(1, 9):
        (byte,) = unpack("B", data, at)
        size |= (byte & 127) << 7 * (at - 1)
        if byte < 128:
            break
    need(len(data) > at + size, "AV1: a unit is cut off")
    return data[at + 1 : at + 1 + size], data[at + 1 + size :]


def av1(content: bytes, size: tuple[int, int], channels: int) -> tuple[Samples, Coding]:
    """Decodes LR samples coded with loss to (height, width, channels)."""
    quality, colour, classes = unpack("3B", content)
    need(quality <= 100 and 1 <= colour <= 100 and classes in (0, 1, 4), "AV1: quality, colour or classes")
    wiener = np.array(unpack(f"{7 * classes}b", content, 3), np.int8).reshape(classes, 7)
    picture = content[3 + 7 * classes :]
    sequence, rest = _unit(picture, 1)
    need(not _unit(rest, 6)[1], "AV1: more than two units")
    bits = _Bits(sequence, step=1)
    profile = bits.take(3)
    need(profile < 2 and bits.take(2) == 3, "AV1: profile, or not the short header of a still picture")
    level, width_bits, height_bits = bits.take(5), bits.take(4) + 1, bits.take(4) + 1
    width, height = bits.take(width_bits) + 1, bits.take(height_bits) + 1
    need((height, width) == size and max(size) <= 1 << 15, f"AV1: {width} x {height} samples")
    bits.take(3)  # superblocks, intra prediction
    need(bits.take(1) == 0, "AV1: super-resolution")
    bits.take(2)  # directional enhancement, loop restoration
    need(bits.take(1 if profile else 2) == 0, "AV1: more than 8 bits, or monochrome")
    need(bits.take(26) == 0x1010D06 << 1 | 1, "AV1: not BT.709, sRGB and BT.601 in full range")
    position = bits.take(0 if profile else 2)
    bits.take(1)  # chroma planes quantised apart
    need(bits.take(1) == 0, "AV1: film grain")
    try:
        decoded = imagecodecs.avif_decode(_avif(picture, width, height, profile, level, position))
    except Exception as error:
        raise ValueError(f"AV1: {error}") from error
    need(decoded.shape == (height, width, 3) and decoded.dtype == np.uint8, "AV1: samples")
    if channels == 1:
        return decoded[..., 1:2], Coding(quality, colour, wiener)
    luma = decoded @ np.array([0.299, 0.587, 0.114])
    stretched = luma[..., None] + (decoded - luma[..., None]) * (100 / colour)
    return np.rint(stretched).clip(0, 255).astype(np.uint8), Coding(quality, colour, wiener)


def _avif(picture: bytes, width: int, height: int, profile: int, level: int, position: int) -> bytes:
    """The boxes of an AVIF file around an AV1 still picture (ISO/IEC 23000-22)."""

    def box(kind: bytes, *parts: bytes) -> bytes:
        return struct.pack(">I4s", 8 + sum(map(len, parts)), kind) + b"".join(parts)

    def full(kind: bytes, *parts: bytes, version: int = 0) -> bytes:
        return box(kind, bytes([version, 0, 0, 0]), *parts)

    settings = bytes([0x81, profile << 5 | level, (0 if profile else 12) | position, 0])
    properties = box(
        b"ipco",
        full(b"ispe", struct.pack(">2I", width, height)),
        full(b"pixi", bytes([3, 8, 8, 8])),
        box(b"av1C", settings),
        box(b"colr", b"nclx", struct.pack(">3HB", 1, 13, 6, 128)),
    )
    associations = full(b"ipma", struct.pack(">IHB4B", 1, 1, 4, 1, 2, 0x83, 4))
    item = full(b"infe", struct.pack(">2H4sB", 1, 0, b"av01", 0), version=2)

    def meta(at: int) -> bytes:
        return full(
            b"meta",
            full(b"hdlr", bytes(4), b"pict", bytes(13)),
            full(b"pitm", struct.pack(">H", 1)),
            full(b"iloc", bytes([0x44, 0]), struct.pack(">4H2I", 1, 1, 0, 1, at, len(picture))),
            full(b"iinf", struct.pack(">H", 1), item),
            box(b"iprp", properties, associations),
        )

    start = box(b"ftyp", b"avif", bytes(4), b"avifmif1miaf")
    return start + meta(len(start) + len(meta(0)) + 8) + box(b"mdat", picture)
