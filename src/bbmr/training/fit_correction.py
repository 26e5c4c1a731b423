"""Fits the last step of the corrected distortions on training photographs, for a pipeline with the weights that ship.

python -m bbmr.training.fit_correction --data PHOTOS --pipeline mosaic-fast

It writes `NAME.correction.json` beside the weights.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

import bbmr.weights
from bbmr.allocation.corrected import LIGHT, SUFFIX, fit, measure_features, to_json
from bbmr.allocation.distortion import network_errors
from bbmr.blocks import BLOCK_SIDES, SCALES, BlockGrid, merge
from bbmr.catalogue import Pipeline, find_sender
from bbmr.downscaling import bicubic_planes
from bbmr.errors import BbmrError
from bbmr.options import DEFAULT_PIPELINE, PIPELINE_CHOICES
from bbmr.training.data import find_photos, load_photo
from bbmr.weights import weights_index

_CROP = 512


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of photographs")
    parser.add_argument(
        "--pipeline",
        choices=[name for name, choice in PIPELINE_CHOICES.items() if choice.scales == SCALES],
        metavar="NAME",
        default=DEFAULT_PIPELINE,
        help=f"one that restores all scales; {DEFAULT_PIPELINE} by default",
    )
    parser.add_argument("--photos", type=int, help="take only so many, evenly spread; all by default")
    arguments = parser.parse_args()
    try:
        paths, _ = find_photos(arguments.data)
        pipeline = find_sender(arguments.pipeline)
    except BbmrError as error:
        sys.exit(f"error: {error}")
    samples: dict[int, list[tuple[NDArray[np.float64], NDArray[np.float64]]]] = {side: [] for side in BLOCK_SIDES}
    chosen = np.linspace(0, len(paths) - 1, min(arguments.photos or len(paths), len(paths))).round().astype(int)
    for path in track([paths[index] for index in chosen], "Photographs"):
        try:
            colour = _centre(path)
        except BbmrError as error:
            sys.exit(f"error: {error}")
        for side, sample in _observe(colour, pipeline).items():
            samples[side].append(sample)
    corrections = {
        side: fit(*(np.concatenate(part, axis=1) for part in zip(*parts, strict=True)))
        for side, parts in samples.items()
    }
    index = weights_index()
    hashes = index[pipeline.weights].sha256, index[LIGHT].sha256
    folder = Path(bbmr.weights.__file__).parent
    (folder / (pipeline.weights + SUFFIX)).write_text(to_json(corrections, *hashes))


def _centre(path: Path) -> NDArray[np.uint8]:
    """The middle of a photograph, (H, W, 3), at most 512 x 512: variety counts for more than area."""
    pixels = load_photo(path, weighed=False).pixels
    rows, cols = (slice(max(0, (length - _CROP) // 2), (length + _CROP) // 2) for length in pixels.shape[1:])
    return np.ascontiguousarray(pixels[:, rows, cols].permute(1, 2, 0).numpy())


def _observe(
    colour: NDArray[np.uint8], pipeline: Pipeline
) -> dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """For each block side the features (FEATURES, blocks) and the network's errors per pixel (5, blocks)."""
    planes = bicubic_planes(colour, SCALES)
    height, width = colour.shape[:2]
    finest = BlockGrid(height, width, min(BLOCK_SIDES))
    by_network = network_errors(colour, pipeline.downscaler(colour, SCALES), finest, pipeline.upscaler())
    observed = {}
    for side in BLOCK_SIDES:
        grid = BlockGrid(height, width, side)
        features = measure_features(colour, planes, grid)
        errors = merge(by_network, side // finest.side) / grid.costs(1)
        observed[side] = features.reshape(len(features), -1), errors.reshape(len(errors), -1)
    return observed


if __name__ == "__main__":
    main()
