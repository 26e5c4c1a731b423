"""How natural a picture looks, judged without its original: NIQE, lower is better.

A. Mittal, R. Soundararajan, A. Bovik, "Making a 'completely blind' image quality analyzer", IEEE SPL 2013.  The picture
is normalised by its local mean and contrast (equation 1) and cut into blocks of 96 x 96 pixels; whatever is left over
at the right and bottom is dropped.  18 numbers describe how the normalised pixels and the products of neighbours are
distributed in each block (equations 4 to 8), at full and at half size.  NIQE is the distance between the Gaussian of
these 36 numbers over the picture's blocks and their Gaussian over sharp blocks of 125 photographs (equation 10), which
lies in niqe_pristine.safetensors; niqe_pristine.notice.txt says where it comes from.

    picture -> plane of whole grey levels -> 2 x (normalise, cut, describe) -> (blocks, 36) -> mean, covariance -> NIQE

Values of different programs differ by the plane they take: LIVE's code takes the gray of the whole picture, the PIRM
challenge of 2018 (and so its perceptual index) Y without a border.  `niqe` of MATLAB itself has another model.

Pictures are (H, W), (H, W, 1) or (H, W, 3) uint8 arrays, gray or RGB; gray counts as RGB with three equal channels.
Both functions raise TypeError for other types, ValueError for other shapes and for pictures without two whole blocks
(one has no covariance), and return NaN where fewer than two blocks have texture.  All sums are in float64.
"""

import math
from functools import cache
from importlib.resources import files

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load
from torch import Tensor

from bbmr.downscaling.bicubic import downscale
from bbmr.evaluation.metrics import BORDER
from bbmr.evaluation.planes import TooSmallError, gaussian_means, weighed_plane, whole_levels
from bbmr.luma import luma

BLOCK = 96
"""Side of a block in pixels, which the model of pristine pictures was fitted with."""

_PRISTINE = files(__package__) / "niqe_pristine.safetensors"
_GRAY_WEIGHTS = (0.29893602129377539, 0.58704307445112125, 0.11402090425510336)  # of MATLAB: first row of YIQ's inverse
_MARGIN = 3  # the window is 7 x 7
_SIGMA = 7 / 6
_ROUNDING = 1e-9  # grey levels: more than float64 makes a flat window deviate from its mean
_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))
_STRIP = 128  # rows turned into a plane at once


def niqe_live(picture: NDArray[np.uint8]) -> float:
    """NIQE of the whole picture's gray (MATLAB's rgb2gray), as LIVE's own code takes it."""
    return _niqe(whole_levels(weighed_plane(picture, _gray)))


def niqe_pirm(picture: NDArray[np.uint8], border: int = BORDER) -> float:
    """NIQE of Y (MATLAB's rgb2ycbcr) with `border` pixels cut off at each side, as the PIRM challenge takes it.

    Y. Blau et al., "The 2018 PIRM challenge on perceptual image super-resolution", ECCV workshops 2018.
    """
    plane = whole_levels(weighed_plane(picture, luma))
    return _niqe(plane[border : plane.shape[0] - border, border : plane.shape[1] - border])


def _gray(image: Tensor) -> Tensor:
    """(N, 3, H, W) RGB in [0, 1] -> (N, 1, H, W) gray in grey levels, 0 to 255; gray (N, 1, H, W) likewise."""
    if image.shape[1] == 1:
        return 255 * image
    red, green, blue = (255 * channel for channel in image.unbind(1))
    return (_GRAY_WEIGHTS[0] * red + _GRAY_WEIGHTS[1] * green + _GRAY_WEIGHTS[2] * blue).unsqueeze(1)


def _niqe(plane: Tensor) -> float:
    """NIQE of (H, W) grey levels."""
    rows, cols = plane.shape[0] // BLOCK, plane.shape[1] // BLOCK
    if rows * cols < 2:
        raise TooSmallError(
            f"NIQE needs at least two whole blocks of {BLOCK} x {BLOCK} pixels; "
            f"{plane.shape[1]} x {plane.shape[0]} pixels, any border cut off, do not hold them"
        )
    plane = plane[: rows * BLOCK, : cols * BLOCK]
    half = downscale(plane[None, None], 2)[0, 0]
    features = torch.cat([_features(plane, BLOCK), _features(half, BLOCK // 2)], dim=1)
    # As in LIVE's code, the mean counts the numbers that a block without texture has, the covariance leaves it out.
    complete = features[~features.isnan().any(dim=1)]
    if len(complete) < 2:
        return math.nan
    pristine_mean, pristine_covariance = _pristine()
    difference = features.nanmean(dim=0) - pristine_mean
    covariance = (pristine_covariance + torch.cov(complete.T)) / 2
    return math.sqrt(difference @ torch.linalg.solve(covariance, difference))


@cache
def _pristine() -> tuple[Tensor, Tensor]:
    """Mean (36,) and covariance (36, 36) of the numbers that describe blocks of pristine pictures, float64."""
    tensors = load(_PRISTINE.read_bytes())
    return tensors["mean"], tensors["covariance"]


def _features(plane: Tensor, side: int) -> Tensor:
    """(blocks, 18): the numbers that describe each block of `side` x `side` pixels of (H, W), which they fill."""
    padded = F.pad(plane[None, None], (_MARGIN,) * 4, mode="replicate")[0, 0]
    features = []
    for top in range(0, plane.shape[0], side):
        normalised = _normalised(padded[top : top + side + 2 * _MARGIN])
        features.append(_block_features(normalised.reshape(side, -1, side).transpose(0, 1).contiguous()))
    return torch.cat(features)


def _normalised(padded: Tensor) -> Tensor:
    """Equation 1, each pixel less its local mean over its local contrast: (H + 6, W + 6) grey levels -> (H, W)."""
    mean, mean_square = gaussian_means(torch.stack([padded, padded.square()]), 2 * _MARGIN + 1, _SIGMA).unbind()
    contrast = (mean_square - mean.square()).abs_().sqrt_()
    deviation = padded[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN] - mean
    # Flat windows deviate by nothing.  Rounding says otherwise, with a sign that no two machines need to agree on, and
    # the fits below count signs.
    return deviation.where(deviation.abs() > _ROUNDING, 0) / (contrast + 1)


def _block_features(blocks: Tensor) -> Tensor:
    """(blocks, side, side) normalised pixels -> (blocks, 18)."""
    shape, left, right = _fit(blocks)
    features = [shape, (left + right) / 2]
    for shift in _NEIGHBOURS:
        # As in LIVE's code, a block's neighbours beyond its edge are the pixels at its opposite edge.
        shape, left, right = _fit(blocks * blocks.roll(shift, dims=(1, 2)))
        mean = (right - left) * _gamma_ratio(2, 1, shape)
        features += [shape, mean, left, right]
    return torch.stack(features, dim=1)


def _fit(blocks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Shape, left scale and right scale (blocks,) of the asymmetric generalised Gaussian that has the moments of the
    values in each block.

    N. Lasmar, Y. Stitou, Y. Berthoumieu, "Multiscale skewed heavy tailed model for texture analysis", ICIP 2009.
    """
    values = blocks.flatten(1)
    negative, positive = values.clamp(max=0).square_().sum(1), values.clamp(min=0).square_().sum(1)
    left, right = (negative / (values < 0).sum(1)).sqrt(), (positive / (values > 0).sum(1)).sqrt()
    balance = left / right
    squared_mean = values.abs().mean(1).square() / ((negative + positive) / values.shape[1])
    ratio = squared_mean * (balance**3 + 1) * (balance + 1) / (balance.square() + 1).square()
    shapes, midpoints = _shapes()
    # Where one side is empty the scales are NaN; LIVE's code takes the first shape there, which its mean then counts.
    nearest = torch.searchsorted(midpoints, ratio).masked_fill_(ratio.isnan(), 0)
    shape = shapes[nearest]
    scale = _gamma_ratio(1, 3, shape).sqrt()
    return shape, left * scale, right * scale


@cache
def _shapes() -> tuple[Tensor, Tensor]:
    """The 9801 shapes that are tried, and between each two the moment ratio at which the nearer one changes."""
    shapes = 0.2 + 0.001 * torch.arange(9801, dtype=torch.float64, device="cpu")
    ratios = _gamma_ratio(2, 1, shapes) * _gamma_ratio(2, 3, shapes)
    return shapes, (ratios[1:] + ratios[:-1]) / 2


def _gamma_ratio(above: int, below: int, shape: Tensor) -> Tensor:
    """Gamma(above / shape) / Gamma(below / shape)."""
    return (torch.lgamma(above / shape) - torch.lgamma(below / shape)).exp()
