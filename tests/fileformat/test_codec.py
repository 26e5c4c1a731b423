"""A RescaledImage survives its bytes; bytes that are not what `encode` wrote are refused."""

import tracemalloc
import zlib
from collections.abc import Iterable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from fileformat import fuzz
from fileformat.golden_pictures import coded_panels, golden_pictures, in_panels
from fileformat.rescaled_samples import RECIPE, make_rescaled, mixed, rescaled_images
from hypothesis import given, settings

from bbmr.blocks import BlockGrid
from bbmr.codecs import avif
from bbmr.codecs.avif import read_header
from bbmr.fileformat import FileFormatError, PictureTooLargeError, Reader, container, decode, encode, jpegxl
from bbmr.fileformat.container import Codec, Entry, Header, Kind, Section
from bbmr.panels import PanelGrid
from bbmr.picture import Metadata
from bbmr.rescaled import RescaledImage

GOLDEN = Path(__file__).parent / "golden"
METADATA = Metadata(icc=b"profile" * 20, exif=b"Exif\0\0", xmp=b"<x/>")


def golden_picture() -> RescaledImage:
    """Written out, so that neither noise generators nor wave functions can change it."""
    grid = BlockGrid(35, 40, 16)
    scales = np.array([[16, 2, 4], [8, 16, 2], [4, 4, 1]], np.uint8)
    blocks = {}
    for factor in (1, 2, 4, 8, 16):
        height, width = grid.lr_size(factor)
        y, x, c = np.ogrid[:height, :width, :3]
        side = 16 // factor
        whole = np.pad((y * 3 + x * 5 + c * 7).astype(np.uint8), ((0, 48), (0, 48), (0, 0)), mode="edge")
        whole = whole[: 3 * side, : 3 * side]
        cut = whole.reshape(3, side, 3, side, 3).swapaxes(1, 2)
        blocks[factor] = cut[scales == factor]
    alpha = np.add.outer(np.arange(35), np.arange(40)).astype(np.uint8)
    return RescaledImage(grid, scales, blocks, RECIPE, alpha, METADATA)


@pytest.mark.parametrize("name", golden_pictures())
def test_golden_files_of_version_2_stay_readable(name: str) -> None:
    picture = golden_pictures()[name]
    reader = Reader(BytesIO((GOLDEN / f"version-2-{name}.bbmr").read_bytes()))
    reader.check()
    assert (reader.recipe, reader.metadata) == (picture.recipe, picture.metadata)
    np.testing.assert_array_equal(reader.scales, picture.scales)
    if name == "panels":
        assert len(reader.panels) == 6
        picture = decode(in_panels(picture, 5, 5))  # one panel
    for number in range(len(reader.panels)):
        panel, where = reader.panel(number), reader.panels.blocks(number)
        position = np.zeros(picture.scales.shape, int)
        for factor, blocks in panel.blocks.items():
            own = picture.scales == factor
            position[own] = np.arange(own.sum())
            expected = picture.blocks[factor][position[where][panel.scales == factor]]
            # Decoders may round colours in their own ways.
            assert np.abs(blocks.astype(int) - expected).max() <= (2 if picture.frames else 0)
        if picture.alpha is not None:
            np.testing.assert_array_equal(panel.alpha, picture.alpha[reader.panels.pixels(number)])
        assert {k: replace(frame, data=b"") for k, frame in panel.frames.items()} == {
            k: replace(frame, data=b"") for k, frame in picture.frames.items()
        }


@pytest.mark.parametrize("name", coded_panels())
def test_golden_files_of_coded_panels_stay_readable(name: str) -> None:
    panels, parts = coded_panels()[name]
    reader = Reader(BytesIO((GOLDEN / f"version-2-{name}.bbmr").read_bytes()))
    reader.check()
    assert (reader.panels, reader.metadata) == (panels, METADATA)
    for number, part in enumerate(parts):
        panel = reader.panel(number)
        np.testing.assert_array_equal(panel.scales, part.scales)
        assert panel.blocks.keys() == part.blocks.keys()
        for factor, blocks in panel.blocks.items():
            assert np.abs(blocks.astype(int) - part.blocks[factor]).max() <= 2
        assert (panel.alpha is None) == (part.alpha is None)
        if panel.alpha is not None:
            np.testing.assert_array_equal(panel.alpha, part.alpha)
        for factor, frame in panel.frames.items():
            assert replace(frame, data=b"") == replace(part.frames[factor], data=b"")
            assert read_header(frame.data).chroma == ("4:4:4" if name.endswith("444") else "4:2:0")


def tiny(quality: int | None = None) -> bytes:
    return encode(make_rescaled(*mixed(20, 33), alpha=True, metadata=METADATA, quality=quality))


def entries_of(data: bytes) -> tuple[Header, dict[Kind, Entry]]:
    """Of a file of one panel."""
    file = BytesIO(data)
    header = container.read_header(file.read(container.HEADER_SIZE), len(data))
    index = container.read_index(file, header)
    (panel,) = index.panels
    entries = sorted((*index.whole.values(), *panel.values()), key=lambda entry: entry.start)
    return header, {entry.kind: entry for entry in entries}


def sections_of(data: bytes) -> tuple[Header, dict[Kind, Section]]:
    header, entries = entries_of(data)
    return header, {kind: container.read_section(BytesIO(data), entry) for kind, entry in entries.items()}


def written(header: Header, sections: Iterable[Section]) -> bytes:
    """A file with sections in whatever order."""
    body = b"".join(section.to_bytes() for section in sections)
    body += container.padding_for(header.grid, container.HEADER_SIZE + len(body))
    return replace(header, length=container.HEADER_SIZE + len(body)).to_bytes() + body


def rewrite(data: bytes, *changed: Section, without: Kind | None = None) -> bytes:
    """The file with some sections exchanged, all checksums valid."""
    header, sections = sections_of(data)
    sections |= {section.kind: section for section in changed}
    order = (*container.BEFORE, *container.OF_PANELS, *container.BEHIND)
    return written(header, (sections[kind] for kind in order if kind in sections and kind != without))


def with_channels(data: bytes, channels: int) -> bytes:
    """The file with another number in its header, all checksums valid."""
    return fuzz.mend(data[:6] + bytes([channels]) + data[7:])


@given(rescaled_images())
@settings(max_examples=150)
def test_round_trip(rescaled: RescaledImage) -> None:
    assert decode(encode(rescaled)) == rescaled


def test_the_golden_file_of_version_1_stays_readable() -> None:
    picture = golden_picture()
    recipe = replace(picture.recipe, weights_digest="0123456789abcdef" * 4)
    assert decode((GOLDEN / "version-1.bbmr").read_bytes()) == replace(picture, recipe=recipe)


def test_little_besides_the_payload() -> None:
    data = encode(make_rescaled(*mixed(100, 100)))
    _, sections = sections_of(data)
    assert len(sections[Kind.RECIPE].payload) <= 50
    assert len(data) - sum(len(section.payload) for section in sections.values()) == 32 + 10 * len(sections)


@pytest.mark.parametrize(("height", "width"), [(4096, 4096), (1, 300_000), (300_000, 1)])
def test_blank_and_thin_pictures(height: int, width: int) -> None:
    grid = BlockGrid(height, width, 128)
    rescaled = make_rescaled(grid, np.full((grid.rows, grid.cols), 16, np.uint8), channels=1, alpha=True)
    rescaled.blocks[16][:] = 255
    blank = replace(rescaled, alpha=None)
    assert decode(encode(blank)) == blank
    if min(height, width) == 1:
        assert decode(encode(rescaled)) == rescaled


def test_text_is_coded_without_patches() -> None:
    """The encoder likes to add a frame of glyphs, which the reader refuses."""
    rng = np.random.default_rng(0)
    glyphs = np.where(rng.integers(0, 2, (6, 9, 7)) > 0, 255, 0).astype(np.uint8)
    page = np.full((300, 400, 1), 255, np.uint8)
    for y in range(5, 285, 14):
        for x in range(5, 385, 10):
            page[y : y + 9, x : x + 7, 0] = glyphs[rng.integers(6)]
    usual = imagecodecs.jpegxl_encode(page[:, :, 0], lossless=True, effort=jpegxl.EFFORT)
    with pytest.raises(FileFormatError):
        jpegxl.read_shape(bytes(usual))
    np.testing.assert_array_equal(jpegxl.decode(jpegxl.encode(page), page.shape), page)


def test_samples_beyond_the_edge_are_repeated() -> None:
    rescaled = make_rescaled(BlockGrid(5, 3, 16), np.array([[2]], np.uint8))
    untidy = {2: rescaled.blocks[2].copy()}
    untidy[2][0, 3:] = 77
    untidy[2][0, :, 2:] = 78
    assert decode(encode(replace(rescaled, blocks=untidy))) == rescaled


@pytest.mark.parametrize("quality", [None, 40])
def test_every_truncation_is_refused(quality: int | None) -> None:
    data = tiny(quality)
    for length in range(len(data)):
        with pytest.raises(FileFormatError):
            decode(data[:length])


@pytest.mark.parametrize("quality", [None, 40])
def test_every_bit_flip_is_refused(quality: int | None) -> None:
    data = tiny(quality)
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(FileFormatError):
            decode(bytes(damaged))


def test_bursts_of_damage_are_refused() -> None:
    data = tiny()
    rng = np.random.default_rng(1)
    for _ in range(3000):
        start = int(rng.integers(len(data)))
        burst = rng.bytes(int(rng.integers(1, 30)))
        damaged = data[:start] + burst + data[start + len(burst) :]
        if damaged != data:
            with pytest.raises(FileFormatError):
                decode(damaged)


@pytest.mark.parametrize("quality", [None, 40])
def test_damage_under_valid_checksums_never_crashes(quality: int | None) -> None:
    """A hostile writer mends the checksums: what comes back is an error or a picture that obeys its invariants."""
    data = tiny(quality)
    header, sections = sections_of(data)
    rng = np.random.default_rng(2)
    kinds = list(sections)
    for _ in range(2000):
        section = sections[kinds[rng.integers(len(kinds))]]
        payload = bytearray(section.payload)
        for _ in range(rng.integers(1, 4)):
            payload[rng.integers(len(payload))] ^= 1 << rng.integers(8)
        try:
            found = decode(rewrite(data, replace(section, payload=bytes(payload[: rng.integers(1, len(payload) + 9)]))))
        except FileFormatError:
            continue
        assert found.grid == header.grid


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(200), "not a .bbmr file"),
        (b"\xff\xd8\xff\xe0" + bytes(200), "not a .bbmr file"),
        (b"hello", "not a .bbmr file"),
        (bytes(1000), "not a .bbmr file"),
        (tiny()[:10], "cut off within its header"),
        (tiny()[:-1], "cut off: "),
        (tiny()[:100], "cut off: 100 of"),
        (tiny() + b"\n", "1 bytes too long"),
        (tiny()[:4] + b"\x00" + tiny()[5:], "there is no format version 0"),
        (tiny()[:4] + b"\x03" + tiny()[5:], r"newer bbmr \(format version 3, this one reads 2\): update"),
        (tiny()[:9] + b"\xff" + tiny()[10:], "checksum of the header"),
    ],
)
def test_what_is_wrong_is_named(data: bytes, message: str) -> None:
    with pytest.raises(FileFormatError, match=message):
        decode(data)


def test_the_damaged_section_is_named() -> None:
    data = tiny()
    _, entries = entries_of(data)
    for entry in entries.values():
        damaged = bytearray(data)
        damaged[entry.start + entry.length // 2] ^= 0x10
        with pytest.raises(FileFormatError, match=f"checksum of the {entry.kind.label} does not match"):
            decode(bytes(damaged))


def av1(height: int, width: int) -> bytes:
    return avif.encode(np.zeros((height, width, 3), np.uint8), 50, speed=10)


def jxl(height: int, width: int, channels: int = 3) -> bytes:
    return jpegxl.encode(np.zeros((height, width, channels), np.uint8))


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (Section(Kind.LR_2, Codec.JPEG_XL, jxl(16, 16)), r"broken LR samples x2: 16 x 16 .* do not hold 1 blocks"),
        (Section(Kind.LR_2, Codec.JPEG_XL, jxl(8, 8, 1)), "LR samples x2"),
        (Section(Kind.LR_2, Codec.JPEG_XL, jxl(7, 8)), "LR samples x2"),
        (Section(Kind.LR_2, Codec.STORED, bytes(192)), "LR samples x2: coded as STORED"),
        (Section(Kind.ALPHA, Codec.JPEG_XL, jxl(1000, 1000, 1)), "broken alpha"),
        (Section(Kind.SCALE_MAP, Codec.STORED, b"\x00"), "broken scale map: 1 blocks"),
        (Section(Kind.SCALE_MAP, Codec.STORED, b"\x05" * 6), "broken scale map: a block has the scale 2"),
        (Section(Kind.SCALE_MAP, Codec.STORED, b"\x01" * 6), "LR samples x1: there, though"),
        (Section(Kind.SCALE_MAP, Codec.ZLIB, zlib.compress(bytes(10**7))), "scale map: longer than 6"),
        (Section(Kind.SCALE_MAP, Codec.ZLIB, b"junk"), "broken scale map: broken zlib"),
        (Section(Kind.RECIPE, Codec.STORED, b"\x09abc"), "broken recipe: ends within a name"),
        (Section(Kind.RECIPE, Codec.STORED, b"\x01\xff\0\0\0"), "broken recipe: a name is not UTF-8"),
        (Section(Kind.RECIPE, Codec.STORED, b"\x04\x1b[2J\0\0\0"), "broken recipe: a name has control characters"),
        (Section(Kind.RECIPE, Codec.STORED, bytes(4) + b"abc"), "broken recipe: 3 bytes follow"),
        (Section(Kind.RECIPE, Codec.STORED, bytes(4) + b"\xff" * 8), "broken recipe: the expected PSNR is nan"),
        (Section(Kind.EXIF, Codec.ZLIB, zlib.compress(b"x" * 99)[:-3]), "broken EXIF: broken zlib"),
        (Section(Kind.EXIF, Codec.JPEG_XL, jxl(1, 1)), "broken EXIF: coded as JPEG_XL, which is not possible"),
        (Section(Kind.EXIF, Codec.AV1, b"\x10"), "broken EXIF: coded as AV1"),
        (Section(Kind.RECIPE, Codec.ZLIB, zlib.compress(bytes(4))), "broken recipe: coded as ZLIB"),
        (Section(Kind.PADDING, Codec.ZLIB, zlib.compress(bytes(4))), "broken padding: coded as ZLIB"),
        (Section(Kind.ALPHA, Codec.AV1, b"\x10"), "broken alpha: coded as AV1"),
        (Section(Kind.LR_2, Codec.AV1, b""), "LR samples x2: cut off before its frame"),
        (Section(Kind.LR_2, Codec.AV1, b"\x65\x64\x00" + av1(8, 8)), "LR samples x2: a frame of quality 101"),
        (Section(Kind.LR_2, Codec.AV1, b"\x10\x00\x00" + av1(8, 8)), "LR samples x2: .* with 0 % of its colour"),
        (Section(Kind.LR_2, Codec.AV1, b"\x10\x65\x00" + av1(8, 8)), "LR samples x2: .* with 101 % of its colour"),
        (Section(Kind.LR_2, Codec.AV1, b"\x10\x64\x02" + av1(8, 8)), "LR samples x2: .* filter of 2 classes"),
        (Section(Kind.LR_2, Codec.AV1, b"\x10\x64\x04" + bytes(27)), "LR samples x2: .* filter of 4 classes"),
        (Section(Kind.LR_2, Codec.AV1, b"\x10\x64\x01" + bytes(7)), "LR samples x2: not an AV1 sequence header"),
        (Section(Kind.LR_2, Codec.AV1, b"\x10\x64\x00" + av1(2, 16)), "x2: 16 x 2 samples of AV1 where 8 x 2"),
    ],
)
def test_hostile_sections(section: Section, message: str) -> None:
    with pytest.raises(FileFormatError, match=message):
        decode(rewrite(tiny(quality=50 if section.codec == Codec.AV1 else None), section))


def test_lossy_samples_beside_exact_ones_are_refused() -> None:
    exact, lossy = tiny(), tiny(quality=50)
    for one, other in ((exact, lossy), (lossy, exact)):
        mixed_file = rewrite(one, sections_of(other)[1][Kind.LR_2])
        for read in (decode, lambda data: Reader(BytesIO(data)).check()):
            with pytest.raises(FileFormatError, match="some LR samples are lossy, others not"):
                read(mixed_file)


def test_missing_sections() -> None:
    for kind in (Kind.RECIPE, Kind.SCALE_MAP, Kind.LR_16):
        with pytest.raises(FileFormatError, match=f"broken {kind.label}: missing"):
            decode(rewrite(tiny(), without=kind))


def test_alpha_is_there_if_the_header_says_so() -> None:
    """Found without decoding it."""
    with_alpha, without = (encode(make_rescaled(*mixed(40, 50, 16), 3, alpha=alpha)) for alpha in (True, False))
    for data, words in ((rewrite(with_alpha, without=Kind.ALPHA), "missing"), (with_channels(with_alpha, 3), "there")):
        with pytest.raises(FileFormatError, match=f"broken alpha: {words}"):
            Reader(BytesIO(data))
    with pytest.raises(FileFormatError, match="broken alpha: missing"):
        Reader(BytesIO(with_channels(without, 4)))


def peak_memory(data: bytes) -> int:
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError):
            decode(data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("height", "width"), [(2**32 - 1, 2**32 - 1), (1, 2**32 - 1), (16384, 16384), (2000, 2000)])
def test_small_files_cannot_claim_large_pictures(height: int, width: int) -> None:
    grid = BlockGrid(height, width, 16)
    hostile = Header(PanelGrid.whole(grid), 3, False, 8, container.HEADER_SIZE).to_bytes()
    assert len(hostile) < 100
    assert peak_memory(hostile) < 100_000


def test_a_small_codestream_cannot_claim_a_large_plane() -> None:
    blank = jxl(1000, 1000)
    assert len(blank) < 5000
    assert peak_memory(rewrite(tiny(), Section(Kind.LR_2, Codec.JPEG_XL, blank))) < 500_000


def test_larger_pictures_are_read_when_asked_for() -> None:
    rescaled = make_rescaled(*mixed(64, 64))
    data = encode(rescaled)
    with pytest.raises(PictureTooLargeError, match=r"64 x 64 .* 4000 allowed.* raise max_pixels"):
        decode(data, max_pixels=4000)
    assert decode(data, max_pixels=4096) == rescaled


def test_unknown_kinds_and_codecs_ask_for_an_update() -> None:
    data = tiny()
    for offset, message in ((0, "section of unknown kind 99"), (1, "recipe has the unknown codec 99")):
        changed = bytearray(data)
        changed[container.HEADER_SIZE + offset] = 99
        with pytest.raises(FileFormatError, match=f"{message}: update bbmr"):
            decode(bytes(changed))


def test_a_section_may_not_come_twice() -> None:
    header, sections = sections_of(tiny())
    doubled = written(header, [*sections.values(), sections[Kind.XMP]])
    with pytest.raises(FileFormatError, match="the XMP is out of place, or there twice"):
        decode(doubled)


def test_sections_come_in_order() -> None:
    header, sections = sections_of(tiny())
    finest_first = [section for kind, section in sections.items() if kind < Kind.LR_1]
    finest_first[2:2] = [section for kind, section in sorted(sections.items()) if kind >= Kind.LR_1]
    with pytest.raises(FileFormatError, match="out of place"):
        decode(written(header, finest_first))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [("tune", "\x1b[2J", "control characters"), ("expected_psnr", float("nan"), "expected PSNR is nan")],
)
def test_recipes_that_would_not_be_read_are_not_written(field: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encode(make_rescaled(*mixed(16, 16), recipe=replace(RECIPE, **{field: value})))


@pytest.mark.parametrize("digest", ["xyz", "ABCD", "ab cd", "00" * 300])
def test_digests_that_would_not_come_back_are_refused(digest: str) -> None:
    with pytest.raises(ValueError, match=r"weights_digest|longer"):
        encode(make_rescaled(*mixed(16, 16), recipe=replace(RECIPE, weights_digest=digest)))


@pytest.mark.parametrize(
    ("grid", "panel", "possible"),
    [
        (BlockGrid(600, 600, 16), (16, 16), True),  # 256 pixels a side
        (BlockGrid(600, 600, 16), (15, 16), False),
        (BlockGrid(600, 600, 16), (16, 15), False),
        (BlockGrid(8192, 8192, 128), (32, 32), True),  # 2^24 pixels
        (BlockGrid(8192, 8192, 128), (33, 32), False),
        (BlockGrid(8192, 8192, 128), (32, 33), False),
    ],
)
def test_panels_are_neither_too_small_nor_too_large(grid: BlockGrid, panel: tuple[int, int], possible: bool) -> None:
    header = Header(PanelGrid(grid, *panel), 3, False, 8, 1 << 20)
    head = header.to_bytes()
    if possible:
        assert container.read_header(head, 1 << 20) == header
    else:
        with pytest.raises(FileFormatError, match="too small or too large"):
            container.read_header(head, 1 << 20)
