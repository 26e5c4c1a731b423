"""Fits the correction of bicubic errors on training photographs.

python -m bbmr.training.fit_correction --data PHOTOS --out src/bbmr/weights/correction.json
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bbmr.allocation.corrected import fit
from bbmr.allocation.distortion import bicubic_errors, luma_variance, network_errors
from bbmr.blocks import BLOCK_SIDES, SCALES, BlockGrid
from bbmr.pipeline import DEFAULT_PIPELINE, find_pipeline
from bbmr.training.data import find_photos

_CROP = 1024


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--photos", type=int, default=60)
    arguments = parser.parse_args()
    paths, _ = find_photos(arguments.data)
    pipeline = find_pipeline(DEFAULT_PIPELINE)
    samples: dict[int, list[tuple[NDArray[Any], ...]]] = {side: [] for side in BLOCK_SIDES}
    for path in paths[:: max(1, len(paths) // arguments.photos)]:
        with Image.open(path) as image:
            colour = np.array(image.convert("RGB"))[:_CROP, :_CROP]
        height, width = colour.shape[:2]
        planes = pipeline.downscaler(colour, SCALES)
        fine = BlockGrid(height, width, min(BLOCK_SIDES))
        by_network = network_errors(colour, planes, fine, pipeline.upscaler())
        by_bicubic = bicubic_errors(colour, planes, fine)
        for side in BLOCK_SIDES:
            grid = BlockGrid(height, width, side)
            step = side // fine.side
            merged = [_merge(errors, step).reshape(len(SCALES), -1) for errors in (by_bicubic, by_network)]
            samples[side].append((*merged, luma_variance(colour, grid).ravel()[None], grid.costs(1).ravel()[None]))
    table = {}
    for side, parts in samples.items():
        by_bicubic, by_network, variance, pixels = (np.concatenate(part, axis=1) for part in zip(*parts, strict=True))
        table[side] = np.round(fit(by_bicubic, by_network, variance[0], pixels[0]).coefficients, 4).tolist()
    arguments.out.write_text(json.dumps(table, indent=1) + "\n")


def _merge(errors: NDArray[np.float64], step: int) -> NDArray[np.float64]:
    """Sum the errors of step x step neighbouring blocks, (scales, rows, cols)."""
    by_row = np.add.reduceat(errors, np.arange(0, errors.shape[1], step), axis=1)
    return np.add.reduceat(by_row, np.arange(0, errors.shape[2], step), axis=2)


if __name__ == "__main__":
    main()
