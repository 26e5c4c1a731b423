"""Seconds and peak memory of the two commands on whole pictures, each in a process of its own, start-up included.

    python benchmarks/speed.py PICTURE... --runs 3
    python benchmarks/speed.py PICTURE... --lossless-lr

Prints a table of medians (memory: the largest).  Seconds are wall-clock: run it on an idle machine.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table


@dataclass(frozen=True)
class Cost:
    """Of one process: wall-clock seconds, and the most memory that it held, in MiB."""

    seconds: float
    peak: float


def run(*arguments: str) -> Cost:
    start = time.perf_counter()
    process = os.posix_spawn(sys.executable, [sys.executable, "-m", "bbmr", *arguments, "--quiet"], dict(os.environ))
    _, status, usage = os.wait4(process, 0)
    seconds = time.perf_counter() - start
    if os.waitstatus_to_exitcode(status):
        sys.exit(f"bbmr {' '.join(arguments)} failed")
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10  # ru_maxrss: bytes there, KiB elsewhere
    return Cost(seconds, usage.ru_maxrss / unit)


def measure(picture: Path, runs: int, given: Sequence[str] = ()) -> tuple[list[Cost], list[Cost]]:
    """Costs of compressing and of restoring, once for each run.  given: options for compressing."""
    compressing, restoring = [], []
    with TemporaryDirectory() as folder:
        packed, restored = str(Path(folder, "picture.bbmr")), str(Path(folder, "restored.png"))
        for _ in range(runs):
            compressing.append(run("compress", str(picture), "-o", packed, "--overwrite", *given))
            restoring.append(run("restore", packed, "-o", restored, "--overwrite"))
    return compressing, restoring


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", nargs="+", type=Path, metavar="PICTURE")
    parser.add_argument("--runs", type=int, default=3, help="times that each command is run")
    parser.add_argument("--lossless-lr", action="store_true", help="as of bbmr compress, in place of its default")
    options = parser.parse_args(arguments)
    if options.runs < 1:
        parser.error(f"--runs {options.runs}: once at least")
    table = Table("picture", "pixels", "compress, s", "restore, s", "compress, MiB", "restore, MiB")
    for path in track(options.pictures, "Measuring", console=Console(stderr=True), transient=True):
        with Image.open(path) as image:
            pixels = f"{image.width} x {image.height}"
        both = measure(path, options.runs, ["--lossless-lr"] if options.lossless_lr else [])
        seconds = [f"{median(cost.seconds for cost in costs):.1f}" for costs in both]
        peaks = [f"{max(cost.peak for cost in costs):.0f}" for costs in both]
        table.add_row(path.name, pixels, *seconds, *peaks)
    Console().print(table)


if __name__ == "__main__":
    main()
