"""Metadata as they stand in picture files: what they say of colours, and how much of them is believed."""

import zlib
from io import BytesIO

from PIL import ImageCms

from bbmr.imageio.errors import PictureError
from bbmr.picture import Metadata

LIMIT = 1 << 26
"""Bytes of an ICC profile, EXIF data or XMP: what a .bbmr file can hold of each."""
EXIF_PREFIX = b"Exif\0\0"


def bounded(icc: bytes | None, exif: bytes | None, xmp: bytes | None) -> Metadata:
    """Raises PictureError for parts that are too large; empty ones are none."""
    for name, part in (("ICC profile", icc), ("EXIF data", exif), ("XMP", xmp)):
        if part is not None and len(part) > LIMIT:
            raise PictureError(f"its {name} has more than 64 MiB; save the picture without it first")
    exif = (exif or b"").removeprefix(EXIF_PREFIX)
    return Metadata(icc or None, exif or None, xmp or None)


def inflated(data: bytes, what: str) -> bytes:
    """zlib data that may hold LIMIT bytes.  Raises PictureError where they hold more, zlib.error where broken."""
    inflate = zlib.decompressobj()
    content = inflate.decompress(data, LIMIT + 1)
    if len(content) > LIMIT:
        raise PictureError(f"its {what} has more than 64 MiB; save the picture without it first")
    if not inflate.eof:
        raise zlib.error("cut off")
    return content


def profile_space(icc: bytes | None) -> str:
    """The colour space that a profile is for: RGB, GRAY, CMYK, Lab, ...; nothing where there is none."""
    return (icc or b"")[16:20].decode("latin-1").strip()  # ICC.1:2022, 7.2: data colour space


def profile_name(icc: bytes) -> str:
    """How a profile calls itself; nothing where it is damaged."""
    try:
        return ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(BytesIO(icc))).strip()
    except (ImageCms.PyCMSError, OSError):
        return ""
