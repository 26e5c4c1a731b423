"""Writing a .bbmr file: a picture of one panel at once, larger ones panel by panel."""

import os
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from typing import BinaryIO

from bbmr.blocks import BlockGrid
from bbmr.depth import Samples
from bbmr.fileformat import container, jpegxl, payload, recipe, scale_map
from bbmr.fileformat.compressed import deflate
from bbmr.fileformat.container import HEADER_SIZE, MAX_PIXELS, Codec, Header, Kind, Section, padded
from bbmr.fileformat.errors import FileFormatError
from bbmr.fileformat.reader import METADATA_KINDS
from bbmr.panels import PanelGrid
from bbmr.picture import METADATA_LIMIT, Metadata
from bbmr.rescaled import Recipe, RescaledImage


def encode(rescaled: RescaledImage, max_pixels: int = MAX_PIXELS) -> bytes:
    """The file's bytes.

    max_pixels: as in `decode`, so that what is written can be read.  Raises ValueError for a recipe that is not as
    Recipe says, PictureTooLargeError for larger pictures, FileFormatError for metadata above 64 MiB.
    """
    file = BytesIO()
    header = Header(
        PanelGrid.whole(rescaled.grid), rescaled.channels, rescaled.alpha is not None, rescaled.depth, length=0
    )
    writer = Writer(file, header, rescaled.recipe, rescaled.metadata, max_pixels)
    writer.add(rescaled)
    writer.finish(rescaled.recipe)
    return file.getvalue()


def check_writable(grid: BlockGrid, max_pixels: int = MAX_PIXELS) -> None:
    """Raise PictureTooLargeError for a picture that a Writer would refuse."""
    container.check_size(
        grid, max_pixels, "choose smaller blocks, or raise max_pixels here and on reading (--max-pixels)"
    )


def size_besides(alpha: Samples | None, metadata: Metadata) -> int:
    """Bytes that alpha, (H, W), and metadata take in a file.  Raises FileFormatError as `encode`."""
    sections = [*_metadata_sections(metadata, *METADATA_KINDS.values())]
    if alpha is not None:
        sections.append(_alpha_section(alpha))
    return sum(len(section.to_bytes()) for section in sections)


def size_with(rescaled: RescaledImage, besides: int) -> int:
    """Bytes of the file that `encode` makes.  besides: what `size_besides` gives, which takes long to find and does not
    depend on how the picture is coded.
    """
    bare = replace(rescaled, alpha=None, metadata=Metadata())
    sections = _recipe_section(bare.recipe), *_sections_of(bare)
    return padded(rescaled.grid, HEADER_SIZE + besides + sum(len(section.to_bytes()) for section in sections))


class Writer:
    """A file that is being written; all its panels have to be added in their order, and then it has to be finished."""

    def __init__(
        self, file: BinaryIO, header: Header, made_for: Recipe, metadata: Metadata, max_pixels: int = MAX_PIXELS
    ) -> None:
        """file: can be sought in, and is empty.  header: its length does not count.  made_for: with an expected PSNR
        where `finish` will know one.  Raises as `encode`.
        """
        check_writable(header.grid, max_pixels)
        self._file, self._header, self._metadata = file, header, metadata
        self._recipe = _recipe_section(made_for)
        self._added = 0
        file.write(header.to_bytes())
        self._write(self._recipe)
        for section in _metadata_sections(self._metadata, Kind.ICC):
            self._write(section)

    def add(self, panel: RescaledImage) -> None:
        """The next panel; of its recipe and metadata nothing is kept."""
        header = self._header
        expected = header.panels.grid_of(self._added), header.mode, header.depth
        if (panel.grid, panel.mode, panel.depth) != expected:
            raise ValueError(f"panel {self._added} is {(panel.grid, panel.mode, panel.depth)}, not {expected}")
        for section in _sections_of(panel):
            self._write(section)
        self._added += 1

    def finish(self, made_for: Recipe) -> None:
        """Write what comes behind the panels.  made_for: as at the beginning but for the expected PSNR.

        Raises FileFormatError for metadata above 64 MiB.
        """
        if self._added < len(self._header.panels):
            raise ValueError(f"{self._added} of {len(self._header.panels)} panels were added")
        for section in _metadata_sections(self._metadata, Kind.EXIF, Kind.XMP):
            self._write(section)
        self._file.write(container.padding_for(self._header.grid, self._file.tell()))
        header = replace(self._header, length=self._file.tell())
        recipe_now = _recipe_section(made_for)
        if len(recipe_now.payload) != len(self._recipe.payload):
            raise ValueError(f"a recipe of {len(recipe_now.payload)} bytes in place of {len(self._recipe.payload)}")
        self._file.seek(0)
        self._file.write(header.to_bytes() + recipe_now.to_bytes())
        self._file.seek(0, os.SEEK_END)

    def _write(self, section: Section) -> None:
        self._file.write(section.to_bytes())


def _recipe_section(made_for: Recipe) -> Section:
    return Section(Kind.RECIPE, Codec.STORED, recipe.encode(made_for))


def _sections_of(panel: RescaledImage) -> Iterator[Section]:
    yield scale_map.encode(panel.scales)
    # From coarse to fine: what arrives first is worth most.
    for factor in sorted(panel.blocks, reverse=True):
        yield payload.encode(panel.blocks[factor], factor, panel.frames.get(factor))
    if panel.alpha is not None:
        yield _alpha_section(panel.alpha)


def _alpha_section(alpha: Samples) -> Section:
    return Section(Kind.ALPHA, Codec.JPEG_XL, jpegxl.encode(alpha[:, :, None]))


def _metadata_sections(metadata: Metadata, *kinds: Kind) -> Iterator[Section]:
    for name, kind in METADATA_KINDS.items():
        data: bytes | None = getattr(metadata, name)
        if kind in kinds and data is not None:
            if len(data) > METADATA_LIMIT:
                raise FileFormatError(f"the {kind.label} has {len(data)} bytes; {METADATA_LIMIT} is the limit")
            yield deflate(kind, data)
