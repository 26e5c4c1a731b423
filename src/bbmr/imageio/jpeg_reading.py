"""JPEG: headers and metadata by Pillow, samples by libvips."""

import re
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import pyvips
from PIL import Image, JpegImagePlugin

from bbmr.imageio.errors import PictureError
from bbmr.imageio.exif import with_resolution
from bbmr.imageio.metadata import EXIF_PREFIX, bounded, profile_space
from bbmr.imageio.source import Source, channels_of, check_pixels
from bbmr.imageio.streaming import in_srgb, sequential, streamed

_MODES = {"L": "L", "RGB": "RGB", "CMYK": "RGB"}
_EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/"
_IPTC = 0x0404
"""Of Photoshop's resources the one with captions, credits and the like."""
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""Within coded samples."""
_CHUNK = 1 << 20
_FILL = 64
"""Bytes behind a picture that are not worth a word."""


def open_jpeg(path: Path, file: BinaryIO, max_pixels: int) -> Source:
    """Raises PictureError for what cannot be read, nearly anything for what is damaged."""
    _check_bits(file)
    with Image.open(file, formats=("JPEG",)) as image:
        width, height = image.size
        check_pixels(width, height, max_pixels)
        mode = _MODES[image.mode]
        remarks: tuple[str, ...] = ()
        frames = getattr(image, "n_frames", 1)  # of a camera's multi-picture format
        if frames > 1:
            remarks += (f"holds {frames} pictures; only the first, the photograph itself, is read",)
        elif (behind := _length_behind(path)) > _FILL:
            remarks += (f"the {behind} bytes that follow the picture, such as a phone's video, are not kept",)
        if mode != image.mode:
            remarks += (f"read as {mode}; its own mode is {image.mode}",)
        assert isinstance(image, JpegImagePlugin.JpegImageFile)
        remarks += _left_out(image)
        icc = image.info.get("icc_profile")
        found = (image.info.get("exif") or b"").removeprefix(EXIF_PREFIX)
        across, down = map(Fraction, image.info.get("jfif_density", (0, 0)))
        unit = image.info.get("jfif_unit", 0) + 1  # of JFIF 1 is an inch, 2 a centimetre
        if unit in (2, 3) and across and down:
            found = with_resolution(found or None, across, down, unit)
        load = sequential(pyvips.Image.jpegload_source, unlimited=True)
        if image.mode == "CMYK":
            load = in_srgb(load, 8, icc)
        if profile_space(icc) == "CMYK":
            icc = None
        strips = streamed(path, load, (height, width, channels_of(mode), 8))
        metadata = bounded(icc, found, image.info.get("xmp"))
    return Source(height, width, mode, 8, metadata, strips, remarks, streams=True)


def _length_behind(path: Path) -> int:
    """Bytes after the marker that ends the picture; none where that is missing."""
    with path.open("rb") as file:
        file.seek(2)
        while len(head := file.read(2)) == 2 and head[0] == 0xFF:
            marker = head[1]
            if marker == 0xD9:
                start = file.tell()
                return file.seek(0, 2) - start
            if marker == 0xFF:  # may be repeated before a marker
                file.seek(-1, 1)
                continue
            length = int.from_bytes(file.read(2))
            if length < 2:
                break
            file.seek(length - 2, 1)
            if marker == 0xDA and not _to_next_marker(file):
                break
    return 0


def _to_next_marker(file: BinaryIO) -> bool:
    """From coded samples on; whether there is one."""
    start, kept = file.tell(), b""
    while chunk := file.read(_CHUNK):
        data = kept + chunk
        if found := _NEXT_MARKER.search(data):
            file.seek(start - len(kept) + found.start())
            return True
        start += len(chunk)
        kept = data[-1:]
    return False


def _left_out(image: JpegImagePlugin.JpegImageFile) -> tuple[str, ...]:
    left_out: list[str] = []
    if any(content.startswith(_EXTENDED_XMP) for name, content in image.applist if name == "APP1"):
        left_out.append("the extended part of its XMP")
    if isinstance(image.info.get("photoshop"), dict) and _IPTC in image.info["photoshop"]:
        left_out.append("its IPTC record")
    if image.info.get("comment"):
        left_out.append("its comment")
    return (f"{' and '.join(left_out)} {'is' if len(left_out) == 1 else 'are'} not kept",) if left_out else ()


def _check_bits(file: BinaryIO) -> None:
    """Raise PictureError for a JPEG of 12 bits, which nothing here decodes."""
    file.seek(2)
    while len(head := file.read(4)) == 4 and head[0] == 0xFF:
        marker, length = head[1], int.from_bytes(head[2:])
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            bits = int.from_bytes(file.read(1))
            if bits > 8:
                raise PictureError(f"is a JPEG of {bits} bits a sample, and only 8 are read; save it as PNG or TIFF")
            break
        if marker == 0xDA:
            break
        file.seek(length - 2, 1)
    file.seek(0)
