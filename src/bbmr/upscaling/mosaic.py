"""One pass over a mosaic: a picture of mixed resolution, enlarged coarse to fine, then corrected by one network.

    fine to coarse   S_k = own LR samples where the scale is k, else the 2x2 mean of S_{k/2}   (where scale <= k)
    coarse to fine   L_k = S_k where the scale is <= k, elsewhere bicubic x2 of L_{2k}         (L_1 = the mosaic)
    network          pixel-unshuffle by 4 of L_1, scale of every position -> correction, zero where the scale is 1

Every x2 step sees true neighbours on all sides, whatever the map, so there are no seams to remove.  All of it
is differentiable in the LR samples.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bbmr.blocks import BLOCK_SIDES, CELL, SCALES, up_to_cell
from bbmr.codecs.avif import QUALITIES
from bbmr.downscaling.bicubic import upscale
from bbmr.lr_blocks import LRBlocks
from bbmr.networks import Kind, NetworkDescriptor
from bbmr.networks.fast import HIGHEST_TRAINED, POSITION
from bbmr.tiles import Tile, tiles_of_part
from bbmr.upscaling import Upscaler, device_of, like_stored, network_of, wiener

TILE = 768  # pixels per side of a tile; a multiple of 128, so that tiles hold whole blocks
_MOSAIC_REACH = 60  # pixels: each x2 step sees 2 samples of the coarser level, 2 * (2 + 4 + 8 + 16)

_UNBOUNDED_REACH = 16
"""Positions of halo for networks that look at all of their input: the tile is then part of what they see, so that
sender and receiver have to use the same ones, and these give neighbouring tiles a common margin.
"""


class MosaicNetwork(Protocol):
    """A network over the mosaic: pixels (N, 16 C, h, w) and levels (N, h, w) -> correction of these pixels.

    Where LR samples were coded it is told their qualities too, (N, LEVELS).
    """

    def __call__(self, pixels: Tensor, levels: Tensor, /, *qualities: Tensor) -> Tensor: ...


def build_mosaic(planes: Mapping[int, Tensor], levels: Tensor) -> Tensor:
    """The mosaic L_1, (N, C, H, W), of a picture whose sides are multiples of 16.  Arguments as of `build_mosaics`."""
    return build_mosaics(planes, levels)[1]


def build_mosaics(planes: Mapping[int, Tensor], levels: Tensor, finest_wanted: int = 1) -> dict[int, Tensor]:
    """The mosaics L_k, (N, C, H/k, W/k) each, from the coarsest scale present to `finest_wanted`.

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
            means if own is None else torch.where(per_sample(levels, factor) == _level(factor), own, means)
        )
    mosaics = {coarsest: pyramid[coarsest]}
    for factor in reversed(_scales_between(finest_wanted, coarsest)[:-1]):
        mosaic = upscale(mosaics[2 * factor], 2)
        if factor in pyramid:
            mosaic = torch.where(per_sample(levels, factor) <= _level(factor), pyramid[factor], mosaic)
        mosaics[factor] = mosaic
    return mosaics


def correct_mosaic(mosaic: Tensor, levels: Tensor, network: MosaicNetwork, qualities: Tensor | None = None) -> Tensor:
    """Add the network's correction to a mosaic (N, C, H, W) with sides that are multiples of 16; not clamped.

    levels: (N, H/16, W/16) int64 as in `build_mosaic`.  qualities: (N, LEVELS) in [0, 1], that of the samples of each
    scale where a lossy codec has been at them; without, samples of scale 1 are returned as they are: they are exact.
    """
    pixels = F.pixel_unshuffle(mosaic, POSITION).contiguous(memory_format=torch.channels_last)
    coded = () if qualities is None else (qualities,)
    correction = network(pixels, _repeat(levels, CELL // POSITION), *coded).to(mosaic.dtype)
    corrected = mosaic + F.pixel_shuffle(correction, POSITION)
    return corrected if coded else torch.where(per_sample(levels, 1) == 0, mosaic, corrected)


def mosaic_halo(reach: int, filter_reach: int = 0) -> int:
    """Pixels around a tile that decide its samples, in multiples of 16; reach: positions that the network sees;
    filter_reach: pixels that what follows the network does.
    """
    return up_to_cell(POSITION * reach + _MOSAIC_REACH + filter_reach)


def _scales_between(finest: int, coarsest: int) -> Sequence[int]:
    return [factor for factor in SCALES if finest <= factor <= coarsest]


def _level(factor: int) -> int:
    return factor.bit_length() - 1


def per_sample(levels: Tensor, factor: int) -> Tensor:
    """(N, H/16, W/16) -> (N, 1, H/factor, W/factor)."""
    return _repeat(levels, CELL // factor).unsqueeze(1)


def _repeat(levels: Tensor, times: int) -> Tensor:
    return levels.repeat_interleave(times, 1).repeat_interleave(times, 2)


@dataclass(frozen=True)
class Restored:
    """A tile's outer part, grown to whole cells: mosaic and restored (1, C, H, W), the latter neither clipped nor
    rounded; levels (1, H/16, W/16).  C = 3, also of gray pictures.
    """

    tile: Tile
    mosaic: Tensor
    restored: Tensor
    levels: Tensor

    @property
    def core(self) -> tuple[slice, slice]:
        """Where the tile's core is in it."""
        return self.tile.core_in_outer_at(1)

    @property
    def pixel_levels(self) -> Tensor:
        """(1, H, W)."""
        return _repeat(self.levels, CELL)


class MosaicUpscaler(Upscaler):
    """Restores everything with one network, in tiles with a halo."""

    scales = SCALES
    sides = BLOCK_SIDES
    _kind: Kind = "mosaic"
    _filter_reach = 0
    """Pixels, in each direction, that what follows the network looks at."""

    def __init__(self, descriptor: NetworkDescriptor) -> None:
        self._network = network_of(descriptor, self._kind)
        self.device = device_of(self._network)
        reach = _UNBOUNDED_REACH if descriptor.reach is None else descriptor.reach
        self.halo = mosaic_halo(reach, self._filter_reach)
        self.reach = None if descriptor.reach is None else self.halo
        # What only the mosaic depends on, the network need not see.
        self._seen = self.halo if descriptor.reach is None else up_to_cell(POSITION * reach + self._filter_reach)

    def restored_tiles(self, stored: LRBlocks) -> Iterator[tuple[Tile, Tensor]]:
        """As in `Upscaler`."""
        return self.finished(self.corrected(stored), stored)

    def restored_tiles_of(self, stored: LRBlocks, part: tuple[slice, slice]) -> Iterator[tuple[Tile, Tensor]]:
        """As in `Upscaler`."""
        return self.finished(self.corrected(stored, part if self.reach is not None else None), stored)

    def corrected(self, stored: LRBlocks, part: tuple[slice, slice] | None = None) -> Iterator[Restored]:
        """The picture, or a part as of `restored_tiles_of`, tile by tile as the network leaves it; samples on its
        device.
        """
        grid = stored.grid
        whole = slice(0, grid.height), slice(0, grid.width)
        for tile in tiles_of_part(part or whole, grid.height, grid.width, TILE, self.halo):
            rows, cols = (slice(part.start, up_to_cell(part.stop)) for part in tile.outer)
            levels = levels_of(stored, rows, cols).to(stored.device)
            mosaic = build_mosaic(stored.planes_of(rows, cols), levels).expand(-1, 3, -1, -1)
            seen = tile.with_halo(self._seen)
            mosaic, levels = _cut_out(mosaic, levels, tile.outer, seen.outer)
            yield Restored(seen, mosaic, correct_mosaic(mosaic, levels, self._network, self._qualities(stored)), levels)

    def finished(self, parts: Iterable[Restored], stored: LRBlocks) -> Iterator[tuple[Tile, Tensor]]:
        """What `restored_tiles` gives, of what `corrected` gave; `stored` may have other filters than there."""
        for part in parts:
            yield part.tile, like_stored(self._filtered(part, stored)[:, :, *part.core], stored.channels)

    def _qualities(self, stored: LRBlocks) -> Tensor | None:
        """What the network is told of them."""
        return None

    def _filtered(self, part: Restored, stored: LRBlocks) -> Tensor:
        """What comes after the network."""
        return part.restored


class CodedUpscaler(MosaicUpscaler):
    """Restores LR samples that a lossy codec has been at, in the same way; then come the sender's Wiener filters."""

    _kind = "coded"
    _filter_reach = wiener.REACH

    def _qualities(self, stored: LRBlocks) -> Tensor:
        """(1, scales) in [0, 1]; 0 for scales that do not occur, and at full size no more than networks know."""
        own = [stored.qualities.get(factor, 0) for factor in SCALES]
        own[SCALES.index(1)] = min(own[SCALES.index(1)], HIGHEST_TRAINED)
        return torch.tensor([own], dtype=torch.float32, device=stored.device) / QUALITIES[-1]

    def _filtered(self, part: Restored, stored: LRBlocks) -> Tensor:
        return wiener.filtered(part.restored, part.mosaic, part.pixel_levels, stored.filters)


def _cut_out(
    mosaic: Tensor, levels: Tensor, whole: tuple[slice, slice], part: tuple[slice, slice]
) -> tuple[Tensor, Tensor]:
    """Of the mosaic and the levels of `whole` those of a part, grown to whole cells, as that is."""
    rows, cols = (
        slice(inner.start - outer.start, up_to_cell(inner.stop) - outer.start)
        for inner, outer in zip(part, whole, strict=True)
    )
    cells = (slice(one.start // CELL, one.stop // CELL) for one in (rows, cols))
    return mosaic[:, :, rows, cols], levels[:, *cells]


def levels_of(stored: LRBlocks, rows: slice, cols: slice) -> Tensor:
    """Base-2 logarithms of the scales of the cells in a part of the picture, in pixels: (1, h/16, w/16) int64."""
    cells = stored.grid.side // CELL
    row, col = (np.arange(part.start // CELL, part.stop // CELL) // cells for part in (rows, cols))
    return torch.from_numpy(np.log2(stored.scales[np.ix_(row, col)]).astype(np.int64)[None])
