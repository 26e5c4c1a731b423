"""Every block alone, by the SR network of its scale: what Joint SR is measured against, seams included."""

from collections.abc import Iterator

import torch
from torch import Tensor

from bbmr.lr_blocks import LRBlocks
from bbmr.networks import NetworkDescriptor
from bbmr.networks.joint import JointSR
from bbmr.upscaling import device_of
from bbmr.upscaling.blockwise import BlockwiseUpscaler, blocks_of_row, in_batches
from bbmr.upscaling.plain import sr_networks


class SeparateUpscaler(BlockwiseUpscaler):
    """Restores blocks one by one, one SR network for each scale."""

    def __init__(self, *descriptors: NetworkDescriptor) -> None:
        self._networks = sr_networks(descriptors)
        scales = tuple(self._networks)
        super().__init__(scales, device_of(self._networks[scales[0]]))

    def _strips(self, stored: LRBlocks) -> Iterator[tuple[int, Tensor]]:
        for row in range(stored.grid.rows):
            restored = {k: in_batches(self._networks[k], own) for k, own in blocks_of_row(stored, row).items()}
            yield row, JointSR.stitch(restored, torch.from_numpy(stored.scales[None, row : row + 1]))
