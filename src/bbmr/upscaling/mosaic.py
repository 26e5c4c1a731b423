"""One pass over a mosaic: a picture of mixed resolution, enlarged coarse to fine, then corrected by one network.

    fine to coarse   S_k = own LR samples where the scale is k, else the 2x2 mean of S_{k/2}   (where scale <= k)
    coarse to fine   L_k = S_k where the scale is <= k, elsewhere bicubic x2 of L_{2k}         (L_1 = the mosaic)
    network          pixel-unshuffle by 4 of L_1, scale of every position -> correction, zero where the scale is 1

Every x2 step sees true neighbours on all sides, whatever the map, so there are no seams to remove.  All of it
is differentiable in the LR samples.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from bbmr.blocks import BLOCK_SIDES, CELL, SCALES
from bbmr.downscaling.bicubic import round_to_8_bit, upscale
from bbmr.networks import NetworkDescriptor
from bbmr.networks.fast import POSITION
from bbmr.progress import Progress, silent
from bbmr.rescaled import RescaledImage
from bbmr.samples import to_samples, to_tensor
from bbmr.tiles import Tile, count_tiles, tiles
from bbmr.upscaling import like_stored, network_of

TILE = 768  # pixels per side of a tile; a multiple of 128, so that tiles hold whole blocks
_MOSAIC_REACH = 60  # pixels: each x2 step sees 2 samples of the coarser level, 2 * (2 + 4 + 8 + 16)

_UNBOUNDED_REACH = 16
"""Positions of halo for networks that look at all of their input: the tile is then part of what they see, so that
sender and receiver have to use the same ones, and these give neighbouring tiles a common margin.
"""


class MosaicNetwork(Protocol):
    """A network over the mosaic: pixels (N, 16 C, h, w) and levels (N, h, w) -> correction of these pixels."""

    def __call__(self, pixels: Tensor, levels: Tensor) -> Tensor: ...


def build_mosaic(planes: Mapping[int, Tensor], levels: Tensor) -> Tensor:
    """The mosaic L_1, (N, C, H, W), of a picture whose sides are multiples of 16.

    planes: for every scale k present, the LR plane (N, C, H/k, W/k) in [0, 1]; read only where the scale is k.
    levels: (N, H/16, W/16) int64, base-2 logarithm of the scale of each 16 x 16 cell.
    """
    present = sorted(planes)
    finest, coarsest = present[0], present[-1]
    pyramid = {finest: planes[finest]}
    for factor in _scales_between(finest, coarsest)[1:]:
        means = F.avg_pool2d(pyramid[factor // 2], 2)
        own = planes.get(factor)
        pyramid[factor] = (
            means if own is None else torch.where(_per_sample(levels, factor) == _level(factor), own, means)
        )
    mosaic = pyramid[coarsest]
    for factor in reversed(_scales_between(1, coarsest)[:-1]):
        mosaic = upscale(mosaic, 2)
        if factor in pyramid:
            mosaic = torch.where(_per_sample(levels, factor) <= _level(factor), pyramid[factor], mosaic)
    return mosaic


def correct_mosaic(mosaic: Tensor, levels: Tensor, network: MosaicNetwork) -> Tensor:
    """Add the network's correction to a mosaic (N, C, H, W) with sides that are multiples of 16; not clamped.

    levels: (N, H/16, W/16) int64 as in `build_mosaic`.  Samples of scale 1 are returned as they are: they are exact.
    """
    pixels = F.pixel_unshuffle(mosaic, POSITION).contiguous(memory_format=torch.channels_last)
    correction = network(pixels, _repeat(levels, CELL // POSITION)).to(mosaic.dtype)
    correction = F.pixel_shuffle(correction, POSITION)
    return torch.where(_per_sample(levels, 1) == 0, mosaic, mosaic + correction)


def mosaic_halo(reach: int) -> int:
    """Pixels around a tile that decide its samples, in multiples of 16; reach: positions that the network sees."""
    return -(-(POSITION * reach + _MOSAIC_REACH) // CELL) * CELL


def _scales_between(finest: int, coarsest: int) -> Sequence[int]:
    return [factor for factor in SCALES if finest <= factor <= coarsest]


def _level(factor: int) -> int:
    return factor.bit_length() - 1


def _per_sample(levels: Tensor, factor: int) -> Tensor:
    """(N, H/16, W/16) -> (N, 1, H/factor, W/factor)."""
    return _repeat(levels, CELL // factor).unsqueeze(1)


def _repeat(levels: Tensor, times: int) -> Tensor:
    return levels.repeat_interleave(times, 1).repeat_interleave(times, 2)


class MosaicUpscaler:
    """Restores a RescaledImage, tile by tile, with one network; an `Upscaler`."""

    scales = SCALES
    sides = BLOCK_SIDES

    def __init__(self, descriptor: NetworkDescriptor) -> None:
        self._network = network_of(descriptor, "mosaic")
        self.halo = mosaic_halo(_UNBOUNDED_REACH if descriptor.reach is None else descriptor.reach)

    def restore(self, rescaled: RescaledImage, progress: Progress = silent) -> NDArray[np.uint8]:
        """Restore the colour samples at full size, (H, W, C) uint8."""
        grid = rescaled.grid
        picture = np.empty((grid.height, grid.width, rescaled.channels), np.uint8)
        blocks = _BlockIndex(rescaled)
        total = count_tiles(grid.height, grid.width, TILE)
        for done, tile in enumerate(tiles(grid.height, grid.width, TILE, self.halo)):
            progress("restore", done / total)
            picture[tile.core] = to_samples(self._restore_tile(*blocks.cut_out(tile), tile))
        progress("restore", 1.0)
        return picture

    def restore_uniform(
        self, plane: NDArray[np.uint8], factor: int, size: tuple[int, int]
    ) -> Iterator[tuple[Tile, Tensor]]:
        """Restore a picture of `size` (height, width) that has one scale all over from its LR plane (h, w, C).

        Yields each tile with its core, (1, C, h, w) in [0, 1], rounded to 8 bit.
        """
        for tile in tiles(*size, TILE, self.halo):
            height, width = (_round_up(part.stop - part.start) for part in tile.outer)
            region = to_tensor(plane[tile.outer_at(factor)])
            missing_rows, missing_cols = height // factor - region.shape[2], width // factor - region.shape[3]
            region = F.pad(region, (0, missing_cols, 0, missing_rows), mode="replicate")
            levels = torch.full((1, height // CELL, width // CELL), _level(factor))
            yield tile, round_to_8_bit(self._restore_tile({factor: region}, levels, tile))

    @torch.inference_mode()
    def _restore_tile(self, planes: Mapping[int, Tensor], levels: Tensor, tile: Tile) -> Tensor:
        channels = next(iter(planes.values())).shape[1]
        mosaic = build_mosaic(planes, levels).expand(-1, 3, -1, -1)
        return like_stored(correct_mosaic(mosaic, levels, self._network)[:, :, *tile.core_in_outer_at(1)], channels)


class _BlockIndex:
    """Finds the LR blocks of any part of a RescaledImage."""

    def __init__(self, rescaled: RescaledImage) -> None:
        self._rescaled = rescaled
        self._position = np.empty(rescaled.scales.shape, np.int64)
        for factor in rescaled.blocks:
            own = rescaled.scales == factor
            self._position[own] = np.arange(own.sum())

    def cut_out(self, tile: Tile) -> tuple[dict[int, Tensor], Tensor]:
        """The LR planes (1, C, h/k, w/k) and levels (1, h/16, w/16) of a tile's outer part, its sides rounded up to
        multiples of 16."""
        side = self._rescaled.grid.side
        height, width = (_round_up(part.stop - part.start) for part in tile.outer)
        rows, cols = (slice(part.start // side, -(-part.stop // side)) for part in tile.outer)
        top, left = tile.outer[0].start - rows.start * side, tile.outer[1].start - cols.start * side
        scales, position = self._rescaled.scales[rows, cols], self._position[rows, cols]
        planes = {}
        for factor in np.unique(scales).tolist():
            own, short = scales == factor, side // factor
            blocks = np.zeros((*scales.shape, short, short, self._rescaled.channels), np.uint8)
            blocks[own] = self._rescaled.blocks[factor][position[own]]
            plane = blocks.swapaxes(1, 2).reshape(scales.shape[0] * short, scales.shape[1] * short, -1)
            planes[factor] = to_tensor(
                plane[top // factor : (top + height) // factor, left // factor : (left + width) // factor]
            )
        cells = np.kron(np.log2(scales).astype(np.int64), np.ones((side // CELL, side // CELL), np.int64))
        cells = cells[top // CELL : (top + height) // CELL, left // CELL : (left + width) // CELL]
        return planes, torch.from_numpy(cells[None])


def _round_up(length: int) -> int:
    return -(-length // CELL) * CELL
