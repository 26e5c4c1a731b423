"""How fast LR samples are refined: the descent of `bbmr compress --effort` against Adam, step by step.

    python benchmarks/descents.py PICTURE... --side 512

Of every picture its middle, at most SIDE x SIDE pixels.  Gains in PSNR-Y and PSNR-RGB over the samples that each
pipeline begins with, rounded to 8 bit, after so many gradients; no samples are put back.  Adam takes its gradients at
the samples in 8 bit, straight through the rounding.  Means over the pictures: a Markdown table for each pipeline.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from torch import Tensor

from bbmr.blocks import CELL
from bbmr.catalogue import find_pipeline
from bbmr.errors import BbmrError
from bbmr.evaluation.metrics import psnr_rgb, psnr_y
from bbmr.imageio import read_picture
from bbmr.lr_blocks import LRBlocks
from bbmr.options import BICUBIC_MOSAIC, LEARNED, PLAIN_PIPELINE, Options
from bbmr.picture import Picture
from bbmr.pipeline import compress
from bbmr.refinement.descent import Descent
from bbmr.refinement.refine import as_blocks, as_floats, as_stored
from bbmr.refinement.restoration import Restoration
from bbmr.rescaled import RescaledImage
from bbmr.upscaling import Upscaler

STEPS = (1, 2, 3, 5, 10, 20)
PIPELINES = tuple(learned + name for learned in ("", LEARNED) for name in (PLAIN_PIPELINE, BICUBIC_MOSAIC))
Method = Callable[[Restoration, dict[int, Tensor]], Iterator[dict[int, Tensor]]]
"""A restoration and the samples of its start -> the samples after each step."""


def ours(restoration: Restoration, start: dict[int, Tensor]) -> Iterator[dict[int, Tensor]]:
    descent = Descent(restoration, start)
    yield descent.samples
    while descent.step():
        yield descent.samples


def adam(restoration: Restoration, start: dict[int, Tensor], rate: float) -> Iterator[dict[int, Tensor]]:
    """Adam with torch's betas; rate: in grey levels.  Gradients are those at the rounded samples."""
    samples = {k: own.clone() for k, own in start.items()}
    changing = [own for k, own in samples.items() if k > 1]
    optimiser = torch.optim.Adam(changing, rate / 255)
    weights = np.ones(restoration.scales.shape)
    for _ in count():
        gradients, _ = restoration.gradient(as_stored(samples, depth=8), weights)
        for k, gradient in gradients.items():
            samples[k].grad = gradient
        optimiser.step()
        for k in gradients:
            samples[k].clamp_(0, 1)
            restoration.fill(samples[k], k)
        yield samples


METHODS: dict[str, Method] = {
    "`--effort`": ours,
    "Adam, 2 grey levels": partial(adam, rate=2),
    "Adam, 4 grey levels": partial(adam, rate=4),
}
Gains = dict[str, dict[int, list[tuple[float, float]]]]
"""By method and step, of every picture: PSNR-Y and PSNR-RGB over the start, in dB."""


def measure(colour: NDArray[np.uint8], pipeline: str, gains: Gains) -> None:
    options = Options(pipeline=pipeline) if "mosaic" not in pipeline else Options(pipeline=pipeline, tune="psnr")
    rescaled = compress(Picture(colour), options)
    upscaler = find_pipeline(rescaled.recipe.pipeline).upscaler()  # of a gray picture another one
    start = as_floats(LRBlocks.of(rescaled))
    before = quality(rescaled, upscaler, colour)
    for name, method in METHODS.items():
        steps = method(Restoration(colour, upscaler, rescaled.grid, rescaled.scales), start)
        samples = start
        for step in range(1, max(STEPS) + 1):
            samples = next(steps, samples)  # what it was where the descent has ended
            if step in STEPS:
                after = quality(replace(rescaled, blocks=as_blocks(samples, rescaled.depth)), upscaler, colour)
                gains[name][step].append((after[0] - before[0], after[1] - before[1]))


def quality(rescaled: RescaledImage, upscaler: Upscaler, colour: NDArray[np.uint8]) -> tuple[float, float]:
    restored = upscaler.restore(rescaled)
    return psnr_y(restored, colour), psnr_rgb(restored, colour)


def middle(path: Path, side: int) -> NDArray[np.uint8]:
    colour = read_picture(path).in_8_bit().colour
    height, width = colour.shape[:2]
    top, left = max(height - side, 0) // 2, max(width - side, 0) // 2
    return np.ascontiguousarray(colour[top : top + side, left : left + side])


def to_markdown(gains: Gains) -> str:
    lines = [f"| steps | {' | '.join(map(str, STEPS))} |", "| --- |" + " ---: |" * len(STEPS)]
    for name, by_step in gains.items():
        means = [tuple(map(fmean, zip(*by_step[step], strict=True))) for step in STEPS]
        lines.append(f"| {name} | {' | '.join(f'{y:+.2f} / {rgb:+.2f}' for y, rgb in means)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", nargs="+", type=Path, metavar="PICTURE")
    parser.add_argument("--side", type=int, default=512, help="pixels of a picture that are taken, each way")
    parser.add_argument("--pipelines", nargs="+", choices=PIPELINES, default=PIPELINES)
    options = parser.parse_args(arguments)
    if options.side < CELL:
        parser.error(f"--side {options.side}: {CELL} at least")
    try:
        crops = [middle(path, options.side) for path in options.pictures]
    except BbmrError as error:
        parser.error(str(error))
    for pipeline in options.pipelines:
        gains: Gains = {name: {step: [] for step in STEPS} for name in METHODS}
        for colour in track(crops, pipeline, console=Console(stderr=True)):
            measure(colour, pipeline, gains)
        print(f"## {pipeline}: gain in PSNR-Y / PSNR-RGB, dB\n\n{to_markdown(gains)}\n", flush=True)


if __name__ == "__main__":
    main()
