"""Training batches: crops of photographs, their LR planes, and maps as the allocator makes them.

Photographs are decoded once and kept as uint8 on the device; crops, LR planes and maps are made there in batches.
What is random is drawn beforehand, for the whole batch: so a process can make its own share of it.
"""

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from bbmr.allocation.optimal import multiplier
from bbmr.allocation.visual import LOSS_AVERSION, VARIANCE_FLOOR
from bbmr.blocks import BLOCK_SIDES, CELL, PAPER_SCALES, SCALES
from bbmr.codecs.avif import QUALITIES, gains_by_cdef
from bbmr.devices import full_float32
from bbmr.errors import BbmrError
from bbmr.luma import luma
from bbmr.samples import round_to_depth
from bbmr.training.coding import CodedPart, CodedPool
from bbmr.training.frame_store import FrameStore
from bbmr.training.recipe import Coding, Maps
from bbmr.training.resampling import enlarge, shrink

TUNINGS = ("psnr", "visual")
_PAPER_LEVELS = tuple(SCALES.index(scale) for scale in PAPER_SCALES)
_UNIFORM = SCALES.index(4)  # the maps have 1/16 of the pixels

_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
_UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)  # what Pillow raises for bad files
_VALIDATION_SHARE = 16  # one photograph in 16, by the hash of its name


@dataclass(frozen=True)
class Photo:
    """A training photograph, decoded."""

    name: str
    pixels: Tensor  # (3, H, W) uint8
    multipliers: Mapping[str, float]  # Lagrange multiplier at 1/16 of the pixels, for each tuning


@dataclass(frozen=True)
class Batch:
    """hr (N, 3, H, W) in [0, 1]; planes {k: (N, 3, H/k, W/k)} rounded to 8 bit, of every scale that may occur; levels
    (N, H/16, W/16) int64, base-2 logarithm of the scale; qualities (N, scales) in [0, 1] where planes are coded.
    """

    hr: Tensor
    planes: dict[int, Tensor]
    levels: Tensor
    qualities: Tensor | None = None


def find_photos(folder: Path, side: int = 0) -> tuple[list[Path], list[Path]]:
    """Training and validation photographs below `folder`; the split depends on file names alone, unless none of those
    held out has a crop of `side` x `side`: then one more is, the next that has.

    Links are followed.  What is hidden is left out, and what lies in folders named like DIV2K's and Flickr2K's shrunk
    copies (DIV2K_train_LR_bicubic) or like test sets (DIV2K_valid_HR, that of the field).
    """
    if not folder.is_dir():
        raise BbmrError(f"{folder}: no such folder; give the folder of the training photographs")
    paths = sorted(path for path in _files(folder) if path.suffix.lower() in _SUFFIXES and path.is_file())
    if not paths:
        raise BbmrError(f"{folder}: no photographs ({', '.join(sorted(_SUFFIXES))}) found there")
    if len(paths) == 1:
        raise BbmrError(f"{folder}: one photograph is too few, as one is held out for validation; add more")
    hashes = {path: int(sha256(path.stem.encode()).hexdigest(), 16) for path in paths}
    in_turn = sorted(paths, key=hashes.__getitem__)
    held_out = {path for path in paths if hashes[path] % _VALIDATION_SHARE == 0} or {in_turn[0]}
    if not any(_has_crop(path, side) for path in held_out) and len(held_out) < len(paths) - 1:
        held_out |= set(islice((path for path in in_turn if path not in held_out and _has_crop(path, side)), 1))
    return [path for path in paths if path not in held_out], [path for path in paths if path in held_out]


def _has_crop(path: Path, side: int) -> bool:
    """As far as the head of the file tells; of what cannot be read `load_photo` says more."""
    try:
        with Image.open(path) as image:
            return min(image.size) >= side
    except _UNREADABLE:
        return False


def _files(folder: Path) -> Iterator[Path]:
    """What lies below a folder, each folder searched once: those that are only linked to after the others."""
    searched: set[str] = set()
    waiting = [str(folder)]
    while waiting:
        for where, folders, names in os.walk(waiting.pop(0)):
            real = os.path.realpath(where)
            folders[:] = [] if real in searched else sorted(name for name in folders if not _left_out(name))
            waiting += [path for name in folders if os.path.islink(path := os.path.join(where, name))]
            if real not in searched:
                yield from (Path(where, name) for name in names if not name.startswith("."))
            searched.add(real)


def _left_out(folder: str) -> bool:
    return folder.startswith(".") or "_LR_" in folder or "_test_" in folder or folder.endswith("_valid_HR")


def load_photos(paths: Sequence[Path], side: int, title: str, show: bool, weighed: bool = True) -> list[Photo]:
    """Decode photographs, with a progress bar if `show`; those that have no crop of `side` x `side` are left out.

    weighed: as in `load_photo`.  Raises BbmrError for a file that cannot be read, and if none is left.
    """
    with ThreadPoolExecutor() as pool:
        found = list(
            tqdm(
                pool.map(partial(load_photo, weighed=weighed), paths), title, len(paths), leave=False, disable=not show
            )
        )
    photos = [photo for photo in found if min(photo.pixels.shape[1:]) >= side]
    if not photos:
        raise BbmrError(
            f"{paths[0].parent}: no photograph for {title} has {side} x {side} pixels; make the crops smaller"
        )
    return photos


def load_photo(path: Path, weighed: bool = True) -> Photo:
    """Decode a photograph and find the multipliers that give it 1/16 of the pixels.

    weighed: whether there are maps as the allocator makes them; where there are none the multipliers, which take
    longer than to decode, are all 1.
    """
    try:
        with Image.open(path) as image:
            pixels = torch.from_numpy(np.array(_in_8_bit(image).convert("RGB"))).permute(2, 0, 1).contiguous()
    except _UNREADABLE as error:
        raise BbmrError(f"{path}: cannot be read as a picture ({error}); take it out") from error
    height, width = (min(side, 1024) // CELL * CELL for side in pixels.shape[1:])
    if not weighed or not height or not width:  # no map to weigh, or smaller than any crop
        return Photo(path.stem, pixels, dict.fromkeys(TUNINGS, 1.0))
    hr = pixels[None, :, :height, :width] / 255
    errors, sums = measure_cells(hr, lr_planes(hr, SCALES))
    multipliers = {}
    for tuning in TUNINGS:
        distortion, cost = (part[0].flatten(1).numpy() for part in blocks_of_cells(errors, sums, 1, tuning))
        multipliers[tuning] = max(multiplier(distortion, cost, height * width // 16), 1e-6)
    return Photo(path.stem, pixels, multipliers)


def _in_8_bit(image: Image.Image) -> Image.Image:
    """Grey pictures of 16 bit scaled; Pillow itself would clip them."""
    if image.mode != "I" and not image.mode.startswith("I;16"):
        return image
    return Image.fromarray(((np.array(image).astype(np.int64).clip(0, 65535) + 128) // 257).astype(np.uint8))


def lr_planes(hr: Tensor, scales: Sequence[int]) -> dict[int, Tensor]:
    """Bicubic LR planes, rounded to 8 bit, of crops that have 8 bit themselves."""
    return {factor: hr if factor == 1 else round_to_depth(shrink(hr, factor)) for factor in scales}


def measure_cells(hr: Tensor, planes: Mapping[int, Tensor]) -> tuple[Tensor, Tensor]:
    """Of each 16 x 16 cell: summed squared luma errors of bicubic enlargement, (N, scales, H/16, W/16), grey levels
    squared; and sums of the luma and of its square, (N, 2, H/16, W/16).
    """
    target = luma(hr)
    # Luma is linear, so one plane is enlarged in place of three.
    errors = [(enlarge(luma(plane), factor) - target).square() for factor, plane in planes.items()]
    # Around mid-grey, so that the difference of squares keeps its digits.
    maps = torch.cat([*errors, target - 128, (target - 128).square()], 1)
    cells = F.avg_pool2d(maps, CELL, divisor_override=1)
    return cells[:, : len(planes)], cells[:, len(planes) :]


def blocks_of_cells(errors: Tensor, sums: Tensor, cells: int, tuning: str) -> tuple[Tensor, Tensor]:
    """What the allocator weighs for blocks of cells x cells cells: distortion (N, scales, rows, cols) and LR pixels
    (1, scales, rows, cols) int64.

    errors: (N, scales, H/16, W/16) and sums: (N, 2, H/16, W/16) as in `measure_cells`; blocks at the far edges may be
    partial.
    """
    pixels = _merge(torch.full_like(errors[:1, :1], CELL * CELL), cells)
    distortion = _merge(errors, cells)
    if tuning == "visual":
        means = _merge(sums, cells) / pixels
        mean, mean_square = means[:, :1], means[:, 1:]
        distortion = _as_seen(distortion, (mean_square - mean.square()).clamp_min(0), pixels)
    return distortion, torch.cat([pixels.long() // factor**2 for factor in SCALES], 1)


def _as_seen(errors: Tensor, variance: Tensor, pixels: Tensor) -> Tensor:
    """`bbmr.allocation.visual.visual_distortion` for batches on a device: errors (N, scales, rows, cols), the others
    (N or 1, 1, rows, cols).
    """
    weighted = errors / (pixels * (variance + VARIANCE_FLOOR).sqrt())
    padded = F.pad(weighted, (1, 1, 1, 1), mode="replicate")
    by_row = (padded[:, :, :-2] + 2 * padded[:, :, 1:-1] + padded[:, :, 2:]) / 4
    smoothed = (by_row[..., :-2] + 2 * by_row[..., 1:-1] + by_row[..., 2:]) / 4
    distortion = (weighted * smoothed).sqrt() * pixels
    finer, coarser = distortion[:, : _UNIFORM + 1], distortion[:, _UNIFORM + 1 :]
    uniform = finer[:, -1:]
    return torch.cat([finer, uniform + LOSS_AVERSION * (coarser - uniform).clamp_min(0)], 1)


def _merge(sums: Tensor, cells: int) -> Tensor:
    """(N, C, rows, cols) sums over cells -> sums over blocks of cells x cells cells, the last ones partial."""
    return F.avg_pool2d(sums, cells, ceil_mode=True, divisor_override=1)


@dataclass(frozen=True)
class _Map:
    """How the map of a crop comes about: one level all over, shuffled levels of its blocks, or, where there is neither,
    least D + lambda R over blocks.
    """

    uniform: int | None = None
    shuffled: NDArray[np.int64] | None = None  # (rows, cols) of blocks
    tuning: str = ""
    cells: int = 0  # per side of a block
    levels: tuple[int, ...] = ()
    penalty: float = 0.0


@dataclass(frozen=True)
class _Crop:
    photo: Photo
    top: int
    left: int
    flips: tuple[int, ...]
    transposed: bool
    part: CodedPart | None = None  # that it is cut from


class BatchSource:
    """Random batches from photographs: crops, flipped and transposed at random, with maps drawn as `maps` says.

    Where there is a `coding` crops are those of coded parts, which `seed` decides on, and their LR planes too.  coded:
    folder where these are kept.
    """

    def __init__(
        self,
        photos: Sequence[Photo],
        batch: int,
        side: int,
        maps: Maps,
        device: torch.device,
        keep_on: Literal["device", "host"] = "device",
        coding: Coding | None = None,
        seed: int = 0,
        coded: Path | None = None,
    ) -> None:
        self.batch, self.side, self.maps, self.device = batch, side, maps, device
        home = device if keep_on == "device" else torch.device("cpu")
        self.photos = [Photo(photo.name, photo.pixels.to(home), photo.multipliers) for photo in photos]
        area = np.array([photo.pixels.shape[1] * photo.pixels.shape[2] for photo in photos], np.float64)
        # The root of the area: small photographs bring variety that the few large ones lack.
        self.weights = np.sqrt(area) / np.sqrt(area).sum()
        self.pool = None
        if coding:
            pixels = [photo.pixels for photo in self.photos]
            shapes = [(photo.name, *photo.pixels.shape) for photo in self.photos]
            made_of = coding.made_of, [gains_by_cdef(factor) for factor in SCALES], seed, side, shapes
            store = FrameStore(coded, made_of) if coded else None
            self.pool = CodedPool(pixels, self.weights, side, batch, coding, seed, store)
        self.uniform_shares = [maps.uniform_scales.get(scale, 0.0) for scale in SCALES]
        self.block_shares = [maps.blocks.get(side, 0.0) for side in BLOCK_SIDES]

    @torch.no_grad()
    def draw(self, random: np.random.Generator, share: slice = slice(None), step: int = 0) -> Batch:
        """Make the crops `share` of the batch that `random` decides on.

        step: that at which the pool of coded parts is asked, if there is one.
        """
        with full_float32():
            return self._draw(random, share, step)

    def _draw(self, random: np.random.Generator, share: slice, step: int) -> Batch:
        if self.pool is None:
            chosen = [self.photos[i] for i in random.choice(len(self.photos), self.batch, p=self.weights)]
            crops = [self._draw_crop(photo, random) for photo in chosen]
        else:
            places = random.choice(self.pool.size, self.batch, replace=False).tolist()
            crops = [self._draw_crop_of(part, random) for part in self.pool.at(step, places)]
        maps = [self._draw_map(crop.photo, random) for crop in crops]
        exact = [self._cut(crop.photo.pixels, crop, crop.top, crop.left) for crop in crops[share]]
        hr = torch.stack(exact).to(self.device).float() / 255
        # What is weighed against the others may be stored nowhere.
        planes = lr_planes(hr, SCALES if self.maps.allocated else self.maps.scales)
        levels = self._levels(maps[share], hr, planes)
        parts = [crop.part for crop in crops[share] if crop.part]
        if not parts:
            return Batch(hr, planes, levels)
        coded = {factor: self._coded_planes(crops[share], factor) for factor in planes}
        qualities = torch.from_numpy(np.stack([part.qualities for part in parts]))
        return Batch(hr, coded, levels, qualities.to(self.device).float() / QUALITIES[-1])

    def _draw_crop(self, photo: Photo, random: np.random.Generator) -> _Crop:
        top, left = (int(random.integers(0, size - self.side + 1)) for size in photo.pixels.shape[1:])
        return _Crop(photo, top, left, *self._draw_turn(random))

    def _draw_crop_of(self, part: CodedPart, random: np.random.Generator) -> _Crop:
        """In steps of a cell, so that every plane has whole samples of it."""
        top, left = (
            CELL * int(random.integers(0, (size - self.side) // CELL + 1)) for size in (part.height, part.width)
        )
        return _Crop(self.photos[part.photo], part.top + top, part.left + left, *self._draw_turn(random), part)

    def _draw_turn(self, random: np.random.Generator) -> tuple[tuple[int, ...], bool]:
        return tuple(dim for dim in (1, 2) if random.random() < 0.5), bool(random.random() < 0.5)

    def _coded_planes(self, crops: Sequence[_Crop], factor: int) -> Tensor:
        planes = [
            self._cut(crop.part.planes[factor], crop, crop.top - crop.part.top, crop.left - crop.part.left, factor)
            for crop in crops
            if crop.part
        ]
        return torch.stack(planes).to(self.device).float() / 255

    def _draw_map(self, photo: Photo, random: np.random.Generator) -> _Map:
        """Lambda is near the one that gives the photograph 1/16 of the pixels."""
        kind = random.random()
        if kind < self.maps.uniform:
            return _Map(uniform=int(random.choice(len(SCALES), p=self.uniform_shares)))
        if kind < self.maps.uniform + self.maps.shuffled:
            cells = self._draw_block(random)
            blocks = -(-self.side // CELL // cells)
            equal = np.resize(random.permutation(_PAPER_LEVELS), blocks * blocks)
            return _Map(shuffled=random.permutation(equal).reshape(blocks, blocks), cells=cells)
        tuning = str(random.choice(TUNINGS))
        cells = self._draw_block(random)
        levels = tuple(range(len(SCALES))) if random.random() < self.maps.all_scales else _PAPER_LEVELS
        spread = self.maps.penalty_spread
        penalty = photo.multipliers[tuning] * float(np.exp(random.uniform(-spread, spread)))
        return _Map(tuning=tuning, cells=cells, levels=levels, penalty=penalty)

    def _draw_block(self, random: np.random.Generator) -> int:
        """Cells per side of a block."""
        return int(random.choice(BLOCK_SIDES, p=self.block_shares)) // CELL

    def _cut(self, pixels: Tensor, crop: _Crop, top: int, left: int, factor: int = 1) -> Tensor:
        """A crop of a picture, or of its LR plane; top, left: where it begins, in pixels at full size."""
        rows, cols = (slice(first // factor, (first + self.side) // factor) for first in (top, left))
        pixels = pixels[:, rows, cols]
        pixels = pixels.flip(crop.flips) if crop.flips else pixels
        return pixels.transpose(1, 2) if crop.transposed else pixels

    def _levels(self, maps: Sequence[_Map], hr: Tensor, planes: Mapping[int, Tensor]) -> Tensor:
        """One map a crop, (N, H/16, W/16) int64."""
        rows = self.side // CELL
        known = np.zeros((len(maps), rows, rows), np.int64)
        alike: dict[tuple[int, str], list[int]] = defaultdict(list)
        for index, entry in enumerate(maps):
            if entry.uniform is not None:
                known[index] = entry.uniform
            elif entry.shuffled is not None:
                known[index] = _cells_of_blocks(torch.from_numpy(entry.shuffled)[None], entry.cells, rows)[0]
            else:
                alike[entry.cells, entry.tuning].append(index)
        levels = torch.from_numpy(known).to(self.device)
        if not alike:
            return levels
        allocated = torch.tensor([index for indices in alike.values() for index in indices], device=self.device)
        errors, sums = measure_cells(hr[allocated], {factor: plane[allocated] for factor, plane in planes.items()})
        sizes = [len(indices) for indices in alike.values()]
        parts = zip(alike.items(), *(torch.split(part, sizes) for part in (allocated, errors, sums)), strict=True)
        for ((cells, tuning), indices), own, own_errors, own_sums in parts:
            distortion, cost = blocks_of_cells(own_errors, own_sums, cells, tuning)
            penalty = torch.tensor([maps[index].penalty for index in indices], device=self.device)
            barred = torch.tensor(
                [[level not in maps[index].levels for level in range(len(SCALES))] for index in indices],
                device=self.device,
            )
            lagrangian = distortion + penalty.view(-1, 1, 1, 1) * cost
            best = lagrangian.masked_fill(barred.view(-1, len(SCALES), 1, 1), torch.inf).argmin(1)
            levels[own] = _cells_of_blocks(best, cells, rows)
        return levels


def _cells_of_blocks(levels: Tensor, cells: int, rows: int) -> Tensor:
    """Levels of blocks, (N, n, n) -> of the cells in them, (N, rows, rows)."""
    return levels.repeat_interleave(cells, 1).repeat_interleave(cells, 2)[:, :rows, :rows]
