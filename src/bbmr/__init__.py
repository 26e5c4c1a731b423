"""Image rescaling by blocks: each part of a photograph is stored at the scale it needs, one network restores the whole.

rescaled = bbmr.compress("photo.jpg")
bbmr.save(rescaled, "photo.bbmr")
picture = bbmr.restore("photo.bbmr")      # bbmr.Picture; picture.to_array() is (H, W, 3) uint8
bbmr.write_picture(picture, "restored.png")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bbmr.api import check, compress, load, preview, restore, save
    from bbmr.errors import BbmrError
    from bbmr.file_to_file import compress_file, restore_file
    from bbmr.imageio import write_picture
    from bbmr.picture import Picture
    from bbmr.rescaled import RescaledImage

__all__ = [
    "BbmrError",
    "Picture",
    "RescaledImage",
    "check",
    "compress",
    "compress_file",
    "load",
    "preview",
    "restore",
    "restore_file",
    "save",
    "write_picture",
]

_HOME = {
    "BbmrError": "bbmr.errors",
    "Picture": "bbmr.picture",
    "RescaledImage": "bbmr.rescaled",
    "compress_file": "bbmr.file_to_file",
    "restore_file": "bbmr.file_to_file",
    "write_picture": "bbmr.imageio",
}


def __getattr__(name: str) -> Any:
    # Looked up at first use: torch takes seconds to import, and `bbmr --help` should not wait for it.
    if name not in __all__:
        raise AttributeError(f"module 'bbmr' has no attribute {name!r}")
    return getattr(import_module(_HOME.get(name, "bbmr.api")), name)


def __dir__() -> list[str]:
    return __all__
