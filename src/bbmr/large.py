"""Pictures too large for memory: compressed a panel at a time, from strips to a file.

strips of the source --> bands: a row of panels, with the rows around that downscaling sees --> panels, likewise
                     --> RescaledImage of each --> the file that is being written
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO, Protocol, TypeGuard

import numpy as np

from bbmr.blocks import BlockGrid
from bbmr.coding import sender
from bbmr.coding.options import CodedOptions
from bbmr.fileformat import MAX_PIXELS, Header, Writer
from bbmr.luma import psnr_of_error, squared_error
from bbmr.options import Options
from bbmr.panels import PanelGrid
from bbmr.picture import Metadata, Picture
from bbmr.progress import Progress, silent

_AROUND = 32
"""Pixels that downscaling by 16 sees beyond those a sample stands for, at most; a multiple of 16."""


class Strips(Protocol):
    """A picture that comes in strips."""

    @property
    def height(self) -> int: ...

    @property
    def width(self) -> int: ...

    @property
    def metadata(self) -> Metadata: ...

    def strips(self, height: int) -> Iterator[Picture]:
        """From top to bottom, each of `height` rows but for the last; without metadata."""


def in_panels(options: CodedOptions | Options, height: int, width: int) -> TypeGuard[CodedOptions]:
    """Whether a picture of this size is compressed in several panels: where a quality is asked for, which each can
    have by itself.
    """
    grid = BlockGrid(height, width, options.block)
    return isinstance(options, CodedOptions) and options.quality is not None and len(PanelGrid.usual(grid)) > 1


def compress_large(
    source: Strips,
    file: BinaryIO,
    options: CodedOptions,
    progress: Progress = silent,
    device: str = "cpu",
    max_pixels: int = MAX_PIXELS,
) -> None:
    """Code a picture with loss into an empty file, every panel by itself to the quality that is asked for; in memory
    that does not grow with the picture's height, and with its width by the rows of one panel.

    options: with a quality, see `in_panels`.  max_pixels: as of `bbmr.fileformat.encode`.  Raises BbmrError as
    `bbmr.coding.sender.compress` does.
    """
    panels = PanelGrid.usual(BlockGrid(source.height, source.width, options.block))
    writer: Writer | None = None
    error = 0.0
    for number, (window, core) in enumerate(_windows(source, panels)):

        def report(stage: str, done: float, number: int = number) -> None:
            progress(stage, (number + done) / len(panels))

        rescaled = sender.compress(window, options, report, device, core)
        recipe = replace(rescaled.recipe, expected_psnr=0.0)  # as long as what will be known in the end
        if writer is None:
            header = Header(panels, rescaled.channels, rescaled.alpha is not None, rescaled.depth, length=0)
            writer = Writer(file, header, recipe, source.metadata, max_pixels)
        if rescaled.recipe.expected_psnr is not None:  # a panel that is exact has none
            error += squared_error(rescaled.recipe.expected_psnr, rescaled.grid.height * rescaled.grid.width)
        writer.add(rescaled)
    assert writer is not None  # there is one panel at least
    # A grey level in all: less is promised where the picture is exact.
    writer.finish(replace(recipe, expected_psnr=psnr_of_error(max(error, 1.0), source.height * source.width)))


def _windows(source: Strips, panels: PanelGrid) -> Iterator[tuple[Picture, tuple[slice, slice]]]:
    """Each panel with what is around it, and where in that it is."""
    for row, (band, first) in enumerate(_bands(source, panels.height * panels.grid.side)):
        for number in range(row * panels.cols, (row + 1) * panels.cols):
            rows, cols = panels.pixels(number)
            left, right = max(cols.start - _AROUND, 0), min(cols.stop + _AROUND, source.width)
            core = slice(rows.start - first, rows.stop - first), slice(cols.start - left, cols.stop - left)
            yield band.crop(slice(None), slice(left, right)), core


def _bands(source: Strips, height: int) -> Iterator[tuple[Picture, int]]:
    """Rows of panels with the rows around them, and the number of the first row of each.

    Put together from low strips, so that hardly more than one band is held while its panels are coded.
    """
    strips = source.strips(_AROUND)
    kept: list[Picture] = []
    first, have = 0, 0  # rows that are kept: from, to
    for top in range(0, source.height, height):
        last = min(top + height + _AROUND, source.height)
        while have < last:
            kept.append(next(strips))
            have += kept[-1].height
        band, start = _stacked(kept, last - first), first
        while kept and first + kept[0].height <= top + height - _AROUND:
            first += kept.pop(0).height
        yield band, start
        del band


def _stacked(parts: list[Picture], height: int) -> Picture:
    """The first rows of all, copied."""
    colour = np.concatenate([part.colour for part in parts])[:height]
    planes = [part.alpha for part in parts if part.alpha is not None]
    return Picture(colour, np.concatenate(planes)[:height] if planes else None)
