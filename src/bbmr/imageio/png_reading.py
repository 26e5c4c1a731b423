"""PNG: chunks read here, for their metadata and limits; samples by libvips."""

import struct
import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyvips

from bbmr.imageio import exif
from bbmr.imageio.colour_spaces import CURVES, SRGB_TRANSFER, coded_profile, profile
from bbmr.imageio.errors import PictureError
from bbmr.imageio.metadata import EXIF_PREFIX, bounded, inflated
from bbmr.imageio.source import Source, bits_remark, channels_of, check_pixels
from bbmr.imageio.streaming import sequential, streamed
from bbmr.picture import METADATA_LIMIT, Metadata

SIGNATURE = b"\x89PNG\r\n\x1a\n"
XMP_KEYWORD = b"XML:com.adobe.xmp"
_MODES = {0: "L", 2: "RGB", 3: "RGB", 4: "LA", 6: "RGBA"}
_PALETTE = 3
_SRGB_GAMMA = 0.45455
_SRGB_POINTS = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
_OWN = {0: "L with a transparent level", 2: "RGB with a transparent colour", _PALETTE: "P"}
_READ = frozenset(
    (
        b"acTL",
        b"PLTE",
        b"tRNS",
        b"iCCP",
        b"eXIf",
        b"iTXt",
        b"zTXt",
        b"tEXt",
        b"pHYs",
        b"cICP",
        b"gAMA",
        b"cHRM",
        b"sRGB",
    )
)
_RAW_EXIF = (b"Raw profile type exif", b"Raw profile type APP1")  # ImageMagick's and Exiv2's, before there was eXIf
_PROGRAMS_OWN = (b"Software", b"date:create", b"date:modify", b"date:timestamp")
_NAMED, _LONGEST_KEYWORD = 8, 79
"""Texts that are named at most, of those that are not kept; bytes that the specification allows a keyword."""


def open_png(path: Path, file: BinaryIO, max_pixels: int) -> Source:
    """Raises PictureError for what cannot be read, nearly anything for what is damaged."""
    head = file.read(33)
    if len(head) < 33 or head[12:16] != b"IHDR" or head[25] not in _MODES:
        raise ValueError("no PNG header")
    width, height, bits, colour = struct.unpack(">IIBB", head[16:26])
    check_pixels(width, height, max_pixels)
    chunks, texts, unkept = _chunks(file)
    frames = struct.unpack(">I", chunks[b"acTL"][:4])[0] if b"acTL" in chunks else 1
    if frames > 1:
        raise PictureError(f"holds {frames} frames or pages; save the one you want as a picture of its own")
    mode = _MODES[colour]
    if b"tRNS" in chunks and not mode.endswith("A"):
        mode += "A"
    remarks: tuple[str, ...] = ()
    if mode != _MODES[colour] or colour == _PALETTE:
        remarks += (f"read as {mode}; its own mode is {_OWN[colour]}",)
    if colour != _PALETTE:
        remarks += bits_remark(bits)
    metadata, more = _metadata(chunks, texts, mode.startswith("L"))
    if unkept:
        names = ", ".join(map(_shown, unkept[:_NAMED]))
        more += (f"its text ({names}{', ...' if len(unkept) > _NAMED else ''}) is not kept",)
    depth = 16 if bits == 16 else 8
    load = sequential(pyvips.Image.pngload_source, unlimited=True)
    strips = streamed(path, load, (height, width, channels_of(mode), depth))
    return Source(height, width, mode, depth, metadata, strips, remarks + more, streams=True)


def _chunks(file: BinaryIO) -> tuple[dict[bytes, bytes], dict[bytes, bytes], list[bytes]]:
    """Chunks that say something besides samples, the first of each name; texts by their keywords; keywords of those
    that are not kept.
    """
    chunks: dict[bytes, bytes] = {}
    texts: dict[bytes, bytes] = {}
    unkept: dict[bytes, None] = {}  # a set in order
    for name, content in _each_chunk(file):
        if name in (b"tEXt", b"zTXt", b"iTXt"):
            keyword, _, rest = content.partition(b"\0")
            if keyword == XMP_KEYWORD or keyword in _RAW_EXIF:
                texts.setdefault(keyword, _text(name, rest))
            elif keyword not in _PROGRAMS_OWN:
                unkept[keyword[:_LONGEST_KEYWORD]] = None
        else:
            chunks.setdefault(name, content)
    return chunks, texts, list(unkept)


def _shown(keyword: bytes) -> str:
    """Without what would be an order to a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in keyword.decode("latin-1"))


def _each_chunk(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of chunks up to the end; of those that matter alone, and these are checked."""
    total = 0
    while True:
        head = file.read(8)
        if len(head) < 8:
            raise ValueError("cut off")
        length, name = struct.unpack(">I4s", head)
        if name == b"IEND":
            return
        if name not in _READ:
            file.seek(length + 4, 1)
            continue
        total += length
        if total > 2 * METADATA_LIMIT:
            raise PictureError("its metadata have more than 128 MiB; save the picture without them first")
        content, check = file.read(length), file.read(4)
        if len(content) < length or check != struct.pack(">I", zlib.crc32(name + content)):
            raise ValueError(f"chunk {name.decode()} is broken")
        yield name, content


def _text(name: bytes, rest: bytes) -> bytes:
    if name == b"tEXt":
        return rest
    if name == b"zTXt":
        return inflated(rest[1:], "text")
    compressed, rest = rest[:1] == b"\1", rest[2:]
    text = rest.split(b"\0", 2)[2]  # behind language and translated keyword
    return inflated(text, "text") if compressed else text


def _metadata(chunks: dict[bytes, bytes], texts: dict[bytes, bytes], gray: bool) -> tuple[Metadata, tuple[str, ...]]:
    icc = inflated(chunks[b"iCCP"].partition(b"\0")[2][1:], "ICC profile") if b"iCCP" in chunks else None
    found = chunks.get(b"eXIf")
    for keyword in _RAW_EXIF:
        if not found and keyword in texts:
            found = _raw_profile(texts[keyword])
    if found is not None:
        found = found.removeprefix(EXIF_PREFIX)
    remarks: tuple[str, ...] = ()
    if len(chunks.get(b"pHYs", b"")) == 9:
        across, down, unit = struct.unpack(">IIB", chunks[b"pHYs"])
        if unit == 1 and across and down:  # to the metre
            found = exif.with_resolution(found or None, Fraction(across, 100), Fraction(down, 100), exif.CENTIMETRE)
    if b"cICP" in chunks:
        coded, more = coded_profile(chunks[b"cICP"][0], chunks[b"cICP"][1], gray)
        if icc is None:
            icc, remarks = coded, more
        elif coded is not None:
            icc, remarks = coded, ("its ICC profile is not kept: the numbers of its colours (cICP) have precedence",)
    elif icc is None and b"sRGB" not in chunks:
        icc = _measured_profile(chunks, gray)
    return bounded(icc, found, texts.get(XMP_KEYWORD)), remarks


def _measured_profile(chunks: dict[bytes, bytes], gray: bool) -> bytes | None:
    """Of gamma and chromaticities (gAMA, cHRM), where these are not those of sRGB."""
    gamma = int.from_bytes(chunks.get(b"gAMA", b"")) / 100_000 or _SRGB_GAMMA
    numbers = [number / 100_000 for number in struct.unpack(">8I", chunks.get(b"cHRM", _SRGB_POINTS))]
    white, *points = zip(numbers[::2], numbers[1::2], strict=True)
    known = [number / 100_000 for number in struct.unpack(">8I", _SRGB_POINTS)]
    is_srgb = max(abs(one - other) for one, other in zip(numbers, known, strict=True)) < 0.005
    if abs(gamma - _SRGB_GAMMA) < 0.01 and (is_srgb or gray):
        return None
    curve = CURVES[SRGB_TRANSFER][1] if b"gAMA" not in chunks else (1 / gamma,)
    try:
        return profile("PNG gamma and chromaticities", None if gray else points, curve, white)
    except (np.linalg.LinAlgError, ArithmeticError, struct.error):  # points that make no colours
        return None


def _raw_profile(text: bytes) -> bytes:
    """A name, a length, and hexadecimal digits, in lines."""
    return bytes.fromhex("".join(text.decode("latin-1").split()[2:]))
