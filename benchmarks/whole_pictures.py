"""Every network that ships or was imported on whole pictures shrunk by 2, 4 and 8: a Markdown table for each set.

    python benchmarks/whole_pictures.py --data DIR --sets test2k test4k
    python benchmarks/whole_pictures.py --data DIR --weights omnisr-x4 plain-fast-x4 --scales 4

DIR holds one folder of pictures for each set.  LR pictures, 8 bit, are MATLAB-bicubic, or Down-Net's for weights that
were trained with one; PSNR-Y without a border of 4 pixels, as papers report it, and PSNR-RGB of all samples; means over
the pictures.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from photos import find_sets
from rich.console import Console
from rich.progress import track

from bbmr.blocks import PAPER_SCALES
from bbmr.downscaling import Downscaler, bicubic_planes
from bbmr.downscaling.downnet import LearnedPlanes
from bbmr.evaluation.comparison import enlarge_bicubic
from bbmr.evaluation.metrics import psnr_rgb, psnr_y
from bbmr.imageio import read_picture
from bbmr.networks import NetworkDescriptor
from bbmr.samples import to_samples
from bbmr.upscaling import Upscaler
from bbmr.upscaling.mosaic import MosaicUpscaler
from bbmr.upscaling.plain import PlainUpscaler
from bbmr.weights import load_filters, load_weights, weights_index
from bbmr.weights.index import DOWNNET, LR

Quality = tuple[float, float]
"""PSNR-Y and PSNR-RGB in dB."""
Results = dict[str, dict[int, list[Quality]]]
"""By name of the weights and scale, of every picture."""


@dataclass(frozen=True)
class Restorer:
    """Weights that restore whole pictures, the scales that they are for, and the downscaler that they are trained
    with.
    """

    upscaler: Upscaler
    scales: Sequence[int]
    downscaler: Downscaler


def restorers(names: Sequence[str] | None = None, factors: Sequence[int] = PAPER_SCALES) -> dict[str, Restorer]:
    """Those of these names, or all, as far as they are for any of these scales."""
    found: dict[str, Restorer] = {}
    index = weights_index()
    for name, entry in index.items():
        if entry.network == DOWNNET or (names is not None and name not in names):
            continue
        descriptor = load_weights(name)
        if descriptor.kind in ("mosaic", "sr"):  # the others take blocks, or coded LR pictures
            scales = [factor for factor in factors if entry.scale in (None, factor)]
            learned = name + LR in index
            downscaler = LearnedPlanes(load_filters(name + LR)) if learned else bicubic_planes
            if scales:
                found[name] = Restorer(upscaler_of(descriptor), scales, downscaler)
    return found


def upscaler_of(descriptor: NetworkDescriptor) -> Upscaler:
    return MosaicUpscaler(descriptor) if descriptor.kind == "mosaic" else PlainUpscaler(descriptor)


def restore(colour: NDArray[np.uint8], plane: NDArray[np.uint8], factor: int, upscaler: Upscaler) -> NDArray[np.uint8]:
    restored = np.empty_like(colour)
    for tile, core in upscaler.restore_uniform(plane, factor, colour.shape[:2]):
        restored[tile.core] = to_samples(core)
    return restored


def measure(
    paths: Sequence[Path], networks: Mapping[str, Restorer], title: str, factors: Sequence[int] = PAPER_SCALES
) -> Results:
    results: Results = {name: {factor: [] for factor in factors} for name in ("bicubic", *networks)}
    for path in track(paths, title, console=Console(stderr=True)):
        colour = read_picture(path).in_8_bit().colour
        for factor in factors:
            results["bicubic"][factor].append(compare(enlarge_bicubic(colour, factor), colour))
        for name, network in networks.items():
            for factor, plane in network.downscaler(colour, tuple(network.scales)).items():
                results[name][factor].append(compare(restore(colour, plane, factor, network.upscaler), colour))
    return results


def compare(restored: NDArray[np.uint8], original: NDArray[np.uint8]) -> Quality:
    return psnr_y(restored, original), psnr_rgb(restored, original)


def to_markdown(results: Results) -> str:
    factors = tuple(results["bicubic"])
    lines = [
        "| weights | " + " | ".join(f"x{factor} PSNR-Y | PSNR-RGB" for factor in factors) + " |",
        "| --- |" + " ---: |" * 2 * len(factors),
    ]
    for name, by_scale in results.items():
        cells = [name]
        for factor in factors:
            cells += [f"{fmean(values):.2f}" for values in zip(*by_scale[factor], strict=True)] or ["", ""]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the sets")
    parser.add_argument("--sets", nargs="+", default=["test2k", "test4k"], help="folders of pictures in it")
    parser.add_argument("--limit", type=int, help="take only the first N pictures of each set")
    names = [name for name in weights_index() if not name.endswith(LR)]
    parser.add_argument("--weights", nargs="+", choices=names, metavar="NAME", help="only these")
    parser.add_argument("--scales", nargs="+", type=int, choices=PAPER_SCALES, default=PAPER_SCALES, help="only these")
    options = parser.parse_args(arguments)
    networks = restorers(options.weights, options.scales)
    for name, paths in find_sets(options.data, options.sets, options.limit).items():
        print(
            f"## {name}, pictures: {len(paths)}\n\n{to_markdown(measure(paths, networks, name, options.scales))}\n",
            flush=True,
        )


if __name__ == "__main__":
    main()
