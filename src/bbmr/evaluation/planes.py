"""What measures look at: a picture as one plane of numbers, and its local Gaussian means."""

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class TooSmallError(ValueError):
    """A picture has too few pixels for a measure."""


_STRIP = 128  # rows worked on at once: a picture of 4K then needs its plane and little more


def weighed_plane(picture: NDArray[np.uint8], weigh: Callable[[Tensor], Tensor]) -> Tensor:
    """(H, W), (H, W, 1) or (H, W, 3) uint8 -> (H, W) float64: what `weigh` makes of (1, 1 or 3, h, w) in [0, 1].

    Raises TypeError for other types, ValueError for other shapes.
    """
    if picture.dtype != np.uint8:
        raise TypeError(f"pictures are arrays of uint8 (0 to 255), not {picture.dtype}")
    if picture.ndim not in (2, 3) or picture.shape[2:] not in ((), (1,), (3,)) or 0 in picture.shape:
        raise ValueError(f"pictures are (H, W), (H, W, 1) or (H, W, 3) with at least one pixel, not {picture.shape}")
    height, width = picture.shape[:2]
    plane = torch.empty(height, width, dtype=torch.float64)
    for top in range(0, height, _STRIP):
        rows = picture[top : top + _STRIP].reshape(-1, width, picture.shape[2] if picture.ndim == 3 else 1)
        image = torch.from_numpy(rows.transpose(2, 0, 1).astype(np.float64)).unsqueeze(0).div_(255)
        plane[top : top + _STRIP] = weigh(image)[0, 0]
    return plane


def whole_levels(plane: Tensor) -> Tensor:
    """Grey levels rounded as MATLAB does, halves up."""
    return torch.floor(plane + 0.5)


def gaussian_means(planes: Tensor, window: int, sigma: float) -> Tensor:
    """Weighted means over all whole windows of (..., H, W): (..., H - window + 1, W - window + 1).

    window: samples per side, an odd number.
    """
    weights = [math.exp(-((offset - window // 2) ** 2) / (2 * sigma**2)) for offset in range(window)]
    first, *rest = (weight / sum(weights) for weight in weights)
    for dim in (-2, -1):
        length = planes.shape[dim] - window + 1
        # Shifted sums: torch has no fast float64 convolution of single planes.
        means = planes.narrow(dim, 0, length) * first
        for start, weight in enumerate(rest, start=1):
            means.add_(planes.narrow(dim, start, length), alpha=weight)
        planes = means
    return planes
