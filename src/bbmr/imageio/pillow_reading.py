"""WebP, AVIF, GIF, BMP, QOI and JPEG 2000: headers and metadata by Pillow; samples too, but for those of
more than 8 bits.  Decoded as a whole.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import imagecodecs
import numpy as np
from PIL import Image

from bbmr.depth import Samples
from bbmr.imageio.colour_spaces import coded_profile
from bbmr.imageio.errors import PictureError
from bbmr.imageio.exif import INCH, with_resolution
from bbmr.imageio.jpeg2000 import read_boxes
from bbmr.imageio.metadata import bounded
from bbmr.imageio.source import Source, bits_remark, channels_of, check_pixels, full_range, in_memory
from bbmr.picture import Metadata
from bbmr.pillow_limit import no_pillow_limit

_HEAD = 1 << 24
"""Of AVIF: a large ICC profile may come before what says how many bits there are."""
_CONVERTED = {"1": "L", "La": "LA", "P": "RGB", "PA": "RGBA", "RGBa": "RGBA", "RGBX": "RGB", "YCbCr": "RGB"}
_DEEP_GRAY = "I;16"
_DEEP: dict[str, Callable[[bytes], Samples]] = {
    "AVIF": imagecodecs.avif_decode,
    "JPEG2000": imagecodecs.jpeg2k_decode,
}


def open_with_pillow(path: Path, file: BinaryIO, name: str, max_pixels: int) -> Source:
    """name: Pillow's of the format.  Raises PictureError for what cannot be read, nearly anything for what is
    damaged.
    """
    with Image.open(file, formats=(name,)) as image:
        height, width = image.height, image.width
        check_pixels(width, height, max_pixels)
        frames = getattr(image, "n_frames", 1)
        if frames > 1:
            raise PictureError(f"holds {frames} frames or pages; save the one you want as a picture of its own")
        own = "L" if image.mode == _DEEP_GRAY else image.mode
        mode = _CONVERTED.get(own, own)
        if "transparency" in image.info and not mode.endswith("A"):
            mode += "A"  # a palette's entry that is marked as transparent
        found = _found(file, name, image.info)
    if mode not in ("L", "LA", "RGB", "RGBA") or found.bits > 16:
        raise PictureError(f"pictures of mode {own}, {found.bits} bits, are not handled; save it as RGB first")
    remarks = found.remarks if mode == own else (f"read as {mode}; its own mode is {own}", *found.remarks)

    def decode() -> Samples:
        if found.bits > 8:
            return _deep(path, name, found.bits, (height, width, channels_of(mode)))
        with no_pillow_limit(), Image.open(path, formats=(name,)) as again:
            again.load()
            return np.array(again if again.mode == mode else again.convert(mode))

    depth = 8 if found.bits <= 8 else 16
    return Source(height, width, mode, depth, found.metadata, in_memory(decode), remarks)


@dataclass(frozen=True)
class _Found:
    """What Pillow does not tell, or not in one place."""

    bits: int
    metadata: Metadata
    remarks: tuple[str, ...]


def _found(file: BinaryIO, name: str, info: Mapping[Any, Any]) -> _Found:
    """info: what Pillow found."""
    icc, exif, xmp = (info.get(part) for part in ("icc_profile", "exif", "xmp"))
    bits, remarks = 8, tuple[str, ...]()
    file.seek(0)
    if name == "AVIF":
        head = file.read(_HEAD)
        bits = _avif_bits(head)
        if icc is None and (at := head.find(b"colrnclx")) >= 0:
            icc, remarks = coded_profile(*struct.unpack_from(">HH", head, at + 8))
    elif name == "JPEG2000":
        boxes = read_boxes(file)
        bits, icc, exif, xmp = boxes.bits, boxes.icc, boxes.exif, boxes.xmp
    if name in ("BMP", "JPEG2000") and "dpi" in info:
        across, down = (Fraction(value).limit_denominator(1000) for value in info["dpi"])
        exif = with_resolution(exif, across, down, INCH)
    if name == "GIF" and info.get("comment"):
        remarks += ("its comment is not kept",)
    remarks += bits_remark(bits)
    return _Found(bits, bounded(icc, exif, xmp.encode() if isinstance(xmp, str) else xmp), remarks)


def _deep(path: Path, name: str, bits: int, shape: tuple[int, int, int]) -> Samples:
    samples = np.atleast_3d(_DEEP[name](path.read_bytes()))
    if samples.dtype != np.uint16 or samples.shape[:2] != shape[:2]:
        raise PictureError(
            f"has {samples.dtype} samples where its header says {bits} bits; save it as PNG or TIFF first"
        )
    if samples.shape[2] < shape[2]:  # gray AVIF is RGB to Pillow
        alpha = samples[:, :, 1:]
        samples = np.dstack([*(samples[:, :, 0],) * (shape[2] - alpha.shape[2]), alpha])
    return full_range(samples, (1 << bits) - 1)


def _avif_bits(head: bytes) -> int:
    """Bits a sample in the file: Pillow itself cuts deeper pictures down to 8 without a word."""
    flags = head[head.index(b"av1C") + 6]  # seq_tier_0, high_bitdepth, twelve_bit, ... (AV1-ISOBMFF 2.3.3)
    return 8 if not flags & 0x40 else 12 if flags & 0x20 else 10
