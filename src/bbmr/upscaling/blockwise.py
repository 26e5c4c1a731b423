"""What restorers that know only whole blocks have in common: block rows in, strips of the picture out."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bbmr.blocks import PAPER_SIDE, BlockGrid, split
from bbmr.downscaling.bicubic import round_to_8_bit
from bbmr.progress import Progress, silent
from bbmr.rescaled import RescaledImage
from bbmr.tiles import Tile
from bbmr.upscaling import collect, like_stored

_BATCH = 32  # blocks that go through a network at once: bounds the memory


class BlockwiseUpscaler(ABC):
    """Restores pictures from blocks of 128 pixels, strip by strip; an `Upscaler`."""

    sides = (PAPER_SIDE,)

    def __init__(self, scales: tuple[int, ...]) -> None:
        self.scales = scales

    def restore(self, rescaled: RescaledImage, progress: Progress = silent) -> NDArray[np.uint8]:
        """As in `Upscaler`."""
        return collect(self._restore(rescaled.grid, rescaled.scales, rescaled.blocks), rescaled, progress)

    def restore_uniform(
        self, plane: NDArray[np.uint8], factor: int, size: tuple[int, int]
    ) -> Iterator[tuple[Tile, Tensor]]:
        """As in `Upscaler`: the plane is cut into blocks, and these are restored as stored ones are."""
        grid = BlockGrid(*size, PAPER_SIDE)
        blocks = split(plane, grid, factor)
        scales = np.full((grid.rows, grid.cols), factor, np.uint8)
        for tile, core in self._restore(grid, scales, {factor: blocks.reshape(-1, *blocks.shape[2:])}):
            yield tile, round_to_8_bit(core)

    @torch.inference_mode()
    def _restore(
        self, grid: BlockGrid, scales: NDArray[np.uint8], blocks: Mapping[int, NDArray[np.uint8]]
    ) -> Iterator[tuple[Tile, Tensor]]:
        channels = next(iter(blocks.values())).shape[3]
        for row, strip in self._strips(scales, blocks):
            top = row * PAPER_SIDE
            core = slice(top, min(top + strip.shape[2], grid.height)), slice(0, grid.width)
            yield Tile(core, core), like_stored(strip[:, :, : core[0].stop - top, : grid.width], channels)

    @abstractmethod
    def _strips(
        self, scales: NDArray[np.uint8], blocks: Mapping[int, NDArray[np.uint8]]
    ) -> Iterator[tuple[int, Tensor]]:
        """The picture in strips of whole block rows, from the top: first row and restored samples (1, 3, h, cols 128).

        Arguments as in `RescaledImage`.
        """


def blocks_of_row(scales: NDArray[np.uint8], blocks: Mapping[int, NDArray[np.uint8]], row: int) -> dict[int, Tensor]:
    """The LR blocks of one row of the grid, {k: (N, 3, s/k, s/k) in [0, 1]} in the order of their columns."""
    found = {}
    for factor in np.unique(scales[row]).tolist():
        before = np.count_nonzero(scales[:row] == factor)
        own = blocks[factor][before : before + np.count_nonzero(scales[row] == factor)]
        # Contiguous, as how samples lie in memory decides how convolutions round.
        planes = torch.from_numpy(np.ascontiguousarray(own.transpose(0, 3, 1, 2)))
        found[factor] = planes.float().div_(255).expand(-1, 3, -1, -1)
    return found


def in_batches(network: Callable[[Tensor], Tensor], blocks: Tensor) -> Tensor:
    """Blocks (N, 3, h, w) through a network, some at a time."""
    return torch.cat([network(batch) for batch in torch.split(blocks, _BATCH)])
