"""What the LR pictures of Down-Nets look like and weigh: a Markdown table for each set, and a picture to look at.

    python benchmarks/lr_pictures.py --data DIR --sets test2k test4k
    python benchmarks/lr_pictures.py --photo PHOTO --at 1060 310 --figure lr.png

DIR holds one folder of pictures for each set.  For every pipeline with learned LR planes and every scale of theirs:
PSNR-Y and PSNR-RGB of the LR picture against the MATLAB-bicubic one, and the bits of both as lossless JPEG XL, per
pixel of the whole picture; means over the pictures.  The figure has a part of a photograph's x4 LR pictures, each
sample as 4 x 4 pixels.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from photos import find_sets
from PIL import Image
from rich.console import Console
from rich.progress import track

from bbmr.downscaling import bicubic_planes
from bbmr.downscaling.downnet import LearnedPlanes
from bbmr.errors import BbmrError
from bbmr.evaluation.metrics import psnr_rgb, psnr_y
from bbmr.evaluation.pictures import side_by_side
from bbmr.fileformat.jpegxl import encode
from bbmr.imageio import read_picture
from bbmr.weights import load_filters, weights_index
from bbmr.weights.index import DOWNNET, LR

SIDE = 256  # pixels of the photograph that the figure shows
COLUMNS = ("PSNR-Y", "PSNR-RGB", "bits, bicubic", "bits, Down-Net", "ratio")
Figures = tuple[float, float, float, float]
"""PSNR-Y and PSNR-RGB against bicubic, bits per pixel of the picture with bicubic and with Down-Net."""


def downscalers() -> dict[str, LearnedPlanes]:
    """Of all Down-Nets at hand, by the names of the weights that they were trained with."""
    learned = [name for name, entry in weights_index().items() if entry.network == DOWNNET]
    return {name.removesuffix(LR): LearnedPlanes(load_filters(name)) for name in learned}


def measure(colour: NDArray[np.uint8], learned: LearnedPlanes) -> dict[int, Figures]:
    """By scale."""
    bicubic, planes = bicubic_planes(colour, learned.factors), learned(colour, learned.factors)
    pixels = colour.shape[0] * colour.shape[1]
    return {factor: compare(plane, bicubic[factor], pixels) for factor, plane in planes.items()}


def compare(plane: NDArray[np.uint8], bicubic: NDArray[np.uint8], pixels: int) -> Figures:
    before, after = (8 * len(encode(one)) / pixels for one in (bicubic, plane))
    return psnr_y(plane, bicubic), psnr_rgb(plane, bicubic), before, after


def to_markdown(results: Mapping[str, Mapping[int, Sequence[Figures]]]) -> str:
    lines = [f"| weights | scale | {' | '.join(COLUMNS)} |", "| --- | ---: |" + " ---: |" * len(COLUMNS)]
    for name, by_scale in results.items():
        for factor, figures in by_scale.items():
            y, rgb, before, after = map(fmean, zip(*figures, strict=True))
            cells = [name, f"x{factor}", f"{y:.2f}", f"{rgb:.2f}", f"{before:.3f}", f"{after:.3f}"]
            lines.append(f"| {' | '.join([*cells, f'{after / before:.2f}'])} |")
    return "\n".join(lines)


def draw(colour: NDArray[np.uint8], left: int, top: int) -> NDArray[np.uint8]:
    """Bicubic first, then every Down-Net that there is for x4."""
    makers = {"bicubic": bicubic_planes} | {name: one for name, one in downscalers().items() if 4 in one.factors}
    part = slice(top // 4, (top + SIDE) // 4), slice(left // 4, (left + SIDE) // 4)
    planes = {name: make(colour, (4,))[4] for name, make in makers.items()}
    crops = [plane[part].repeat(4, 0).repeat(4, 1) for plane in planes.values()]
    captions = [
        "" if name == "bicubic" else f"{psnr_rgb(plane, planes['bicubic']):.1f} dB to bicubic"
        for name, plane in planes.items()
    ]
    return side_by_side(list(planes), [crops], [captions])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of the sets")
    parser.add_argument("--sets", nargs="+", default=["test2k", "test4k"], help="folders of pictures in it")
    parser.add_argument("--limit", type=int, help="take only the first N pictures of each set")
    parser.add_argument("--photo", type=Path, help="what the figure is made of")
    parser.add_argument("--at", nargs=2, type=int, default=(0, 0), metavar=("LEFT", "TOP"), help="where, in pixels")
    parser.add_argument("--figure", type=Path, help="picture to write")
    options = parser.parse_args(arguments)
    if (options.photo is None) != (options.figure is None) or not (options.data or options.photo):
        parser.error("give --data, or --photo and --figure, or all three")
    if options.photo:
        try:
            colour = read_picture(options.photo).colour
        except BbmrError as error:
            parser.error(str(error))
        if min(options.at) < 0 or options.at[0] + SIDE > colour.shape[1] or options.at[1] + SIDE > colour.shape[0]:
            parser.error(f"--at {options.at[0]} {options.at[1]}: {SIDE} x {SIDE} pixels have to lie in the photograph")
        Image.fromarray(draw(colour, *options.at)).save(options.figure)
    if options.data:
        makers = downscalers()
        for name, paths in find_sets(options.data, options.sets, options.limit).items():
            results: dict[str, dict[int, list[Figures]]] = {}
            for path in track(paths, name, console=Console(stderr=True)):
                colour = read_picture(path).in_8_bit().colour
                for weights, learned in makers.items():
                    for factor, figures in measure(colour, learned).items():
                        results.setdefault(weights, {}).setdefault(factor, []).append(figures)
            print(f"## {name}, pictures: {len(paths)}\n\n{to_markdown(results)}\n", flush=True)


if __name__ == "__main__":
    main()
