"""What small blocks of a picture tell of its quality: local frequencies and spatial discontinuity.

C. Ma, C.-Y. Yang, X. Yang, M.-H. Yang, "Learning a no-reference quality metric for single-image super-resolution",
CVIU 2017: its local frequency features (after M. Saad, A. Bovik, C. Charrier, "Blind image quality assessment: a
natural scene statistics approach in the DCT domain", IEEE TIP 2012) and its spatial features, in the details as in the
authors' code.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from bbmr.evaluation.no_reference.generalized_gaussian import fitted_shape

_STRIDE = 3
_MARGIN = 2  # by which the blocks overlap their neighbours at each side
_SIDE = _STRIDE + 2 * _MARGIN
_PATCH = 5
_BLOCKS = 1 << 15  # worked on at once, 50 MB
# In each row of a block's DCT, from where on the waves run mostly to the right.
_FIRST = (1, 2, 4, 5)


def dct_statistics(plane: Tensor) -> Tensor:
    """(H, W) float64 in [0, 1] -> (6,): of the 7 x 7 blocks around each 3 x 3 pixels, zeros beyond the border, the
    shape of the generalised Gaussian of the DCT coefficients (mean of the lowest tenth, of all), the coefficients'
    variation and how it varies with orientation (means of the highest tenth, of all).
    """
    rows, cols = (-(-side // _STRIDE) for side in plane.shape)
    bottom, right = (_STRIDE * count + _MARGIN - side for count, side in zip((rows, cols), plane.shape, strict=True))
    padded = F.pad(plane, (_MARGIN, right, _MARGIN, bottom))
    at_once = max(1, _BLOCKS // cols)
    parts = []
    for top in range(0, rows, at_once):
        strip = padded[_STRIDE * top : _STRIDE * (top + at_once) + 2 * _MARGIN]
        blocks = strip.unfold(0, _SIDE, _STRIDE).unfold(1, _SIDE, _STRIDE)
        parts.append(_local_statistics(blocks.reshape(-1, _SIDE, _SIDE)))
    shape, variation, orientation = torch.cat(parts, dim=1).sort(dim=1).values
    count = len(shape)
    lowest, highest = math.ceil(count * 0.1), int(count * 0.9) - 1
    return torch.stack(
        [
            shape[:lowest].mean(),
            shape.mean(),
            variation[highest:].mean(),
            variation.mean(),
            orientation[highest:].mean(),
            orientation.mean(),
        ]
    )


def singular_values(plane: Tensor) -> Tensor:
    """(H, W) -> (25,): the singular values, largest first, of the matrix of all 5 x 5 patches side by side, zeros
    beyond the right and bottom border; 0 for those that the matrix is too small to have.
    """
    height, width = plane.shape
    padded = F.pad(plane, (0, -width % _PATCH, 0, -height % _PATCH))
    patches = padded.unfold(0, _PATCH, _PATCH).unfold(1, _PATCH, _PATCH).reshape(-1, _PATCH**2)
    values = torch.linalg.svdvals(patches)
    return F.pad(values, (0, _PATCH**2 - len(values)))


def _local_statistics(blocks: Tensor) -> Tensor:
    """(N, 7, 7) -> (3, N): of each block's DCT the shape, the variation, and its variance over three orientations."""
    coefficients = (blocks.flatten(1) @ _dct_2d().T)[:, 1:]
    shape = fitted_shape(coefficients)
    magnitudes = coefficients.abs_()
    orientation = torch.stack([_variation(magnitudes[:, part], 1e-8) for part in _orientations()]).var(dim=0)
    return torch.stack([shape, _variation(magnitudes, 1e-7), orientation])


def _variation(magnitudes: Tensor, epsilon: float) -> Tensor:
    """Standard deviation over mean of (N, M), (N,)."""
    return magnitudes.std(dim=1) / (magnitudes.mean(dim=1) + epsilon)


def _dct_2d() -> Tensor:
    """(49, 49): the orthonormal DCT-II of a flattened block as a matrix."""
    wave = torch.arange(_SIDE, dtype=torch.float64).unsqueeze(1)
    sample = torch.arange(_SIDE, dtype=torch.float64) + 0.5
    dct = math.sqrt(2 / _SIDE) * (math.pi / _SIDE * wave * sample).cos()
    dct[0] /= math.sqrt(2)
    return torch.kron(dct, dct)


def _orientations() -> list[Tensor]:
    """Indices into the 48 coefficients without the mean, of waves that run to the right, diagonally, and downwards."""
    to_the_right = torch.zeros(_SIDE, _SIDE, dtype=torch.bool)
    for row, first in enumerate(_FIRST):
        to_the_right[row, first:] = True
    masks = (to_the_right, ~(to_the_right | to_the_right.T), to_the_right.T)
    return [mask.flatten()[1:].nonzero().squeeze(1) for mask in masks]
