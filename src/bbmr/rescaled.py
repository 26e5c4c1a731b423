"""RescaledImage: what the sender stores and the receiver restores from."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bbmr.blocks import SCALES, BlockGrid
from bbmr.depth import Samples, dtype_of
from bbmr.picture import Metadata, mode_of, same_plane

DIGEST_DIGITS = 16
"""64 bits tell weights from others; the other 24 bytes of a SHA-256 would be 0.2 % of many files."""

NAME_LIMIT = 255
"""Bytes of UTF-8 that each of a recipe's names may have."""


@dataclass(frozen=True)
class Recipe:
    """What a picture was compressed for: the receiver needs the same restorer and weights to get the expected
    picture.
    """

    pipeline: str
    weights: str
    weights_digest: str
    """The first DIGEST_DIGITS of its hexadecimal digits; all of them, or none, where files of another origin say so."""
    tune: str
    """What the scales were chosen by: "visual" or "psnr" (see `bbmr.options`), "algorithm 1", "uniform", or "own", an
    allocator of the sender's.
    """
    expected_psnr: float | None = None
    """PSNR-Y in dB that the sender promises: measured where LR samples were coded with loss or refined, else by its
    distortion estimate; None where it makes no such promise, or the picture comes back exactly.
    """


WienerFilter = tuple[int, ...]
"""Coefficients, -128 to 127, of a filter for what is restored of one scale (see `bbmr.upscaling.wiener`): WIENER_TAPS
for each class of activity.  Empty: no filter.
"""
WIENER_TAPS = 7
WIENER_CLASSES = (1, 4)
"""How many classes a filter may have."""


@dataclass(frozen=True)
class Frame:
    """The LR samples of one scale as a lossy codec has them.

    quality: 0 to 100, what they were coded at, which the restorer is told.  data: the bytes, see `bbmr.codecs.avif`.
    colour: per cent, 1 to 100, of their colour that the codec was given, see `bbmr.codecs.colour`.  filter: for what is
    restored of them.
    """

    quality: int
    data: bytes
    colour: int = 100
    filter: WienerFilter = ()

    def __post_init__(self) -> None:
        lengths = [0, *(WIENER_TAPS * classes for classes in WIENER_CLASSES)]
        if len(self.filter) not in lengths:
            raise ValueError(f"a filter has one of {lengths} coefficients, not {len(self.filter)}")


class _Mapped:
    """What follows from the grid and the map of scales."""

    grid: BlockGrid
    scales: NDArray[np.uint8]

    @property
    def blocks_per_scale(self) -> dict[int, int]:
        factors, counts = np.unique(self.scales, return_counts=True)
        return {int(factor): int(count) for factor, count in zip(factors, counts, strict=True)}

    @property
    def lr_pixels(self) -> int:
        """Number of LR pixels stored, partial blocks counted by their true samples."""
        return sum(int(self.grid.costs(factor)[self.scales == factor].sum()) for factor in self.blocks_per_scale)


@dataclass(frozen=True, eq=False)
class Outline(_Mapped):
    """A RescaledImage without its samples and metadata; mode, depth: as there."""

    grid: BlockGrid
    scales: NDArray[np.uint8]
    recipe: Recipe
    mode: str
    depth: int = 8


@dataclass(frozen=True, eq=False, repr=False)
class RescaledImage(_Mapped):
    """A picture whose blocks are stored at scales of their own.

    grid: true size and block side.
    scales: (rows, cols) uint8, the scaling factor of each block.
    blocks: {factor: (N, side/factor, side/factor, C)}, the LR samples of all blocks of that factor in raster order,
        C = 1 (gray) or 3 (RGB); partial blocks at the right and bottom edge repeat their last column and row.  uint8;
        uint16 in a picture of 16 bits unless they were coded with loss.  Every factor that occurs in `scales` is there,
        and no other.
    alpha: (H, W) uint8 or uint16 at full size, or None.
    frames: {factor: frame} where the LR samples went through a lossy codec, for every factor; `blocks` are then what
        came out of it.
    depth: bits of a sample of the picture, 8 or 16.

    Two are equal where all samples, recipe and metadata are.
    """

    grid: BlockGrid
    scales: NDArray[np.uint8]
    blocks: dict[int, Samples]
    recipe: Recipe
    alpha: Samples | None = None
    metadata: Metadata = field(default_factory=Metadata)
    frames: Mapping[int, Frame] = field(default_factory=dict)
    depth: int = 8

    def __post_init__(self) -> None:
        grid = self.grid
        if self.scales.shape != (grid.rows, grid.cols) or self.scales.dtype != np.uint8:
            raise ValueError(
                f"scales are {self.scales.shape} {self.scales.dtype}, the grid {grid.rows} x {grid.cols} uint8"
            )
        counts = self.blocks_per_scale
        if not set(counts) <= set(SCALES) or set(self.blocks) != set(counts):
            raise ValueError(f"the map of scales has {sorted(counts)}, the LR blocks {sorted(self.blocks)}")
        dtype = np.uint8 if self.frames else dtype_of(self.depth)
        for factor, blocks in self.blocks.items():
            side = grid.side // factor
            if blocks.shape != (counts[factor], side, side, self.channels) or blocks.dtype != dtype:
                raise ValueError(
                    f"{counts[factor]} blocks of {side} x {side} samples of {dtype} expected at scale {factor}, not "
                    f"{blocks.shape} {blocks.dtype}"
                )
        if self.frames and set(self.frames) != set(self.blocks):
            raise ValueError(f"there are LR blocks of scales {sorted(self.blocks)}, frames of {sorted(self.frames)}")
        if self.channels not in (1, 3):
            raise ValueError(f"LR samples have 1 or 3 channels, not {self.channels}")
        alpha = self.alpha
        if alpha is not None and (alpha.shape != (grid.height, grid.width) or alpha.dtype != dtype_of(self.depth)):
            raise ValueError(
                f"alpha is {alpha.shape} {alpha.dtype}, the picture {(grid.height, grid.width)} of {self.depth} bits"
            )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RescaledImage):
            return NotImplemented
        return (
            (self.grid, self.recipe, self.metadata, self.frames, self.depth)
            == (other.grid, other.recipe, other.metadata, other.frames, other.depth)
            and np.array_equal(self.scales, other.scales)
            # The same scales have blocks of the same factors.
            and all(np.array_equal(blocks, other.blocks[factor]) for factor, blocks in self.blocks.items())
            and same_plane(self.alpha, other.alpha)
        )

    __hash__ = None  # type: ignore[assignment]  # arrays can change

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} at x{factor}" for factor, count in self.blocks_per_scale.items())
        return (
            f"<RescaledImage {self.grid.width} x {self.grid.height}, {self.mode}, blocks of {self.grid.side}: {counts}>"
        )

    @property
    def channels(self) -> int:
        return int(next(iter(self.blocks.values())).shape[3])

    @property
    def outline(self) -> Outline:
        """All but samples and metadata."""
        return Outline(self.grid, self.scales, self.recipe, self.mode, self.depth)

    @property
    def mode(self) -> str:
        """As of `bbmr.picture.mode_of`."""
        return mode_of(self.channels, self.alpha is not None)
