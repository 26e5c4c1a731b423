"""The scale map: log2 of each block's scale, as zlib or as a small JPEG XL picture, whichever is shorter."""

import numpy as np
from numpy.typing import NDArray

from bbmr.blocks import SCALES, BlockGrid
from bbmr.fileformat import jpegxl
from bbmr.fileformat.compressed import deflate, inflate
from bbmr.fileformat.container import Codec, Kind, Section
from bbmr.fileformat.errors import FileFormatError


def encode(scales: NDArray[np.uint8]) -> Section:
    """(rows, cols) uint8 of scales -> section."""
    logs = np.log2(scales).astype(np.uint8)
    picture = Section(Kind.SCALE_MAP, Codec.JPEG_XL, jpegxl.encode(logs[:, :, None]))
    # Maps of a few blocks, and uniform ones, are shorter than JPEG XL's headers.
    return min(picture, deflate(Kind.SCALE_MAP, logs.tobytes()), key=lambda section: len(section.payload))


def decode(section: Section, grid: BlockGrid) -> NDArray[np.uint8]:
    """Section -> (rows, cols) uint8 of scales.  Raises FileFormatError."""
    if section.codec == Codec.JPEG_XL:
        logs = jpegxl.decode(section.payload, (grid.rows, grid.cols, 1))[:, :, 0]
    else:
        data = inflate(section, grid.rows * grid.cols)
        if len(data) != grid.rows * grid.cols:
            raise FileFormatError(f"{len(data)} blocks where {grid.rows} x {grid.cols} are expected")
        logs = np.frombuffer(data, np.uint8).reshape(grid.rows, grid.cols)
    if logs.max() >= len(SCALES):
        raise FileFormatError(f"a block has the scale 2^{logs.max()}; {max(SCALES)} is the largest")
    return np.left_shift(1, logs, dtype=np.uint8)
