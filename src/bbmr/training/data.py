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
from PIL import Image
from torch import Tensor

from bbmr.allocation.optimal import multiplier
from bbmr.allocation.visual import VARIANCE_FLOOR
from bbmr.blocks import BLOCK_SIDES, CELL, SCALES
from bbmr.downscaling.bicubic import downscale, round_to_8_bit, upscale
from bbmr.luma import luma

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
        raise FileNotFoundError(f"{folder}: no photographs ({', '.join(sorted(_SUFFIXES))}) found there")
    held_out = [path for path in paths if int(sha256(path.stem.encode()).hexdigest(), 16) % _VALIDATION_SHARE == 0]
    return [path for path in paths if path not in held_out], held_out


def load_photo(path: Path) -> Photo:
    """Decode a photograph and find the multipliers that give it 1/16 of the pixels."""
    with Image.open(path) as image:
        pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).contiguous()
    height, width = (min(side, 1024) // CELL * CELL for side in pixels.shape[1:])
    hr = pixels[None, :, :height, :width] / 255
    errors, variance = cell_errors(hr, lr_planes(hr))
    cost = np.array([[CELL * CELL // factor**2] for factor in SCALES]) * np.ones(
        errors.shape[2] * errors.shape[3], np.int64
    )
    multipliers = {}
    for tuning, weighted in (("psnr", errors), ("visual", errors / torch.sqrt(variance + VARIANCE_FLOOR))):
        distortion = weighted.transpose(0, 1).flatten(1).numpy()
        multipliers[tuning] = max(multiplier(distortion, cost, height * width // 16), 1e-6)
    return Photo(path.stem, pixels, multipliers)


def lr_planes(hr: Tensor) -> dict[int, Tensor]:
    """Bicubic LR planes of every scale, rounded to 8 bit."""
    return {factor: round_to_8_bit(downscale(hr, factor)) for factor in SCALES}


def cell_errors(hr: Tensor, planes: dict[int, Tensor]) -> tuple[Tensor, Tensor]:
    """Summed squared luma error of bicubic enlargement in each 16 x 16 cell, (N, scales, H/16, W/16), and the luma's
    variance there, (N, 1, H/16, W/16); grey levels squared."""
    target = luma(hr)
    # Luma is linear, so one plane is enlarged in place of three.
    errors = [F.avg_pool2d((upscale(luma(plane), factor) - target).square(), CELL) for factor, plane in planes.items()]
    variance = F.avg_pool2d(target.square(), CELL) - F.avg_pool2d(target, CELL).square()
    return torch.cat(errors, 1) * CELL * CELL, variance.clamp_min(0)


class BatchSource:
    """Endless random batches from photographs, with maps drawn as `_draw_levels` says or uniform x4 only."""

    def __init__(
        self, photos: list[Photo], batch: int, side: int, uniform_x4: bool, device: torch.device, seed: int
    ) -> None:
        self.photos, self.batch, self.side, self.uniform_x4 = photos, batch, side, uniform_x4
        self.device = device
        self.random = np.random.default_rng(seed)
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
                yield Batch(hr, planes, self._draw_levels(chosen, *cell_errors(hr, planes)))

    def _crop(self, pixels: Tensor) -> Tensor:
        top, left = (int(self.random.integers(0, size - self.side + 1)) for size in pixels.shape[1:])
        crop = pixels[:, top : top + self.side, left : left + self.side]
        flips = [dim for dim in (1, 2) if self.random.random() < 0.5]
        crop = crop.flip(flips) if flips else crop
        return crop.transpose(1, 2) if self.random.random() < 0.5 else crop

    def _draw_levels(self, photos: list[Photo], errors: Tensor, variance: Tensor) -> Tensor:
        """One map a crop: uniform, or the least D + lambda R for a random tuning, block side and set of scales,
        lambda near the one that gives its photograph 1/16 of the pixels."""
        maps = []
        for photo, error, spread in zip(photos, errors, variance, strict=True):
            rows, cols = error.shape[1:]
            if self.random.random() < 0.4:
                level = self.random.choice(5, p=[0, 0.13, 0.65, 0.13, 0.09])
                maps.append(torch.full((rows, cols), int(level), device=self.device))
                continue
            tuning = self.random.choice(["psnr", "visual"])
            cells = int(self.random.choice([side // CELL for side in BLOCK_SIDES], p=[0.6, 0.25, 0.1, 0.05]))
            scales = [0, 1, 2, 3, 4] if self.random.random() < 0.8 else [1, 2, 3]
            penalty = photo.multipliers[tuning] * float(np.exp(self.random.uniform(-1, 1)))
            weighted = error
            if tuning == "visual":
                weighted = error / torch.sqrt(_block_means(spread, cells) + VARIANCE_FLOOR)
            rate = torch.tensor([CELL * CELL / SCALES[level] ** 2 for level in scales], device=self.device)
            lagrangian = _block_means(weighted[scales], cells) + penalty * rate[:, None, None]
            maps.append(torch.tensor(scales, device=self.device)[lagrangian.argmin(0)])
        return torch.stack(maps)


def _block_means(cells: Tensor, side: int) -> Tensor:
    """Mean over blocks of side x side cells, (C, rows, cols) -> (C, rows, cols); blocks at the far edges may be
    partial.
    """
    if side == 1:
        return cells
    rows, cols = cells.shape[1:]
    means = F.avg_pool2d(cells[None], side, ceil_mode=True, count_include_pad=False)[0]
    return means.repeat_interleave(side, 1)[:, :rows].repeat_interleave(side, 2)[:, :, :cols]
