"""Metadata as they stand in picture files: what they say of colours, and how much of them is believed."""

import zlib
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

from bbmr.imageio.errors import PictureError
from bbmr.picture import METADATA_LIMIT, Metadata

EXIF_PREFIX = b"Exif\0\0"
_ROUNDING = 2  # of 255: so much do profiles of sRGB differ among themselves


def bounded(icc: bytes | None, exif: bytes | None, xmp: bytes | None) -> Metadata:
    """Raises PictureError for parts that are too large; empty ones are none."""
    for name, part in (("ICC profile", icc), ("EXIF data", exif), ("XMP", xmp)):
        if part is not None and len(part) > METADATA_LIMIT:
            raise PictureError(f"its {name} has more than 64 MiB; save the picture without it first")
    exif = (exif or b"").removeprefix(EXIF_PREFIX)
    return Metadata(icc or None, exif or None, xmp or None)


def inflated(data: bytes, what: str) -> bytes:
    """zlib data of METADATA_LIMIT bytes at most.  Raises PictureError where they hold more, zlib.error where broken."""
    inflate = zlib.decompressobj()
    content = inflate.decompress(data, METADATA_LIMIT + 1)
    if len(content) > METADATA_LIMIT:
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


def is_srgb(icc: bytes) -> bool:
    """Whether a profile of RGB or gray says the colours of sRGB, rounded as in 8 bits; whatever it calls itself.

    False for one that is damaged.
    """
    mode = {"RGB": "RGB", "GRAY": "L"}.get(profile_space(icc))
    if mode is None:
        return False
    grays = np.arange(256, dtype=np.uint8)  # curves differ in the dark
    colours = grays[None]
    if mode == "RGB":
        levels = np.arange(0, 256, 51, dtype=np.uint8)
        mixed = np.stack(np.meshgrid(levels, levels, levels), 3).reshape(-1, 3)
        colours = np.concatenate([mixed, grays[:, None].repeat(3, 1)])[None]
    try:
        profile = ImageCms.ImageCmsProfile(BytesIO(icc))
        convert = ImageCms.buildTransform(
            profile, ImageCms.createProfile("sRGB"), mode, "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC
        )
        converted = np.array(convert.apply(Image.fromarray(colours)), np.int16)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return False
    return bool(np.abs(converted[0] - colours.reshape(converted.shape[1], -1)).max() <= _ROUNDING)
