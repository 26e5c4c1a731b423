"""The Python door: the reach of the command line, for arrays, pictures and paths."""

from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bbmr import pipeline
from bbmr.allocation.budget import Budget
from bbmr.fileformat import load, save
from bbmr.imageio import read_picture
from bbmr.picture import Picture
from bbmr.progress import Progress, silent
from bbmr.rescaled import RescaledImage

__all__ = ["compress", "load", "restore", "save"]


def compress(
    picture: Picture | NDArray[np.uint8] | str | PathLike[str], progress: Progress = silent, **options: Any
) -> RescaledImage:
    """Choose a scale for every block of a picture and keep its LR samples.

    picture: a path, a Picture, or an array (H, W), (H, W, 2), (H, W, 3) or (H, W, 4) of uint8: gray, gray with alpha,
    RGB, RGB with alpha.  options: the fields of `bbmr.pipeline.Options`, such as block=32, tune="psnr" or
    budget="x5".
    Raises BbmrError for files and options that do not work; ValueError or TypeError for such arrays.
    """
    if isinstance(picture, np.ndarray):
        picture = Picture.from_array(picture)
    elif not isinstance(picture, Picture):
        picture = read_picture(picture)
    if isinstance(options.get("budget"), str):
        options["budget"] = Budget(options["budget"])
    return pipeline.compress(picture, pipeline.Options(**options), progress)


def restore(rescaled: RescaledImage | str | PathLike[str], progress: Progress = silent) -> Picture:
    """Restore a picture from a RescaledImage or from the path of a .bbmr file.  Raises BbmrError for damaged files."""
    return pipeline.restore(rescaled if isinstance(rescaled, RescaledImage) else load(rescaled), progress)
