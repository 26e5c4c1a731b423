"""LR samples refined at the sender: stored as the network that restores them makes the most of them.

    LR samples --upscaler--> restored picture --squared error--> gradient --> LR samples, some steps; 8 bit again

The network is fixed and known to the sender, so the samples that serve it best need not be those of any filter.
Nothing changes at the receiver or in the file; the sender pays a pass forward and one backward for each step, tile by
tile.

Descent with momentum, its rate found for each scale: a sample of scale k stands for k x k pixels, and how strongly a
network answers to it differs from scale to scale.  A first, cautious step tells how the gradient changes along it (the
secant of J. Barzilai, J. Borwein, "Two-point step size gradient methods", IMA J. Numer. Anal. 1988); the rates that
follow from that then fall slowly.  Adam takes two to four times as many steps (docs/how-it-works.md).
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count, islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bbmr.blocks import BlockGrid
from bbmr.lr_blocks import LRBlocks
from bbmr.luma import BLACK, BLACK_TO_WHITE, luma
from bbmr.progress import Progress, silent
from bbmr.rescaled import RescaledImage
from bbmr.samples import to_tensor
from bbmr.tiles import Tile
from bbmr.upscaling import Upscaler

STEPS = (0, 2, 3, 4, 5, 6, 8, 12, 16, 24)
"""By effort, from 0 to 9."""
MAY_GROW, UNSEEN = 0.05, 0.5
"""What the squared error of a block may gain: a share of it, and grey levels squared per pixel.  Blocks see each other:
that none gains anything would leave little to be gained at all.
"""

_FIRST_RATE = 0.15  # of 1/(2 k^2), where one step would do if enlarging repeated samples; SR networks do more with them
_RATES = 0.01, 4.0  # within which the others lie: a few blocks of a scale tell little of it
_DECAY, _LEAST = 0.9, 0.3  # of the rates from step to step, down to this share
_MOMENTUM = 0.6
_TOO_FAR = 1.02  # times the least error so far: the rates are too high
_ENOUGH = 1e-3  # share of the error that a step has to save for another to follow
_ROUNDING = 1 / 12  # grey levels squared per pixel, the error of rounding to 8 bit
_WEIGHT, _HEAVIEST = 1.5, 256.0  # what blocks that have become worse count more, after each step

Samples = dict[int, Tensor]
"""LR samples by scale, as in `LRBlocks`."""


@dataclass(frozen=True, eq=False)
class Refined:
    """rescaled: the same picture with other LR samples.  luma_error: the summed squared luma error that it is restored
    with, grey levels squared.
    """

    rescaled: RescaledImage
    luma_error: float


def refine(
    rescaled: RescaledImage, colour: NDArray[np.uint8], upscaler: Upscaler, steps: int, progress: Progress = silent
) -> Refined:
    """Improve the LR samples of a picture by gradient descent through the upscaler that will restore it.

    colour: the picture itself, (H, W, C) uint8.  Minimises half the squared error of the luma and half that of R, G and
    B, where blocks that become worse than from the samples given soon count more.  Those whose error, of the luma or of
    R, G and B, has grown by more than MAY_GROW and UNSEEN in the end get their own samples back.  Holds the LR samples
    in a few copies of float32, and of the picture a tile at a time.  Raises ValueError for less than one step.
    """
    if steps < 1:
        raise ValueError(f"refining takes steps, not {steps}")
    passes = steps + 2  # where not many blocks are put back

    def report(done: float) -> None:
        progress("refine", min(done / passes, 0.99))

    task = Task(colour, upscaler, rescaled.grid, rescaled.scales, report)
    start = to_samples(LRBlocks.of(rescaled).to(upscaler.device))
    ((before, samples),) = deque(islice(descend(task, start), steps), maxlen=1)  # the last
    refined, after = _put_back_what_is_worse(task, start, samples, before)
    progress("refine", 1.0)
    blocks = {k: own.mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy() for k, own in refined.items()}
    return Refined(replace(rescaled, blocks=blocks), float(after[0].sum()))


def to_samples(stored: LRBlocks) -> Samples:
    """Stored samples as float32 in [0, 1]."""
    return {k: own.float().div(255) for k, own in stored.samples.items()}


def in_8_bit(samples: Mapping[int, Tensor]) -> Samples:
    """Rounded to what can be stored."""
    return {k: own.mul(255).round().div(255) for k, own in samples.items()}


class Task:
    """A picture to be restored from LR samples, and how far what is restored is from it.

    report: called with the passes over the picture that are done, each tile its share of one.
    """

    def __init__(
        self,
        colour: NDArray[np.uint8],
        upscaler: Upscaler,
        grid: BlockGrid,
        scales: NDArray[np.uint8],
        report: Callable[[float], None] = lambda done: None,
    ) -> None:
        self._colour, self._upscaler, self.grid, self.scales = colour, upscaler, grid, scales
        self._report, self._done = report, 0.0
        self._fill = {k: _edges_to_repeat(grid, scales, k) for k in np.unique(scales).tolist()}

    def errors(self, samples: Mapping[int, Tensor]) -> NDArray[np.float64]:
        """Summed squared errors of each block after restoring to 8 bit, (2, rows, cols) in grey levels squared: of the
        luma, and the mean over the channels.
        """
        errors = np.zeros((2, self.grid.rows, self.grid.cols))
        with torch.inference_mode():
            for tile, core in self._restored_tiles(samples):
                self._measure(core, tile.core, errors)
        return errors

    def gradient(
        self, samples: Mapping[int, Tensor], weights: NDArray[np.float64]
    ) -> tuple[float, Samples, NDArray[np.float64]]:
        """What is minimised but for `weights` (rows, cols) of the blocks; its gradient with these, in the samples of
        every scale but 1, each block's divided by its weight again, so that the same rates do; and `errors`.

        Samples are taken as they are, not rounded.  Those that partial blocks repeat have no gradients of their own.
        """
        whole = {k: own.detach().requires_grad_(k > 1) for k, own in samples.items()}
        objective, errors = 0.0, np.zeros((2, self.grid.rows, self.grid.cols))
        for tile, core in self._restored_tiles(whole):
            self._measure(core.detach(), tile.core, errors)
            error = core.clamp(0, 1) - to_tensor(self._colour[tile.core], core.device)
            squared = (_full_range_luma(error).square() + error.square().mean(1, keepdim=True)) / 2
            if squared.requires_grad:  # it does not where all scales are 1
                torch.autograd.backward((squared * self._of_pixels(weights, tile.core).to(core.device)).sum())
            objective += squared.sum().item()
        gradients = {}
        for k, own in whole.items():
            if k > 1:
                gradients[k] = torch.zeros_like(own) if own.grad is None else self._gather(own.grad, k)
                gradients[k] /= torch.from_numpy(weights[self.scales == k]).to(own)[:, None, None, None]
        return objective, gradients, errors

    def fill(self, samples: Tensor, factor: int) -> None:
        """Let partial blocks repeat their last row and column, as files have it."""
        for block, height, width in self._fill[factor]:
            samples[block, :, height:] = samples[block, :, height - 1 : height]
            samples[block, :, :, width:] = samples[block, :, :, width - 1 : width]

    def without_repeated(self, samples: Tensor, factor: int) -> Tensor:
        """With zeros for what `fill` fills."""
        for block, height, width in self._fill[factor]:
            samples[block, :, height:] = 0
            samples[block, :, :, width:] = 0
        return samples

    def _gather(self, gradients: Tensor, factor: int) -> Tensor:
        """The transpose of `fill`."""
        for block, height, width in self._fill[factor]:
            gradients[block, :, :, width - 1] = gradients[block, :, :, width - 1 :].sum(2)
            gradients[block, :, height - 1] = gradients[block, :, height - 1 :].sum(1)
        return self.without_repeated(gradients, factor)

    def _restored_tiles(self, samples: Mapping[int, Tensor]) -> Iterator[tuple[Tile, Tensor]]:
        for tile, core in self._upscaler.restored_tiles(LRBlocks(self.grid, self.scales, samples)):
            self._report(self._done)
            yield tile, core
            self._done += core.shape[2] * core.shape[3] / (self.grid.height * self.grid.width)

    def _of_pixels(self, weights: NDArray[np.float64], part: tuple[slice, slice]) -> Tensor:
        """What is given for blocks, for the pixels of a part of the picture, (h, w)."""
        rows, cols = (np.arange(pixels.start, pixels.stop) // self.grid.side for pixels in part)
        return torch.from_numpy(weights[np.ix_(rows, cols)]).float()

    def _measure(self, core: Tensor, where: tuple[slice, slice], errors: NDArray[np.float64]) -> None:
        """Note the errors of the blocks in a part of the picture."""
        original = to_tensor(self._colour[where], core.device)
        restored = core.clamp(0, 1).mul(255).round().div(255)
        rows, cols = self.grid.covered(where)
        of_luma = (luma(restored) - luma(original)).square()
        of_colour = (restored - original).mul(255).square().mean(1, keepdim=True)
        for row, error in enumerate((of_luma, of_colour)):
            errors[row, rows, cols] = self.grid.sums_of_part(error[0, 0].cpu().numpy())


def _full_range_luma(error: Tensor) -> Tensor:
    return (luma(error) - BLACK) / BLACK_TO_WHITE


def _edges_to_repeat(grid: BlockGrid, scales: NDArray[np.uint8], factor: int) -> list[tuple[int, int, int]]:
    """The partial blocks of a scale: which it is among those of the scale, and its true samples, (height, width)."""
    heights, widths = grid.block_sizes(factor)
    side = grid.side // factor
    sizes = [(int(heights[row]), int(widths[col])) for row, col in np.argwhere(scales == factor)]
    return [(block, *size) for block, size in enumerate(sizes) if size != (side, side)]


def descend(task: Task, start: Mapping[int, Tensor]) -> Iterator[tuple[NDArray[np.float64], Samples]]:
    """The samples after each step, with the block errors of the start as `Task.errors` has them; no more where a step
    has saved too little for another one.
    """
    samples = {k: own.clone() for k, own in start.items()}
    velocity = {k: torch.zeros_like(own) for k, own in samples.items() if k > 1}
    rates = {k: _FIRST_RATE / (2 * k * k) for k in velocity}
    weights = np.ones(task.scales.shape)
    least, best, first, before = np.inf, samples, {}, np.zeros(0)
    for step in count():
        objective, gradients, errors = task.gradient(samples, weights)
        if step == 0:
            before, first = errors, gradients
        elif step == 1:
            moved = {k: task.without_repeated(samples[k] - start[k], k) for k in rates}
            rates = {k: _secant_rate(k, moved[k], gradients[k] - first[k], rate) for k, rate in rates.items()}
        if objective > _TOO_FAR * least:
            samples = {k: own.clone() for k, own in best.items()}
            velocity = {k: torch.zeros_like(own) for k, own in velocity.items()}
            rates = {k: rate / 2 for k, rate in rates.items()}
            least = np.inf
            yield before, samples
            continue
        if step > 1 and objective > (1 - _ENOUGH) * least:
            break
        least, best = objective, {k: own.clone() for k, own in samples.items()}
        worse = (errors > before + _ROUNDING * task.grid.costs(1)).any(0)
        weights[worse] = np.minimum(weights[worse] * _WEIGHT, _HEAVIEST)
        share = max(_DECAY ** max(step - 1, 0), _LEAST)
        for k, rate in rates.items():
            velocity[k].mul_(_MOMENTUM if step else 0).sub_(gradients[k], alpha=share * rate)
            samples[k].add_(velocity[k]).clamp_(0, 1)
            task.fill(samples[k], k)
        yield before, samples


def _secant_rate(factor: int, moved: Tensor, changed: Tensor, rate: float) -> float:
    """The rate that would have led to the least error along the way just gone, were that quadratic."""
    curvature = float((moved * changed).sum())
    if curvature <= 0:
        return rate
    low, high = (bound / (2 * factor * factor) for bound in _RATES)
    return min(max(float(moved.square().sum()) / curvature, low), high)


def _put_back_what_is_worse(
    task: Task,
    start: Mapping[int, Tensor],
    samples: Mapping[int, Tensor],
    before: NDArray[np.float64],
) -> tuple[Samples, NDArray[np.float64]]:
    """Round to 8 bit, and take the samples of the start for blocks that are restored too much worse than from these.

    Neighbours see them, so that is done until there are none; where a block is with its own samples put back, its
    neighbours' are too.  It ends: from the samples of the start none is worse.  Where the whole picture is worse, all
    blocks are put back.  Returns samples and `Task.errors`.
    """
    stored = in_8_bit(samples)
    allowed = (1 + MAY_GROW) * before + UNSEEN * task.grid.costs(1)
    back = np.zeros(task.scales.shape, bool)
    while True:
        errors = task.errors(stored)
        in_all = (errors.sum((1, 2)) > before.sum((1, 2)) * (1 + 1e-6)).any()
        worse = (errors > allowed).any(0) | in_all
        if not worse.any():
            return stored, errors
        wider = back | worse | _with_neighbours(worse & back)
        back = wider if (wider != back).any() else _with_neighbours(back)
        for k, own in stored.items():
            again = torch.from_numpy(back[task.scales == k])
            own[again] = start[k][again]


def _with_neighbours(blocks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    padded = np.pad(blocks, 1)
    rows, cols = blocks.shape
    near = np.zeros_like(blocks)
    for i, j in np.ndindex(3, 3):
        near |= padded[i : i + rows, j : j + cols]
    return near
