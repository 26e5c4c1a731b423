"""A picture coded at one rung, and what it is foreseen to come to."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bbmr.coding.ladder import Rung
from bbmr.luma import psnr_of_error
from bbmr.rescaled import RescaledImage


@dataclass(frozen=True)
class Foreseen:
    """size: bytes that a file will have, about; psnr: PSNR-Y of its picture in dB."""

    size: float
    psnr: float


@dataclass(frozen=True)
class Coded:
    """rescaled: a picture at one rung.  size: bytes of its file.  errors: (rows, cols), summed squared luma errors of
    its blocks, in grey levels squared.
    """

    rung: Rung
    rescaled: RescaledImage
    size: int
    errors: NDArray[np.float64]

    @property
    def psnr(self) -> float:
        """PSNR-Y in dB; infinite where it is restored exactly."""
        grid = self.rescaled.grid
        return psnr_of(float(self.errors.sum()), grid.height * grid.width)


def psnr_of(error: float, pixels: int) -> float:
    """PSNR-Y in dB of a summed squared luma error; infinite where there is none."""
    psnr = psnr_of_error(error, pixels)
    return math.inf if psnr is None else psnr
