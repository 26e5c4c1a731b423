"""Metadata as they stand in picture files: what they say of colours, and how much of them is believed."""

import zlib
from io import BytesIO

import pyvips
from PIL import ImageCms

from bbmr.imageio.errors import PictureError
from bbmr.picture import Metadata

LIMIT = 1 << 26
"""Bytes of an ICC profile, EXIF data or XMP: what a .bbmr file can hold of each."""
EXIF_PREFIX = b"Exif\0\0"

_PRIMARIES = {1: "BT.709", 9: "BT.2020", 12: "Display P3"}
_TRANSFERS = {1: "BT.709", 8: "linear", 13: "sRGB", 16: "PQ", 18: "HLG"}
_UNSPECIFIED = 2
_LIKE_SRGB = (1, 6, 13, 14, 15)
"""Transfer functions that pictures of eight bits are usually meant to be seen as sRGB with."""


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


def coded_colours(primaries: int, transfer: int) -> tuple[bytes | None, tuple[str, ...]]:
    """Of the numbers that ITU-T H.273 has for colours: an ICC profile that says the same where one is needed, and what
    is to be said where there is none.
    """
    if primaries in (1, _UNSPECIFIED, 5, 6) and transfer in (*_LIKE_SRGB, _UNSPECIFIED):
        return None, ()
    if primaries == 12 and transfer in (13, _UNSPECIFIED):
        return bytes(pyvips.Image.profile_load("p3")), ()
    space = _PRIMARIES.get(primaries, f"of primaries {primaries}")
    curve = _TRANSFERS.get(transfer, str(transfer))
    return None, (f"its colours are {space} with transfer function {curve}, which is not kept: they will look wrong",)
