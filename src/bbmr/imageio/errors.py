"""What reading and writing pictures raise and warn of."""

import logging
import warnings

from bbmr.errors import BbmrError

# Decoders log what they find in damaged files.  Without a handler that goes to the terminal, beside our errors.
for _name in ("PIL", "tifffile"):
    logging.getLogger(_name).addHandler(logging.NullHandler())


class PictureError(BbmrError):
    """A file cannot be read as a picture, or a picture not be written as asked."""


class PictureWarning(UserWarning):
    """A picture was read or written in another mode than its own, or without a part that its format cannot hold."""


def warn(message: str) -> None:
    """A PictureWarning, at the place of whoever called what calls this."""
    warnings.warn(message, PictureWarning, stacklevel=3)
