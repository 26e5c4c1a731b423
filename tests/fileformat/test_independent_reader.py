"""The reader written from docs/format.md alone finds in every file what the package finds, and refuses what it does."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from fileformat import fuzz, independent_reader
from fileformat.independent_reader import EXIF, ICC, XMP, Contents
from fileformat.rescaled_samples import RECIPE, make_rescaled, mixed, rescaled_images
from hypothesis import given, settings

from bbmr.blocks import BlockGrid
from bbmr.fileformat import FileFormatError, Header, Reader, Writer, encode
from bbmr.panels import PanelGrid
from bbmr.picture import Metadata
from bbmr.rescaled import RescaledImage

GOLDEN = {path.stem: path.read_bytes() for path in sorted((Path(__file__).parent / "golden").glob("*.bbmr"))}


def assert_alike(contents: Contents, reader: Reader) -> None:
    """Every number, byte and sample."""
    header, grid, recipe, metadata = reader.header, reader.header.grid, reader.recipe, reader.metadata
    assert (contents.height, contents.width, contents.side) == (grid.height, grid.width, grid.side)
    assert (contents.channels, contents.depth) == (header.channels + header.alpha, header.depth)
    assert contents.panel == (reader.panels.height, reader.panels.width)
    mine = contents.recipe
    assert (mine.pipeline, mine.weights, mine.chosen_by) == (recipe.pipeline, recipe.weights, recipe.tune)
    assert (mine.digest.hex(), mine.expected_psnr) == (recipe.weights_digest, recipe.expected_psnr)
    for kind, data in ((ICC, metadata.icc), (EXIF, metadata.exif), (XMP, metadata.xmp)):
        assert contents.metadata.get(kind) == data
    np.testing.assert_array_equal(contents.scales, reader.scales)
    panels = [reader.panel(number) for number in range(len(reader.panels))]
    for number, panel in enumerate(panels):
        assert_same_samples(contents, number, panel, reader.panels.blocks(number))
        assert (contents.alpha is None) == (panel.alpha is None)
        if contents.alpha is not None and panel.alpha is not None:
            assert contents.alpha.dtype == panel.alpha.dtype
            np.testing.assert_array_equal(contents.alpha[reader.panels.pixels(number)], panel.alpha)
    assert len(contents.codings) == sum(len(panel.frames) for panel in panels)
    assert sum(map(len, contents.blocks.values())) == contents.scales.size


def assert_same_samples(contents: Contents, number: int, panel: RescaledImage, where: tuple[slice, slice]) -> None:
    """where: rows and columns of blocks that the panel has."""
    for scale, blocks in panel.blocks.items():
        in_panel = np.zeros(contents.scales.shape, bool)
        in_panel[where] = True
        mine = contents.blocks[scale][in_panel[contents.scales == scale]]
        assert mine.shape == blocks.shape
        assert mine.dtype == blocks.dtype
        slack = 0.0
        if frame := panel.frames.get(scale):
            coding = contents.codings[number, scale]
            assert (coding.quality, coding.colour) == (frame.quality, frame.colour)
            assert coding.wiener.ravel().tolist() == list(frame.filter)
            # Decoders differ by two grey levels at most; in colours that grows with what they are multiplied by.
            slack = 2.0 if panel.channels == 1 else 4 * 100 / frame.colour
        assert np.abs(mine.astype(int) - blocks).max() <= slack


def read_by_package(data: bytes) -> Reader:
    """Every section of it; raises FileFormatError."""
    reader = Reader(BytesIO(data))
    reader.check()
    for number in range(len(reader.panels)):
        reader.panel(number)
    _ = reader.metadata
    return reader


def in_panels(grid: BlockGrid, height: int, width: int, channels: int, depth: int, quality: int | None) -> bytes:
    """Panels of so many blocks, each with another map of scales, and alpha."""
    panels, file = PanelGrid(grid, height, width), BytesIO()
    writer = Writer(file, Header(panels, channels, True, depth, 0), RECIPE, Metadata(xmp=b"<x/>"))
    for number in range(len(panels)):
        own = panels.grid_of(number)
        scales = np.roll(mixed(own.height, own.width, own.side)[1], number)
        writer.add(make_rescaled(own, scales, channels, True, quality=quality, depth=depth))
    writer.finish(RECIPE)
    return file.getvalue()


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_files_hold_what_the_page_says(name: str) -> None:
    assert_alike(independent_reader.read(GOLDEN[name]), Reader(BytesIO(GOLDEN[name])))


@given(rescaled_images())
@settings(max_examples=100)
def test_written_files_hold_what_the_page_says(rescaled: RescaledImage) -> None:
    data = encode(rescaled)
    assert_alike(independent_reader.read(data), Reader(BytesIO(data)))


@pytest.mark.parametrize(("channels", "depth", "quality"), [(1, 16, None), (3, 8, None), (3, 16, 40), (1, 8, 70)])
def test_panels_hold_what_the_page_says(channels: int, depth: int, quality: int | None) -> None:
    data = in_panels(BlockGrid(530, 700, 64), 4, 5, channels, depth, quality)
    contents = independent_reader.read(data)
    assert len(Reader(BytesIO(data)).panels) == 9
    assert_alike(contents, Reader(BytesIO(data)))


def test_a_blank_picture_is_padded() -> None:
    grid = BlockGrid(2048, 4096, 128)
    data = encode(make_rescaled(grid, np.full((grid.rows, grid.cols), 16, np.uint8), channels=1, noise=0))
    assert_alike(independent_reader.read(data), Reader(BytesIO(data)))
    with pytest.raises(ValueError, match="too many"):
        independent_reader.read(data, max_pixels=2048 * 4096 - 1)


@pytest.mark.parametrize("name", GOLDEN)
def test_truncations_are_refused(name: str) -> None:
    data = GOLDEN[name]
    rng = np.random.default_rng(0)
    for length in {*range(40), len(data) - 1, *rng.integers(len(data), size=60).tolist()}:
        with pytest.raises(ValueError, match=r"checksum|length|ends|not a \.bbmr file"):
            independent_reader.read(data[:length])


@pytest.mark.parametrize("name", GOLDEN)
def test_bit_flips_are_refused(name: str) -> None:
    rng = np.random.default_rng(1)
    for bit in rng.integers(8 * len(GOLDEN[name]), size=200).tolist():
        damaged = bytearray(GOLDEN[name])
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ValueError, match=r"checksum|length|ends|version|not a \.bbmr file"):
            independent_reader.read(bytes(damaged))


def test_what_one_reader_refuses_the_other_does() -> None:
    """Mutated files, of half of them the checksums mended: refused by both, or read alike."""
    files = [data for name, data in GOLDEN.items() if name.startswith("version-2")]
    read = 0
    for number in range(2000):
        data, _ = fuzz.mutated(number, files)
        try:
            contents = independent_reader.read(data)
        except ValueError:
            with pytest.raises(FileFormatError):
                read_by_package(data)
        else:
            assert_alike(contents, read_by_package(data))
            read += 1
    assert read > 100
