"""Parts of one's own in place of a pipeline's: upscaler, downscaler, allocator; what they take and give, and whether
they do.

docs/plug-ins.md has an example of each.  Any of the three may have an attribute `files`, which `bbmr.plugins` heeds: a
list or tuple of the paths of what decides its results besides its source, such as weights; relative ones start at the
folder of the source.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from operator import index
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bbmr.blocks import BLOCK_SIDES, PAPER_SCALES, SCALES
from bbmr.depth import Samples
from bbmr.downscaling import Downscaler
from bbmr.errors import BbmrError
from bbmr.lr_blocks import LRBlocks
from bbmr.tiles import Tile
from bbmr.upscaling import Upscaler


class SRFunction(Protocol):
    """Super-resolution of whole pictures, by whatever means.

    `scales`, an attribute that it may have, are the factors that it enlarges by, out of 2, 4, 8 and 16; without it they
    are 2, 4 and 8.
    """

    def __call__(self, lr: Tensor, scale: int, /) -> Tensor:
        """(1, 3, h, w) float32 in [0, 1], on the CPU -> (1, 3, h scale, w scale) floating point, nominally in [0, 1],
        on any device; neither clipped nor rounded.
        """
        ...


class Allocator(Protocol):
    """Chooses the scale of every block of a picture."""

    def __call__(
        self,
        errors: NDArray[np.float64],
        pixels: NDArray[np.int64],
        costs: NDArray[np.int64],
        scales: tuple[int, ...],
        budget: int,
        /,
    ) -> NDArray[np.int64]:
        """errors: (scales, blocks), the summed squared luma error that each block would have at each scale, grey levels
        squared.  pixels: (blocks,), true pixels of each block.  costs: (scales, blocks), LR pixels.  scales: rising.
        budget: LR pixels that may be stored.

        Blocks are in raster order.  Returns (blocks,), the row of the scale chosen for each block.
        """
        ...


@dataclass(frozen=True, eq=False)
class Parts:
    """Parts in place of a pipeline's; None where the pipeline's own does its work.

    Raises BbmrError for what can be no such part: for an SR function as the upscaler too, of which
    `bbmr.upscaling.own.OwnUpscaler` makes one.
    """

    upscaler: Upscaler | None = None
    downscaler: Downscaler | None = None
    allocator: Allocator | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.upscaler, Upscaler | None):
            raise BbmrError(
                f"the upscaler {name_of(self.upscaler)} is a {type(self.upscaler).__name__}; of an SR function "
                "bbmr.upscaling.own.OwnUpscaler(function) makes one"
            )
        if self.upscaler is not None:
            _check_attribute(self.upscaler, "scales", SCALES)
            _check_attribute(self.upscaler, "sides", BLOCK_SIDES)
        for kind in ("downscaler", "allocator"):
            part = getattr(self, kind)
            if part is not None and not callable(part):
                raise BbmrError(
                    f"the {kind} is a {type(part).__name__}, which cannot be called; bbmr.plugins.load_{kind} finds "
                    "one by its name"
                )


def _check_attribute(upscaler: Upscaler, name: str, choices: Iterable[int]) -> None:
    """Raise BbmrError unless it is some of the choices, in rising order."""
    has, possible = getattr(upscaler, name, None), sorted(choices)
    if not isinstance(has, tuple) or not has or list(has) != [one for one in possible if one in has]:
        raise BbmrError(
            f"the upscaler {name_of(upscaler)} has {has!r} as its `{name}`; that has to be a tuple out of "
            f"{', '.join(map(str, possible))}, in rising order"
        )


NO_PARTS: Final = Parts()
"""The pipeline as it is."""


def name_of(part: object) -> str:
    """What messages and recipes call a part: its attribute `name`, else the name of the function or class."""
    return str(getattr(part, "name", "") or getattr(part, "__name__", "") or type(part).__name__)


def fingerprint_of(part: object) -> str:
    """The SHA-256 that a part has as its attribute `fingerprint`, in hexadecimal; empty where it has none."""
    return str(getattr(part, "fingerprint", ""))


def scales_of(function: SRFunction) -> tuple[int, ...]:
    """The factors that an SR function enlarges by, as it says: several whole numbers, or one.  Raises BbmrError for
    anything else.
    """
    told: Any = getattr(function, "scales", PAPER_SCALES)
    try:
        return tuple(map(index, told if isinstance(told, Iterable) else (told,)))
    except TypeError as error:
        raise BbmrError(
            f"{name_of(function)} has {told!r} as its `scales`; give whole numbers, such as (2, 4)"
        ) from error


@contextmanager
def blamed_on(part: str) -> Iterator[None]:
    """Around a call of somebody's own function: what it raises becomes a BbmrError that names it, with the error as its
    cause.  BbmrError itself passes, and so does KeyboardInterrupt.

    part: what it is, and its name.
    """
    try:
        yield
    except BbmrError:
        raise
    except (Exception, SystemExit) as error:
        told = f": {error}" if str(error) else ""
        raise BbmrError(f"{part} raised {type(error).__name__}{told}") from error


def checked_planes(downscaler: Downscaler, colour: Samples, factors: Iterable[int]) -> dict[int, Samples]:
    """The LR planes that a downscaler makes; that of factor 1, which it is not asked for, is the picture itself.

    As `Downscaler`.  Raises BbmrError for what are no LR planes of the picture, and for whatever the downscaler raises.
    """
    factors = tuple(factors)
    shrinking = tuple(factor for factor in factors if factor > 1)
    with blamed_on(f"the downscaler {name_of(downscaler)}"):
        made: Any = downscaler(colour.copy(), shrinking) if shrinking else {}  # it may work in place
    if not isinstance(made, Mapping):
        raise BbmrError(f"the downscaler {name_of(downscaler)} has to return LR planes by factor, not {_told(made)}")
    for factor in shrinking:
        shape = (-(-colour.shape[0] // factor), -(-colour.shape[1] // factor), colour.shape[2])
        plane = made.get(factor)
        if not isinstance(plane, np.ndarray) or plane.shape != shape or plane.dtype != colour.dtype:
            raise BbmrError(
                f"the downscaler {name_of(downscaler)} made {_told(plane)} of a picture {colour.shape} at factor "
                f"{factor}; its LR plane there has to be {shape} {colour.dtype}"
            )
    return {factor: colour if factor == 1 else made[factor] for factor in factors}


def checked_rows(
    allocator: Allocator,
    errors: NDArray[np.float64],
    pixels: NDArray[np.int64],
    costs: NDArray[np.int64],
    scales: tuple[int, ...],
    budget: int,
) -> NDArray[np.int64]:
    """The rows that an allocator chooses.

    As `Allocator`.  Raises BbmrError for what are no rows of scales for all blocks, where they exceed the budget, and
    for whatever the allocator raises.
    """
    with blamed_on(f"the allocator {name_of(allocator)}"):
        chosen: Any = allocator(errors.copy(), pixels.copy(), costs.copy(), scales, budget)
        rows = np.asarray(chosen)  # which fails too: ragged lists, tensors on a GPU
    if rows.shape != pixels.shape or rows.dtype.kind not in "iu":
        raise BbmrError(
            f"the allocator {name_of(allocator)} returned {_told(chosen)}; it has to return {pixels.shape} whole "
            "numbers, a row for each block"
        )
    if rows.min() < 0 or rows.max() >= len(scales):
        raise BbmrError(
            f"the allocator {name_of(allocator)} returned rows from {rows.min()} to {rows.max()}; the rows of the "
            f"scales {', '.join(map(str, scales))} are 0 to {len(scales) - 1}"
        )
    rows = rows.astype(np.int64)
    stored = int(np.take_along_axis(costs, rows[None], 0).sum())
    if stored > budget:
        raise BbmrError(
            f"the allocator {name_of(allocator)} chose scales that store {stored} LR pixels; the budget is {budget}"
        )
    return rows


class CheckedUpscaler(Upscaler):
    """An upscaler of somebody's own, whose tiles are looked at: they are of the picture, finite, and cover it.

    Its methods raise BbmrError where they are not, and for whatever the upscaler raises.
    """

    def __init__(self, upscaler: Upscaler) -> None:
        self._upscaler = upscaler
        self._title = f"the upscaler {name_of(upscaler)}"
        self.scales, self.sides = upscaler.scales, upscaler.sides
        self.device, self.reach = upscaler.device, upscaler.reach

    def restored_tiles(self, stored: LRBlocks) -> Iterator[tuple[Tile, Tensor]]:
        """As in `Upscaler`."""
        grid = stored.grid
        left = grid.height * grid.width
        for tile, core in self._checked(self._upscaler.restored_tiles, stored):
            left -= core.shape[2] * core.shape[3]
            yield tile, core
        if left:
            whole = grid.height * grid.width
            raise BbmrError(f"{self._title} restored {whole - left} of {whole} pixels")

    def restored_tiles_of(self, stored: LRBlocks, part: tuple[slice, slice]) -> Iterator[tuple[Tile, Tensor]]:
        """As in `Upscaler`."""
        return self._checked(self._upscaler.restored_tiles_of, stored, part)

    def _checked(
        self, tiles: Callable[..., Iterator[tuple[Tile, Tensor]]], stored: LRBlocks, *given: Any
    ) -> Iterator[tuple[Tile, Tensor]]:
        with blamed_on(self._title):
            restored = iter(tiles(stored, *given))
        while True:
            with blamed_on(self._title):
                found: Any = next(restored, None)
                if found is None:
                    return
                tile, core = found
                rows, cols = tile.core
                shape = (1, stored.channels, rows.stop - rows.start, cols.stop - cols.start)
            if not isinstance(core, Tensor) or core.shape != shape or not core.is_floating_point():
                raise BbmrError(f"{self._title} made {_told(core)} of a tile; it has to be {shape} floating point")
            if not core.is_meta and not core.isfinite().all():
                raise BbmrError(f"{self._title} made NaN or infinity")
            yield tile, core


def _told(returned: object) -> str:
    if isinstance(returned, np.ndarray | Tensor):
        return f"{tuple(returned.shape)} {returned.dtype}"
    return "nothing" if returned is None else f"a {type(returned).__name__}"
