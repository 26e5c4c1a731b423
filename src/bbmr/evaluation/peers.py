"""Enlargement and shrinking without a network: what every table is held against."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from bbmr.downscaling.bicubic import upscale
from bbmr.samples import to_samples, to_tensor


def bicubic(lr: Tensor, scale: int) -> Tensor:
    """MATLAB's bicubic enlargement of (1, 3, h, w) in [0, 1]."""
    return upscale(lr, scale)


def lanczos(lr: Tensor, scale: int) -> Tensor:
    """Pillow's Lanczos enlargement (a = 3) of (1, 3, h, w) in [0, 1], which it takes and gives in 8 bit."""
    height, width = lr.shape[2:]
    enlarged = _resized(to_samples(lr), height * scale, width * scale)
    return to_tensor(enlarged)


def lanczos_planes(colour: NDArray[np.uint8], factors: Iterable[int]) -> dict[int, NDArray[np.uint8]]:
    """LR planes by Pillow's Lanczos, antialiased.  A `Downscaler`."""
    height, width = colour.shape[:2]
    return {
        factor: colour if factor == 1 else _resized(_up_to(colour, factor), -(-height // factor), -(-width // factor))
        for factor in factors
    }


def _up_to(colour: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Repeat the last row and column up to a multiple of `factor`, so that samples lie where bicubic's do."""
    missing = [(0, -length % factor) for length in colour.shape[:2]]
    return np.pad(colour, (*missing, (0, 0)), mode="edge")


def _resized(colour: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """(H, W, 1 or 3) -> (height, width, 1 or 3)."""
    picture = Image.fromarray(colour[:, :, 0] if colour.shape[2] == 1 else colour)
    resized = np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS))
    return resized.reshape(height, width, colour.shape[2])
