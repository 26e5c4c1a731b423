"""A reader of `.bbmr` files written from docs/format.md alone: what the page describes is read, the rest is refused.

It shares no code with the package, so that the two can be held against each other; it is brief rather than fast.
"""

from __future__ import annotations

import itertools
import math
import struct
import unicodedata
import zlib
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from fileformat.independent_pictures import Coding, Samples, av1, jpegxl, need, unpack
from numpy.typing import NDArray

Section = tuple[int, int, bytes]  # kind, codec, content
RECIPE, MAP, ALPHA, ICC, EXIF, XMP, PADDING, SCALE_ONE = 1, 2, 3, 4, 5, 6, 7, 16
CODECS: dict[int, tuple[int, ...]] = {RECIPE: (0,), MAP: (0, 1, 2), ALPHA: (2,), PADDING: (0,)}
CODECS |= dict.fromkeys((ICC, EXIF, XMP), (0, 1)) | dict.fromkeys(range(SCALE_ONE, SCALE_ONE + 5), (2, 3))
ORDER = (RECIPE, ICC, MAP, *range(SCALE_ONE + 4, SCALE_ONE - 1, -1), ALPHA, EXIF, XMP, PADDING)


@dataclass(frozen=True)
class Recipe:
    pipeline: str
    weights: str
    chosen_by: str
    digest: bytes
    expected_psnr: float | None  # PSNR-Y in dB


@dataclass
class Contents:
    """What a file holds. Blocks of a scale are in raster order of the whole picture, whatever its panels."""

    version: int
    side: int
    channels: int
    depth: int
    height: int
    width: int
    panel: tuple[int, int]  # rows and columns of blocks
    recipe: Recipe
    scales: NDArray[np.uint8]  # (rows, columns): 1, 2, 4, 8 or 16
    blocks: dict[int, Samples] = field(default_factory=dict)  # by scale: (blocks, s, s, 1 or 3)
    codings: dict[tuple[int, int], Coding] = field(default_factory=dict)  # by number of the panel and scale
    alpha: Samples | None = None  # (height, width)
    metadata: dict[int, bytes] = field(default_factory=dict)  # by kind: ICC, EXIF, XMP


def read(data: bytes, max_pixels: int = 1 << 28) -> Contents:
    """Reads a file of version 1 or 2; raises ValueError where it is not as the page says."""
    need(data[:4] == b"\xbbBMR" and len(data) > 4, "not a .bbmr file")
    need(data[4] in (1, 2), f"version {data[4]}: update the reader")
    (side, channels, depth, height, width, *panel), sections = (_version_1, _version_2)[data[4] - 1](data)
    need(side in (16, 32, 64, 128) and channels in (1, 2, 3, 4) and depth in (8, 16), "block side, channels or depth")
    rows, columns = -(-height // side), -(-width // side)
    area = rows * columns * side**2
    need(0 < area <= min((1 << 20) + 4096 * len(data), max_pixels), f"{area} pixels are none or too many")
    if any(panel):
        need(min(panel) * side >= 256 and math.prod(panel) * side**2 <= 1 << 24, "size of panels")
    else:
        panel = [rows, columns]
    lr_codecs = {codec for kind, codec, _ in sections if kind >= SCALE_ONE}
    need(len(lr_codecs) == 1, "LR samples are missing, or coded by two codecs")

    recipe = _recipe(_take(sections, RECIPE)[1])
    scales = np.zeros((rows, columns), np.uint8)
    contents = Contents(data[4], side, channels, depth, height, width, (panel[0], panel[1]), recipe, scales)
    _read_metadata(sections, (ICC,), contents)
    if channels in (2, 4):
        contents.alpha = np.zeros((height, width), f"u{depth // 8}")
    planes: dict[int, Samples] = {}
    corners = itertools.product(range(0, rows, panel[0]), range(0, columns, panel[1]))
    for number, (top, left) in enumerate(corners):
        _read_panel(sections, contents, number, np.s_[top : top + panel[0], left : left + panel[1]], planes)
    contents.blocks = {scale: plane[scales == scale] for scale, plane in planes.items()}
    qualities = {(scale, coding.quality) for (_, scale), coding in contents.codings.items()}
    need(len(qualities) == len(dict(qualities)), "one quality here and another there")
    _read_metadata(sections, (EXIF, XMP), contents)
    if sections and sections[0][0] == PADDING:
        _take(sections, PADDING)
    need(not sections, "a section too many or out of order")
    return contents


def _section(kind: int, codec: int, content: bytes) -> Section:
    need(codec in CODECS.get(kind, ()), f"section of kind {kind} with codec {codec}: update the reader")
    return kind, codec, content


def _version_2(data: bytes) -> tuple[tuple[int, ...], list[Section]]:
    *header, length, checksum = unpack("<3B2I2HQI", data, 5)
    need(checksum == zlib.crc32(data[:28]), "checksum of the header")
    need(length == len(data), "length of the file")
    sections, at = [], 32
    while at < len(data):
        kind, codec, size, checksum = unpack("<2B2I", data, at)
        content = data[at + 10 : at + 10 + size]
        need(len(content) == size, "the file ends within a section")
        need(checksum == zlib.crc32(content, zlib.crc32(data[at : at + 6])), f"checksum of section {kind}")
        sections.append(_section(kind, codec, content))
        at += 10 + size
    return tuple(header), sections


def _version_1(data: bytes) -> tuple[tuple[int, ...], list[Section]]:
    side, channels, count, height, width = unpack("<3B2I", data, 5)
    need(channels in (1, 3), "channels")
    at = 16 + 10 * count
    need(unpack("<I", data, at)[0] == zlib.crc32(data[:at]), "checksum of the header")
    at, sections = at + 4, []
    for kind, codec, size, checksum in struct.iter_unpack("<2B2I", data[16 : 16 + 10 * count]):
        content = data[at : at + size]
        need(len(content) == size and checksum == zlib.crc32(content), f"checksum of section {kind}")
        sections.append(_section(kind, codec, content))
        at += size
    need(at == len(data), "length of the file")
    sections.sort(key=lambda section: ORDER.index(section[0]))
    alpha = any(kind == ALPHA for kind, _, _ in sections)
    return (side, channels + alpha, 8, height, width, 0, 0), sections


def _take(sections: list[Section], kind: int) -> tuple[int, bytes]:
    need(sections and sections[0][0] == kind, f"section of kind {kind} is missing or out of order")
    return sections.pop(0)[1:]


def _inflate(codec: int, content: bytes, most: int) -> bytes:
    if codec == 1:
        stream = zlib.decompressobj()
        try:
            content = stream.decompress(content, most + 1)
        except zlib.error as error:
            raise ValueError(f"zlib: {error}") from error
        need(stream.eof and not stream.unused_data, "a zlib stream that is too long or cut off")
    need(len(content) <= most, "a section is too long")
    return content


def _read_metadata(sections: list[Section], kinds: tuple[int, ...], contents: Contents) -> None:
    for kind in kinds:
        if sections and sections[0][0] == kind:
            contents.metadata[kind] = _inflate(*_take(sections, kind), most=64 << 20)


def _recipe(content: bytes) -> Recipe:
    parts = []
    for _ in range(4):
        need(content and len(content) > content[0], "the recipe ends too early")
        parts.append(content[1 : 1 + content[0]])
        content = content[1 + content[0] :]
    pipeline, weights, chosen_by = (part.decode() for part in parts[:3])  # UnicodeDecodeError is a ValueError
    need(not any(unicodedata.category(c) == "Cc" for c in pipeline + weights + chosen_by), "control characters")
    need(len(content) in (0, 8), "length of the recipe")
    psnr = struct.unpack("<d", content)[0] if content else None
    need(psnr is None or math.isfinite(psnr), "the expected PSNR-Y is no number")
    return Recipe(pipeline, weights, chosen_by, parts[3], psnr)


def _read_panel(
    sections: list[Section], contents: Contents, number: int, here: tuple[slice, slice], planes: dict[int, Samples]
) -> None:
    """Reads the map, LR samples and alpha of the panel that covers the blocks `here`."""
    side, colours = contents.side, 1 if contents.channels < 3 else 3
    shape = contents.scales[here].shape
    height = min(side * shape[0], contents.height - side * here[0].start)
    width = min(side * shape[1], contents.width - side * here[1].start)
    codec, content = _take(sections, MAP)
    if codec == 2:
        logs = jpegxl(content, 8, 1, partial(_same, shape))[..., 0]
    else:
        content = _inflate(codec, content, math.prod(shape))
        need(len(content) == math.prod(shape), "length of the scale map")
        logs = np.frombuffer(content, np.uint8).reshape(shape)
    need(logs.max() <= 4, "a scale above 16")
    contents.scales[here] = 1 << logs
    for log in (4, 3, 2, 1, 0):
        scale, s, found = 1 << log, side >> log, logs == log
        if not found.any():
            continue
        codec, content = _take(sections, SCALE_ONE + log)
        lr_height, lr_width = -(-height // scale), -(-width // scale)
        row, column = found.nonzero()
        if codec == 2:
            plane = jpegxl(content, contents.depth, colours, partial(_packs, s, len(row)))
            blocks = _cut(plane, s).reshape(-1, s, s, colours)[: len(row)]
        else:
            top, left = row.min(), column.min()
            size = min(lr_height, (row.max() + 1) * s) - top * s, min(lr_width, (column.max() + 1) * s) - left * s
            plane, contents.codings[number, scale] = av1(content, size, colours)
            blocks = _cut(plane, s)[row - top, column - left]
        y = np.minimum(np.arange(s), (lr_height - 1 - row * s)[:, None])[:, :, None]
        x = np.minimum(np.arange(s), (lr_width - 1 - column * s)[:, None])[:, None]
        whole = planes.setdefault(scale, np.zeros((*contents.scales.shape, *blocks.shape[1:]), blocks.dtype))
        whole[here][found] = blocks[np.arange(len(row))[:, None, None], y, x]
    if contents.alpha is not None:
        pixels = np.s_[side * here[0].start :, side * here[1].start :]
        plane = jpegxl(_take(sections, ALPHA)[1], contents.depth, 1, partial(_same, (height, width)))
        contents.alpha[pixels][:height, :width] = plane[..., 0]


def _same(expected: tuple[int, ...], height: int, width: int) -> bool:
    return expected == (height, width)


def _packs(s: int, count: int, height: int, width: int) -> bool:
    """Whether `count` blocks of s x s samples may be packed on a plane of that size."""
    across = width // s
    return width % s == 0 and 1 <= across <= count and height == -(-count // across) * s


def _cut(plane: Samples, s: int) -> Samples:
    """(height, width, c) to blocks: (rows, columns, s, s, c), with zeros where the plane ends within one."""
    plane = np.pad(plane, ((0, -plane.shape[0] % s), (0, -plane.shape[1] % s), (0, 0)))
    rows, columns = plane.shape[0] // s, plane.shape[1] // s
    return plane.reshape(rows, s, columns, s, -1).swapaxes(1, 2)
