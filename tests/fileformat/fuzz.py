"""Mutated .bbmr files: every one is refused with a FileFormatError, or read as what its checksums say.

    PYTHONPATH=tests python -m fileformat.fuzz --count 100000 --jobs 2

Mutations of the golden files of both versions (see `fuzzing.disturb`), of their headers' numbers and sections too.  Of
half of them all checksums and lengths are mended, so that what lies behind is reached.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import fuzzing
import numpy as np
from numpy.random import Generator

from bbmr.fileformat import FileFormatError, Reader
from bbmr.windows import preview_of

GOLDEN = Path(__file__).parent / "golden"
_HEADER = 32  # bytes, the last four of them the checksum
_HEAD = 10  # of a section: kind, codec, length, checksum


@dataclass(frozen=True)
class Files:
    """`fuzzing.Target` of the reader of .bbmr files."""

    seeds: tuple[bytes, ...]
    refusal: type[Exception] = FileFormatError

    @classmethod
    def golden(cls) -> "Files":
        return cls(tuple(path.read_bytes() for path in sorted(GOLDEN.glob("*.bbmr"))))

    def mutation(self, number: int) -> tuple[bytes, str]:
        data, mended = mutated(number, self.seeds)
        return data, "mended" if mended else "as it was"

    def read(self, data: bytes) -> None:
        """All but the network's part."""
        reader = Reader(BytesIO(data))
        reader.check()
        _ = reader.metadata, reader.sizes()
        for number in range(len(reader.panels)):
            reader.panel(number)
        preview_of(reader, 16)

    def objection(self, data: bytes) -> str:
        return "" if data in self.seeds or is_whole(data) else "read, though it is not whole"


def mutated(number: int, files: Sequence[bytes]) -> tuple[bytes, bool]:
    """The mutation of a number, and whether its checksums were mended."""
    rng = np.random.default_rng(number)
    data = bytearray(files[int(rng.integers(len(files)))])
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


def _mutate(rng: Generator, data: bytearray, files: Sequence[bytes]) -> None:
    """Once, in place."""
    match rng.integers(9):
        case 0:  # a number of the header
            start, size = [(4, 1), (5, 1), (6, 1), (7, 1), (8, 4), (12, 4), (16, 2), (18, 2), (20, 8)][rng.integers(9)]
            value = int(rng.choice(fuzzing.TEMPTING)) % 256**size
            data[start : start + size] = value.to_bytes(size, "little")
        case 1:  # a section exchanged for another, or gone
            sections = _sections(bytes(data))
            if len(sections) > 1:
                place, taken = (sections[int(index)] for index in rng.integers(len(sections), size=2))
                data[place] = data[taken] if rng.integers(3) else b""
        case _:
            fuzzing.disturb(rng, data, files)


def mend(data: bytes) -> bytes:
    """With the checksums and lengths that its sections and header should have."""
    if data[4:5] == b"\1":
        return _mend_version_1(data)
    parts = []
    for where in _sections(data):
        section = data[where]
        head = section[:2] + (len(section) - _HEAD).to_bytes(4, "little")
        parts.append(head + zlib.crc32(head + section[_HEAD:]).to_bytes(4, "little") + section[_HEAD:])
    body = b"".join(parts)
    header = data[:20].ljust(20, b"\0") + (_HEADER + len(body)).to_bytes(8, "little")
    return header + zlib.crc32(header).to_bytes(4, "little") + body


def _mend_version_1(data: bytes) -> bytes:
    """Its table is in the header: 16 bytes, 10 for each section, a checksum."""
    count = data[7] if len(data) > 7 else 0
    header, position = data[:16], 16 + 10 * count + 4
    for at in range(16, 16 + 10 * count, 10):
        entry = data[at : at + 10].ljust(10, b"\0")
        content = data[position:][: int.from_bytes(entry[2:6], "little")]
        header += entry[:2] + len(content).to_bytes(4, "little") + zlib.crc32(content).to_bytes(4, "little")
        position += len(content)
    start = 16 + 10 * count + 4
    return header + zlib.crc32(header).to_bytes(4, "little") + data[start:position]


def _sections(data: bytes) -> list[slice]:
    """As far as they can be followed; the last one goes on to the end."""
    found, position = [], _HEADER
    while position + _HEAD <= len(data):
        end = position + _HEAD + int.from_bytes(data[position + 2 : position + 6], "little")
        found.append(slice(position, min(end, len(data))))
        position = end
    return found


def is_whole(data: bytes) -> bool:
    """Whether all checksums and lengths of a file hold, by other code than the reader's."""
    if data[4:5] == b"\1":
        return mend(data) == data
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


if __name__ == "__main__":
    fuzzing.main(__doc__, Files.golden())
