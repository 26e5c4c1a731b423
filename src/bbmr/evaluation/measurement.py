"""What is measured of one picture: every system on it, the errors of its blocks, and the original itself."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from bbmr.blocks import PAPER_SIDE, SCALES, BlockGrid, merge
from bbmr.catalogue import find_sender
from bbmr.downscaling import bicubic_planes
from bbmr.evaluation.complexity import count_distortion
from bbmr.evaluation.metrics import block_edge_ratio, decibels, ms_ssim_y, psnr_rgb, psnr_y, ssim_rgb, ssim_y
from bbmr.evaluation.no_reference.ma import MaModel, perceptual_index
from bbmr.evaluation.no_reference.niqe import niqe_live, niqe_pirm
from bbmr.evaluation.planes import TooSmallError
from bbmr.evaluation.systems import NOTHING_OWN, Own, System
from bbmr.fileformat import load, save, sections
from bbmr.options import PIPELINE_CHOICES
from bbmr.picture import Picture
from bbmr.pipeline import measure_distortion
from bbmr.rescaled import RescaledImage

VERSION = 1
"""Of what this module measures: raise it when a measure changes, so that older results are not taken for these."""
PERFECT = 100.0
"""dB that a copy without error counts as, so that means stay finite."""


@dataclass(frozen=True)
class Naturalness:
    """No-reference measures of a picture, lower is better; None where it is too small or flat, or without the Ma
    model.
    """

    niqe: float | None
    """In the variant of LIVE."""
    pi: float | None

    @classmethod
    def of(cls, colour: NDArray[np.uint8], ma: MaModel | None) -> "Naturalness":
        """colour: (H, W, 1 or 3) uint8."""
        live = _if_possible(lambda: niqe_live(colour))
        pirm = _if_possible(lambda: niqe_pirm(colour)) if ma is not None else None
        score = _if_possible(lambda: ma.score(colour)) if ma is not None else None
        return cls(live, None if pirm is None or score is None else perceptual_index(score, pirm))


@dataclass(frozen=True)
class Measurement:
    """One system on one picture.

    lr_share: LR pixels over HR pixels.  map_bits, file_bits: per HR pixel.  PSNR in dB; ms_ssim_db: MS-SSIM in dB,
    -10 log10(1 - x); both at most 100, as of a perfect copy.  edge_ratio: of `block_edge_ratio` along the blocks that
    were cut.  seconds: wall-clock; restoring with reading the file, compressing with writing it and with measuring
    distortions, which are given alone as well.  macs: multiply-accumulates of these and of restoring.  None: the
    picture is too small or flat for the measure, the Ma model is missing, or the part is a researcher's own.
    """

    lr_share: float
    map_bits: float
    file_bits: float
    psnr_y: float
    psnr_rgb: float
    ssim_y: float | None
    ssim_rgb: float | None
    ms_ssim: float | None
    niqe: float | None
    pi: float | None
    edge_ratio: float | None
    seconds_distortion: float
    seconds_compress: float
    seconds_restore: float
    macs_distortion: int | None
    macs_restore: int | None

    @property
    def ms_ssim_db(self) -> float | None:
        return None if self.ms_ssim is None else min(decibels(self.ms_ssim), PERFECT)


@dataclass(frozen=True)
class BlockErrors:
    """What the blocks of a picture lose at each scale, restored by a network at one scale all over.

    squared_error: for each of `scales` the mean squared luma error of every whole block, grey levels squared.
    """

    scales: tuple[int, ...]
    squared_error: tuple[tuple[float, ...], ...]

    def psnr(self) -> NDArray[np.float64]:
        """PSNR-Y of each block at each scale in dB, (scales, blocks); at most 100, as of a perfect copy."""
        with np.errstate(divide="ignore"):
            psnr: NDArray[np.float64] = 10 * np.log10(255**2 / np.array(self.squared_error))
        return np.minimum(psnr, PERFECT)


@dataclass(frozen=True, eq=False)
class Foreseen:
    """The errors (scales, rows, cols) that scales are chosen by, where they are known, and what they cost."""

    errors: NDArray[np.float64] | None
    seconds: float
    macs: int | None


class Bench:
    """One picture, and what several systems can share on it: distortions are measured when first asked for."""

    def __init__(self, picture: Picture, device: str = "cpu", ma: MaModel | None = None) -> None:
        self.picture = picture
        self._device = device
        self._ma = ma
        self._known: dict[tuple[object, ...], Foreseen] = {}

    def measure(self, system: System) -> Measurement:
        """Store and restore the picture, file included, and compare."""
        foreseen = self._distortion_of(system)
        system.receiver(self._device).upscaler()  # loading is no part of what is timed
        with TemporaryDirectory() as folder:
            path = Path(folder, "picture.bbmr")
            start = time.perf_counter() - foreseen.seconds
            save(system.compress(self.picture, foreseen.errors, self._device), path)
            compressed = time.perf_counter()
            rescaled = load(path)
            restored = system.restore(rescaled, self._device).colour
            end = time.perf_counter()
            file_bytes, map_bytes = path.stat().st_size, sections(path)["scale map"]
        original = self.picture.colour
        pixels = self.picture.height * self.picture.width
        seams = block_edge_ratio(restored, original, rescaled.grid.side)
        return Measurement(
            lr_share=rescaled.lr_pixels / pixels,
            map_bits=8 * map_bytes / pixels,
            file_bits=8 * file_bytes / pixels,
            psnr_y=min(psnr_y(restored, original), PERFECT),
            psnr_rgb=min(psnr_rgb(restored, original), PERFECT),
            ssim_y=_if_possible(lambda: ssim_y(restored, original)),
            ssim_rgb=_if_possible(lambda: ssim_rgb(restored, original)),
            ms_ssim=_if_possible(lambda: ms_ssim_y(restored, original)),
            **vars(Naturalness.of(restored, self._ma)),
            edge_ratio=seams if np.isfinite(seams) else None,
            seconds_distortion=foreseen.seconds,
            seconds_compress=compressed - start,
            seconds_restore=end - compressed,
            macs_distortion=foreseen.macs,
            macs_restore=system.macs_to_restore(rescaled),
        )

    def restored(self, system: System) -> tuple[RescaledImage, NDArray[np.uint8]]:
        """What a system stores, and the colour (H, W, C) uint8 that it restores from that."""
        rescaled = system.compress(self.picture, self._distortion_of(system).errors, self._device)
        return rescaled, system.restore(rescaled, self._device).colour

    def original(self) -> Naturalness:
        """Of the picture itself."""
        return Naturalness.of(self.picture.colour, self._ma)

    def block_errors(self, pipeline: str, scales: tuple[int, ...]) -> BlockErrors:
        """Of blocks of 128 pixels, by the network of a pipeline; blocks that the picture's edge cuts are left out."""
        grid = BlockGrid(self.picture.height, self.picture.width, PAPER_SIDE)
        errors = self._by_network(pipeline, NOTHING_OWN, PAPER_SIDE, scales).errors
        assert errors is not None
        whole = grid.costs(1) == PAPER_SIDE**2
        means = errors[:, whole] / PAPER_SIDE**2
        return BlockErrors(scales, tuple(tuple(round(error, 4) for error in row) for row in means.tolist()))

    def _distortion_of(self, system: System) -> Foreseen:
        """What a system's scales are chosen by."""
        options = system.options
        if options is None:
            return Foreseen(None, 0.0, None)
        measured_by, own = system.measured_by or system.pipeline, replace(system.own, allocator="")
        scales = tuple(sorted(options.scales))
        if options.distortion == "network":
            return self._by_network(measured_by, own, options.block, scales)
        return self._foresee(options.distortion, measured_by, own, options.block, scales)

    def _by_network(self, measured_by: str, own: Own, block: int, scales: tuple[int, ...]) -> Foreseen:
        """By a network, for blocks of `block` pixels; measured once, scale by scale, on its smallest blocks, whose
        errors add up to those of larger ones.
        """
        smallest = min(PIPELINE_CHOICES[measured_by].blocks)
        parts = [self._foresee("network", measured_by, own, smallest, (factor,)) for factor in scales]
        errors = merge(np.concatenate([part.errors for part in parts if part.errors is not None]), block // smallest)
        macs = [part.macs for part in parts if part.macs is not None]
        return Foreseen(errors, sum(part.seconds for part in parts), sum(macs) if len(macs) == len(parts) else None)

    def _foresee(self, distortion: str, measured_by: str, own: Own, block: int, scales: tuple[int, ...]) -> Foreseen:
        key = (distortion, measured_by, own, block, scales)
        if key not in self._known:
            pipeline = find_sender(measured_by, device=self._device, parts=own.parts()).suited_to(self.picture)
            grid = BlockGrid(self.picture.height, self.picture.width, block)
            # Making the LR planes is charged to each row as it compresses.  All estimators but the network itself know
            # no planes of Down-Nets, and the correction looks at all scales.
            downscaler = bicubic_planes if pipeline.learned and distortion != "network" else pipeline.downscaler
            planes = downscaler(self.picture.colour, SCALES if distortion == "corrected" else scales)
            macs = None if own.upscaler else count_distortion(pipeline, distortion, grid, scales).macs
            start = time.perf_counter()
            errors = measure_distortion(self.picture, planes, grid, distortion, pipeline, scales)
            self._known[key] = Foreseen(errors, time.perf_counter() - start, macs)
        return self._known[key]


def _if_possible(measure: Callable[[], float]) -> float | None:
    """None where the picture is too small, and for what is not a number: flat pictures have no natural statistics."""
    try:
        value = measure()
    except TooSmallError:
        return None
    return None if math.isnan(value) else value
