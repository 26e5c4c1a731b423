"""The pyramid against what a tight frame of oriented bands must do: tile the frequencies, and give the picture back."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bbmr.evaluation.no_reference.steerable_pyramid import SteerablePyramid, steerable_pyramid

Spectrum = NDArray[np.complex128]
SIZES = ((64, 48), (63, 50), (52, 77), (45, 61))
ORIENTATIONS = 6


def flat(pyramid: SteerablePyramid) -> list[NDArray[np.float64]]:
    return [
        plane.numpy() for plane in (pyramid.high, *(band for bands in pyramid.bands for band in bands), pyramid.low)
    ]


def spectrum(plane: NDArray[np.float64], size: tuple[int, int]) -> Spectrum:
    """The frequencies of a smaller plane where a plane of `size` has them."""
    small = np.fft.fft2(plane)
    full = np.zeros(size, np.complex128)
    rows, cols = (np.fft.fftfreq(side, 1 / side).astype(int) for side in plane.shape)
    full[np.ix_(rows, cols)] = small
    return full


def filters(size: tuple[int, int], levels: int) -> list[Spectrum]:
    """The pyramid's filters: what it makes of a single bright pixel."""
    impulse = torch.zeros(size, dtype=torch.float64)
    impulse[0, 0] = 1
    return [spectrum(plane, size) for plane in flat(steerable_pyramid(impulse, levels, ORIENTATIONS))]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("levels", [1, 2])
def test_squared_filters_sum_to_one_at_each_frequency(size: tuple[int, int], levels: int) -> None:
    total = sum(np.abs(response) ** 2 for response in filters(size, levels))
    np.testing.assert_allclose(total, 1, atol=1e-12)


@pytest.mark.parametrize("size", SIZES)
def test_the_planes_give_the_picture_back(size: tuple[int, int]) -> None:
    picture = np.random.default_rng(3).uniform(0, 255, size)
    planes = flat(steerable_pyramid(torch.from_numpy(picture), 2, ORIENTATIONS))
    pairs = zip(filters(size, 2), planes, strict=True)
    restored = np.fft.ifft2(sum(np.conj(response) * spectrum(plane, size) for response, plane in pairs))
    np.testing.assert_allclose(restored, picture, atol=1e-10)


def test_sizes_of_the_planes() -> None:
    pyramid = steerable_pyramid(torch.zeros(45, 62, dtype=torch.float64), 2, ORIENTATIONS)
    assert [[len(bands), *bands[0].shape] for bands in pyramid.bands] == [[6, 45, 62], [6, 23, 31]]
    assert (pyramid.high.shape, pyramid.low.shape) == ((45, 62), (12, 16))


@pytest.mark.parametrize(("periods", "level"), [(32, -1), (16, 0), (8, 1), (2, 2)])
def test_waves_go_to_their_octave(periods: int, level: int) -> None:
    wave = torch.cos(2 * math.pi * periods / 64 * torch.arange(64, dtype=torch.float64)).expand(64, 64)
    pyramid = steerable_pyramid(wave, 2, ORIENTATIONS)
    octaves = [[pyramid.high], *pyramid.bands, [pyramid.low]]
    energies = [
        float(sum((band * band.numel() / wave.numel()).square().mean() for band in octave)) for octave in octaves
    ]
    assert energies[level + 1] == pytest.approx(sum(energies))
    assert sum(energies) == pytest.approx(float(wave.square().mean()))


@pytest.mark.parametrize("index", range(ORIENTATIONS))
def test_waves_go_to_their_orientation(index: int) -> None:
    angle = math.pi * index / ORIENTATIONS
    rows, cols = np.mgrid[:96, :96] - 48.0
    packet = np.exp(-(rows**2 + cols**2) / 400) * np.cos(1.5 * (math.cos(angle) * cols + math.sin(angle) * rows))
    bands = steerable_pyramid(torch.from_numpy(packet), 1, ORIENTATIONS).bands[0]
    energies = [float(band.square().sum()) for band in bands]
    assert int(np.argmax(energies)) == index
    assert energies[(index + 3) % ORIENTATIONS] < 1e-3 * energies[index]  # the one that runs across it


def test_bands_are_in_quadrature_with_the_wave() -> None:
    phase = 2 * math.pi * 16 / 64 * torch.arange(64, dtype=torch.float64)
    band = steerable_pyramid(phase.cos().expand(64, 64), 1, ORIENTATIONS).bands[0][0]
    assert abs(float((band * phase.cos()).mean())) < 1e-12
    assert float((band * phase.sin()).mean()) > 0.1  # the fifth power of -i, of which the fourth is 1


def test_too_small() -> None:
    with pytest.raises(ValueError, match="sides of at least 16 pixels, not 80 x 15"):
        steerable_pyramid(torch.zeros(15, 80, dtype=torch.float64), 2, ORIENTATIONS)
