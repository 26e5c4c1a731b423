"""The .bbmr file: saving, loading, and where its bytes go.  docs/format.md specifies it."""

from bbmr.fileformat.codec import decode, encode
from bbmr.fileformat.container import MAX_PIXELS
from bbmr.fileformat.errors import FileFormatError, PictureTooLargeError
from bbmr.fileformat.files import load, load_outline, save, sections

__all__ = [
    "MAX_PIXELS",
    "FileFormatError",
    "PictureTooLargeError",
    "decode",
    "encode",
    "load",
    "load_outline",
    "save",
    "sections",
]
