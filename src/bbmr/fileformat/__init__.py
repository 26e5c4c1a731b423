"""The .bbmr file: saving, loading, and where its bytes go.  docs/format.md specifies it."""

from bbmr.fileformat.container import MAX_PIXELS, Header, padded
from bbmr.fileformat.errors import FileFormatError, PictureTooLargeError
from bbmr.fileformat.files import load, load_outline, open_file, save, sections
from bbmr.fileformat.reader import Reader, decode
from bbmr.fileformat.writer import Writer, check_writable, encode, size_besides, size_with

__all__ = [
    "MAX_PIXELS",
    "FileFormatError",
    "Header",
    "PictureTooLargeError",
    "Reader",
    "Writer",
    "check_writable",
    "decode",
    "encode",
    "load",
    "load_outline",
    "open_file",
    "padded",
    "save",
    "sections",
    "size_besides",
    "size_with",
]
