"""The steerable pyramid in the frequency domain: a picture as oriented bands at octaves, which add up to it again.

J. Portilla, E. Simoncelli, "A parametric texture model based on joint statistics of complex wavelet coefficients",
IJCV 2000: its filters, for real bands.  `buildSFpyr` of matlabPyrTools, which this follows, interpolates them in
tables, by which they are off by up to 1e-5.

    plane -> high                             frequencies that no octave below holds, all orientations
          -> bands[0][0 ... K-1]              the first octave, full size
          -> bands[1][0 ... K-1], bands[2]    each next octave at half the size of the one before
          -> low                              the rest, half the size of the last bands
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class SteerablePyramid:
    """Float64 planes: `high` (H, W); `bands[level][orientation]` of H x W pixels at level 0 and ceil((side - 1/2) / 2)
    of each side at every next level; `low`, another level smaller.

    Orientation k of K answers most to waves that run at an angle of pi k / K against the rows, downwards.  The squared
    filters sum to 1 at each frequency; as the samples become 4 times fewer from level to level, their values become
    4 times larger.
    """

    high: Tensor
    bands: tuple[tuple[Tensor, ...], ...]
    low: Tensor


def steerable_pyramid(plane: Tensor, levels: int, orientations: int) -> SteerablePyramid:
    """Take (H, W) float64 apart; borders wrap around.  Raises ValueError for sides of less than 2 ** (levels + 2)."""
    height, width = plane.shape
    if min(height, width) < 2 ** (levels + 2):
        raise ValueError(f"{levels} octaves need sides of at least {2 ** (levels + 2)} pixels, not {width} x {height}")
    # Half of the spectrum is enough: no filter of a band passes the Nyquist frequency of its own grid.
    down = 2 * torch.fft.fftfreq(height, dtype=torch.float64).unsqueeze(1)
    right = 2 * torch.fft.rfftfreq(width, dtype=torch.float64)
    octave = torch.hypot(right, down).log2_()
    angle = torch.atan2(down, right)
    spectrum = torch.fft.rfft2(plane)
    high = torch.fft.irfft2(spectrum * _passed_above(octave), s=(height, width))
    spectrum *= _passed_below(octave)
    bands = []
    for _ in range(levels):
        octave += 1
        passed = spectrum * _passed_above(octave) * (-1j) ** (orientations - 1)
        bands.append(
            tuple(
                torch.fft.irfft2(passed * _oriented(angle, index, orientations), s=(height, width))
                for index in range(orientations)
            )
        )
        height, width = (math.ceil((side - 0.5) / 2) for side in (height, width))
        octave, angle, spectrum = (_lowest(grid, height, width) for grid in (octave, angle, spectrum))
        spectrum *= _passed_below(octave)
    return SteerablePyramid(high, tuple(bands), torch.fft.irfft2(spectrum, s=(height, width)))


def _passed_above(octave: Tensor) -> Tensor:
    """Radial filter: 0 below octave -1, 1 above octave 0."""
    return (math.pi / 2 * octave.clamp(-1, 0)).cos_()


def _passed_below(octave: Tensor) -> Tensor:
    """Its complement: the two squares sum to 1."""
    return (-math.pi / 2 * octave.clamp(-1, 0)).sin_()


def _oriented(angle: Tensor, index: int, orientations: int) -> Tensor:
    """Angular filter of one orientation; the squares of all sum to 1."""
    order = orientations - 1
    scale = 2**order * math.factorial(order) / math.sqrt(orientations * math.factorial(2 * order))
    return (angle - math.pi * index / orientations).cos_().pow_(order).mul_(scale)


def _lowest(grid: Tensor, height: int, width: int) -> Tensor:
    """Of a grid of half a spectrum the part that a plane of height x width samples has."""
    return torch.cat([grid[: (height + 1) // 2], grid[grid.shape[0] - height // 2 :]])[:, : width // 2 + 1].contiguous()
