"""LR samples refined at the sender: stored as the network that restores them makes the most of them.

    LR samples --upscaler--> restored picture --squared error--> gradient --> LR samples, some steps; rounded again

The network is fixed and known to the sender, so the samples that serve it best need not be those of any filter.
Nothing changes at the receiver or in the file; the sender pays a pass forward and one backward for each step, tile by
tile.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bbmr.depth import white_of
from bbmr.lr_blocks import LRBlocks
from bbmr.progress import Progress, silent
from bbmr.refinement.descent import Descent
from bbmr.refinement.restoration import Errors, Restoration, Samples, total
from bbmr.rescaled import RescaledImage
from bbmr.samples import from_integers, round_to_depth, to_unit
from bbmr.upscaling import Upscaler

STEPS = (0, 2, 3, 4, 5, 6, 8, 12, 16, 24)
"""By effort, from 0 to 9."""
MAY_GROW, UNSEEN = 0.05, 0.5
"""What the squared error of a block may gain: a share of it, and grey levels squared per pixel.  Blocks see each other:
that none gains anything would leave little to be gained at all.
"""


@dataclass(frozen=True, eq=False)
class Refined:
    """rescaled: the same picture with other LR samples.  luma_error: the summed squared luma error that it is restored
    with, grey levels squared.
    """

    rescaled: RescaledImage
    luma_error: float


def refine(
    rescaled: RescaledImage,
    colour: NDArray[Any],
    upscaler: Upscaler,
    steps: int,
    progress: Progress = silent,
) -> Refined:
    """Improve the LR samples of a picture by gradient descent through the upscaler that will restore it.

    colour: the picture itself, (H, W, C).  Minimises half the squared error of the luma and half that of R, G and
    B, where blocks that become worse than from the samples given soon count more.  Those whose error, of the luma or of
    R, G and B, has grown by more than MAY_GROW and UNSEEN in the end get their own samples back; so do all where that
    of the whole picture has grown.  Holds the LR samples in a few copies of float32, and of the picture a tile at a
    time.  Raises ValueError for less than one step.
    """
    if steps < 1:
        raise ValueError(f"refining takes steps, not {steps}")
    passes = steps + 2  # where few blocks are put back

    def report(done: float) -> None:
        progress("refine", min(done / passes, 0.99))

    restoration = Restoration(colour, upscaler, rescaled.grid, rescaled.scales, report)
    start = as_floats(LRBlocks.of(rescaled).to(upscaler.device))
    descent = Descent(restoration, start)
    for _ in range(steps - 1):
        if not descent.step():
            break
    refined, after = _put_back_what_is_worse(restoration, start, descent, rescaled.depth)
    progress("refine", 1.0)
    return Refined(replace(rescaled, blocks=as_blocks(refined, rescaled.depth)), float(after[0].sum()))


def as_floats(stored: LRBlocks) -> Samples:
    """Stored samples as float32 in [0, 1]."""
    return {k: to_unit(own) for k, own in stored.samples.items()}


def as_stored(samples: Mapping[int, Tensor], depth: int) -> Samples:
    """Samples as they are when they are stored with 8 or 16 bits."""
    return {k: round_to_depth(own, depth) for k, own in samples.items()}


def as_blocks(samples: Mapping[int, Tensor], depth: int) -> dict[int, NDArray[Any]]:
    """Samples rounded to 8 or 16 bit, as a RescaledImage has them."""
    kind = torch.uint8 if depth == 8 else torch.int32
    levels = {k: own.mul(white_of(depth)).round().to(kind) for k, own in samples.items()}
    return {k: from_integers(own.permute(0, 2, 3, 1)) for k, own in levels.items()}


def _put_back_what_is_worse(
    restoration: Restoration, start: Mapping[int, Tensor], descent: Descent, depth: int
) -> tuple[Samples, Errors]:
    """The samples of a descent as they are stored, with those of the start for blocks that are restored too much worse
    than from these; and their errors.

    Neighbours see them, so that is done until there are none; where a block is too much worse with its own samples put
    back, its neighbours' are too.
    """
    stored = as_stored(descent.samples, depth)
    errors = restoration.errors(stored)
    if descent.ahead and total(errors) > descent.least:  # the last step may have gone too far
        best = as_stored(descent.best, depth)
        of_best = restoration.errors(best)
        if total(of_best) < total(errors):
            stored, errors = best, of_best
    allowed = (1 + MAY_GROW) * descent.before + UNSEEN * restoration.grid.costs(1)
    back = np.zeros(restoration.scales.shape, bool)
    while (worse := (errors > allowed).any(0)).any() or total(errors) > total(descent.before):
        wider = back | worse | _with_neighbours(worse & back)
        grown = wider.sum() > back.sum()
        back = wider if grown else _with_neighbours(back)
        if not worse.any() or back.all():
            samples = dict(start)
            return samples, restoration.errors(samples)
        for k, own in stored.items():
            again = torch.from_numpy(back[restoration.scales == k])
            own[again] = start[k][again]
        errors = restoration.errors(stored)
    return stored, errors


def _with_neighbours(blocks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    padded = np.pad(blocks, 1)
    rows, cols = blocks.shape
    near = np.zeros_like(blocks)
    for i, j in np.ndindex(3, 3):
        near |= padded[i : i + rows, j : j + cols]
    return near
