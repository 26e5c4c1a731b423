"""PBM, PGM and PPM of bytes: a few numbers in words, then samples."""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from bbmr.depth import Samples
from bbmr.imageio.errors import PictureError
from bbmr.imageio.source import Source, channels_of, check_pixels, full_range, in_memory
from bbmr.picture import Metadata

_SPACE = rb"(?:[ \t\r\n\v\f]|#[^\n\r]*[\n\r])+"
_HEADER = re.compile(rb"P([1-6])" + _SPACE + rb"(\d{1,9})" + _SPACE + rb"(\d{1,9})")
_WHITE = re.compile(_SPACE + rb"(\d{1,9})")
_ANOTHER = re.compile(rb"P[1-7][\s#]")
_SEVERAL = "holds several pictures; save the one you want as a picture of its own"
_BITS = 1  # P1 and P4


def open_pnm(path: Path, file: BinaryIO, max_pixels: int) -> Source:
    """Raises PictureError for what cannot be read, ValueError for what is damaged."""
    head = file.read(1 << 12)
    found = _HEADER.match(head)
    if found is None:
        raise ValueError("no PNM header")
    kind, width, height = int(found[1]), int(found[2]), int(found[3])
    check_pixels(width, height, max_pixels)
    mode = "RGB" if kind in (3, 6) else "L"
    white, start = _BITS, found.end()
    if kind not in (1, 4):
        largest = _WHITE.match(head, start)
        if largest is None:
            raise ValueError("no largest value")
        white, start = int(largest[1]), largest.end()
    if not head[start : start + 1].isspace() and not (kind <= 3 and head[start : start + 1] == b"#"):
        raise ValueError("no space before the samples")
    if not 0 < white < 65536:
        raise PictureError(f"has samples up to {white}, and only 1 to 65535 are read; save it with 8 or 16 bits")
    remarks: tuple[str, ...] = ()
    if kind in (1, 4):
        remarks = ("read as L; its own mode is 1",)
    elif white not in (255, 65535):
        remarks = (f"read with {8 if white < 256 else 16} bits a sample; its own go up to {white}",)
    shape = height, width, channels_of(mode)
    if kind <= 3:
        strips = in_memory(lambda: _words(path, start, shape, white, kind))
    else:
        raw = _Raw(path, start + 1, shape, white, kind)
        _refuse_another(file, raw.end)
        strips = raw.strips
    return Source(height, width, mode, 8 if white < 256 else 16, Metadata(), strips, remarks, streams=kind > 3)


class _Raw:
    """Samples that lie in the file as they are, bits packed to bytes, 16 bits with the high byte first."""

    def __init__(self, path: Path, start: int, shape: tuple[int, int, int], white: int, kind: int) -> None:
        self._path, self._start, self._shape, self._white, self._kind = path, start, shape, white, kind
        rows, width, channels = shape
        self._length = -(-width // 8) if kind == 4 else width * channels * (2 if white > 255 else 1)  # of a row
        self.end = start + rows * self._length

    def strips(self, height: int) -> Iterator[Samples]:
        rows, width, channels = self._shape
        deep = self._white > 255
        length = self._length
        with self._path.open("rb") as file:
            file.seek(self._start)
            for top in range(0, rows, height):
                count = min(height, rows - top)
                data = file.read(count * length)
                if len(data) < count * length:
                    raise ValueError("cut off")
                if self._kind == 4:
                    bits = np.unpackbits(np.frombuffer(data, np.uint8).reshape(count, length), axis=1)[:, :width]
                    yield ((1 - bits) * np.uint8(255))[:, :, None]
                    continue
                samples = np.frombuffer(data, ">u2" if deep else np.uint8).reshape(count, width, channels)
                _check_largest(samples, self._white)
                yield full_range(samples.astype(np.uint16) if deep else samples, self._white)


def _words(path: Path, start: int, shape: tuple[int, int, int], white: int, kind: int) -> Samples:
    """Samples as decimal numbers; those of one bit need no space between them."""
    text = re.sub(rb"#[^\n\r]*", b" ", path.read_bytes()[start:])
    odd = re.search(rb"[^01\s]" if kind == 1 else rb"[^0-9\s]", text)
    if odd is not None:
        if _ANOTHER.match(text, odd.start()):
            raise PictureError(_SEVERAL)
        raise ValueError("something other than numbers among the samples")
    words = list(b"".join(text.split())) if kind == 1 else text.split()
    if len(words) != math.prod(shape):
        raise ValueError("cut off" if len(words) < math.prod(shape) else "more samples than its size says")
    values = np.array([int(word) for word in words]).reshape(shape)
    if kind == 1:
        return ((49 - values) * 255).astype(np.uint8)  # 49 is the digit 1, black
    _check_largest(values, white)
    return full_range(values.astype(np.uint8 if white < 256 else np.uint16), white)


def _check_largest(samples: NDArray[Any], white: int) -> None:
    if samples.max() > white:
        raise ValueError("a sample is larger than the largest")


def _refuse_another(file: BinaryIO, end: int) -> None:
    """Raise PictureError where another picture follows."""
    file.seek(end)
    if _ANOTHER.match(file.read(64).lstrip()):
        raise PictureError(_SEVERAL)
