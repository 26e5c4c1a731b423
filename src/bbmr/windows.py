"""Parts of the picture in an open file: restored alone, with the samples that the whole picture would have there.

region --> panels that it touches, each with the blocks around that the restorer sees --> LR blocks of that window
       --> restored tiles --> samples of the region
"""

from collections import OrderedDict
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bbmr.blocks import CELL, BlockGrid, up_to_cell
from bbmr.depth import Samples, dtype_of
from bbmr.devices import full_float32
from bbmr.downscaling import bicubic_planes
from bbmr.errors import BbmrError
from bbmr.fileformat import FileFormatError, Reader
from bbmr.lr_blocks import LRBlocks
from bbmr.parts import NO_PARTS, Parts
from bbmr.picture import Picture
from bbmr.pipeline import restorer_of
from bbmr.progress import Progress, silent
from bbmr.rescaled import RescaledImage
from bbmr.samples import to_samples
from bbmr.tiles import tiles
from bbmr.upscaling.mosaic import build_mosaics, levels_of

_KEPT = 12
"""Panels whose LR samples are kept: those around one, of pictures up to three panels wide."""
PREVIEWS = (2, 4, 8, 16)
"""What a preview may be shrunk by."""
Part = tuple[slice, slice]
"""Rows and columns, in pixels of the picture."""
_PREVIEW_TILE, _PREVIEW_HALO = 1024, 64  # pixels


class Windows:
    """What can be restored of an open file without the rest of it."""

    def __init__(self, reader: Reader, device: str = "cpu", parts: Parts = NO_PARTS) -> None:
        """device, parts: as for `bbmr.pipeline.restore`.  Raises and warns as that does."""
        self._reader, self._panels = reader, reader.panels
        self.grid = reader.header.grid
        self._upscaler = restorer_of(reader.outline, reader.is_lossy, device, parts)
        self._kept: OrderedDict[int, RescaledImage] = OrderedDict()

    def region(self, rows: slice, cols: slice, progress: Progress = silent) -> Picture:
        """The picture's samples in some rows and columns, without metadata.

        Raises BbmrError for a region that is empty or not within the picture, FileFormatError for a damaged file.
        """
        grid = self.grid
        if not (0 <= rows.start < rows.stop <= grid.height and 0 <= cols.start < cols.stop <= grid.width):
            raise BbmrError(
                f"columns {cols.start} to {cols.stop} and rows {rows.start} to {rows.stop} are no region of a picture "
                f"of {grid.width} x {grid.height} pixels; give left, top, width and height of a part of it"
            )
        header = self._reader.header
        colour = np.empty((rows.stop - rows.start, cols.stop - cols.start, header.channels), dtype_of(header.depth))
        alpha = np.empty(colour.shape[:2], colour.dtype) if header.alpha else None
        touched = list(self._panels.touching(*grid.covered((rows, cols))))
        for done, number in enumerate(touched):
            progress("restore", done / len(touched))
            panel_rows, panel_cols = self._panels.pixels(number)
            own = _common(rows, panel_rows), _common(cols, panel_cols)
            if self._upscaler.reach is not None:
                self._paste(number, own, (rows, cols), colour)
            elif not done:  # what sees the whole picture restores it once; no such restorer heeds a panel's filters
                self._paste(number, (rows, cols), (rows, cols), colour)
            if alpha is not None:
                plane = self._panel(number).alpha
                assert plane is not None  # the header says so of all panels
                here = _within(own[0], rows), _within(own[1], cols)
                alpha[here] = plane[_within(own[0], panel_rows), _within(own[1], panel_cols)]
        return Picture(colour, alpha)

    def strips(self, progress: Progress = silent) -> Iterator[Picture]:
        """The whole picture from top to bottom, a row of panels at a time, or at once where the restorer sees all of
        it; as `region`.
        """
        height = self.grid.height if self._upscaler.reach is None else self._panels.height * self.grid.side
        for top in range(0, self.grid.height, height):
            bottom = min(top + height, self.grid.height)

            def report(stage: str, done: float, top: int = top, bottom: int = bottom) -> None:
                progress(stage, (top + done * (bottom - top)) / self.grid.height)

            yield self.region(slice(top, bottom), slice(0, self.grid.width), report)

    def _paste(self, number: int, own: Part, region: Part, colour: Samples) -> None:
        """Restore a part of a region, a panel's own.  colour: of the region."""
        for tile_rows, tile_cols, samples in self._restored(number, *own):
            rows, cols = _common(tile_rows, own[0]), _common(tile_cols, own[1])
            there = _within(rows, tile_rows), _within(cols, tile_cols)
            colour[_within(rows, region[0]), _within(cols, region[1])] = samples[there]

    @torch.inference_mode()
    def _restored(self, number: int, rows: slice, cols: slice) -> Iterator[tuple[slice, slice, Samples]]:
        """Rows, columns and samples of tiles that cover a part of a panel, in pixels of the picture."""
        grid, reach = self.grid, self._upscaler.reach
        around = slice(0, grid.height), slice(0, grid.width)
        if reach is not None:
            around = _grown(rows, reach, grid.height), _grown(cols, reach, grid.width)
        blocks = grid.covered(around)
        top, left = (part.start * grid.side for part in blocks)
        stored = self._blocks(number, *blocks).to(self._upscaler.device)
        wanted = _from_cell(rows, top), _from_cell(cols, left)
        with full_float32():
            for tile, core in self._upscaler.restored_tiles_of(stored, wanted):
                tile_rows, tile_cols = tile.core
                yield _moved(tile_rows, top), _moved(tile_cols, left), to_samples(core, stored.depth)

    def _blocks(self, number: int, rows: slice, cols: slice) -> LRBlocks:
        """The LR blocks in some rows and columns of the grid, with the filters of a panel among them.

        Raises FileFormatError where panels have LR samples of one scale at different qualities.
        """
        side, scales = self.grid.side, self._reader.scales[rows, cols]
        height = min(rows.stop * side, self.grid.height) - rows.start * side
        width = min(cols.stop * side, self.grid.width) - cols.start * side
        position = np.empty(scales.shape, np.int64)
        samples: dict[int, Tensor] = {}
        qualities: dict[int, int] = {}
        for factor, count in zip(*np.unique(scales, return_counts=True), strict=True):
            position[scales == factor] = np.arange(count)
            shape = count, self._reader.header.channels, side // factor, side // factor
            samples[int(factor)] = torch.empty(shape, dtype=torch.float32)
        for other in self._panels.touching(rows, cols):
            panel = LRBlocks.of(self._panel(other))
            panel_rows, panel_cols = self._panels.blocks(other)
            common = _common(rows, panel_rows), _common(cols, panel_cols)
            here = _within(common[0], rows), _within(common[1], cols)
            there = _within(common[0], panel_rows), _within(common[1], panel_cols)
            for factor, own in panel.of_part(*there).items():
                samples[factor][position[here][scales[here] == factor]] = own
                if qualities.setdefault(factor, panel.qualities.get(factor, 0)) != panel.qualities.get(factor, 0):
                    raise FileFormatError(f"broken: LR samples x{factor} have one quality here and another there")
        filters = LRBlocks.of(self._panel(number)).filters
        qualities = qualities if self._reader.is_lossy else {}
        grid = BlockGrid(height, width, side)
        return LRBlocks(grid, scales, samples, qualities, filters, self._reader.header.depth)

    def _panel(self, number: int) -> RescaledImage:
        if number in self._kept:
            self._kept.move_to_end(number)
        else:
            while len(self._kept) >= _KEPT:
                self._kept.popitem(last=False)
            self._kept[number] = self._reader.panel(number)
        return self._kept[number]


@full_float32()
@torch.inference_mode()
def preview_of(reader: Reader, factor: int, progress: Progress = silent) -> Picture:
    """The picture shrunk by a factor of PREVIEWS, by its mosaic and no network: (ceil(H/k), ceil(W/k)) pixels, without
    metadata.

    Raises BbmrError for another factor, FileFormatError for a damaged file.
    """
    if factor not in PREVIEWS:
        raise BbmrError(f"a preview is {', '.join(map(str, PREVIEWS))} times smaller, not {factor}")
    header, panels = reader.header, reader.panels
    height, width = header.grid.lr_size(factor)
    colour = np.empty((height, width, header.channels), dtype_of(header.depth))
    alpha = np.empty((height, width), colour.dtype) if header.alpha else None
    for number in range(len(panels)):
        progress("preview", number / len(panels))
        rows, cols = (slice(part.start // factor, -(-part.stop // factor)) for part in panels.pixels(number))
        panel = reader.panel(number)
        colour[rows, cols] = _shrunk_mosaic(panel, factor)
        if alpha is not None and panel.alpha is not None:
            alpha[rows, cols] = bicubic_planes(panel.alpha[:, :, None], (factor,))[factor][:, :, 0]
    return Picture(colour, alpha)


def _shrunk_mosaic(panel: RescaledImage, factor: int) -> Samples:
    """The mosaic of a panel by itself at 1/factor of its sides, (ceil(h/k), ceil(w/k), C)."""
    grid, stored = panel.grid, LRBlocks.of(panel)
    height, width = grid.lr_size(factor)
    shrunk = np.empty((height, width, panel.channels), dtype_of(panel.depth))
    for tile in tiles(grid.height, grid.width, _PREVIEW_TILE, _PREVIEW_HALO):
        rows, cols = (slice(part.start, up_to_cell(part.stop)) for part in tile.outer)
        planes, levels = stored.planes_of(rows, cols), levels_of(stored, rows, cols)
        mosaics = build_mosaics(planes, levels, factor)
        nearest = min(mosaics)
        wanted = F.avg_pool2d(mosaics[nearest], factor // nearest) if nearest < factor else mosaics[factor]
        shrunk[tile.core_at(factor)] = to_samples(wanted, panel.depth)[tile.core_in_outer_at(factor)]
    return shrunk


def _grown(part: slice, by: int, length: int) -> slice:
    return slice(max(part.start - by, 0), min(part.stop + by, length))


def _moved(part: slice, by: int) -> slice:
    return slice(part.start + by, part.stop + by)


def _from_cell(part: slice, start: int) -> slice:
    """Rows or columns as those of a window that begins at `start`; from the cell on that they begin in."""
    first = part.start - start
    return slice(first - first % CELL, part.stop - start)


def _common(one: slice, other: slice) -> slice:
    """Rows or columns of both, perhaps none."""
    start = max(one.start, other.start)
    return slice(start, max(start, min(one.stop, other.stop)))


def _within(part: slice, whole: slice) -> slice:
    """A part of rows or columns as those of an array that holds `whole`."""
    return slice(part.start - whole.start, part.stop - whole.start)
