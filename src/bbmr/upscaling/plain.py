"""Plain super-resolution of whole pictures: one scale all over, as usual image rescaling has it.

Large pictures are restored in tiles with a halo.  Networks such as Omni-SR look at all of their input, so a tile is not
exactly the crop of the restored whole; sender and receiver use the same tiles, and so get the same picture.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bbmr.blocks import BLOCK_SIDES, stitch
from bbmr.downscaling.bicubic import round_to_8_bit
from bbmr.errors import BbmrError
from bbmr.networks import NetworkDescriptor
from bbmr.progress import Progress, silent
from bbmr.rescaled import RescaledImage
from bbmr.samples import to_tensor
from bbmr.tiles import Tile, tiles
from bbmr.upscaling import collect, like_stored, network_of

# In LR samples, at every scale: what a network costs and sees depends on them.
TILE = 256  # per side
# Two windows of Omni-SR, one of CRAFT; the windows of a tile with its halo lie where those of the whole picture do.
HALO = 16


class PlainUpscaler:
    """Restores pictures of one scale, one SR network for each; an `Upscaler`."""

    sides = BLOCK_SIDES

    def __init__(self, *descriptors: NetworkDescriptor) -> None:
        self._networks = sr_networks(descriptors)
        self.scales = tuple(self._networks)

    def restore(self, rescaled: RescaledImage, progress: Progress = silent) -> NDArray[np.uint8]:
        """As in `Upscaler`.  Raises BbmrError where there is more than one scale."""
        if len(rescaled.blocks) > 1:
            raise BbmrError(f"plain super-resolution restores one scale all over, not {sorted(rescaled.blocks)}")
        grid = rescaled.grid
        ((factor, blocks),) = rescaled.blocks.items()
        plane = stitch(blocks.reshape(grid.rows, grid.cols, *blocks.shape[1:]), grid, factor)
        return collect(self.restore_uniform(plane, factor, (grid.height, grid.width)), rescaled, progress)

    def restore_uniform(
        self, plane: NDArray[np.uint8], factor: int, size: tuple[int, int]
    ) -> Iterator[tuple[Tile, Tensor]]:
        """As in `Upscaler`."""
        for tile in tiles(*size, TILE * factor, HALO * factor):
            restored = self._restore(to_tensor(plane[tile.outer_at(factor)]), factor)
            yield tile, round_to_8_bit(restored[:, :, *tile.core_in_outer_at(1)])

    @torch.inference_mode()
    def _restore(self, plane: Tensor, factor: int) -> Tensor:
        return like_stored(self._networks[factor](plane.expand(-1, 3, -1, -1)), plane.shape[1])


def sr_networks(descriptors: Sequence[NetworkDescriptor]) -> dict[int, nn.Module]:
    """SR networks by scale, in rising order.  Raises ValueError for networks of another kind."""
    networks = {descriptor.scale: network_of(descriptor, "sr") for descriptor in descriptors}
    return {scale: networks[scale] for scale in sorted(scale for scale in networks if scale is not None)}
