"""How peaked a distribution is: the shape of the generalised Gaussian exp(-|x / scale|^shape) that fits it.

K. Sharifi, A. Leon-Garcia, "Estimation of shape parameter for generalized Gaussian distributions in subband
decompositions of video", IEEE TCSVT 1995: the ratio of the variance to the squared mean absolute deviation tells the
shape, 2 for a Gaussian, 1 for a Laplacian.
"""

from functools import cache

import torch
from torch import Tensor

_EPSILON = 1e-7  # added to the squared deviation by M. Saad's code and those that followed it


def fitted_shape(values: Tensor) -> Tensor:
    """(..., N) float64 samples -> (...) shapes, the best of 0.03, 0.031 ... 10; 10 where all N are equal."""
    deviation = values - values.mean(-1, keepdim=True)
    variance = deviation.square().sum(-1) / (values.shape[-1] - 1)
    ratio = variance / (deviation.abs_().mean(-1).square() + _EPSILON)
    shapes, midpoints = _shapes()
    return shapes[torch.searchsorted(midpoints, -ratio)]


@cache
def _shapes() -> tuple[Tensor, Tensor]:
    """The 9971 shapes that are tried, and between each two minus the ratio at which the nearer one changes."""
    shapes = 0.03 + 0.001 * torch.arange(9971, dtype=torch.float64, device="cpu")
    ratios = (torch.lgamma(1 / shapes) + torch.lgamma(3 / shapes) - 2 * torch.lgamma(2 / shapes)).exp()
    return shapes, -(ratios[1:] + ratios[:-1]) / 2
