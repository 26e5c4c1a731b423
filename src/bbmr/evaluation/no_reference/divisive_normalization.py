"""Wavelet coefficients divided by the energy around them, which makes those of natural pictures nearly Gaussian.

The Gaussian scale mixture of J. Portilla, V. Strela, M. Wainwright, E. Simoncelli, "Image denoising using scale
mixtures of Gaussians in the wavelet domain", IEEE TIP 2003: a coefficient and its neighbours in space, scale and
orientation are a Gaussian vector times a random factor, whose likeliest value is sqrt(y' C^-1 y / N) for the N
coefficients y that are seen and their covariance C.  The code of A. Moorthy, A. Bovik, "Blind image quality assessment:
from natural scene statistics to perceptual quality", IEEE TIP 2011, which C. Ma et al. trained their metric with, has
these quirks, kept here:

- N counts the 9 coefficients in space and the one in scale, not the 5 in orientation;
- the last orientation of the first level has no neighbour in scale, nor has the last level.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

_GUARD = 16  # pixels of the picture whose coefficients are left out at each border
_STRIP = 64  # rows of coefficients worked on at once


def normalized_bands(bands: Sequence[Sequence[Tensor]]) -> list[list[Tensor]]:
    """[level][orientation] of the (h, w) float64 bands of a steerable pyramid -> likewise, mean 0, without
    1 + 16 / 2 ** level coefficients at each side.  A coefficient without energy around it becomes 0.
    """
    normalized = []
    for level, oriented in enumerate(bands):
        coarser = bands[level + 1][:-1] if level + 1 < len(bands) else ()
        normalized.append(
            [
                _normalized(oriented, index, coarser[index] if index < len(coarser) else None, _GUARD >> level)
                for index in range(len(oriented))
            ]
        )
    return normalized


def enlarged(plane: Tensor, size: tuple[int, int], scales: tuple[float, float]) -> Tensor:
    """MATLAB's bicubic `imresize` by scales of 1 or more that need not be whole: of what becomes of (h, w) the first
    `size` rows and columns.
    """
    for dim in (1, 0):  # columns take longer: while there are fewer samples
        length, scale, side = size[dim], scales[dim], plane.shape[dim]
        if scale == 1:
            plane = plane.narrow(dim, 0, length)
            continue
        position = (torch.arange(length, dtype=torch.float64) + 0.5) / scale - 0.5
        first = position.floor()
        t = position - first
        # Keys' kernel with a = -1/2 at the distances 1 + t, t, 1 - t and 2 - t.
        weights = (
            ((2 - t) * t - 1) * t / 2,
            ((3 * t - 5) * t * t + 2) / 2,
            ((4 - 3 * t) * t + 1) * t / 2,
            (t - 1) * t * t / 2,
        )
        total = plane.new_zeros((length, plane.shape[1]) if dim == 0 else (plane.shape[0], length))
        for offset, weight in enumerate(weights, start=-1):
            index = (first.long() + offset) % (2 * side)
            mirrored = torch.minimum(index, 2 * side - 1 - index)  # edge sample included
            total.addcmul_(plane.index_select(dim, mirrored), weight.unsqueeze(1 - dim))
        plane = total
    return plane


def _normalized(bands: Sequence[Tensor], index: int, coarser: Tensor | None, guard: int) -> Tensor:
    band = bands[index]
    height, width = band.shape
    others = [other for position, other in enumerate(bands) if position != index]
    if coarser is not None:
        others.append(enlarged(coarser, (height, width), (2, 2)))
    inverse_root = _inverse_root(_covariance(band, others))
    neighbours = 9 + (coarser is not None)
    energy = torch.empty(height - 2, width - 2, dtype=torch.float64)
    for rows, vectors in _strips(band, others):
        energy[rows] = (inverse_root @ vectors).square_().sum(dim=0).view(-1, width - 2) / neighbours
    centre = band[1:-1, 1:-1]
    ratio = (centre - centre.mean()) / energy.sqrt_()
    ratio[energy == 0] = 0
    kept = ratio[guard : ratio.shape[0] - guard, guard : ratio.shape[1] - guard]
    return kept - kept.mean()


def _strips(band: Tensor, others: list[Tensor]) -> Iterator[tuple[slice, Tensor]]:
    """Strips of the coefficients inside: their rows, and a vector (9 + others, N) of the neighbours of each."""
    height, width = band.shape[0] - 2, band.shape[1] - 2
    for top in range(0, height, _STRIP):
        rows = slice(top, min(top + _STRIP, height))
        shifted = [
            band[rows.start + down : rows.stop + down, right : right + width] for down in range(3) for right in range(3)
        ]
        beside = [other[rows.start + 1 : rows.stop + 1, 1:-1] for other in others]
        yield rows, torch.stack(shifted + beside).flatten(1)


def _covariance(band: Tensor, others: list[Tensor]) -> Tensor:
    """Mean of y y' over the coefficients inside; bands have no mean to subtract."""
    total = torch.zeros(9 + len(others), 9 + len(others), dtype=torch.float64)
    for _, vectors in _strips(band, others):
        total += vectors @ vectors.T
    return total / ((band.shape[0] - 2) * (band.shape[1] - 2))


def _inverse_root(covariance: Tensor) -> Tensor:
    """A matrix R with R' R = C^-1, the pseudo-inverse (tolerance of MATLAB's pinv) of C without negative variances."""
    variances, axes = torch.linalg.eigh(covariance)
    positive = variances.clamp(min=0)
    if not positive.any():
        return torch.zeros_like(axes)
    positive *= variances.sum() / positive.sum()
    largest = positive.max()
    kept = positive > len(positive) * (torch.nextafter(largest, largest.new_tensor(torch.inf)) - largest)
    return torch.div(axes[:, kept], positive[kept].sqrt()).T
