"""The sender's side: from a picture to its LR planes."""

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import numpy as np
from torch import Tensor

from bbmr.depth import Samples, depth_of
from bbmr.downscaling.bicubic import downscale
from bbmr.samples import to_samples, to_tensor
from bbmr.tiles import tiles

_TILE = 512  # pixels per side
_HALO = 32  # the stencil of factor 16 reaches 24 pixels beyond the 16 it stands for; a multiple of 16


class Downscaler(Protocol):
    """Makes the LR samples that may be stored."""

    def __call__(self, colour: Samples, factors: tuple[int, ...], /) -> Mapping[int, Samples]:
        """(H, W, C) uint8 or uint16 -> for each factor the LR plane of the whole picture, (ceil(H/k), ceil(W/k), C) of
        the same depth.
        """
        ...


def bicubic_planes(colour: Samples, factors: Iterable[int]) -> dict[int, Samples]:
    """MATLAB-bicubic LR planes of the whole picture, rounded to its depth; factor 1 is the picture itself.

    A `Downscaler`.
    """
    return shrink_in_tiles(colour, factors, downscale)


def planes_of_part(planes: Mapping[int, Samples], rows: slice, cols: slice) -> dict[int, Samples]:
    """Of LR planes those of a part of the picture: rows and columns that begin at multiples of 16 pixels."""
    return {
        factor: plane[rows.start // factor : -(-rows.stop // factor), cols.start // factor : -(-cols.stop // factor)]
        for factor, plane in planes.items()
    }


def shrink_in_tiles(
    colour: Samples, factors: Iterable[int], shrink: Callable[[Tensor, int], Tensor]
) -> dict[int, Samples]:
    """What a `Downscaler` gives, by `shrink`: (1, C, H, W) in [0, 1] and a factor -> (1, C, ceil(H/k), ceil(W/k)).

    `shrink` looks at 32 pixels around the k x k that a sample stands for, at most.  Works through tiles: its memory
    does not grow with the picture beyond the planes.
    """
    height, width, channels = colour.shape
    planes = {
        factor: colour if factor == 1 else np.empty((-(-height // factor), -(-width // factor), channels), colour.dtype)
        for factor in factors
    }
    for tile in tiles(height, width, _TILE, _HALO):
        image = to_tensor(colour[tile.outer])
        for factor, plane in planes.items():
            if factor > 1:
                shrunk = to_samples(shrink(image, factor), depth_of(colour))
                plane[tile.core_at(factor)] = shrunk[tile.core_in_outer_at(factor)]
    return planes
