"""Whether a format can hold a picture, asked before the work that makes the picture."""

from io import BytesIO
from os import PathLike
from pathlib import Path

import numpy as np

from bbmr.imageio import pillow_writing
from bbmr.imageio.errors import PictureError
from bbmr.imageio.formats import check_writable
from bbmr.imageio.jpegxl import check_profile
from bbmr.imageio.metadata import EXIF_PREFIX
from bbmr.imageio.sheet import Sheet
from bbmr.picture import Metadata

_SIDES = {
    "JPEG": 65500,  # the format has 65535, libjpeg, which nearly everybody reads with, less
    "WEBP": 16383,
    "AVIF": 32768,  # twice as much can be written, and libavif does not read it; nor more pixels than these:
}
_AVIF_PIXELS = 1 << 28
_SEGMENT = 65533
"""Bytes of a part of JPEG's metadata; only profiles can have several parts, each led by 14 bytes."""
_XMP_PREFIX = 29
_PROFILE = 255 * (_SEGMENT - 14)


def check_holdable(path: str | PathLike[str], sheet: Sheet) -> str:
    """The format that the suffix of `path` names, if it can hold the picture; what a format can hold only in part
    (gray, 16 bits) is not refused.

    Raises PictureError for an unknown suffix, alpha into JPEG, sides or metadata that are too large, EXIF data that are
    too damaged for AVIF, and ICC profiles that JPEG XL cannot be given.
    """
    path = Path(path)
    name = check_writable(path, sheet.mode)
    try:
        _check_sides(name, sheet.height, sheet.width)
        _check_metadata(name, sheet.metadata)
    except PictureError as error:
        raise PictureError(f"{path}: {error}") from error
    return name


def _check_sides(name: str, height: int, width: int) -> None:
    limit = _SIDES.get(name)
    if limit is not None and max(height, width) > limit:
        raise PictureError(
            f"the picture has {width} x {height} pixels, and the sides of {name} at most {limit}; use PNG or TIFF"
        )
    if name == "AVIF" and height * width > _AVIF_PIXELS:
        raise PictureError(
            f"the picture has {width} x {height} pixels, and AVIF at most {_AVIF_PIXELS} of them; use PNG or TIFF"
        )


def _check_metadata(name: str, metadata: Metadata) -> None:
    if name == "JPEG XL":
        check_profile(metadata.icc)
    elif name == "JPEG":
        _check_part("EXIF data", metadata.exif, _SEGMENT - len(EXIF_PREFIX))
        _check_part("XMP", metadata.xmp, _SEGMENT - _XMP_PREFIX)
        _check_part("ICC profile", metadata.icc, _PROFILE)
    elif name in ("WEBP", "AVIF") and metadata != Metadata():
        try:
            pillow_writing.save(BytesIO(), np.zeros((1, 1, 3), np.uint8), "RGB", metadata, name, quality=50)
        except Exception as error:  # it raises nearly anything
            raise PictureError(f"the picture's metadata cannot be written into {name} ({error}); use PNG") from error


def _check_part(what: str, part: bytes | None, limit: int) -> None:
    if part is not None and len(part) > limit:
        raise PictureError(
            f"the picture's {what} of {len(part)} bytes cannot be written into JPEG, which takes {limit}; use PNG"
        )
