"""Pillow's own limit of pixels, out of the way where another one has been applied."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

_lock = threading.Lock()


@contextmanager
def no_pillow_limit() -> Iterator[None]:
    """Pillow's limit is one for the whole process, and at first only warns; ours come as arguments and raise."""
    with _lock:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before
