"""The receiver's side: from a RescaledImage to a picture."""

from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from bbmr.networks import Kind, NetworkDescriptor
from bbmr.progress import Progress, silent
from bbmr.rescaled import RescaledImage
from bbmr.samples import to_samples
from bbmr.tiles import Tile


class Upscaler(Protocol):
    """Restores what a sender stored."""

    @property
    def scales(self) -> tuple[int, ...]:
        """The scaling factors it can restore, in rising order."""
        ...

    @property
    def sides(self) -> tuple[int, ...]:
        """The block sides it can restore, in pixels."""
        ...

    def restore(self, rescaled: RescaledImage, progress: Progress = silent) -> NDArray[np.uint8]:
        """Restore the colour samples at full size, (H, W, C) uint8.  Scales and block side are among those above."""
        ...

    def restore_uniform(
        self, plane: NDArray[np.uint8], factor: int, size: tuple[int, int]
    ) -> Iterator[tuple[Tile, Tensor]]:
        """Restore a picture of `size` (height, width) that has one scale all over from its LR plane (h, w, C).

        Yields each tile with its core, (1, C, h, w) in [0, 1], rounded to 8 bit.  Cores begin at multiples of 128
        pixels, so that they hold whole blocks.
        """
        ...


def network_of(descriptor: NetworkDescriptor, kind: Kind) -> nn.Module:
    """The network in evaluation mode.  Raises ValueError where it is of another kind."""
    if descriptor.kind != kind:
        raise ValueError(f"{descriptor.name} is a network of kind {descriptor.kind!r}; this needs one of kind {kind!r}")
    return descriptor.network.eval()


def collect(restored: Iterable[tuple[Tile, Tensor]], rescaled: RescaledImage, progress: Progress) -> NDArray[np.uint8]:
    """Gather restored tiles, each with its core (1, C, h, w) in [0, 1], to a picture of the size of `rescaled`."""
    grid = rescaled.grid
    picture = np.empty((grid.height, grid.width, rescaled.channels), np.uint8)
    done = 0
    progress("restore", 0.0)
    for tile, core in restored:
        picture[tile.core] = to_samples(core)
        done += core.shape[2] * core.shape[3]
        progress("restore", done / (grid.height * grid.width))
    return picture


def like_stored(colour: Tensor, channels: int) -> Tensor:
    """(N, 3, H, W) as networks restore it -> (N, channels, H, W); gray pictures went in as three equal channels."""
    return colour if channels == 3 else colour.mean(1, keepdim=True)
