"""Every block alone, by the SR network of its scale: what Joint SR is measured against, seams included."""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bbmr.networks import NetworkDescriptor
from bbmr.networks.joint import JointSR
from bbmr.upscaling.blockwise import BlockwiseUpscaler, blocks_of_row, in_batches
from bbmr.upscaling.plain import sr_networks


class SeparateUpscaler(BlockwiseUpscaler):
    """Restores blocks one by one, one SR network for each scale; an `Upscaler`."""

    def __init__(self, *descriptors: NetworkDescriptor) -> None:
        self._networks = sr_networks(descriptors)
        super().__init__(tuple(self._networks))

    def _strips(
        self, scales: NDArray[np.uint8], blocks: Mapping[int, NDArray[np.uint8]]
    ) -> Iterator[tuple[int, Tensor]]:
        for row in range(len(scales)):
            restored = {k: in_batches(self._networks[k], own) for k, own in blocks_of_row(scales, blocks, row).items()}
            yield row, JointSR.stitch(restored, torch.from_numpy(scales[None, row : row + 1]))
