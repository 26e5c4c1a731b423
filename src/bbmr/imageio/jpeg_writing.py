"""JPEG, strip by strip: each is coded by itself, and what lies between their headers is joined by restart markers."""

from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from bbmr.depth import Samples
from bbmr.imageio.exif import CENTIMETRE, resolution
from bbmr.imageio.metadata import EXIF_PREFIX
from bbmr.imageio.regrouping import Regrouping
from bbmr.imageio.sheet import Sheet

_STRIP = 1 << 22
"""Pixels that are coded at once."""
_CYCLE = 64
"""Rows after which restart markers, one to every 8 rows, begin again with the first."""
_FRAME, _SCAN, _LAST_RESTART = 0xC0, 0xDA, 0xD7


class JpegEncoder:
    """Baseline, colours at full resolution (4:4:4), a restart marker to every 8 rows where there are several strips."""

    def __init__(self, file: BinaryIO, sheet: Sheet, quality: int) -> None:
        self._file, self._sheet, self._quality = file, sheet, quality
        self._strips = Regrouping(max(_CYCLE, _STRIP // sheet.width // _CYCLE * _CYCLE), sheet.height)
        self._done = 0

    def add(self, samples: Samples) -> None:
        for rows in self._strips.add(samples):
            self._write_strip(rows)

    def finish(self) -> None:
        self._file.write(b"\xff\xd9")

    def _write_strip(self, rows: Samples) -> None:
        is_first, alone = not self._done, len(rows) == self._sheet.height
        # The same Huffman tables everywhere, those of the standard.
        options: dict[str, Any] = {} if alone else {"restart_marker_rows": 1}
        if is_first:
            options |= _metadata_options(self._sheet)
        encoded = BytesIO()
        picture = Image.fromarray(np.ascontiguousarray(rows[:, :, 0] if self._sheet.mode == "L" else rows))
        picture.save(encoded, "JPEG", quality=self._quality, subsampling="4:4:4", **options)
        data = bytearray(encoded.getbuffer())
        frame, scan = _segments(data)
        if is_first:
            data[frame + 5 : frame + 7] = self._sheet.height.to_bytes(2)
            self._file.write(data[:-2])  # all but the end of the image
        else:
            self._file.write(bytes((0xFF, _LAST_RESTART)))
            self._file.write(data[scan:-2])
        self._done += len(rows)


def _segments(data: bytearray) -> tuple[int, int]:
    """Where the frame header begins, and where the samples do."""
    position, frame = 2, 0
    while True:
        marker, length = data[position + 1], int.from_bytes(data[position + 2 : position + 4])
        if marker == _FRAME:
            frame = position
        position += 2 + length
        if marker == _SCAN:
            return frame, position


def _metadata_options(sheet: Sheet) -> dict[str, Any]:
    metadata = sheet.metadata
    options: dict[str, Any] = {}
    if metadata.icc is not None:
        options["icc_profile"] = metadata.icc
    if metadata.exif is not None:
        options["exif"] = EXIF_PREFIX + metadata.exif
    if metadata.xmp is not None:
        options["xmp"] = metadata.xmp
    found = resolution(metadata)
    if found is not None:
        inch = 2.54 if found[2] == CENTIMETRE else 1
        dots = round(found[0] * inch), round(found[1] * inch)
        if min(dots) > 0 and max(dots) < 65536:
            options["dpi"] = dots
    return options
