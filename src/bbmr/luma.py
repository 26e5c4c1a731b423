"""Luma, the plane that squared error and PSNR-Y are measured on: MATLAB's BT.601 in studio range."""

import math

from torch import Tensor

_WEIGHTS = (65.481, 128.553, 24.966)
BLACK, BLACK_TO_WHITE = 16, sum(_WEIGHTS)
"""The luma of black, and how much higher that of white is, in grey levels."""


def luma(image: Tensor) -> Tensor:
    """(N, 3, H, W) RGB in [0, 1] -> (N, 1, H, W) Y in grey levels, 16 to 235, not rounded; gray (N, 1, H, W)
    likewise.
    """
    if image.shape[1] == 1:
        return BLACK + BLACK_TO_WHITE * image
    red, green, blue = image.unbind(1)
    return (BLACK + _WEIGHTS[0] * red + _WEIGHTS[1] * green + _WEIGHTS[2] * blue).unsqueeze(1)


def psnr_of_error(squared_error: float, pixels: int) -> float | None:
    """PSNR-Y in dB of a summed squared luma error, grey levels squared; None where there is no error.

    Nothing is added for rounding restored samples to 8 bit where they were not: the original's are whole numbers, so
    rounding takes small errors away as much as it adds.  By the network's own errors the smoothest photographs come out
    right to 0.2 dB as it is, and rounding's usual twelfth would put them 3 dB too low.
    """
    return 10 * math.log10(255**2 * pixels / squared_error) if squared_error > 0 else None


def squared_error(psnr: float, pixels: int) -> float:
    """The inverse of `psnr_of_error`."""
    return 255**2 * pixels / 10 ** (psnr / 10)
