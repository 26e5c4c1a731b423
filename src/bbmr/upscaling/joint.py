"""The paper's receiver: Joint SR over a picture of blocks, in strips.

Branches see one block at a time, whatever the picture's size, with some LR samples of its neighbours around it; the
paper gives them none.  Deblocking and the last convolution look beyond a block by 4 samples of the stitched map.  So a
strip with one more block row on either side gives the samples of the whole.
"""

from collections.abc import Iterator
from functools import lru_cache, partial

import numpy as np
import torch
from torch import Tensor

from bbmr.blocks import PAPER_SCALES, PAPER_SIDE
from bbmr.lr_blocks import LRBlocks
from bbmr.networks import NetworkDescriptor
from bbmr.networks.joint import HALF, JointSR
from bbmr.upscaling import device_of, network_of
from bbmr.upscaling.blockwise import BlockwiseUpscaler, in_batches
from bbmr.upscaling.context import blocks_in_context

STRIP = 3  # block rows


class JointUpscaler(BlockwiseUpscaler):
    """Restores all blocks together.

    Around each block the branches see as many LR samples of its neighbours as the network was trained with; in the
    paper none.  Raises ValueError for more than a block at x8 has.
    """

    def __init__(self, descriptor: NetworkDescriptor) -> None:
        network = network_of(descriptor, "joint")
        assert isinstance(network, JointSR)
        most = PAPER_SIDE // max(PAPER_SCALES)
        if network.context > most:
            raise ValueError(f"{descriptor.name} wants {network.context} samples around a block; {most} is the most")
        self._network, self._context = network, network.context
        super().__init__(tuple(sorted(map(int, network.branches))), device_of(network))

    def _strips(self, stored: LRBlocks) -> Iterator[tuple[int, Tensor]]:
        # Two rows of each strip are seen by the next one as well.  Gradients, where they are wanted, are taken before
        # there is a next one, so then the rows are made again.
        kept = 0 if torch.is_grad_enabled() else 2
        stitched_row = lru_cache(maxsize=kept)(partial(self._stitched_row, stored))
        rows = stored.grid.rows
        for row in range(0, rows, STRIP):
            first, last = max(row - 1, 0), min(row + STRIP + 1, rows)
            stitched = torch.cat([stitched_row(near) for near in range(first, last)], 2)
            restored = self._network.finish(stitched, PAPER_SIDE // HALF)
            yield row, restored[:, :, (row - first) * PAPER_SIDE :][:, :, : STRIP * PAPER_SIDE]

    def _stitched_row(self, stored: LRBlocks, row: int) -> Tensor:
        """One block row of the stitched map, (1, 12, 64, cols 64)."""
        features = {}
        for factor in np.unique(stored.scales[row]).tolist():
            own = blocks_in_context(stored, row, factor, self._context)
            features[factor] = in_batches(partial(self._network.block_features, factor, context=self._context), own)
        return self._network.stitch(features, torch.from_numpy(stored.scales[None, row : row + 1]))
