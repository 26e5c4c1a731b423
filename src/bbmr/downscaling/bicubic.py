"""MATLAB's `imresize` bicubic for integer factors, on NCHW float tensors.

Keys' kernel with a = -0.5, widened by the factor when shrinking (antialiasing), symmetric extension at
the border, output of ceil(side / factor) samples.  Torch and Pillow renormalise their kernels at the border instead,
and torch without antialiasing uses a = -0.75: neither gives the LR pictures that the field's numbers are measured on.

For an integer factor every output sample sees the same stencil, so both directions are small convolutions: usable in
batches, on a GPU, and differentiable.

Reference: R. Keys, "Cubic convolution interpolation for digital image processing", IEEE TASSP 1981.
"""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor


def downscale(image: Tensor, factor: int) -> Tensor:
    """Shrink (N, C, H, W) to (N, C, ceil(H/factor), ceil(W/factor)); the value range is kept, nothing is rounded."""
    if factor == 1:
        return image
    n, c, height, width = image.shape
    taps = _shrinking_stencil(factor).to(image)
    # The stencil of output i covers input samples factor*i - before ... factor*i - before + len(taps) - 1.
    before = (len(taps) - factor) // 2
    planes = image.reshape(n * c, 1, height, width)
    planes = F.conv2d(extend(planes, before, factor, dim=2), taps.view(1, 1, -1, 1), stride=(factor, 1))
    planes = F.conv2d(extend(planes, before, factor, dim=3), taps.view(1, 1, 1, -1), stride=(1, factor))
    return planes.reshape(n, c, *planes.shape[2:])


def upscale(image: Tensor, factor: int) -> Tensor:
    """Enlarge (N, C, H, W) to (N, C, factor*H, factor*W); the value range is kept up to overshoot, nothing is
    rounded.
    """
    if factor == 1:
        return image
    n, c, height, width = image.shape
    stencils = _enlarging_stencils(factor).to(image)
    kernel = torch.einsum("py,qx->pqyx", stencils, stencils).reshape(factor * factor, 1, 5, 5)
    planes = image.reshape(n * c, 1, height, width)
    for dim in (2, 3):
        planes = planes.index_select(dim, _mirrored(planes.shape[dim], 2, planes.shape[dim] + 2, planes.device))
    return F.pixel_shuffle(F.conv2d(planes, kernel), factor).reshape(n, c, factor * height, factor * width)


def _keys(x: Tensor) -> Tensor:
    x = x.abs()
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return torch.where(x <= 1, near, torch.where(x <= 2, far, torch.zeros_like(x)))


# What is kept is made on the CPU, whatever torch.device() says when it is first asked for.


@cache
def _shrinking_stencil(factor: int) -> Tensor:
    """Taps of one output sample: its centre lies (factor - 1)/2 input samples after the first one it stands for."""
    reach = torch.arange(-2 * factor, 3 * factor, dtype=torch.float64, device="cpu")
    weights = _keys((reach - (factor - 1) / 2) / factor)
    weights = weights / weights.sum()
    first, last = weights.nonzero()[[0, -1], 0]
    # Keep the stencil centred on the factor input samples, so that one margin serves both ends.
    margin = min(int(first), len(weights) - 1 - int(last))
    return weights[margin : len(weights) - margin]


@cache
def _enlarging_stencils(factor: int) -> Tensor:
    """(factor, 5): the taps on input samples i-2 ... i+2 for each of the factor output samples that stand for sample
    i.
    """
    phase = (torch.arange(factor, dtype=torch.float64, device="cpu") + 0.5) / factor - 0.5
    return _keys(torch.arange(-2, 3, dtype=torch.float64, device="cpu") - phase[:, None])


def extend(planes: Tensor, before: int, factor: int, dim: int) -> Tensor:
    """Mirror `before` samples and more beyond both ends, edge sample included, so that a stencil with a stride of
    `factor` that begins there gives ceil(side / factor) samples.
    """
    side = planes.shape[dim]
    end = -(-side // factor) * factor + before
    return planes.index_select(dim, _mirrored(side, before, end, planes.device))


def _mirrored(side: int, before: int, end: int, device: torch.device) -> Tensor:
    """Indices -before ... end-1 of a line of `side` samples that is mirrored, edge sample included, without end."""
    index = torch.arange(-before, end, device=device) % (2 * side)
    return torch.minimum(index, 2 * side - 1 - index)
