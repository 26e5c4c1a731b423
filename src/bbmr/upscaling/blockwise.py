"""What restorers that know only whole blocks have in common: block rows in, strips of the picture out."""

from abc import abstractmethod
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from bbmr.blocks import PAPER_SIDE
from bbmr.lr_blocks import LRBlocks
from bbmr.tiles import Tile
from bbmr.upscaling import Upscaler, like_stored

# Blocks that go through a network at once, and where gradients are wanted: bounds the memory of a network's insides.
_BATCH, _BATCH_WITH_GRADIENTS = 32, 4


class BlockwiseUpscaler(Upscaler):
    """Restores pictures from blocks of 128 pixels, strip by strip."""

    sides = (PAPER_SIDE,)

    def __init__(self, scales: tuple[int, ...], device: torch.device) -> None:
        self.scales, self.device = scales, device

    def restored_tiles(self, stored: LRBlocks) -> Iterator[tuple[Tile, Tensor]]:
        """As in `Upscaler`."""
        grid = stored.grid
        for row, strip in self._strips(stored):
            top = row * PAPER_SIDE
            core = slice(top, min(top + strip.shape[2], grid.height)), slice(0, grid.width)
            yield Tile(core, core), like_stored(strip[:, :, : core[0].stop - top, : grid.width], stored.channels)

    @abstractmethod
    def _strips(self, stored: LRBlocks) -> Iterator[tuple[int, Tensor]]:
        """The picture in strips of whole block rows, from the top: first row, restored samples (1, 3, h, cols 128)."""


def blocks_of_row(stored: LRBlocks, row: int) -> dict[int, Tensor]:
    """The LR blocks of one row of the grid, {k: (N, 3, s/k, s/k) in [0, 1]} in the order of their columns."""
    found = stored.of_part(slice(row, row + 1), slice(None))
    return {factor: own.expand(-1, 3, -1, -1) for factor, own in found.items()}


def in_batches(network: Callable[[Tensor], Tensor], blocks: Tensor) -> Tensor:
    """Blocks (N, 3, h, w) through a network, some at a time."""
    size = _BATCH_WITH_GRADIENTS if torch.is_grad_enabled() else _BATCH
    return torch.cat([network(batch) for batch in torch.split(blocks, size)])
