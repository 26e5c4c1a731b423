"""LR samples: the blocks of one scale as one plane, coded without loss by JPEG XL, or with loss as an AV1 frame.

Without loss, blocks lie row by row, in raster order of the picture, on a nearly square plane of as many blocks across
as leave the least unused (docs/format-choices.md has what other packings cost).  With loss they lie in their places,
see `bbmr.codecs.planes`.
"""

import math
import struct

import numpy as np
from numpy.typing import NDArray

from bbmr.blocks import BlockGrid
from bbmr.codecs import avif
from bbmr.codecs.avif import QUALITIES, CodecError
from bbmr.codecs.colour import FULL, revive
from bbmr.codecs.planes import plane_size, scatter
from bbmr.depth import Samples
from bbmr.fileformat import jpegxl
from bbmr.fileformat.container import LR_KINDS, Codec, Section
from bbmr.fileformat.errors import FileFormatError
from bbmr.rescaled import WIENER_CLASSES, WIENER_TAPS, Frame

_FRAME_HEAD = struct.Struct("BBB")  # quality, per cent of colour, classes of the Wiener filter


def encode(blocks: Samples, factor: int, frame: Frame | None = None) -> Section:
    """(N, s, s, C) of one scale -> section; frame: where they came out of one, which is stored as it is."""
    if frame is not None:
        head = _FRAME_HEAD.pack(frame.quality, frame.colour, len(frame.filter) // WIENER_TAPS)
        coefficients = struct.pack(f"{len(frame.filter)}b", *frame.filter)
        return Section(LR_KINDS[factor], Codec.AV1, head + coefficients + frame.data)
    return Section(LR_KINDS[factor], Codec.JPEG_XL, jpegxl.encode(pack(blocks)))


def decode_frame(
    section: Section, scales: NDArray[np.uint8], factor: int, grid: BlockGrid, channels: int
) -> tuple[NDArray[np.uint8], Frame]:
    """As `decode`, of a section with a frame, and that frame."""
    frame = read_frame(section)
    own = scales == factor
    try:
        plane = avif.decode(frame.data, (*plane_size(own, grid, factor), channels))
    except CodecError as error:
        raise FileFormatError(str(error)) from error
    return scatter(revive(plane, frame.colour), own, grid, factor), frame


def read_frame(section: Section) -> Frame:
    """The frame in a section of lossy LR samples, not decoded.  Raises FileFormatError."""
    data = bytes(section.payload)
    if len(data) < _FRAME_HEAD.size:
        raise FileFormatError("cut off before its frame")
    quality, colour, classes = _FRAME_HEAD.unpack_from(data)
    start = _FRAME_HEAD.size + classes * WIENER_TAPS
    if quality not in QUALITIES or not 1 <= colour <= FULL or classes not in (0, *WIENER_CLASSES) or len(data) < start:
        raise FileFormatError(
            f"a frame of quality {quality} with {colour} % of its colour and a filter of {classes} classes is not "
            "possible here"
        )
    coefficients = struct.unpack_from(f"{classes * WIENER_TAPS}b", data, _FRAME_HEAD.size)
    return Frame(quality, data[start:], colour, coefficients)


def decode(
    section: Section, scales: NDArray[np.uint8], factor: int, grid: BlockGrid, channels: int, depth: int = 8
) -> Samples:
    """Section -> (N, s, s, C) of `depth` bits, the blocks of `factor` in raster order of the map.

    Raises FileFormatError.
    """
    side = grid.side // factor
    rows, cols = np.nonzero(scales == factor)
    height, width, found_channels, _ = jpegxl.read_shape(section.payload)
    # Full rows of blocks but for the last: the plane is no larger than the blocks need.
    whole = height % side == 0 and width % side == 0 and math.ceil(len(rows) / (width // side)) == height // side
    if not whole or width // side > len(rows) or found_channels != channels:
        raise FileFormatError(
            f"{width} x {height} samples of {found_channels} channels do not hold {len(rows)} blocks of {side} x {side}"
        )
    plane = jpegxl.decode(section.payload, (height, width, channels), depth)
    blocks = unpack(plane, len(rows), side)
    _fill_partial(blocks, rows == grid.rows - 1, cols == grid.cols - 1, grid, factor)
    return blocks


def pack(blocks: Samples) -> Samples:
    """(N, s, s, C) -> plane (a*s, b*s, C) with a*b >= N > (a-1)*b; places beyond N take the very last sample."""
    count, side, _, channels = blocks.shape
    cols = _columns(count)
    rows = math.ceil(count / cols)
    unused = np.broadcast_to(blocks[-1, -1, -1], (rows * cols - count, side, side, channels))
    places = np.concatenate([blocks, unused]).reshape(rows, cols, side, side, channels)
    return places.swapaxes(1, 2).reshape(rows * side, cols * side, channels)


def unpack(plane: Samples, count: int, side: int) -> Samples:
    """Inverse of `pack` for `count` blocks of `side` samples a side."""
    height, width, channels = plane.shape
    places = plane.reshape(height // side, side, width // side, side, channels).swapaxes(1, 2)
    return places.reshape(-1, side, side, channels)[:count]


def _columns(count: int) -> int:
    """Blocks across: near the square root, with the fewest unused places in the last row."""
    middle = math.ceil(math.sqrt(count))
    widths = range(max(1, math.ceil(0.7 * middle)), min(count, math.ceil(1.4 * middle)) + 1)
    return min(widths, key=lambda cols: (-count % cols, abs(cols - middle)))


def _fill_partial(
    blocks: Samples, at_bottom: NDArray[np.bool_], at_right: NDArray[np.bool_], grid: BlockGrid, factor: int
) -> None:
    """Repeat the last true row and column of blocks at the far edges, whatever the file holds beyond them."""
    heights, widths = grid.block_sizes(factor)
    height, width = int(heights[-1]), int(widths[-1])
    blocks[at_bottom, height:] = blocks[at_bottom, height - 1 : height]
    blocks[at_right, :, width:] = blocks[at_right, :, width - 1 : width]
