"""A picture as the library sees it: colour samples, alpha, and the metadata that travels with them."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bbmr.depth import Samples, depth_of, in_8_bit

METADATA_LIMIT = 1 << 26
"""Bytes that each of ICC profile, EXIF and XMP may have."""


@dataclass(frozen=True)
class Metadata:
    """What a picture file says besides its samples; kept byte for byte."""

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Picture:
    """colour: (H, W, 1) gray or (H, W, 3) RGB, uint8 or uint16; alpha: (H, W) of the same depth, or None for an opaque
    picture.

    Pictures are equal where all samples and metadata are.
    """

    colour: Samples
    alpha: Samples | None = None
    metadata: Metadata = field(default_factory=Metadata)

    def __post_init__(self) -> None:
        shape, dtype = self.colour.shape, self.colour.dtype
        if dtype not in (np.uint8, np.uint16) or len(shape) != 3 or shape[2] not in (1, 3):
            raise ValueError(f"colour samples are (H, W, 1 or 3) uint8 or uint16, not {shape} {dtype}")
        if 0 in self.colour.shape:
            raise ValueError(f"a picture has at least 1 x 1 pixels, not {self.width} x {self.height}")
        alpha = self.alpha
        if alpha is not None and (alpha.dtype != self.colour.dtype or alpha.shape != self.colour.shape[:2]):
            raise ValueError(f"alpha is (H, W) of the picture's size and depth, not {alpha.shape} {alpha.dtype}")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Picture):
            return NotImplemented
        return (
            (self.metadata, self.depth) == (other.metadata, other.depth)
            and np.array_equal(self.colour, other.colour)
            and same_plane(self.alpha, other.alpha)
        )

    __hash__ = None  # type: ignore[assignment]  # arrays can change

    def __repr__(self) -> str:
        return f"<Picture {self.width} x {self.height}, {self.mode}, {self.depth} bit>"

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """As `to_array`: np.asarray(picture)."""
        return np.array(self.to_array(), dtype, copy=copy)

    @property
    def height(self) -> int:
        return int(self.colour.shape[0])

    @property
    def width(self) -> int:
        return int(self.colour.shape[1])

    @property
    def mode(self) -> str:
        """As of `mode_of`."""
        return mode_of(self.colour.shape[2], self.alpha is not None)

    @property
    def depth(self) -> int:
        """Bits of a sample, 8 or 16."""
        return depth_of(self.colour)

    def crop(self, rows: slice, cols: slice) -> "Picture":
        """Some rows and columns, with the same metadata; samples are shared."""
        alpha = None if self.alpha is None else self.alpha[rows, cols]
        return replace(self, colour=self.colour[rows, cols], alpha=alpha)

    def in_8_bit(self) -> "Picture":
        """The same with 8 bits a sample."""
        return replace(self, colour=in_8_bit(self.colour), alpha=None if self.alpha is None else in_8_bit(self.alpha))

    def to_array(self) -> Samples:
        """(H, W) for gray, (H, W, 2, 3 or 4) for gray with alpha, RGB and RGB with alpha; uint8 or uint16."""
        if self.alpha is not None:
            return np.dstack([self.colour, self.alpha])
        return self.colour[:, :, 0] if self.mode == "L" else self.colour

    @classmethod
    def from_array(cls, array: Samples) -> "Picture":
        """The inverse of `to_array`; raises ValueError for other shapes, TypeError for other types than these."""
        if array.dtype not in (np.uint8, np.uint16):
            raise TypeError(f"a picture is an array of uint8 (0 to 255) or uint16 (0 to 65535), not {array.dtype}")
        if array.ndim == 2:
            return cls(array[:, :, None])
        if array.ndim != 3 or array.shape[2] not in (1, 2, 3, 4):
            raise ValueError(f"a picture is (H, W) or (H, W, 1 to 4), not {array.shape}")
        if array.shape[2] in (1, 3):
            return cls(array)
        return cls(np.ascontiguousarray(array[:, :, :-1]), np.ascontiguousarray(array[:, :, -1]))


def mode_of(channels: int, alpha: bool) -> str:
    """Pillow's name of the colour model: L, LA, RGB or RGBA; channels: of colour, 1 or 3."""
    return ("L" if channels == 1 else "RGB") + ("A" if alpha else "")


def same_plane(one: Samples | None, other: Samples | None) -> bool:
    """Whether both are None, or arrays of the same shape and samples."""
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other)
