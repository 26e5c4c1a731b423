"""What fuzzers have in common: mutations of files, and a count of what a reader must not do with them.

Counted are files that crash the reader (it runs in processes of its own), that raise anything but its refusal, that
take more than a second of processor time or 200 MB, and what is read although it is damaged.
"""

import argparse
import re
import resource
import sys
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Protocol

from numpy.random import Generator

SECONDS, MEGABYTES = 1.0, 200
TEMPTING = (0, 1, 2, 3, 4, 7, 8, 15, 16, 127, 128, 255, 256, 2**15 - 1, 2**15, 65535, 65536, 2**24, 2**31 - 1, 2**31)
"""Numbers that a reader may trip over."""
_CHUNK = 250
_SPAWN = get_context("spawn")  # forks of a process with threads may wait for ever


class Target(Protocol):
    """A reader, and the mutations that it is given; goes from process to process."""

    @property
    def refusal(self) -> type[Exception]:
        """What it should raise for a file that it does not read."""

    def mutation(self, number: int) -> tuple[bytes, str]:
        """The mutation of a number, and of what kind it is."""

    def read(self, data: bytes) -> None:
        """All that the reader gives."""

    def objection(self, data: bytes) -> str:
        """Why what was read should have been refused, or nothing."""


@dataclass
class Found:
    """outcomes: how often each.  bad: what must not be, by the number of the mutation."""

    outcomes: Counter[str] = field(default_factory=Counter)
    bad: dict[int, str] = field(default_factory=dict)
    seconds: float = 0.0
    megabytes: float = 0.0

    def add(self, other: "Found") -> None:
        self.outcomes += other.outcomes
        self.bad |= other.bad
        self.seconds, self.megabytes = max(self.seconds, other.seconds), max(self.megabytes, other.megabytes)


def disturb(rng: Generator, data: bytearray, others: Sequence[bytes]) -> None:
    """Once, in place: bits, bytes and bursts changed, parts cut out, doubled or put in, another file's end."""
    at = int(rng.integers(len(data) + 1))
    length = int(min(rng.geometric(0.05), len(data) - at))
    match rng.integers(8):
        case 0 if at < len(data):
            data[at] ^= 1 << int(rng.integers(8))
        case 1:
            data[at : at + length] = rng.bytes(length)
        case 2:
            del data[at : at + length]
        case 3:
            data[at:at] = data[at : at + length]
        case 4:
            data[at:at] = rng.bytes(length)
        case 5:
            other = others[int(rng.integers(len(others)))]
            data[at:] = other[int(rng.integers(len(other))) :]
        case 6:
            del data[at:]
        case _:
            size = int(rng.choice((1, 2, 4, 8)))
            value = int(rng.choice(TEMPTING)) % 256**size
            data[at : at + size] = value.to_bytes(size, "little" if rng.integers(2) else "big")


def examine(numbers: range, target: Target) -> Found:
    """Read the mutations of these numbers."""
    found = Found()
    for number in numbers:
        data, kind = target.mutation(number)
        before, start = _reset_peak(), time.process_time()  # not the clock: others may be at work
        try:
            target.read(data)
        except target.refusal:
            outcome = "refused"
        except MemoryError:
            outcome = "out of memory"
        except Exception:
            outcome = "raised"
            found.bad[number] = traceback.format_exc(limit=-3)
        else:
            outcome = "read"
            if objection := target.objection(data):
                found.bad[number] = objection
        seconds, megabytes = time.process_time() - start, _peak() - before
        found.seconds, found.megabytes = max(found.seconds, seconds), max(found.megabytes, megabytes)
        if seconds > SECONDS or megabytes > MEGABYTES or outcome == "out of memory":
            found.bad[number] = f"{outcome} after {seconds:.1f} s, {megabytes:.0f} MB"
        found.outcomes[f"{outcome}, {kind}"] += 1
    return found


def _reset_peak() -> float:
    """MB that this process has now, from which on `_peak` counts; where the system does not reset, the peak so far."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak() -> float:
    """MB that this process has had at most."""
    with suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        if found:
            return int(found[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _examine_apart(numbers: range, target: Target) -> Found:
    """In a process of their own each, after one died of some of them."""
    found = Found()
    for number in numbers:
        with ProcessPoolExecutor(1, _SPAWN) as pool:
            try:
                found.add(pool.submit(examine, range(number, number + 1), target).result())
            except BrokenProcessPool:
                found.bad[number] = "crashed"
                found.outcomes["crashed"] += 1
    return found


def run(target: Target, count: int, jobs: int, first: int = 0) -> Found:
    """Examine so many mutations, from the one of a number on."""
    chunks = [range(start, min(start + _CHUNK, first + count)) for start in range(first, first + count, _CHUNK)]
    found = Found()
    while chunks:
        left = []
        with ProcessPoolExecutor(jobs, _SPAWN) as pool:
            for chunk, future in [(chunk, pool.submit(examine, chunk, target)) for chunk in chunks]:
                try:
                    found.add(future.result())
                except BrokenProcessPool:  # all that were not done yet: one of them is to blame
                    left.append(chunk)
        if left:
            found.add(_examine_apart(left[0], target))
        chunks = left[1:]
    return found


def main(description: str | None, target: Target) -> None:
    """The command: prints what was found; ends with 1 where something is bad."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000, help="of mutations")
    parser.add_argument("--jobs", "-j", type=int, default=1, help="processes")
    parser.add_argument("--first", type=int, default=0, help="number of the first: others than before")
    options = parser.parse_args()
    found = run(target, options.count, options.jobs, options.first)
    print("| outcome | files |\n| --- | ---: |")
    for outcome, count in sorted(found.outcomes.items()):
        print(f"| {outcome} | {count} |")
    print(f"\nlongest {found.seconds:.2f} s, most memory that a file took {found.megabytes:.0f} MB")
    for number, what in sorted(found.bad.items()):
        print(f"{number}: {what}")
    sys.exit(bool(found.bad))
