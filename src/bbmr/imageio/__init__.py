"""Reading and writing users' pictures, 8 or 16 bits a sample, with the metadata that travels with them."""

from bbmr.imageio.errors import PictureError, PictureWarning
from bbmr.imageio.exif import orientation
from bbmr.imageio.formats import READ_SUFFIXES, WRITE_FORMATS, check_writable
from bbmr.imageio.holdable import check_holdable
from bbmr.imageio.reading import MAX_PIXELS, PictureReader, open_picture, read_picture
from bbmr.imageio.sheet import Sheet
from bbmr.imageio.writing import PictureWriter, create_picture, write_picture

__all__ = [
    "MAX_PIXELS",
    "READ_SUFFIXES",
    "WRITE_FORMATS",
    "PictureError",
    "PictureReader",
    "PictureWarning",
    "PictureWriter",
    "Sheet",
    "check_holdable",
    "check_writable",
    "create_picture",
    "open_picture",
    "orientation",
    "read_picture",
    "write_picture",
]
