"""What a picture that is about to be written will be."""

from dataclasses import dataclass, field
from typing import Protocol

from bbmr.depth import Samples
from bbmr.imageio.source import channels_of
from bbmr.picture import Metadata


@dataclass(frozen=True)
class Sheet:
    """height, width: in pixels.  mode: L, LA, RGB or RGBA.  depth: 8 or 16 bits a sample."""

    height: int
    width: int
    mode: str
    depth: int
    metadata: Metadata = field(default_factory=Metadata)

    @property
    def channels(self) -> int:
        """1 to 4, alpha included."""
        return channels_of(self.mode)


class Encoder(Protocol):
    """Writes the samples of a Sheet into a file, from top to bottom."""

    def add(self, samples: Samples) -> None:
        """Further rows, (h, W, C), alpha as the last channel."""

    def finish(self) -> None:
        """What comes when all rows have been added."""
