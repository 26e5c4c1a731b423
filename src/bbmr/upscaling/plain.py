"""Plain super-resolution of whole pictures: one scale all over, as usual image rescaling has it.

Large pictures are restored in tiles with a halo.  Networks such as Omni-SR look at all of their input, so a tile is not
exactly the crop of the restored whole; sender and receiver use the same tiles, and so get the same picture.
"""

from collections.abc import Callable, Iterator, Sequence

from torch import Tensor, nn

from bbmr.blocks import BLOCK_SIDES, up_to_cell
from bbmr.errors import BbmrError
from bbmr.lr_blocks import LRBlocks
from bbmr.networks import NetworkDescriptor
from bbmr.tiles import Tile, tiles
from bbmr.upscaling import Upscaler, device_of, like_stored, network_of

# In LR samples, at every scale: what a network costs and sees depends on them.
TILE = 256  # per side
# Two windows of Omni-SR, one of CRAFT; the windows of a tile with its halo lie where those of the whole picture do.
HALO = 16


class PlainUpscaler(Upscaler):
    """Restores pictures of one scale, one SR network for each."""

    sides = BLOCK_SIDES

    def __init__(self, *descriptors: NetworkDescriptor) -> None:
        self._networks = sr_networks(descriptors)
        self.scales = tuple(self._networks)
        self.device = device_of(self._networks[self.scales[0]])

    def restored_tiles(self, stored: LRBlocks) -> Iterator[tuple[Tile, Tensor]]:
        """As in `Upscaler`.  Raises BbmrError where there is more than one scale."""
        if len(stored.samples) > 1:
            raise BbmrError(f"plain super-resolution restores one scale all over, not {sorted(stored.samples)}")
        return enlarged_tiles(stored, lambda plane, factor: self._networks[factor](plane))


def enlarged_tiles(stored: LRBlocks, enlarge: Callable[[Tensor, int], Tensor]) -> Iterator[tuple[Tile, Tensor]]:
    """A picture of one scale, as `Upscaler.restored_tiles` gives it.

    enlarge: an LR plane (1, 3, h, w) in [0, 1] and its scale k -> (1, 3, h k, w k).
    """
    grid = stored.grid
    (factor,) = stored.samples
    for tile in tiles(grid.height, grid.width, TILE * factor, HALO * factor):
        rows, cols = (slice(part.start, up_to_cell(part.stop)) for part in tile.outer)
        height, width = (part.stop - part.start for part in tile.outer_at(factor))
        plane = stored.planes_of(rows, cols)[factor][:, :, :height, :width].contiguous()
        restored = enlarge(plane.expand(-1, 3, -1, -1), factor)
        yield tile, like_stored(restored[:, :, *tile.core_in_outer_at(1)], stored.channels)


def sr_networks(descriptors: Sequence[NetworkDescriptor]) -> dict[int, nn.Module]:
    """SR networks by scale, in rising order.  Raises ValueError for networks of another kind."""
    networks = {descriptor.scale: network_of(descriptor, "sr") for descriptor in descriptors}
    return {scale: networks[scale] for scale in sorted(scale for scale in networks if scale is not None)}
