"""One pass over a mosaic: a picture of mixed resolution, enlarged coarse to fine, then corrected by one network.

    fine to coarse   S_k = own LR samples where the scale is k, else the 2x2 mean of S_{k/2}      (defined where scale <= k)
    coarse to fine   L_k = S_k where the scale is <= k, elsewhere bicubic x2 of L_{2k}            (L_1 = the mosaic, full size)
    network          pixel-unshuffle by 4 of L_1, scale of every position -> correction, zero where the scale is 1

Every x2 step sees true neighbours on all sides, whatever the map, so there are no seams to remove.  All of it
is differentiable in the LR samples.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from bbmr.blocks import CELL, SCALES
from bbmr.downscaling.bicubic import upscale

POSITION = 4  # pixels per side of one position of the network's grid


class MosaicNetwork(Protocol):
    """A network over the mosaic: pixels (N, 48, h, w) and levels (N, h, w) -> correction (N, 48, h, w)."""

    def __call__(self, pixels: Tensor, levels: Tensor) -> Tensor: ...


def build_mosaic(planes: Mapping[int, Tensor], levels: Tensor) -> Tensor:
    """The mosaic L_1, (N, C, H, W), of a picture whose sides are multiples of 16.

    planes: for every scale k present, the LR plane (N, C, H/k, W/k) in [0, 1]; read only where the scale is k.
    levels: (N, H/16, W/16) int64, base-2 logarithm of the scale of each 16 x 16 cell.
    """
    present = sorted(planes)
    finest, coarsest = present[0], present[-1]
    pyramid = {finest: planes[finest]}
    for factor in _scales_between(finest, coarsest)[1:]:
        means = F.avg_pool2d(pyramid[factor // 2], 2)
        own = planes.get(factor)
        pyramid[factor] = means if own is None else torch.where(_per_sample(levels, factor) == _level(factor), own, means)
    mosaic = pyramid[coarsest]
    for factor in reversed(_scales_between(1, coarsest)[:-1]):
        mosaic = upscale(mosaic, 2)
        if factor in pyramid:
            mosaic = torch.where(_per_sample(levels, factor) <= _level(factor), pyramid[factor], mosaic)
    return mosaic


def correct_mosaic(mosaic: Tensor, levels: Tensor, network: MosaicNetwork) -> Tensor:
    """Add the network's correction to a mosaic (N, 3, H, W) with sides that are multiples of 16; not clamped.

    levels: (N, H/16, W/16) int64 as in `build_mosaic`.  Samples of scale 1 are returned as they are: they are exact.
    """
    pixels = F.pixel_unshuffle(mosaic, POSITION).contiguous(memory_format=torch.channels_last)
    correction = network(pixels, _repeat(levels, CELL // POSITION)).to(mosaic.dtype)
    correction = F.pixel_shuffle(correction, POSITION)
    return torch.where(_per_sample(levels, 1) == 0, mosaic, mosaic + correction)


def _scales_between(finest: int, coarsest: int) -> Sequence[int]:
    return [factor for factor in SCALES if finest <= factor <= coarsest]


def _level(factor: int) -> int:
    return factor.bit_length() - 1


def _per_sample(levels: Tensor, factor: int) -> Tensor:
    """(N, H/16, W/16) -> (N, 1, H/factor, W/factor)."""
    return _repeat(levels, CELL // factor).unsqueeze(1)


def _repeat(levels: Tensor, times: int) -> Tensor:
    return levels.repeat_interleave(times, 1).repeat_interleave(times, 2)
