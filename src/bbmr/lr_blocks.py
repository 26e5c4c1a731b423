"""The LR blocks of a picture as tensors: what upscalers read, and what gradients are taken in."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bbmr.blocks import BlockGrid, split
from bbmr.depth import Samples, depth_of
from bbmr.rescaled import RescaledImage, WienerFilter
from bbmr.samples import to_integers, to_unit


@dataclass(frozen=True, eq=False)
class LRBlocks:
    """grid, scales, depth: as in `RescaledImage`.  samples: {k: (N_k, C, side/k, side/k)} in raster order, as they are
    stored (`to_integers`) or float32 in [0, 1].  qualities: {k: 0 to 100} that they were coded at, where
    they were.  filters: {k: coefficients}, what the sender wants done after the network (see `bbmr.upscaling.wiener`).
    """

    grid: BlockGrid
    scales: NDArray[np.uint8]
    samples: Mapping[int, Tensor]
    qualities: Mapping[int, int] = field(default_factory=dict)
    filters: Mapping[int, WienerFilter] = field(default_factory=dict)
    depth: int = 8

    @classmethod
    def of(cls, rescaled: RescaledImage) -> "LRBlocks":
        """Those of a RescaledImage, whose memory they share where it may be written."""
        samples = {k: _as_tensor(own) for k, own in rescaled.blocks.items()}
        qualities, filters = {}, {}
        for k, frame in rescaled.frames.items():
            qualities[k], filters[k] = frame.quality, frame.filter
        return cls(rescaled.grid, rescaled.scales, samples, qualities, filters, rescaled.depth)

    @classmethod
    def uniform(cls, plane: Samples, factor: int, grid: BlockGrid, quality: int | None = None) -> "LRBlocks":
        """A whole LR plane (ceil(H/k), ceil(W/k), C) cut into blocks; quality: that it was coded at, if it was."""
        blocks = split(plane, grid, factor)
        scales = np.full((grid.rows, grid.cols), factor, np.uint8)
        samples = {factor: _as_tensor(blocks.reshape(-1, *blocks.shape[2:]))}
        return cls(grid, scales, samples, {} if quality is None else {factor: quality}, depth=depth_of(plane))

    def to(self, device: torch.device) -> "LRBlocks":
        """The same with the samples there."""
        return replace(self, samples={k: own.to(device) for k, own in self.samples.items()})

    @property
    def device(self) -> torch.device:
        """Where the samples are."""
        return next(iter(self.samples.values())).device

    @property
    def channels(self) -> int:
        """Of the samples: 1 (gray) or 3 (RGB)."""
        return next(iter(self.samples.values())).shape[1]

    @cached_property
    def _position(self) -> NDArray[np.int64]:
        """Of each block among those of its scale, (rows, cols)."""
        position = np.empty(self.scales.shape, np.int64)
        for factor in self.samples:
            own = self.scales == factor
            position[own] = np.arange(own.sum())
        return position

    def of_part(self, rows: slice, cols: slice) -> dict[int, Tensor]:
        """The blocks of some rows and columns of the grid, {k: (M, C, side/k, side/k) in [0, 1]} in raster order."""
        scales, position = self.scales[rows, cols], self._position[rows, cols]
        found = {}
        for factor in np.unique(scales).tolist():
            own = self.samples[factor][torch.from_numpy(position[scales == factor])]
            # Contiguous, as how samples lie in memory decides how convolutions round.
            own = own.contiguous()
            found[factor] = own if own.is_floating_point() else to_unit(own)
        return found

    def planes_of(self, rows: slice, cols: slice) -> dict[int, Tensor]:
        """A part of the picture, in pixels, as LR planes, one for each scale that occurs there, {k: (1, C, h/k, w/k)};
        zero where another scale is stored.

        rows, cols: begin and end at multiples of 16 pixels, of partial blocks too.
        """
        side = self.grid.side
        first_row, first_col = rows.start // side, cols.start // side
        covered = slice(first_row, -(-rows.stop // side)), slice(first_col, -(-cols.stop // side))
        top, left = rows.start - first_row * side, cols.start - first_col * side
        height, width = rows.stop - rows.start, cols.stop - cols.start
        scales = self.scales[covered]
        planes = {}
        for factor, own in self.of_part(*covered).items():
            short = side // factor
            blocks = own.new_zeros(*scales.shape, self.channels, short, short)
            blocks[torch.from_numpy(scales == factor)] = own
            plane = blocks.permute(2, 0, 3, 1, 4).reshape(1, self.channels, len(scales) * short, -1)
            planes[factor] = plane[
                :, :, top // factor : (top + height) // factor, left // factor : (left + width) // factor
            ]
        return planes


def _as_tensor(blocks: Samples) -> Tensor:
    writable = blocks if blocks.flags.writeable else blocks.copy()  # torch warns of others
    return to_integers(writable).permute(0, 3, 1, 2)
