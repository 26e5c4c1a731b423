"""What surrounds a block, at the block's own scale: the receiver knows its neighbours, if at other scales.

A network that sees a block alone takes what lies beyond its edges for black or nothing, and leaves a seam.  With some
samples of the neighbours around it, shrunk or enlarged by bicubic where their scale differs, it restores the block's
edges nearly as it would in the whole picture.
"""

import torch
from torch import Tensor

from bbmr.blocks import PAPER_SIDE
from bbmr.downscaling.bicubic import downscale, extend, upscale
from bbmr.lr_blocks import LRBlocks
from bbmr.networks.joint import JointSR
from bbmr.upscaling.blockwise import blocks_of_row


def blocks_in_context(stored: LRBlocks, row: int, factor: int, context: int) -> Tensor:
    """The LR blocks of one scale in one row of the grid, in the order of their columns, with `context` LR samples on
    every side: (N, 3, s/k + 2 context, s/k + 2 context) in [0, 1].

    Beyond the picture its samples are mirrored.  context: at most s/k.
    """
    side = PAPER_SIDE // factor
    strip = lr_row(stored, row, factor)
    above = lr_row(stored, row - 1, factor)[:, :, side - context :] if row else strip[:, :, :context].flip(2)
    last = row == stored.grid.rows - 1
    below = strip[:, :, side - context :].flip(2) if last else lr_row(stored, row + 1, factor)[:, :, :context]
    strip = extend(torch.cat([above, strip, below], 2), context, 1, dim=3)
    return cut_windows(strip, side, context, torch.from_numpy(stored.scales[None, row : row + 1] == factor))


def cut_windows(plane: Tensor, side: int, context: int, wanted: Tensor) -> Tensor:
    """Blocks of side x side samples with their context, where `wanted` (N, rows, cols) is true, in raster order,
    picture after picture: (N, C, rows side + 2 context, cols side + 2 context) -> (M, C, side + 2 context, ...).
    """
    window = side + 2 * context
    return plane.unfold(2, window, side).unfold(3, window, side).permute(0, 2, 3, 1, 4, 5)[wanted].contiguous()


def lr_row(stored: LRBlocks, row: int, factor: int) -> Tensor:
    """One row of the grid as an LR plane of one scale, (1, 3, s/k, cols s/k) in [0, 1]: its own blocks as stored, finer
    ones shrunk, coarser ones enlarged.
    """
    parts = {}
    for scale, own in blocks_of_row(stored, row).items():
        resampled = downscale(own, factor // scale) if scale < factor else upscale(own, scale // factor)
        parts[scale] = resampled.clamp(0, 1)
    return JointSR.stitch(parts, torch.from_numpy(stored.scales[None, row : row + 1]))
