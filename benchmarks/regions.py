"""How much faster a region is restored than the whole picture, and whether it is that part of it.

    python benchmarks/regions.py PICTURE.bbmr --side 512 --runs 3

Regions of side x side pixels in the middle and in two corners, and the whole, in turn, in one process that has loaded
the network.  Prints a Markdown table: medians of the seconds, how many times faster, the largest difference of a
sample.  Seconds are wall-clock: run it on an idle machine.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np

import bbmr
from bbmr.fileformat import load_outline
from bbmr.picture import Picture


def places(height: int, width: int, side: int) -> dict[str, tuple[int, int, int, int]]:
    """Regions by name: left, top, width and height; no larger than the picture."""
    across, down = min(side, width), min(side, height)
    return {
        "middle": ((width - across) // 2, (height - down) // 2, across, down),
        "first corner": (0, 0, across, down),
        "last corner": (width - across, height - down, across, down),
    }


def timed(path: Path, region: tuple[int, int, int, int] | None) -> tuple[float, Picture]:
    start = time.perf_counter()
    picture = bbmr.restore(path, region=region)
    return time.perf_counter() - start, picture


def measure(path: Path, side: int, runs: int) -> list[str]:
    """Lines of the table."""
    grid = load_outline(path).grid
    regions = places(grid.height, grid.width, side)
    timed(path, regions["middle"])  # loads the network
    seconds: dict[str, list[float]] = {name: [] for name in ("whole", *regions)}
    differences = dict.fromkeys(regions, 0)
    for _ in range(runs):
        took, whole = timed(path, None)
        seconds["whole"].append(took)
        for name, (left, top, width, height) in regions.items():
            took, part = timed(path, (left, top, width, height))
            seconds[name].append(took)
            expected = whole.crop(slice(top, top + height), slice(left, left + width))
            gap = np.abs(part.colour.astype(np.int64) - expected.colour).max()
            differences[name] = max(differences[name], int(gap))
    of_whole = median(seconds["whole"])
    lines = [
        f"| {path.name}, {grid.width} x {grid.height} | seconds | times faster | largest difference |",
        "| --- | ---: | ---: | ---: |",
        f"| whole | {of_whole:.2f} | | |",
    ]
    for name, (_, _, width, height) in regions.items():
        own = median(seconds[name])
        lines.append(f"| {width} x {height}, {name} | {own:.2f} | {of_whole / own:.1f} | {differences[name]} |")
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, metavar="PICTURE.bbmr")
    parser.add_argument("--side", type=int, default=512, help="pixels per side of a region")
    parser.add_argument("--runs", type=int, default=3, help="times that each is restored")
    options = parser.parse_args(arguments)
    if min(options.side, options.runs) < 1:
        parser.error("--side and --runs: one at least")
    print("\n".join(measure(options.file, options.side, options.runs)))


if __name__ == "__main__":
    main()
