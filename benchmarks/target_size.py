"""How near `--target-size` comes on the pictures of test sets, each by the command itself.

    python benchmarks/target_size.py --data DIR --sets test2k test4k --size 100kB

Prints a line for each picture: the file's bytes, how far below the target that is, seconds.  Ends with 1 where a file
is larger than asked for, or smaller by more than 3 %.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from photos import find_sets
from rich.console import Console
from rich.progress import track

from bbmr.coding.options import parse_size

TOLERANCE = 0.03


@dataclass(frozen=True)
class Met:
    """One picture.  size: of its file in bytes; None where the command found that it cannot be met, as `said`."""

    picture: str
    size: int | None
    seconds: float
    said: str = ""

    def is_near(self, target: int) -> bool:
        return self.size is not None and (1 - TOLERANCE) * target <= self.size <= target


def measure(picture: Path, size: str) -> Met:
    start = time.perf_counter()
    with TemporaryDirectory() as folder:
        file = Path(folder, "picture.bbmr")
        command = [sys.executable, "-m", "bbmr", "compress", str(picture), "-o", str(file), "--target-size", size, "-q"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - start
        if done.returncode:
            said = done.stderr.strip().splitlines()
            return Met(picture.name, None, seconds, said[-1] if said else f"ended with exit code {done.returncode}")
        return Met(picture.name, file.stat().st_size, seconds)


def table(found: Sequence[Met], target: int) -> str:
    lines = ["| picture | bytes | of the target | seconds |", "| --- | ---: | ---: | ---: |"]
    for one in found:
        size, share = (one.said, "") if one.size is None else (str(one.size), f"{one.size / target - 1:+.2%}")
        lines.append(f"| {one.picture} | {size} | {share} | {one.seconds:.1f} |")
    near = sum(one.is_near(target) for one in found)
    return "\n".join([*lines, "", f"{near} of {len(found)} within {TOLERANCE:.0%} below {target} bytes."])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the sets")
    parser.add_argument("--sets", nargs="+", default=["test2k", "test4k"], help="folders of pictures in it")
    parser.add_argument("--limit", type=int, help="take only the first N pictures of each set")
    parser.add_argument("--size", default="100kB", help="as of the command")
    parser.add_argument("--jobs", "-j", type=int, default=1, help="pictures at a time")
    options = parser.parse_args(arguments)
    pictures = [path for paths in find_sets(options.data, options.sets, options.limit).values() for path in paths]
    with ThreadPoolExecutor(options.jobs) as pool:
        results = pool.map(lambda path: measure(path, options.size), pictures)
        found = list(track(results, "measure", len(pictures), console=Console(stderr=True)))
    target = parse_size(options.size)
    print(table(found, target))
    if not all(one.is_near(target) for one in found):
        sys.exit(1)


if __name__ == "__main__":
    main()
