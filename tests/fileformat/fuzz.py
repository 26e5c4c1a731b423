"""Mutated .bbmr files: every one is refused with a FileFormatError, or read as what its checksums say.

    python tests/fileformat/fuzz.py --count 100000 --jobs 2

Mutations of the golden files: bits, bytes and bursts changed, parts cut out, doubled, exchanged or put in, files
joined, numbers of headers set to what tempts a reader.  Of half of them all checksums and lengths are mended, so that
what lies behind is reached.  Counted are files that crash the reader (it runs in processes of its own), that raise
anything else, that take more than a second of processor time or 200 MB, and pictures that are returned although the
file is not whole.
"""

import argparse
import resource
import sys
import time
import traceback
import zlib
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.random import Generator

from bbmr.fileformat import FileFormatError, Reader
from bbmr.windows import preview_of

GOLDEN = Path(__file__).parent / "golden"
SECONDS, MEGABYTES = 1.0, 200
_CHUNK = 250
_SPAWN = get_context("spawn")  # forks of a process with threads may wait for ever
_HEADER = 32  # bytes, the last four of them the checksum
_HEAD = 10  # of a section: kind, codec, length, checksum
_TEMPTING = (0, 1, 2, 7, 8, 15, 16, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1)


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


def mutated(number: int, files: list[bytes]) -> tuple[bytes, bool]:
    """The mutation of a number, and whether its checksums were mended."""
    rng = np.random.default_rng(number)
    data = bytearray(files[rng.integers(len(files))])
    mended = bool(rng.integers(2))
    if mended and rng.integers(4):  # the content of one section, which is what decoders see
        sections = _sections(bytes(data))
        where = sections[int(rng.integers(len(sections)))]
        for _ in range(rng.geometric(0.3)):
            data[int(rng.integers(where.start + _HEAD, max(where.stop, where.start + _HEAD + 1)))] ^= 1 << int(
                rng.integers(8)
            )
    else:
        for _ in range(rng.geometric(0.4)):
            _mutate(rng, data, files)
    return (mend(bytes(data)) if mended else bytes(data)), mended


def _mutate(rng: Generator, data: bytearray, files: list[bytes]) -> None:
    """Once, in place."""
    at = int(rng.integers(len(data) + 1))
    length = int(min(rng.geometric(0.05), len(data) - at))
    match rng.integers(9):
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
            other = files[rng.integers(len(files))]
            data[at:] = other[int(rng.integers(len(other))) :]
        case 6:
            del data[at:]
        case 7:  # a number of the header
            start, size = [(4, 1), (5, 1), (6, 1), (7, 1), (8, 4), (12, 4), (16, 2), (18, 2), (20, 8)][rng.integers(9)]
            value = int(rng.choice(_TEMPTING)) % 256**size
            data[start : start + size] = value.to_bytes(size, "little")
        case _:  # a section exchanged for another, or gone
            sections = _sections(bytes(data))
            if len(sections) > 1:
                place, taken = (sections[int(index)] for index in rng.integers(len(sections), size=2))
                data[place] = data[taken] if rng.integers(3) else b""


def mend(data: bytes) -> bytes:
    """With the checksums and lengths that its sections and header should have."""
    parts = []
    for where in _sections(data):
        section = data[where]
        head = section[:2] + (len(section) - _HEAD).to_bytes(4, "little")
        parts.append(head + zlib.crc32(head + section[_HEAD:]).to_bytes(4, "little") + section[_HEAD:])
    body = b"".join(parts)
    header = data[:20].ljust(20, b"\0") + (_HEADER + len(body)).to_bytes(8, "little")
    return header + zlib.crc32(header).to_bytes(4, "little") + body


def _sections(data: bytes) -> list[slice]:
    """As far as they can be followed; the last one goes on to the end."""
    found, position = [], _HEADER
    while position + _HEAD <= len(data):
        end = position + _HEAD + int.from_bytes(data[position + 2 : position + 6], "little")
        found.append(slice(position, min(end, len(data))))
        position = end
    return found


def is_whole(data: bytes) -> bool:
    """Whether all checksums and lengths of a file of version 2 hold, by other code than the reader's."""
    if len(data) < _HEADER or int.from_bytes(data[20:28], "little") != len(data):
        return False
    if zlib.crc32(data[:28]).to_bytes(4, "little") != data[28:_HEADER]:
        return False
    position = _HEADER
    for where in _sections(data):
        section = data[where]
        stated = int.from_bytes(section[2:6], "little")
        if stated != len(section) - _HEAD or zlib.crc32(section[:6] + section[_HEAD:]) != int.from_bytes(
            section[6:_HEAD], "little"
        ):
            return False
        position = where.stop
    return position == len(data)


def _read(data: bytes) -> None:
    """All that a reader gives but the network's part."""
    reader = Reader(BytesIO(data))
    reader.check()
    _ = reader.metadata, reader.sizes()
    for number in range(len(reader.panels)):
        reader.panel(number)
    preview_of(reader, 16)


def examine(numbers: range, files: list[bytes]) -> Found:
    """Read the mutations of these numbers."""
    found = Found()
    for number in numbers:
        data, mended = mutated(number, files)
        before, start = _peak(), time.process_time()  # not the clock: others may be at work
        try:
            _read(data)
        except FileFormatError:
            outcome = "refused"
        except MemoryError:
            outcome = "out of memory"
        except Exception:
            outcome = "raised"
            found.bad[number] = traceback.format_exc(limit=-3)
        else:
            outcome = "read"
            if data not in files and not is_whole(data):
                found.bad[number] = "read, though it is not whole"
        seconds, megabytes = time.process_time() - start, _peak() - before
        found.seconds, found.megabytes = max(found.seconds, seconds), max(found.megabytes, megabytes)
        if seconds > SECONDS or megabytes > MEGABYTES or outcome == "out of memory":
            found.bad[number] = f"{outcome} after {seconds:.1f} s, {megabytes:.0f} MB"
        found.outcomes[f"{outcome}, {'mended' if mended else 'as it was'}"] += 1
    return found


def _peak() -> float:
    """MB that this process has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _examine_apart(numbers: range, files: list[bytes]) -> Found:
    """In a process of their own each, after one died of some of them."""
    found = Found()
    for number in numbers:
        with ProcessPoolExecutor(1, _SPAWN) as pool:
            try:
                found.add(pool.submit(examine, range(number, number + 1), files).result())
            except BrokenProcessPool:
                found.bad[number] = "crashed"
                found.outcomes["crashed"] += 1
    return found


def run(count: int, jobs: int, first: int = 0) -> Found:
    """Examine so many mutations, from the one of a number on."""
    files = [path.read_bytes() for path in sorted(GOLDEN.glob("version-2*.bbmr"))]
    chunks = [range(start, min(start + _CHUNK, first + count)) for start in range(first, first + count, _CHUNK)]
    found = Found()
    while chunks:
        left = []
        with ProcessPoolExecutor(jobs, _SPAWN) as pool:
            for chunk, future in [(chunk, pool.submit(examine, chunk, files)) for chunk in chunks]:
                try:
                    found.add(future.result())
                except BrokenProcessPool:  # all that were not done yet: one of them is to blame
                    left.append(chunk)
        if left:
            found.add(_examine_apart(left[0], files))
        chunks = left[1:]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000, help="of mutations")
    parser.add_argument("--jobs", "-j", type=int, default=1, help="processes")
    parser.add_argument("--first", type=int, default=0, help="number of the first: others than before")
    options = parser.parse_args()
    found = run(options.count, options.jobs, options.first)
    print("| outcome | files |\n| --- | ---: |")
    for outcome, count in sorted(found.outcomes.items()):
        print(f"| {outcome} | {count} |")
    print(f"\nlongest {found.seconds:.2f} s, most memory that a file took {found.megabytes:.0f} MB")
    for number, what in sorted(found.bad.items()):
        print(f"{number}: {what}")
    sys.exit(bool(found.bad))


if __name__ == "__main__":
    main()
