"""One picture, three ways at the same budget: bicubic, the plain x4 network, and blocks with scales of their own."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from bbmr.blocks import BlockGrid
from bbmr.downscaling import bicubic_planes
from bbmr.downscaling.bicubic import upscale
from bbmr.evaluation.metrics import psnr_rgb, psnr_y
from bbmr.fileformat import load, save
from bbmr.picture import Picture
from bbmr.pipeline import PLAIN_PIPELINE, Options, compress, restore
from bbmr.progress import Progress, silent
from bbmr.samples import to_samples, to_tensor


@dataclass(frozen=True, eq=False)
class Contender:
    """What one way makes of the picture: colour (H, W, 1 or 3) uint8, its PSNR in dB, and what it stores."""

    name: str
    colour: NDArray[np.uint8]
    psnr_y: float
    psnr_rgb: float
    lr_pixels: int
    bytes: int | None
    """Of the file; None for bicubic, which has the same LR samples as plain x4 and no file of its own."""


def compare(picture: Picture, options: Options, progress: Progress = silent) -> list[Contender]:
    """Bicubic x4, plain x4 and `options` on one picture, in this order.  Both files are really written and read."""
    bicubic = bicubic_x4(picture.colour)
    grid = BlockGrid(picture.height, picture.width, options.block)
    lr_pixels = int(np.prod(grid.lr_size(4)))
    return [
        Contender("bicubic x4", bicubic, *_psnr(picture, bicubic), lr_pixels, None),
        _contend("plain x4", picture, Options(pipeline=PLAIN_PIPELINE), progress),
        _contend("bbmr", picture, options, progress),
    ]


def _contend(name: str, picture: Picture, options: Options, progress: Progress) -> Contender:
    rescaled = compress(picture, options, progress)
    with TemporaryDirectory() as folder:
        path = Path(folder, "picture.bbmr")
        save(rescaled, path)
        size = path.stat().st_size
        restored = restore(load(path), progress).colour
    return Contender(name, restored, *_psnr(picture, restored), rescaled.lr_pixels, size)


def bicubic_x4(colour: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Shrink (H, W, C) by 4 and enlarge it again, MATLAB-bicubic both ways, the LR picture rounded to 8 bit."""
    enlarged = to_samples(upscale(to_tensor(bicubic_planes(colour, (4,))[4]), 4))
    return enlarged[: colour.shape[0], : colour.shape[1]]


def _psnr(picture: Picture, restored: NDArray[np.uint8]) -> tuple[float, float]:
    return psnr_y(picture.colour, restored), psnr_rgb(picture.colour, restored)
