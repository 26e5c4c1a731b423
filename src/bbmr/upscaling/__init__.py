"""The receiver's side: from a RescaledImage to a picture.  Senders go through it too, to foresee what will be lost."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from bbmr.blocks import BlockGrid
from bbmr.depth import Samples, dtype_of
from bbmr.devices import CPU
from bbmr.lr_blocks import LRBlocks
from bbmr.networks import Kind, NetworkDescriptor
from bbmr.progress import Progress, silent
from bbmr.rescaled import RescaledImage
from bbmr.samples import round_to_depth, to_samples
from bbmr.tiles import Tile


class Upscaler(ABC):
    """Restores what a sender stored.

    scales: the scaling factors that it can restore, in rising order.  sides: the block sides, in pixels.  device: where
    its networks are, and where `restored_tiles` works.
    """

    scales: tuple[int, ...]
    sides: tuple[int, ...]
    device = CPU
    reach: int | None = None
    """Pixels around a restored one, in each direction, that it depends on; None: the whole picture, or tiles of it."""

    @abstractmethod
    def restored_tiles(self, stored: LRBlocks) -> Iterator[tuple[Tile, Tensor]]:
        """Restore the picture tile by tile, in memory that does not grow with it, or at most with its width: each tile
        with its core (1, C, h, w), nominally in [0, 1], neither clipped nor rounded.

        Scales and block side are among those above, samples on its device.  Cores begin at multiples of 128 pixels, so
        that they hold whole blocks.  Differentiable in the samples, each tile by itself.
        """

    def restored_tiles_of(self, stored: LRBlocks, part: tuple[slice, slice]) -> Iterator[tuple[Tile, Tensor]]:
        """As `restored_tiles`, of tiles that cover a part of the picture at least: rows and columns that begin at
        multiples of 16 pixels.
        """
        return self.restored_tiles(stored)

    @torch.inference_mode()
    def restore(self, rescaled: RescaledImage, progress: Progress = silent) -> Samples:
        """Restore the colour samples at full size, (H, W, C), in the picture's depth."""
        grid = rescaled.grid
        picture = np.empty((grid.height, grid.width, rescaled.channels), dtype_of(rescaled.depth))
        done = 0
        progress("restore", 0.0)
        for tile, core in self.restored_tiles(LRBlocks.of(rescaled).to(self.device)):
            picture[tile.core] = to_samples(core, rescaled.depth)
            done += core.shape[2] * core.shape[3]
            progress("restore", done / (grid.height * grid.width))
        return picture

    def restore_uniform(
        self, plane: Samples, factor: int, size: tuple[int, int], quality: int | None = None
    ) -> Iterator[tuple[Tile, Tensor]]:
        """Restore a picture of `size` (height, width) that has one scale all over from its LR plane (h, w, C).

        quality: that the plane was coded at, if it was.  Yields what `rounded_tiles` does.
        """
        return self.rounded_tiles(LRBlocks.uniform(plane, factor, BlockGrid(*size, max(self.sides)), quality))

    @torch.inference_mode()
    def rounded_tiles(self, stored: LRBlocks) -> Iterator[tuple[Tile, Tensor]]:
        """As `restored_tiles`, of samples anywhere: their cores rounded to the depth of these and on the CPU."""
        yield from rounded(self.restored_tiles(stored.to(self.device)), stored.depth)


def rounded(tiles: Iterator[tuple[Tile, Tensor]], depth: int) -> Iterator[tuple[Tile, Tensor]]:
    """The same tiles, their cores rounded to 8 or 16 bit and on the CPU."""
    for tile, core in tiles:
        yield tile, round_to_depth(core, depth).cpu()


def network_of(descriptor: NetworkDescriptor, kind: Kind) -> nn.Module:
    """The network as it restores, its weights fixed.  Raises ValueError where it is of another kind."""
    if descriptor.kind != kind:
        raise ValueError(f"{descriptor.name} is a network of kind {descriptor.kind!r}; this needs one of kind {kind!r}")
    return descriptor.network.eval().requires_grad_(False)


def device_of(network: nn.Module) -> torch.device:
    """Where its weights are; the CPU where it has none."""
    return next((parameter.device for parameter in network.parameters()), CPU)


def like_stored(colour: Tensor, channels: int) -> Tensor:
    """(N, 3, H, W) as networks restore it -> (N, channels, H, W); gray pictures went in as three equal channels."""
    return colour if channels == 3 else colour.mean(1, keepdim=True)
