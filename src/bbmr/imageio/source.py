"""What the readers of the formats have in common: a source of samples, strip by strip."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from bbmr.depth import Samples, white_of
from bbmr.imageio.errors import PictureError
from bbmr.picture import Metadata

Strips = Callable[[int], Iterator[Samples]]
"""Height of a strip -> strips from top to bottom, the last one may be lower: (h, W, C), alpha as the last channel."""


@dataclass(frozen=True)
class Source:
    """What the header of a picture says, and its samples.

    remarks: what reading changes or leaves out, in words that follow the file's name.
    streams: whether its strips come without the whole picture in memory.
    """

    height: int
    width: int
    mode: str
    depth: int
    metadata: Metadata
    strips: Strips
    remarks: tuple[str, ...] = ()
    streams: bool = False

    @property
    def channels(self) -> int:
        """1 to 4, alpha included."""
        return channels_of(self.mode)


def channels_of(mode: str) -> int:
    """Of L, LA, RGB and RGBA: 1 to 4."""
    return {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}[mode]


def in_memory(decode: Callable[[], Samples]) -> Strips:
    """Strips of a picture that is decoded as a whole, to (H, W) or (H, W, C)."""

    def strips(height: int) -> Iterator[Samples]:
        samples = np.atleast_3d(decode())
        for top in range(0, len(samples), height):
            yield samples[top : top + height]

    return strips


def check_pixels(width: int, height: int, limit: int) -> None:
    """Raise PictureError for a picture of more than `limit` pixels, or of none."""
    if width * height > limit:
        raise PictureError(
            f"{width} x {height} = {width * height} pixels are more than the {limit} allowed; "
            "if the file is what it should be, raise max_pixels (--max-pixels)"
        )
    if not width * height:
        raise PictureError("the picture is damaged, it has no pixels; get a new copy")


def full_range(samples: Samples, white: int) -> Samples:
    """Samples from 0 to `white`, of 16 bits where that is above 255, scaled to all that 8 or 16 bits hold, rounded."""
    depth = 8 if white <= 255 else 16
    if white == white_of(depth):
        return samples
    scaled = (np.minimum(samples, white).astype(np.uint32) * white_of(depth) + white // 2) // white
    return scaled.astype(samples.dtype)


def bits_remark(bits: int) -> tuple[str, ...]:
    """What to say of samples of so many bits that are read as 8 or 16."""
    if bits == 1:
        return ("read as L; its own mode is 1",)
    return () if bits in (8, 16) else (f"read with {8 if bits < 8 else 16} bits a sample; its own have {bits}",)
