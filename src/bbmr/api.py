"""The Python door: the reach of the command line, for arrays, pictures and paths."""

from contextlib import suppress
from dataclasses import fields
from operator import index
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bbmr import fileformat, imageio, pipeline
from bbmr.allocation.budget import Budget
from bbmr.errors import BbmrError
from bbmr.fileformat import load, save
from bbmr.options import Options
from bbmr.parts import NO_PARTS, Parts
from bbmr.picture import Picture
from bbmr.progress import Progress, silent
from bbmr.rescaled import RescaledImage

__all__ = ["compress", "load", "restore", "save"]


def compress(
    picture: Picture | NDArray[np.uint8] | str | PathLike[str],
    progress: Progress = silent,
    max_pixels: int = imageio.MAX_PIXELS,
    device: str = "cpu",
    parts: Parts = NO_PARTS,
    **options: Any,
) -> RescaledImage:
    """Choose a scale for every block of a picture and keep its LR samples.

    picture: a path, a Picture, or an array (H, W), (H, W, 2), (H, W, 3) or (H, W, 4) of uint8: gray, gray with alpha,
    RGB, RGB with alpha.  max_pixels: larger files are refused; a small file may hold a huge picture.  device: where
    networks run, by torch's name of it, such as "cuda".  parts: upscaler, downscaler or allocator of one's own, see
    docs/plug-ins.md.  options: the fields of `bbmr.options.Options`, such as block=32, tune="psnr" or budget="x5".
    Raises BbmrError for files, options and parts that do not work; ValueError or TypeError for such arrays.
    """
    chosen = _options(options)
    if isinstance(picture, np.ndarray):
        picture = Picture.from_array(picture)
    elif not isinstance(picture, Picture):
        picture = imageio.read_picture(picture, max_pixels)
    return pipeline.compress(picture, chosen, progress, device=device, parts=parts)


def restore(
    rescaled: RescaledImage | str | PathLike[str],
    progress: Progress = silent,
    max_pixels: int = fileformat.MAX_PIXELS,
    device: str = "cpu",
    parts: Parts = NO_PARTS,
) -> Picture:
    """Restore a picture from a RescaledImage or from the path of a .bbmr file.

    max_pixels: larger files are refused, see `load`.  device: as for `compress`.  parts: an upscaler among them
    restores, in place of what the picture was compressed for.  Raises BbmrError for damaged files.
    """
    if not isinstance(rescaled, RescaledImage):
        rescaled = load(rescaled, max_pixels)
    return pipeline.restore(rescaled, progress, device, parts)


def _options(given: dict[str, Any]) -> Options:
    """Options from keyword arguments: the budget may be text or a share, the scales any sequence of numbers."""
    known = [field.name for field in fields(Options)]
    for name in given:
        if name not in known:
            raise BbmrError(f"option {name!r} is unknown; there are: {', '.join(known)}")
    if isinstance(budget := given.get("budget"), str | float):
        given["budget"] = Budget(budget if isinstance(budget, str) else f"{budget:.9f}")
    # Whole numbers may be numpy's.  What is no number, Options refuses by name.
    for name in {"block", "effort"} & set(given):
        with suppress(TypeError):
            given[name] = index(given[name])
    if "scales" in given:
        with suppress(TypeError):
            given["scales"] = tuple(map(index, given["scales"]))
    return Options(**given)
