"""Compress into a lossy file: LR samples through a codec, each block's scale by rate and distortion.

LR planes of all scales -> coded whole, at the qualities of a rung -> bits and errors of every block at every scale
    -> scales of least error + lambda x bits -> planes of these blocks alone, coded -> RescaledImage
"""

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bbmr.allocation.distortion import luma_variance, restored_errors
from bbmr.blocks import BlockGrid
from bbmr.catalogue import Pipeline, find_pipeline
from bbmr.codecs.avif import QUALITIES
from bbmr.codecs.planes import scatter
from bbmr.coding import quick_look
from bbmr.coding.allocation import Overhead, frame_bits, least_cost, of_blocks, visibility
from bbmr.coding.bits import share_bits
from bbmr.coding.codec_planes import CodecPlanes
from bbmr.coding.coded import Coded, Foreseen, psnr_of
from bbmr.coding.equal_errors import Total, bits_by_error, ratio_at_equal_errors
from bbmr.coding.ladder import Rung
from bbmr.coding.learned_bits import LearnedBits
from bbmr.coding.options import ENCODER_TUNES, CodedOptions
from bbmr.coding.targets import reach_psnr, reach_size
from bbmr.coding.wiener_fit import WienerFit
from bbmr.depth import Samples
from bbmr.devices import full_float32
from bbmr.downscaling import bicubic_planes, planes_of_part
from bbmr.fileformat import padded, size_besides, size_with
from bbmr.lr_blocks import LRBlocks
from bbmr.luma import psnr_of_error
from bbmr.networks.fast import HIGHEST_TRAINED
from bbmr.picture import Picture
from bbmr.progress import Progress, silent
from bbmr.rescaled import Frame, Recipe, RescaledImage, WienerFilter
from bbmr.samples import to_tensor
from bbmr.tiles import Tile, tiles
from bbmr.upscaling import rounded
from bbmr.upscaling.mosaic import CodedUpscaler, Restored

_UNSURE = 0.5
"""Share of the best scale's bits that another one may cost more by a quick look, and be measured as it would be coded.
"""
_SURE = 40
"""Quality from which the finest scale nearly always comes as near as that: its slow coding need not wait for a look.
"""
_HELD = 1 << 22
"""Pixels of a picture up to which it is kept as the network leaves it, 0.2 GB, and not made anew for the filters."""
_COLOUR = {"visual": 100, "psnr": 80}
"""Per cent of its colour that the codec is given, by what is minimised."""
_TILE = 512
"""Pixels per side that samples of scale 1 are looked at in."""
_FILE_BYTES = 110
"""Of a file without its frames, alpha and metadata, about."""
_NEAR = 0.15
"""Share of the bits that two scales, each for the whole picture, may differ by in cost and be held against each other
more closely."""
_STEP = 6
"""Qualities of the codec that the coarser of them is coded apart for that."""
_CLOSE = 1.08
"""Ratio of bits up to which both are coded to decide, with the network that restores and filters fitted to it."""
_WORTHWHILE = 0.99
"""Share of a single scale's cost that a mixture is foreseen to come to at most, to be coded: most disappoint."""
_REMEMBERED = 4
"""Codings that are kept: a search often comes back to the last mixtures and the last single scales."""


@full_float32()
def compress(
    picture: Picture,
    options: CodedOptions,
    progress: Progress = silent,
    device: str = "cpu",
    core: tuple[slice, slice] | None = None,
) -> RescaledImage:
    """Code a picture at the quality, or to the size or PSNR, that is asked for.

    device: torch's name of the one that runs the network.  core: rows and columns of the picture that are coded, where
    that is not all of it; the rest is seen by the downscaler alone.  They begin at multiples of 16 pixels.  Raises
    BbmrError where the target is out of reach, weights are missing or do not suit, or the device cannot be used.
    """
    with closing(Sender(picture, options, pipeline_for(options, device), progress, core)) as sender:
        return _reached(sender, options).rescaled


def _reached(sender: "Sender", options: CodedOptions) -> Coded:
    if options.quality is not None:
        return sender.at(Rung(options.quality))
    if options.target_psnr is not None:
        return reach_psnr(sender, options.target_psnr)
    size = options.target_size
    if options.target_bpp is not None:
        size = max(1, int(options.target_bpp * sender.picture.width * sender.picture.height / 8))
    assert size is not None
    return reach_size(sender, size)


def pipeline_for(options: CodedOptions, device: str = "cpu") -> Pipeline:
    """The pipeline that options ask for.  Raises BbmrError as `compress`."""
    pipeline = find_pipeline(options.pipeline, options.weights, device)
    pipeline.check(options.block, options.scales)
    return pipeline


_Measured = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Of every block at one scale, (rows, cols): summed squared luma error, and bits."""


class Sender:
    """Codes one picture at whatever rung; of options the targets do not count.  core: as of `compress`."""

    def __init__(
        self,
        picture: Picture,
        options: CodedOptions,
        pipeline: Pipeline,
        progress: Progress = silent,
        core: tuple[slice, slice] | None = None,
    ) -> None:
        self.scales, self.tune = tuple(sorted(options.scales)), options.tune
        upscaler = pipeline.upscaler()
        assert isinstance(upscaler, CodedUpscaler)  # as pipelines for lossy samples have it
        self._pipeline, self._upscaler = pipeline, upscaler
        self._probe = pipeline.helper_upscaler() if pipeline.helper else upscaler
        self._speed, self._progress, self._colour = options.speed, progress, _COLOUR[self.tune]
        planes = bicubic_planes(picture.colour, self.scales)
        if core is not None:
            picture, planes = picture.crop(*core), planes_of_part(planes, *core)
        self.picture, self.grid = picture, BlockGrid(picture.height, picture.width, options.block)
        self.besides = size_besides(picture.alpha, picture.metadata)
        self._planes = CodecPlanes(planes, self.grid, self._colour, options.chroma, ENCODER_TUNES[self.tune])
        self._measured: dict[tuple[int, int, int], _Measured] = {}
        self._learned = LearnedBits()
        self._coded: dict[tuple[int, bytes], Coded] = {}
        self._variance = luma_variance(picture.colour, self.grid) if self.tune == "visual" else None

    def close(self) -> None:
        """What has been begun in threads is not waited for."""
        self._planes.close()

    def at(self, rung: Rung, alone: bool = True) -> Coded:
        """The picture at a rung, with the scales that blocks are foreseen to be best at.

        alone: or with one scale, where that turns out better, or is foreseen to be about as good.
        """
        if len(self.scales) == 1:
            return self.code(np.full((self.grid.rows, self.grid.cols), self.scales[0], np.uint8), rung)
        rows, errors, bits = self._choose(rung)
        if not alone:
            coded = self.code(self._map(rows), rung)
            self._learn(coded)
            return coded
        weights = self._weights(errors)
        costs, overhead = errors * weights + rung.multiplier * bits, Overhead.foreseen(bits)
        single = np.full_like(rows, self._best_alone(rung, errors * weights, bits, weights))

        def foreseen(map_of_rows: NDArray[np.int64]) -> float:
            return float(of_blocks(costs, map_of_rows).sum() + rung.multiplier * overhead.of(map_of_rows))

        coded = self.code(self._map(single), rung)
        if np.ptp(rows) > 0 and foreseen(rows) <= _WORTHWHILE * foreseen(single):
            mixture = self.code(self._map(rows), rung)
            self._learn(mixture)
            if self._gains(mixture, coded, int(single[0, 0]), weights):
                coded = mixture
        return coded

    def _gains(self, mixture: Coded, single: Coded, row: int, weights: NDArray[np.float64]) -> bool:
        """Whether a mixture is better than the best scale alone, by lambda and at equal errors: what a bit saves
        differs from picture to picture, and what looks cheap by lambda may be what a finer quality brings for less.

        row: of that scale.
        """
        rung = mixture.rung
        of_mixture, of_single = self._coded_total(mixture, weights), self._coded_total(single, weights)
        if of_mixture.cost(rung.multiplier) >= of_single.cost(rung.multiplier):
            return False
        if min(of_mixture.error, of_single.error) <= 0:
            return True
        quality = rung.qualities[self.scales[row]]
        sought = self._measured_total(row, quality, weights).error * of_mixture.error / of_single.error
        exponent = self._bits_by_error(row, quality, sought, weights)
        return exponent is None or ratio_at_equal_errors(of_single, of_mixture, exponent) < 1

    def _map(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The scales in these rows, (rows, cols)."""
        return np.array(self.scales, np.uint8)[rows]

    def foresee(self, rung: Rung, roughly: bool = False) -> Foreseen:
        """What the picture will come to at a rung, about; at rungs of a quality that was measured in no time.

        roughly: at the encoder's quick speed.
        """
        rows, errors, bits = self._choose(rung, roughly)
        frames = (of_blocks(bits, rows).sum() + Overhead.foreseen(bits).of(rows)) / 8
        size = padded(self.grid, round(_FILE_BYTES + self.besides + frames))
        return Foreseen(size, psnr_of(float(of_blocks(errors, rows).sum()), self.grid.height * self.grid.width))

    def _choose(
        self, rung: Rung, roughly: bool = False
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Each block's row of its scale, (rows, cols); and of every block at every scale, (scales, rows, cols), summed
        squared luma error and bits, unless roughly at the encoder's speed of use wherever that scale comes into
        question.
        """
        speeds = {factor: self._quick_speed(factor) for factor in self.scales}
        finest = self.scales[0]
        if rung.quality >= _SURE and not roughly:
            self._planes.begin([(finest, rung.qualities[finest], self._speed)])
        while True:
            self._planes.begin([(factor, rung.qualities[factor], speeds[factor]) for factor in self.scales])
            measured = [self._measure(factor, rung.qualities[factor], speeds[factor]) for factor in self.scales]
            errors = np.stack([part for part, _ in measured])
            shares = [part for _, part in measured]
            bits = np.stack([self._learned.correct(*of_scale) for of_scale in zip(self.scales, shares, strict=True)])
            weighted = errors * self._weights(errors)
            rows = least_cost(weighted, bits, rung.multiplier, Overhead.foreseen(bits))
            alone = (weighted + rung.multiplier * bits).sum((1, 2))
            best = int(alone.argmin())
            near = alone <= alone[best] + _UNSURE * rung.multiplier * bits[best].sum()
            wanted = {self.scales[row] for row in (*np.unique(rows), *np.flatnonzero(near))}
            if roughly or all(speeds[factor] == self._speed for factor in wanted):
                return rows, errors, bits
            speeds |= dict.fromkeys(wanted, self._speed)

    def _best_alone(
        self, rung: Rung, weighted: NDArray[np.float64], bits: NDArray[np.float64], weights: NDArray[np.float64]
    ) -> int:
        """The row of the scale that takes fewest bits for what it loses, all over.

        weighted, bits: (scales, rows, cols), errors x weights and bits of every block at every scale.  What a bit saves
        differs from picture to picture, so where another scale costs little more than the one that costs least, the
        two are held against each other at equal errors.
        """
        costs = (weighted + rung.multiplier * bits).sum((1, 2))
        best, *others = map(int, np.argsort(costs))
        near_enough = costs[best] + _NEAR * rung.multiplier * float(bits[best].sum())
        for other in (other for other in others if costs[other] <= near_enough):
            fine, coarse = sorted((best, other))
            ratio = self._held_against(rung, fine, coarse, weights)
            if ratio is not None:
                best = coarse if ratio < 1 else fine
        return best

    def _held_against(self, rung: Rung, fine: int, coarse: int, weights: NDArray[np.float64]) -> float | None:
        """What the coarser of two scales takes of the finer one's bits for the error that this leaves; None where it
        cannot be told.  fine, coarse: their rows.

        The coarser one is measured at a second quality, which says what bits make of its errors.  That is by the
        helper; where it finds the two close, both are coded, for the network that restores leaves other errors.
        """
        quality = rung.qualities[self.scales[coarse]]
        of_fine = self._measured_total(fine, rung.qualities[self.scales[fine]], weights)
        of_coarse = self._measured_total(coarse, quality, weights)
        exponent = self._bits_by_error(coarse, quality, of_fine.error, weights)
        if exponent is None:
            return None
        foreseen = ratio_at_equal_errors(of_fine, of_coarse, exponent)
        if max(foreseen, 1 / foreseen) > _CLOSE:
            return foreseen
        everywhere = np.ones((self.grid.rows, self.grid.cols), np.int64)
        of_fine, of_coarse = (
            self._coded_total(self.code(self._map(row * everywhere), rung), weights) for row in (fine, coarse)
        )
        if min(of_fine.error, of_coarse.error) <= 0:
            return foreseen
        return ratio_at_equal_errors(of_fine, of_coarse, exponent)

    def _bits_by_error(self, row: int, quality: int, sought: float, weights: NDArray[np.float64]) -> float | None:
        """As `bits_by_error`, of a scale all over, from a quality on towards an error; None where it cannot be told."""
        near = self._measured_total(row, quality, weights)
        towards = quality + (_STEP if near.error > sought else -_STEP)
        return (
            bits_by_error(near, self._measured_total(row, towards, weights), sought) if towards in QUALITIES else None
        )

    def _measured_total(self, row: int, quality: int, weights: NDArray[np.float64]) -> Total:
        """Of a scale all over, by the helper."""
        errors, bits = self._measure(self.scales[row], quality, self._speed)
        return Total(float((errors * weights).sum()), float(bits.sum()))

    def _coded_total(self, coded: Coded, weights: NDArray[np.float64]) -> Total:
        """Of what was coded; what no scale changes is left out."""
        return Total(float((coded.errors * weights).sum()), 8 * float(coded.size - self.besides))

    def _learn(self, coded: Coded) -> None:
        """Take in what a mixture of measured scales says of bits."""
        for factor, frame in coded.rescaled.frames.items():
            own = coded.rescaled.scales == factor
            bits = self._learned.correct(factor, self._measure(factor, frame.quality, self._speed)[1])
            beyond = 8 * len(frame.data) - frame_bits(own, bits)
            self._learned.learn(factor, bits, own, bits[own].sum() + beyond)

    def _weights(self, errors: NDArray[np.float64]) -> NDArray[np.float64]:
        """What a squared error counts in each block, (rows, cols)."""
        return np.ones(errors.shape[1:]) if self._variance is None else visibility(self._variance, errors[0])

    def _measure(self, factor: int, quality: int, speed: int) -> _Measured:
        known = factor, quality, speed
        if known not in self._measured:
            self._progress("measure", self.scales.index(factor) / len(self.scales))
            with full_float32():
                self._measured[known] = self._measure_anew(*known)
        return self._measured[known]

    def _measure_anew(self, factor: int, quality: int, speed: int) -> _Measured:
        size = self.grid.height, self.grid.width
        data, plane = self._planes.through_codec(factor, quality, speed)
        bits = share_bits(self._planes.samples[factor], len(data), quality, self.grid, factor)
        if factor == 1 and quality > HIGHEST_TRAINED:  # the picture's filters take back what a network spoils there
            restored = _as_they_are(plane)
        else:
            restored = self._probe.restore_uniform(plane, factor, size, quality)
        errors = restored_errors(self.picture.colour, self.grid, restored)
        if speed > self._speed:
            errors *= quick_look.errors_at_use(factor, quality)
            bits *= quick_look.bits_at_use(factor, quality)
        return errors, bits

    def _quick_speed(self, factor: int) -> int:
        """At which a scale is looked at first."""
        return quick_look.speed_before(self._speed) if factor in quick_look.SCALES else self._speed

    def code(self, scales: NDArray[np.uint8], rung: Rung) -> Coded:
        """The picture with these scales, (rows, cols), as it is stored, and what that loses."""
        known = rung.quality, scales.tobytes()
        if known in self._coded:
            self._coded[known] = self._coded.pop(known)  # a search often comes back to the last
        else:
            while len(self._coded) >= _REMEMBERED:  # each has the LR samples of the whole picture
                self._coded.pop(next(iter(self._coded)))
            with full_float32(), torch.inference_mode():  # as the receiver
                self._coded[known] = self._code(scales, rung)
        return replace(self._coded[known], rung=rung)

    def _code(self, scales: NDArray[np.uint8], rung: Rung) -> Coded:
        self._progress("code", 0.0)
        qualities = rung.qualities
        frames, blocks = {}, {}
        for factor in np.unique(scales).tolist():
            own = scales == factor
            data, coded = self._planes.through_codec(factor, qualities[factor], self._speed, own)
            frames[factor] = Frame(qualities[factor], data, self._colour)
            blocks[factor] = scatter(coded, own, self.grid, factor)
        pipeline, picture = self._pipeline, self.picture
        recipe = Recipe(pipeline.name, pipeline.weights, pipeline.weights_digest, self.tune)
        besides = picture.alpha, picture.metadata
        rescaled = RescaledImage(self.grid, scales, blocks, recipe, *besides, frames, picture.depth)
        stored = LRBlocks.of(rescaled).to(self._upscaler.device)
        parts: Iterable[Restored] = self._upscaler.corrected(stored)
        if picture.height * picture.width <= _HELD:
            parts = list(parts)
        fitted = self._fit_filters(parts, rung)
        if not isinstance(parts, list):
            parts = self._upscaler.corrected(stored)
        rescaled = replace(
            rescaled, frames={k: replace(frame, filter=fitted.get(k, ())) for k, frame in frames.items()}
        )
        restored = self._upscaler.finished(parts, replace(stored, filters=fitted))
        in_samples = rounded(restored, picture.depth)
        errors = restored_errors(picture.colour, self.grid, in_samples, lambda done: self._progress("code", done))
        psnr = psnr_of_error(float(errors.sum()), picture.height * picture.width)
        rescaled = replace(rescaled, recipe=replace(recipe, expected_psnr=psnr))
        return Coded(rung, rescaled, size_with(rescaled, self.besides), errors)

    def _fit_filters(self, parts: Iterable[Restored], rung: Rung) -> dict[int, WienerFilter]:
        """By scale, for those where they are worth their bytes."""
        finest = self.scales[0]
        weights = np.ones((self.grid.rows, self.grid.cols))
        if self._variance is not None:
            known = self._measure(finest, rung.qualities[finest], self._quick_speed(finest))
            weights = self._weights(known[0][None])
        fit = WienerFit(self.grid.side)
        for part in parts:
            fit.add(part, self.picture.colour[part.tile.core], weights[self.grid.covered(part.tile.core)])
        return fit.filters(Rung(rung.quality).multiplier)  # whatever its thrift: codings are kept by quality and scales


def _as_they_are(plane: Samples) -> Iterator[tuple[Tile, Tensor]]:
    """Samples of scale 1, as if they had been restored."""
    height, width = plane.shape[:2]
    for tile in tiles(height, width, _TILE, 0):
        yield tile, to_tensor(plane[tile.core])
