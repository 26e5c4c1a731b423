"""One picture, three ways: at the same number of LR pixels bicubic, the plain x4 network, and blocks with scales of
their own; or in as many bytes WebP, AVIF, and blocks coded with loss.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bbmr.api import compress
from bbmr.blocks import BlockGrid
from bbmr.coding.options import ENCODER_TUNES, CodedOptions
from bbmr.downscaling import bicubic_planes
from bbmr.downscaling.bicubic import upscale
from bbmr.evaluation.metrics import psnr_rgb, psnr_y
from bbmr.evaluation.pictures import as_rgb
from bbmr.evaluation.rivals import Avif, Rival, WebP, nearest_in_size
from bbmr.fileformat import decode, encode
from bbmr.options import PLAIN_PIPELINE, Options
from bbmr.picture import Picture
from bbmr.pipeline import restore
from bbmr.progress import Progress, silent
from bbmr.samples import to_samples, to_tensor
from bbmr.tiles import tiles

_TILE = 512
_HALO = 32  # bicubic enlargement by 16 sees 2 LR samples = 32 pixels
_NO_LIMIT = 1 << 64  # the picture is in memory already


@dataclass(frozen=True, eq=False)
class Contender:
    """What one way makes of the picture: colour (H, W, 1 or 3) uint8, its PSNR in dB, and what it stores."""

    name: str
    colour: NDArray[np.uint8]
    psnr_y: float
    psnr_rgb: float
    lr_pixels: int | None
    """None for codecs, which have none."""
    bytes: int | None
    """Of the file; None for bicubic, which has the same LR samples as plain x4 and no file of its own."""


def compare(picture: Picture, options: Options, progress: Progress = silent) -> list[Contender]:
    """Bicubic x4, plain x4 and `options` on one picture, in this order.  The last two are really coded and decoded."""
    bicubic = enlarge_bicubic(picture.colour, 4)
    grid = BlockGrid(picture.height, picture.width, options.block)
    lr_pixels = int(np.prod(grid.lr_size(4)))
    return [
        Contender("bicubic x4", bicubic, *_psnr(picture, bicubic), lr_pixels, None),
        _contend("plain x4", picture, Options(pipeline=PLAIN_PIPELINE), progress),
        _contend("bbmr", picture, options, progress),
    ]


def compare_in_bytes(picture: Picture, options: CodedOptions, progress: Progress = silent) -> list[Contender]:
    """WebP and AVIF at the qualities whose files are nearest in size to that of `options`, and these, in this order.

    Alpha and metadata are left out.
    """
    picture = Picture(picture.colour)
    ours = _contend("bbmr", picture, options, progress)
    assert ours.bytes is not None  # it has a file
    rivals = WebP(), Avif(ENCODER_TUNES[options.tune])
    return [*(_rival(codec, picture, ours.bytes, progress) for codec in rivals), ours]


def _rival(codec: Rival, picture: Picture, size: int, progress: Progress) -> Contender:
    colour = as_rgb(picture.colour)
    quality, data = nearest_in_size(codec, colour, size, lambda done: progress(codec.name, done))
    restored = codec.decode(data)
    if picture.mode == "L":  # three channels that differ by rounding at most
        restored = restored[:, :, 1:2]
    return Contender(f"{codec.name}, quality {quality}", restored, *_psnr(picture, restored), None, len(data))


def _contend(name: str, picture: Picture, options: Options | CodedOptions, progress: Progress) -> Contender:
    rescaled = compress(picture, progress=progress, max_pixels=_NO_LIMIT, options=options)
    data = encode(rescaled, _NO_LIMIT)
    restored = restore(decode(data, _NO_LIMIT), progress=progress).colour
    return Contender(name, restored, *_psnr(picture, restored), rescaled.lr_pixels, len(data))


def enlarge_bicubic(colour: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Shrink (H, W, C) by 2, 4, 8 or 16 and enlarge it again, MATLAB-bicubic both ways, the LR picture in 8 bit."""
    plane = bicubic_planes(colour, (factor,))[factor]
    enlarged = np.empty_like(colour)
    for tile in tiles(colour.shape[0], colour.shape[1], _TILE, _HALO):
        outer = to_samples(upscale(to_tensor(plane[tile.outer_at(factor)]), factor))
        enlarged[tile.core] = outer[tile.core_in_outer_at(1)]
    return enlarged


def _psnr(picture: Picture, restored: NDArray[np.uint8]) -> tuple[float, float]:
    return psnr_y(restored, picture.colour), psnr_rgb(restored, picture.colour)
