"""Mutated pictures of every kind that is read: each is refused with a PictureError, or read.

    PYTHONPATH=tests python -m picture_files.fuzz_pictures --count 100000 --jobs 2

Mutations (see `fuzzing.disturb`) of the pictures of docs/pictures-table.md; in half of the PNGs checksums are mended,
so that what lies behind is reached.
"""

import tempfile
import warnings
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import fuzzing
import numpy as np
from picture_files.kinds import all_kinds

from bbmr.imageio import PictureError, read_picture

_MAX_PIXELS = 1 << 20


@dataclass(frozen=True)
class Pictures:
    """`fuzzing.Target` of the readers of pictures.  seeds: suffixes and contents."""

    seeds: tuple[tuple[str, bytes], ...]
    refusal: type[Exception] = PictureError

    @classmethod
    def of_all_kinds(cls) -> "Pictures":
        seeds = []
        with tempfile.TemporaryDirectory() as folder:
            for number, kind in enumerate(all_kinds()):
                path = Path(folder, f"{number}{kind.suffix}")
                kind.made(path)
                seeds.append((kind.suffix, path.read_bytes()))
        return cls(tuple(seeds))

    @cached_property
    def _contents(self) -> dict[str, list[bytes]]:
        """By suffix."""
        return {name: [data for suffix, data in self.seeds if suffix == name] for name, _ in self.seeds}

    def mutation(self, number: int) -> tuple[bytes, str]:
        rng = np.random.default_rng(number)
        suffix, seed = self.seeds[rng.integers(len(self.seeds))]
        data = bytearray(seed)
        for _ in range(rng.geometric(0.4)):
            fuzzing.disturb(rng, data, self._contents[suffix])
        if suffix == ".png" and rng.integers(2):
            return mended(bytes(data)), ".png, mended"
        return bytes(data), suffix

    def read(self, data: bytes) -> None:
        with tempfile.NamedTemporaryFile() as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            file.write(data)
            file.flush()
            read_picture(file.name, _MAX_PIXELS)

    def objection(self, data: bytes) -> str:
        """None: there is no checksum that everything in a picture's file is under."""
        return ""


def mended(data: bytes) -> bytes:
    """A PNG whose chunks, as far as they can be followed, have the checksums that they should have."""
    parts, at = [data[:8]], 8
    while len(head := data[at : at + 8]) == 8:
        content = data[at + 8 : at + 8 + int.from_bytes(head[:4])]
        parts.append(head + content + zlib.crc32(head[4:] + content).to_bytes(4))
        at += 12 + len(content)
    return b"".join(parts)


if __name__ == "__main__":
    fuzzing.main(__doc__, Pictures.of_all_kinds())
