"""Seconds and peak memory of the two commands on pictures of many megapixels, each in a process of its own.

    python benchmarks/large_pictures.py --photo PHOTO --megapixels 12 100 400 --format tif

The pictures are PHOTO, mirrored again and again; they are made, compressed, restored and removed one after the other,
in a temporary folder (TMPDIR) that needs some six bytes for each pixel.  Prints a Markdown table.  Seconds are
wall-clock: run it on an idle machine.
"""

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.console import Console
from rich.progress import track
from speed import Cost, run

from bbmr.imageio import WRITE_FORMATS, create_picture, read_picture
from bbmr.options import CODED_PIPELINE
from bbmr.picture import Picture

_ROWS = 512  # of a strip


@dataclass(frozen=True)
class Measured:
    """packed: bytes of the .bbmr file."""

    height: int
    width: int
    packed: int
    compressing: Cost
    restoring: Cost


def mirrored(length: int, side: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Rows or columns 0, 1, ..., side - 1, side - 1, ..., 1, 0, 0, 1, ... of a photograph: `length` in all."""
    position = np.arange(length) % (2 * side)
    return np.minimum(position, 2 * side - 1 - position)


def strips(photo: Picture, height: int, width: int) -> Iterator[Picture]:
    """A picture of height x width pixels from top to bottom."""
    columns = mirrored(width, photo.width)
    rows = mirrored(height, photo.height)
    for top in range(0, height, _ROWS):
        yield Picture(photo.colour[rows[top : top + _ROWS]][:, columns])


def measure(photo: Picture, megapixels: float, suffix: str, options: Sequence[str]) -> Measured:
    width = round(math.sqrt(megapixels * 1e6 * photo.width / photo.height))
    height = round(megapixels * 1e6 / width)
    with TemporaryDirectory() as folder:
        source, packed, restored = (Path(folder, name) for name in (f"a{suffix}", "a.bbmr", f"b{suffix}"))
        with create_picture(source, height, width, photo.mode, photo.depth) as writer:
            for strip in strips(photo, height, width):
                writer.add(strip)
        limit = ("--max-pixels", str(2 * height * width))
        compressing = run("compress", str(source), "-o", str(packed), *limit, *options)
        source.unlink()
        restoring = run("restore", str(packed), "-o", str(restored), *limit)
        return Measured(height, width, packed.stat().st_size, compressing, restoring)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photo", type=Path, required=True, help="what the pictures are made of; without alpha")
    parser.add_argument("--megapixels", nargs="+", type=float, default=[12, 100, 400])
    parser.add_argument("--format", choices=[suffix.removeprefix(".") for suffix in WRITE_FORMATS], default="tif")
    parser.add_argument("--quality", type=int, default=60, help="that they are compressed to")
    parser.add_argument("--pipeline", default=CODED_PIPELINE, help="as of the command")
    options = parser.parse_args(arguments)
    photo = read_picture(options.photo)
    if photo.alpha is not None:
        parser.error(f"{options.photo}: has alpha; give a photograph without")
    print("| megapixels | pixels | bytes | compress, s | restore, s | compress, MiB | restore, MiB |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
    for size in track(options.megapixels, "Measuring", console=Console(stderr=True), transient=True):
        chosen = ("--quality", str(options.quality), "--pipeline", options.pipeline)
        found = measure(photo, size, f".{options.format}", chosen)
        costs = found.compressing, found.restoring
        seconds, peaks = [f"{cost.seconds:.0f}" for cost in costs], [f"{cost.peak:.0f}" for cost in costs]
        cells = f"{size:g}", f"{found.width} x {found.height}", str(found.packed), *seconds, *peaks
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
