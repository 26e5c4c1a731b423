"""What LR samples are restored to: its error, block by block, and the gradient of that in the samples.

Both are summed over the upscaler's tiles, so that they are those of the whole picture, and memory is that of a tile.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bbmr.blocks import BlockGrid
from bbmr.depth import depth_of
from bbmr.lr_blocks import LRBlocks
from bbmr.luma import BLACK, BLACK_TO_WHITE, luma
from bbmr.samples import round_to_depth, to_tensor
from bbmr.tiles import Tile
from bbmr.upscaling import Upscaler

Samples = dict[int, Tensor]
"""LR samples by scale, as in `LRBlocks`, float32 in [0, 1]."""
Errors = NDArray[np.float64]
"""Summed squared errors of each block, (2, rows, cols) in grey levels squared: of the luma, and the mean over the
channels.
"""


class Restoration:
    """A picture (H, W, C) as an upscaler restores it from LR samples.

    report: called with the passes over the picture that are done, each tile its share of one.
    """

    def __init__(
        self,
        colour: NDArray[Any],
        upscaler: Upscaler,
        grid: BlockGrid,
        scales: NDArray[np.uint8],
        report: Callable[[float], None] = lambda done: None,
    ) -> None:
        self._colour, self._upscaler, self.grid, self.scales = colour, upscaler, grid, scales
        self._report, self._done = report, 0.0
        self._partial = {k: _partial_blocks(grid, scales, k) for k in np.unique(scales).tolist()}

    def errors(self, samples: Mapping[int, Tensor]) -> Errors:
        """Of what is restored, rounded to the picture's depth."""
        errors = np.zeros((2, self.grid.rows, self.grid.cols))
        with torch.inference_mode():
            for tile, core in self._restored_tiles(samples):
                self._measure(core, tile.core, errors)
        return errors

    def gradient(self, samples: Mapping[int, Tensor], weights: NDArray[np.float64]) -> tuple[Samples, Errors]:
        """The gradient of half the squared error of the luma and half of that of the channels, in the samples of every
        scale but 1, which are exact; and `errors`.

        weights: (rows, cols), of the errors of the blocks.  The gradient of each block's samples is divided by its
        weight again, so that the same rates do.  Samples are taken as they are, not rounded; those that partial blocks
        repeat have no gradient of their own.
        """
        whole = {k: own.detach().requires_grad_(k > 1) for k, own in samples.items()}
        errors = np.zeros((2, self.grid.rows, self.grid.cols))
        for tile, core in self._restored_tiles(whole):
            self._measure(core.detach(), tile.core, errors)
            error = core.clamp(0, 1) - to_tensor(self._colour[tile.core], core.device)
            of_luma = (luma(error) - BLACK) / BLACK_TO_WHITE
            squared = (of_luma.square() + error.square().mean(1, keepdim=True)) / 2
            if squared.requires_grad:  # it does not where all scales are 1
                torch.autograd.backward((squared * self._of_pixels(weights, tile.core).to(core.device)).sum())
        gradients = {}
        for k, own in whole.items():
            if k > 1:
                gradients[k] = torch.zeros_like(own) if own.grad is None else self._gather(own.grad, k)
                gradients[k] /= torch.from_numpy(weights[self.scales == k]).to(own)[:, None, None, None]
        return gradients, errors

    def fill(self, samples: Tensor, factor: int) -> None:
        """Let partial blocks repeat their last row and column, as files have it."""
        for block, height, width in self._partial[factor]:
            samples[block, :, height:] = samples[block, :, height - 1 : height]
            samples[block, :, :, width:] = samples[block, :, :, width - 1 : width]

    def without_repeated(self, samples: Tensor, factor: int) -> Tensor:
        """With zeros for what `fill` fills."""
        for block, height, width in self._partial[factor]:
            samples[block, :, height:] = 0
            samples[block, :, :, width:] = 0
        return samples

    def _gather(self, gradients: Tensor, factor: int) -> Tensor:
        """The transpose of `fill`."""
        for block, height, width in self._partial[factor]:
            gradients[block, :, :, width - 1] = gradients[block, :, :, width - 1 :].sum(2)
            gradients[block, :, height - 1] = gradients[block, :, height - 1 :].sum(1)
        return self.without_repeated(gradients, factor)

    def _restored_tiles(self, samples: Mapping[int, Tensor]) -> Iterator[tuple[Tile, Tensor]]:
        for tile, core in self._upscaler.restored_tiles(LRBlocks(self.grid, self.scales, samples)):
            self._report(self._done)
            yield tile, core
            self._done += core.shape[2] * core.shape[3] / (self.grid.height * self.grid.width)

    def _of_pixels(self, weights: NDArray[np.float64], part: tuple[slice, slice]) -> Tensor:
        """What is given for blocks, for the pixels of a part of the picture, (h, w)."""
        rows, cols = (np.arange(pixels.start, pixels.stop) // self.grid.side for pixels in part)
        return torch.from_numpy(weights[np.ix_(rows, cols)]).float()

    def _measure(self, core: Tensor, where: tuple[slice, slice], errors: Errors) -> None:
        """Note the errors of the blocks in a part of the picture."""
        original, restored = to_tensor(self._colour[where], core.device), round_to_depth(core, depth_of(self._colour))
        rows, cols = self.grid.covered(where)
        of_luma = (luma(restored) - luma(original)).square()
        of_colour = (restored - original).mul(255).square().mean(1, keepdim=True)
        for row, error in enumerate((of_luma, of_colour)):
            errors[row, rows, cols] = self.grid.sums_of_part(error[0, 0].cpu().numpy())


def total(errors: Errors) -> float:
    """What `Restoration.gradient` is the gradient of, but for weights and the scale: luma and channels in halves."""
    return float(errors[0].sum() * (255 / BLACK_TO_WHITE) ** 2 + errors[1].sum()) / 2


def _partial_blocks(grid: BlockGrid, scales: NDArray[np.uint8], factor: int) -> list[tuple[int, int, int]]:
    """The partial blocks of a scale: which it is among those of the scale, and its true samples, (height, width)."""
    heights, widths = grid.block_sizes(factor)
    side = grid.side // factor
    sizes = [(int(heights[row]), int(widths[col])) for row, col in np.argwhere(scales == factor)]
    return [(block, *size) for block, size in enumerate(sizes) if size != (side, side)]
