"""What can be wrong with a .bbmr file."""

from bbmr.errors import BbmrError


class FileFormatError(BbmrError):
    """The bytes are no .bbmr file that this version reads: foreign, cut off, damaged, hostile, or newer."""


class PictureTooLargeError(FileFormatError):
    """The file says that its picture is larger than the caller allows."""
