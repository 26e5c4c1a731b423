"""Any super-resolution function as an upscaler: of pictures that have one scale all over, and of mixed ones.

A mixed picture is restored once for every scale: each LR plane has the blocks of its scale as they are stored, and in
place of the others what the mosaic has there, so that the function sees a whole picture.  Of what it makes, the blocks
of that scale are taken.
"""

import re
from collections.abc import Iterator

import torch
from torch import Tensor

from bbmr.blocks import BLOCK_SIDES, SCALES, up_to_cell
from bbmr.errors import BbmrError
from bbmr.lr_blocks import LRBlocks
from bbmr.parts import SRFunction, blamed_on, name_of, scales_of
from bbmr.rescaled import NAME_LIMIT
from bbmr.tiles import Tile, tiles
from bbmr.upscaling import Upscaler, like_stored, plain
from bbmr.upscaling.mosaic import build_mosaics, levels_of, per_sample
from bbmr.upscaling.plain import enlarged_tiles

_COARSEST_TILE = 4
"""Of mixed pictures: tiles have `plain.TILE` samples per side at the finest scale that occurs, but at this one where
only coarser ones do, whose tiles would have too many pixels.
"""


_TOO_BRIGHT = 2.0
"""A mean that no picture comes near; functions that give samples from 0 to 255 do."""


class OwnUpscaler(Upscaler):
    """Restores blocks at the scales of an SR function, and at scale 1, where samples come back exactly.

    function: see `SRFunction`.  It is given the LR plane of a tile, gray pictures as three equal channels.  name: what
    messages and recipes call it.  fingerprint: SHA-256 in hexadecimal of what it is, for recipes; empty if unknown.
    Raises BbmrError for a function that has other scales than 2, 4, 8 and 16, and for a name or a fingerprint that a
    recipe cannot have.
    """

    sides = BLOCK_SIDES

    def __init__(self, function: SRFunction, name: str = "", fingerprint: str = "") -> None:
        self._function = function
        self.name, self.fingerprint = name or name_of(function), fingerprint
        if not callable(function):
            raise BbmrError(f"the upscaler is a {type(function).__name__}, which cannot be called; give a function")
        if not self.name.isprintable() or len(self.name.encode()) > NAME_LIMIT:
            raise BbmrError(f"the upscaler's name {self.name!r} is none: give at most {NAME_LIMIT} bytes of text")
        if re.fullmatch("([0-9a-f]{2})*", fingerprint) is None:
            raise BbmrError(f"the fingerprint {fingerprint!r} of {self.name} is none: give hexadecimal digits")
        scales = scales_of(function)
        if not scales or not set(scales) <= set(SCALES[1:]):
            raise BbmrError(
                f"{self.name} enlarges by {', '.join(map(str, scales)) or 'nothing'}; its `scales` have to be out of "
                f"{', '.join(map(str, SCALES[1:]))}"
            )
        self.scales = (1, *sorted(set(scales)))

    def restored_tiles(self, stored: LRBlocks) -> Iterator[tuple[Tile, Tensor]]:
        """As in `Upscaler`.  Raises BbmrError for what the function returns that is no restored picture, for no
        gradients where they are wanted, and for whatever the function raises.
        """
        return enlarged_tiles(stored, self._enlarge) if len(stored.samples) == 1 else self._mixed_tiles(stored)

    def _mixed_tiles(self, stored: LRBlocks) -> Iterator[tuple[Tile, Tensor]]:
        grid = stored.grid
        lossy = sorted(set(stored.samples) - {1})
        side = plain.TILE * min(lossy[0], _COARSEST_TILE)
        # The mosaic of any scale depends on less around it than the halo of the coarsest leaves.
        halos = [plain.HALO * factor for factor in lossy]
        for around in zip(*(tiles(grid.height, grid.width, side, halo) for halo in halos), strict=True):
            tile = around[-1]
            rows, cols = (slice(part.start, up_to_cell(part.stop)) for part in tile.outer)
            levels = levels_of(stored, rows, cols).to(stored.device)
            planes = stored.planes_of(rows, cols)
            mosaics = build_mosaics(planes, levels, lossy[0])
            core = tile.core_in_outer_at(1)
            level = per_sample(levels, 1)[:, :, *core]
            restored = planes[1][:, :, *core] if 1 in planes else None
            for factor, seen in zip(lossy, around, strict=True):
                own = level == SCALES.index(factor)
                if not own.any():
                    continue
                plane = mosaics[factor][:, :, *Tile(seen.outer, tile.outer).core_in_outer_at(factor)].clamp(0, 1)
                enlarged = self._enlarge(plane.expand(-1, 3, -1, -1), factor)[:, :, *seen.core_in_outer_at(1)]
                enlarged = like_stored(enlarged, stored.channels)
                restored = enlarged if restored is None else torch.where(own, enlarged, restored)
            assert restored is not None
            yield tile, restored

    def _enlarge(self, plane: Tensor, factor: int) -> Tensor:
        """(1, 3, h, w) -> (1, 3, h k, w k) by the function, checked."""
        if factor == 1:
            return plane
        wanted = plane.requires_grad
        plane = plane.contiguous()
        with blamed_on(f"the upscaler {self.name}"):
            try:
                restored = self._function(plane, factor)
            except RuntimeError as error:
                if wanted and "requires grad" in str(error):  # torch says so where a tensor cannot become an array
                    raise self._no_gradients(str(error)) from error
                raise
        shape = (1, 3, plane.shape[2] * factor, plane.shape[3] * factor)
        if (problem := _problem(restored, shape)) is not None:
            raise BbmrError(
                f"{self.name} returned {problem} for an LR picture {tuple(plane.shape)} at scale {factor}; it has to "
                f"return a tensor {shape} of finite floating point numbers, nominally from 0 to 1"
            )
        if wanted and not restored.requires_grad:
            raise self._no_gradients("what it returns has none")
        return restored.to(plane)

    def _no_gradients(self, why: str) -> BbmrError:
        return BbmrError(f"{self.name} gives no gradients, which refining takes ({why}); leave the effort at 0")


def _problem(restored: object, shape: tuple[int, ...]) -> str | None:
    if not isinstance(restored, Tensor):
        return f"a {type(restored).__name__}"
    if restored.shape != shape or not restored.is_floating_point():
        return f"a tensor {tuple(restored.shape)} of {restored.dtype}"
    if not restored.isfinite().all():
        return "NaN or infinity"
    if (mean := float(restored.detach().mean())) > _TOO_BRIGHT:
        return f"samples of {mean:.0f} in the mean where white is 1"
    return None
