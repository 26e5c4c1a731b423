"""WebP, AVIF, GIF, BMP, QOI, JPEG 2000 and PNM in words: headers and metadata by Pillow; samples too, but for those of
more than 8 bits.  Decoded as a whole.
"""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

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
    head = file.read(_HEAD) if name == "AVIF" else b""
    file.seek(0)
    boxes = read_boxes(file) if name == "JPEG2000" else None
    file.seek(0)
    with Image.open(file, formats=(name,)) as image:
        check_pixels(image.width, image.height, max_pixels)
        frames = getattr(image, "n_frames", 1)
        if frames > 1:
            raise PictureError(f"holds {frames} frames or pages; save the one you want as a picture of its own")
        bits = boxes.bits if boxes else _avif_bits(head) if name == "AVIF" else 8
        own = "L" if image.mode == _DEEP_GRAY else image.mode
        mode = _CONVERTED.get(own, own)
        if "transparency" in image.info and not mode.endswith("A"):
            mode += "A"  # a palette's entry that is marked as transparent
        if mode not in ("L", "LA", "RGB", "RGBA") or bits > 16:
            raise PictureError(f"pictures of mode {own} are not handled; save it as RGB first")
        remarks: tuple[str, ...] = () if mode == own else (f"read as {mode}; its own mode is {own}",)
        remarks += bits_remark(bits) if bits > 8 else ()
        icc, exif, xmp = (image.info.get(part) for part in ("icc_profile", "exif", "xmp"))
        if boxes:
            icc, exif, xmp = boxes.icc, boxes.exif, boxes.xmp
        if name in ("BMP", "JPEG2000") and "dpi" in image.info:
            across, down = map(_rational, image.info["dpi"])
            exif = with_resolution(exif, across, down, INCH)
        if name == "AVIF" and icc is None and (at := head.find(b"colrnclx")) >= 0:
            icc, more = coded_profile(int.from_bytes(head[at + 8 : at + 10]), int.from_bytes(head[at + 10 : at + 12]))
            remarks += more
        metadata = bounded(icc, exif, xmp.encode() if isinstance(xmp, str) else xmp)
        height, width = image.height, image.width

    def decode() -> Samples:
        if bits > 8:
            return _deep(path, name, bits, (height, width, channels_of(mode)))
        with no_pillow_limit(), Image.open(path, formats=(name,)) as again:
            again.load()
            return np.array(again if again.mode == mode else again.convert(mode))

    return Source(height, width, mode, 8 if bits <= 8 else 16, metadata, in_memory(decode), remarks)


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


def _rational(value: float) -> Fraction:
    return Fraction(value).limit_denominator(1000)
