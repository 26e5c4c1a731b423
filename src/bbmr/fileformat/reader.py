"""Reading a .bbmr file: what it says, and the LR samples of one panel after the other."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from io import BytesIO
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from bbmr.blocks import BlockGrid
from bbmr.depth import Samples
from bbmr.fileformat import container, jpegxl, payload, recipe, scale_map, version_1
from bbmr.fileformat.compressed import inflate
from bbmr.fileformat.container import LR_KINDS, MAX_PIXELS, Codec, Entry, Header, Index, Kind, Section
from bbmr.fileformat.errors import FileFormatError
from bbmr.panels import PanelGrid
from bbmr.picture import METADATA_LIMIT, Metadata
from bbmr.rescaled import Outline, Recipe, RescaledImage

METADATA_KINDS = {"icc": Kind.ICC, "exif": Kind.EXIF, "xmp": Kind.XMP}


def decode(data: bytes, max_pixels: int = MAX_PIXELS) -> RescaledImage:
    """The picture in a file's bytes; decode(encode(x)) equals x in every sample and byte.

    max_pixels: pixels of whole blocks that may be allocated.  Raises FileFormatError, naming what is wrong.
    """
    return Reader(BytesIO(data), max_pixels).rescaled()


class Reader:
    """An open file.  Sections are read when they are asked for, and held against their checksums then.

    All methods and properties raise FileFormatError, naming what is wrong.
    """

    def __init__(self, file: BinaryIO, max_pixels: int = MAX_PIXELS, salvage: bool = False) -> None:
        """file: can be sought in, and stands at its beginning.  max_pixels: of whole blocks, in all.  salvage: leave
        out metadata that are damaged, rather than raise.
        """
        self._file, self._salvage = file, salvage
        self.lost: list[str] = []
        """What was left out of `metadata`."""
        length = file.seek(0, os.SEEK_END)
        file.seek(0)
        self._index = _read_index(file, length, max_pixels)

    @property
    def header(self) -> Header:
        return self._index.header

    @property
    def panels(self) -> PanelGrid:
        return self.header.panels

    @cached_property
    def recipe(self) -> Recipe:
        with _naming(Kind.RECIPE):
            return recipe.decode(inflate(self._section(self._index.whole, Kind.RECIPE), recipe.LIMIT))

    @cached_property
    def scales(self) -> NDArray[np.uint8]:
        """(rows, cols) of the whole picture."""
        scales = np.empty((self.header.grid.rows, self.header.grid.cols), np.uint8)
        for number in range(len(self.panels)):
            scales[self.panels.blocks(number)] = self._scales_of(number)
        return scales

    @cached_property
    def metadata(self) -> Metadata:
        found = {}
        for name, kind in METADATA_KINDS.items():
            if kind in self._index.whole:
                try:
                    with _naming(kind):
                        found[name] = inflate(self._section(self._index.whole, kind), METADATA_LIMIT)
                except FileFormatError:
                    if not self._salvage:
                        raise
                    self.lost.append(kind.label)
        return Metadata(**found)

    @property
    def outline(self) -> Outline:
        """All but samples and metadata."""
        return Outline(self.header.grid, self.scales, self.recipe, self.header.mode, self.header.depth)

    @cached_property
    def is_lossy(self) -> bool:
        """Whether LR samples were coded with loss: all, or none."""
        lr_kinds = set(LR_KINDS.values())
        codecs = {entry.codec for entry in self._index.entries() if entry.kind in lr_kinds}
        if len(codecs) > 1:
            raise FileFormatError("broken: some LR samples are lossy, others not")
        return Codec.AV1 in codecs

    @cached_property
    def qualities(self) -> dict[int, int]:
        """Of the LR samples of each scale, what they were coded at; none where they are exact."""
        found = {}
        for factor, kind in LR_KINDS.items():
            entries = next((panel for panel in self._index.panels if kind in panel), None)
            if entries is not None and entries[kind].codec == Codec.AV1:
                with _naming(kind):
                    found[factor] = payload.read_frame(self._section(entries, kind)).quality
        return found

    def panel(self, number: int) -> RescaledImage:
        """A panel as a picture of its own, without metadata."""
        header, entries = self.header, self._index.panels[number]
        grid, scales = self.panels.grid_of(number), self._scales_of(number)
        blocks, frames = {}, {}
        for factor in np.unique(scales).tolist():
            kind = LR_KINDS[factor]
            with _naming(kind):
                section, where = self._section(entries, kind), (scales, factor, grid, header.channels)
                if section.codec == Codec.AV1:
                    blocks[factor], frames[factor] = payload.decode_frame(section, *where)
                else:
                    blocks[factor] = payload.decode(section, *where, header.depth)
        _ = self.is_lossy  # refuses lossy ones beside exact ones, in other panels too
        plane = self._alpha_of(entries, grid) if header.alpha else None
        return RescaledImage(grid, scales, blocks, self.recipe, plane, Metadata(), frames, header.depth)

    def rescaled(self) -> RescaledImage:
        """The whole picture, where it is one panel; all of the file is checked."""
        self.check()
        if len(self.panels) > 1:
            raise FileFormatError(
                f"a large picture in {len(self.panels)} panels; restore it, or read one after the other "
                "(bbmr.fileformat.open_file)"
            )
        return replace(self.panel(0), metadata=self.metadata)

    def check(self) -> None:
        """Read every section, hold it against its checksum, and decode recipe and maps of scales."""
        qualities: dict[Kind, int] = {}
        for entry in self._index.entries():
            if self._salvage and entry.kind in METADATA_KINDS.values():
                continue
            section = container.read_section(self._file, entry)
            if entry.codec == Codec.AV1 and section.payload:
                quality = section.payload[0]
                if qualities.setdefault(entry.kind, quality) != quality:
                    raise FileFormatError(f"broken: {entry.kind.label} have one quality here and another there")
        _ = self.outline, self.is_lossy

    def check_samples(self) -> None:
        """Decode everything that `check` leaves: metadata and, panel by panel, LR samples and alpha."""
        _ = self.metadata
        for number in range(len(self.panels)):
            self.panel(number)

    def sizes(self) -> dict[str, int]:
        """Where the file's bytes go: {"header", "recipe", "scale map", ...: bytes}, adding up to the file; the heads of
        sections count as header.
        """
        sizes = {"header": 0}
        for entry in self._index.entries():
            sizes[entry.kind.label] = sizes.get(entry.kind.label, 0) + entry.length
        sizes["header"] = self.header.length - sum(sizes.values())
        return sizes

    def _scales_of(self, number: int) -> NDArray[np.uint8]:
        entries = self._index.panels[number]
        with _naming(Kind.SCALE_MAP):
            scales = scale_map.decode(self._section(entries, Kind.SCALE_MAP), self.panels.grid_of(number))
        present = set(np.unique(scales).tolist())
        for factor, kind in LR_KINDS.items():
            with _naming(kind):
                if factor in present and kind not in entries:
                    raise FileFormatError("missing")
                if factor not in present and kind in entries:
                    raise FileFormatError("there, though no block of the map has this scale")
        return scales

    def _alpha_of(self, entries: Mapping[Kind, Entry], grid: BlockGrid) -> Samples:
        with _naming(Kind.ALPHA):
            payload = self._section(entries, Kind.ALPHA).payload
            return jpegxl.decode(payload, (grid.height, grid.width, 1), self.header.depth)[:, :, 0]

    def _section(self, entries: Mapping[Kind, Entry], kind: Kind) -> Section:
        if kind not in entries:
            raise FileFormatError("missing")
        return container.read_section(self._file, entries[kind])


def _read_index(file: BinaryIO, length: int, max_pixels: int) -> Index:
    head = file.read(container.HEADER_SIZE)
    container.check_magic(head)
    if head[len(container.MAGIC) :][:1] == b"\x01":
        return version_1.read_index(head + file.read(version_1.HEADER_LIMIT - len(head)), length, max_pixels)
    return container.read_index(file, container.read_header(head, length, max_pixels))


@contextmanager
def _naming(kind: Kind) -> Iterator[None]:
    """Say in errors which section they are about."""
    try:
        yield
    except FileFormatError as error:
        raise FileFormatError(f"broken {kind.label}: {error}") from error
