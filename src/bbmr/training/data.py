"""Training batches: crops of photographs, their LR planes, and maps as the allocator makes them.

Photographs are decoded once and kept as uint8; crops, LR planes, maps and mosaics are made in batches on the device.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from bbmr.allocation.optimal import multiplier
from bbmr.allocation.visual import visual_distortion
from bbmr.blocks import BLOCK_SIDES, CELL, SCALES, merge
from bbmr.downscaling.bicubic import downscale, round_to_8_bit, upscale
from bbmr.errors import BbmrError
from bbmr.luma import luma

TUNINGS = ("psnr", "visual")
_UNIFORM = SCALES.index(4)  # the maps have 1/16 of the pixels

_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
_VALIDATION_SHARE = 16  # one photograph in 16, by the hash of its name


@dataclass(frozen=True)
class Photo:
    """A training photograph, decoded."""

    name: str
    pixels: Tensor  # (3, H, W) uint8
    multipliers: dict[str, float]  # Lagrange multiplier at 1/16 of the pixels, for each tuning


@dataclass(frozen=True)
class Batch:
    """hr (N, 3, H, W) in [0, 1]; planes {k: (N, 3, H/k, W/k)} rounded to 8 bit; levels (N, H/16, W/16)."""

    hr: Tensor
    planes: dict[int, Tensor]
    levels: Tensor


def find_photos(folder: Path) -> tuple[list[Path], list[Path]]:
    """Training and validation photographs below `folder`; the split depends on file names alone."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    if not paths:
        raise BbmrError(f"{folder}: no photographs ({', '.join(sorted(_SUFFIXES))}) found there")
    held_out = [path for path in paths if int(sha256(path.stem.encode()).hexdigest(), 16) % _VALIDATION_SHARE == 0]
    return [path for path in paths if path not in held_out], held_out


def load_photo(path: Path) -> Photo:
    """Decode a photograph and find the multipliers that give it 1/16 of the pixels."""
    with Image.open(path) as image:
        pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).contiguous()
    height, width = (min(side, 1024) // CELL * CELL for side in pixels.shape[1:])
    hr = pixels[None, :, :height, :width] / 255
    errors, sums = measure_cells(hr, lr_planes(hr))
    multipliers = {}
    for tuning in TUNINGS:
        distortion, cost = blocks_of_cells(errors[0], sums[0], 1, tuning)
        found = multiplier(distortion.reshape(len(SCALES), -1), cost.reshape(len(SCALES), -1), height * width // 16)
        multipliers[tuning] = max(found, 1e-6)
    return Photo(path.stem, pixels, multipliers)


def lr_planes(hr: Tensor) -> dict[int, Tensor]:
    """Bicubic LR planes of every scale, rounded to 8 bit."""
    return {factor: round_to_8_bit(downscale(hr, factor)) for factor in SCALES}


def measure_cells(hr: Tensor, planes: dict[int, Tensor]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of each 16 x 16 cell: summed squared luma errors of bicubic enlargement, (N, scales, H/16, W/16), grey levels
    squared; and sums of the luma and of its square, (N, 2, H/16, W/16)."""
    target = luma(hr)
    # Luma is linear, so one plane is enlarged in place of three.
    errors = [(upscale(luma(plane), factor) - target).square() for factor, plane in planes.items()]
    # Around mid-grey, so that the difference of squares keeps its digits.
    maps = torch.cat([*errors, target - 128, (target - 128).square()], 1)
    cells = (F.avg_pool2d(maps, CELL) * CELL * CELL).cpu().numpy().astype(np.float64)
    return cells[:, : len(planes)], cells[:, len(planes) :]


def blocks_of_cells(
    errors: NDArray[np.float64], sums: NDArray[np.float64], cells: int, tuning: str
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """What the allocator weighs for blocks of cells x cells cells: distortion and LR pixels, both (scales, rows, cols).

    errors: (scales, H/16, W/16) and sums: (2, H/16, W/16) of one picture in `measure_cells`; blocks at the far edges
    may be partial.
    """
    pixels = merge(np.full((1, *errors.shape[1:]), float(CELL * CELL)), cells)[0].astype(np.int64)
    distortion = merge(errors, cells)
    if tuning == "visual":
        mean, mean_square = merge(sums, cells) / pixels
        distortion = visual_distortion(distortion, np.maximum(mean_square - mean**2, 0), pixels, _UNIFORM)
    return distortion, np.stack([pixels // factor**2 for factor in SCALES])


class BatchSource:
    """Endless random batches from photographs, with maps drawn as `_draw_levels` says or uniform x4 only."""

    def __init__(
        self, photos: list[Photo], batch: int, side: int, uniform_x4: bool, device: torch.device, seed: int
    ) -> None:
        self.photos, self.batch, self.side, self.uniform_x4 = photos, batch, side, uniform_x4
        self.device = device
        self.random = np.random.default_rng(seed)
        for photo in photos:
            if min(photo.pixels.shape[1:]) < side:
                raise BbmrError(
                    f"{photo.name}: {photo.pixels.shape[2]} x {photo.pixels.shape[1]} pixels are less than a crop of "
                    f"{side} x {side}; take it out or cut smaller crops"
                )
        area = np.array([photo.pixels.shape[1] * photo.pixels.shape[2] for photo in photos], np.float64)
        # The root of the area: small photographs bring variety that the few large ones lack.
        self.weights = np.sqrt(area) / np.sqrt(area).sum()

    def reseed(self, seed: int) -> None:
        """Draw other crops and maps from here on."""
        self.random = np.random.default_rng(seed)

    def __iter__(self) -> Iterator[Batch]:
        while True:
            chosen = [self.photos[i] for i in self.random.choice(len(self.photos), self.batch, p=self.weights)]
            hr = torch.stack([self._crop(photo.pixels) for photo in chosen]).to(self.device).float() / 255
            if self.uniform_x4:
                levels = torch.full((self.batch, self.side // CELL, self.side // CELL), 2, device=self.device)
                yield Batch(hr, {4: round_to_8_bit(downscale(hr, 4))}, levels)
            else:
                planes = lr_planes(hr)
                yield Batch(hr, planes, self._draw_levels(chosen, *measure_cells(hr, planes)))

    def _crop(self, pixels: Tensor) -> Tensor:
        top, left = (int(self.random.integers(0, size - self.side + 1)) for size in pixels.shape[1:])
        crop = pixels[:, top : top + self.side, left : left + self.side]
        flips = [dim for dim in (1, 2) if self.random.random() < 0.5]
        crop = crop.flip(flips) if flips else crop
        return crop.transpose(1, 2) if self.random.random() < 0.5 else crop

    def _draw_levels(self, photos: list[Photo], errors: NDArray[np.float64], sums: NDArray[np.float64]) -> Tensor:
        """One map a crop, (N, H/16, W/16): uniform, or the least D + lambda R for a random tuning, block side and set
        of scales, lambda near the one that gives its photograph 1/16 of the pixels."""
        maps = np.empty((len(photos), *errors.shape[2:]), np.int64)
        for index, photo in enumerate(photos):
            if self.random.random() < 0.4:
                maps[index] = self.random.choice(5, p=[0, 0.13, 0.65, 0.13, 0.09])
                continue
            tuning = self.random.choice(TUNINGS)
            cells = int(self.random.choice([side // CELL for side in BLOCK_SIDES], p=[0.6, 0.25, 0.1, 0.05]))
            levels = np.array([0, 1, 2, 3, 4] if self.random.random() < 0.8 else [1, 2, 3])
            penalty = photo.multipliers[tuning] * np.exp(self.random.uniform(-1, 1))
            distortion, cost = blocks_of_cells(errors[index], sums[index], cells, tuning)
            chosen = levels[(distortion + penalty * cost)[levels].argmin(0)]
            chosen = chosen.repeat(cells, 0).repeat(cells, 1)
            maps[index] = chosen[: maps.shape[1], : maps.shape[2]]
        return torch.from_numpy(maps).to(self.device)
