"""What pictures say besides their samples, and what they may not say."""

import struct
import sys
import tracemalloc
import warnings
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import pillow_heif
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from picture_files.kinds import exif, icc, picture, png_chunk, with_chunks
from PIL import ExifTags, Image, ImageCms

from bbmr.imageio import PictureError, PictureWarning, open_picture, orientation, read_picture, write_picture
from bbmr.imageio.colour_spaces import CURVES, PRIMARIES, profile
from bbmr.imageio.exif import CENTIMETRE, INCH, Tags, resolution, stream_of, with_orientation, with_resolution
from bbmr.picture import Metadata, Picture

MIB = 1 << 20
WRITTEN = [".png", ".jpg", ".tif", ".webp", ".avif", ".jxl"]


@pytest.fixture(autouse=True)
def _strict_warnings() -> None:
    warnings.simplefilter("error")


def dots(metadata: Metadata) -> tuple[float, float, int] | None:
    found = resolution(metadata)
    return None if found is None else (float(found[0]), float(found[1]), found[2])


def stream(resolution: bool = False) -> bytes:
    return exif(resolution).tobytes().removeprefix(b"Exif\0\0")


def seen_by_pillow(data: bytes) -> Image.Exif:
    tags = Image.Exif()
    tags.load(b"Exif\0\0" + data)
    return tags


@pytest.mark.parametrize("suffix", WRITTEN)
def test_resolution_goes_through_every_format(tmp_path: Path, suffix: str) -> None:
    first = replace(Picture.from_array(picture("RGB")), metadata=Metadata(exif=stream(resolution=True)))
    write_picture(first, tmp_path / f"a{suffix}")
    assert dots(read_picture(tmp_path / f"a{suffix}").metadata) == (300, 300, INCH)
    if suffix in (".png", ".jpg", ".tif"):
        with Image.open(tmp_path / f"a{suffix}") as seen:
            assert seen.info["dpi"] == pytest.approx((300, 300), abs=0.01)


def test_resolution_beside_exif_is_put_into_it_where_it_says_none(tmp_path: Path) -> None:
    rgb = Image.fromarray(picture("RGB"))
    for suffix in (".png", ".jpg"):
        rgb.save(tmp_path / f"a{suffix}", dpi=(254, 127), exif=exif())
        metadata = read_picture(tmp_path / f"a{suffix}").metadata
        assert dots(metadata) == ((254, 127, INCH) if suffix == ".jpg" else (100, 50, CENTIMETRE))
        tags = seen_by_pillow(metadata.exif or b"")
        assert tags[0x010F] == "A camera maker"
        assert tags.get_ifd(0x8769)[0x9003] == "2026:01:02 03:04:05"
        assert orientation(metadata) == 6
        rgb.save(tmp_path / f"b{suffix}", dpi=(254, 127), exif=exif(resolution=True))
        assert read_picture(tmp_path / f"b{suffix}").metadata.exif == stream(resolution=True)  # EXIF has its own


def test_what_is_added_to_exif_leaves_every_old_byte_in_its_place() -> None:
    old = stream()
    new = with_resolution(old, Fraction(300), Fraction(301), INCH)
    turned = with_orientation(new, 3)
    assert turned is not None
    assert (new[8 : len(old)], turned[8 : len(new)]) == (old[8:], new[8:])  # makers' notes point into them
    assert dots(Metadata(exif=turned)) == (300, 301, INCH)
    assert orientation(Metadata(exif=turned)) == 3
    assert seen_by_pillow(turned).get_ifd(0x8769)[0x9003] == "2026:01:02 03:04:05"
    assert with_resolution(b"no EXIF", Fraction(1), Fraction(1), INCH) == b"no EXIF"


@pytest.mark.parametrize("turned", [1, 6])
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_of_what_is_stripped_the_profile_and_the_orientation_stay(tmp_path: Path, suffix: str, turned: int) -> None:
    tags = exif()
    tags[0x0112] = turned
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    file = tmp_path / f"a{suffix}"
    Image.fromarray(picture("RGB")).save(file, exif=tags, icc_profile=profile, dpi=(300, 300), xmp=b"<x:xmpmeta/>")
    whole, stripped = (read_picture(file, strip=strip) for strip in (False, True))
    assert (whole.metadata.icc, orientation(whole.metadata)) == (profile, turned)
    assert b"A camera maker" in (whole.metadata.exif or b"")
    metadata = stripped.metadata
    assert (metadata.icc, metadata.xmp, orientation(metadata)) == (profile, None, turned)
    assert len(metadata.exif or b"") < 40
    assert dict(seen_by_pillow(metadata.exif)) == {0x0112: 6} if metadata.exif else turned == 1
    assert np.array_equal(stripped.colour, whole.colour)


@given(st.binary(max_size=200), st.sampled_from([b"", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"II+\0\x08\0\0\0"]))
def test_no_exif_data_upset_who_reads_them(content: bytes, start: bytes) -> None:
    metadata = Metadata(exif=start + content)
    assert orientation(metadata) in range(1, 9)
    resolution(metadata)
    with_resolution(metadata.exif, Fraction(72), Fraction(72), INCH)
    with_orientation(metadata.exif, 5)


def test_tags_that_share_their_content_do_not_fill_the_memory(tmp_path: Path) -> None:
    shared = 40 * MIB
    tags = [(256, 4, 1, 4), (257, 4, 1, 1), (258, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, 8), (279, 4, 1, 4)]
    tags += [(65_000 + number, 7, shared, 8) for number in range(100)]
    head = b"II*\0" + struct.pack("<I", 8 + shared) + bytes(shared)
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    (tmp_path / "a.tif").write_bytes(head + directory)
    with pytest.raises(PictureError, match="its tags have more bytes than the file, or than 64 MiB"):
        read_picture(tmp_path / "a.tif")


def sharing(count: int, length: int) -> bytes:
    """A picture whose tags all say the same bytes, and so do the two directories behind it."""
    pixels, shared = 8, 16
    inner = shared + length
    tags = [(tag, 7, length, shared) for tag in range(40_000, 40_000 + count)]
    nested = [(0x8769, 4, 1, inner), (0x8825, 4, 1, inner)]
    layout = [(256, 4, 1, 2), (257, 4, 1, 2), (258, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, pixels), (279, 4, 1, 4)]
    outer = inner + 6 + 12 * len(tags)
    head = b"II*\0" + struct.pack("<I", outer) + bytes(8 + length)
    return head + b"".join(
        struct.pack("<H", len(part)) + b"".join(struct.pack("<HHII", *tag) for tag in part) + bytes(4)
        for part in (tags, layout + nested)
    )


def test_tags_that_share_bytes_do_not_become_more_of_them(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(sharing(count=300, length=2000))
    with pytest.warns(PictureWarning, match="parts of its EXIF data are damaged"):
        exif = read_picture(tmp_path / "a.tif").metadata.exif
    assert exif is None or len(exif) < (tmp_path / "a.tif").stat().st_size
    crowded = replace(Picture.from_array(picture("L")), metadata=Metadata(exif=sharing(1, 2000)))
    with pytest.warns(PictureWarning, match="parts of its EXIF data are damaged"):
        write_picture(crowded, tmp_path / "b.tif")
    tags = Tags.of(BytesIO(read_picture(tmp_path / "b.tif").metadata.exif or b""))
    # There is room for the first of the two directories, not for what the other would take once more.
    assert tags.tree(tags.first)[0].keys() == {0x8769}


def test_directories_that_are_written_are_read_again() -> None:
    buffer = BytesIO()
    Image.new("L", (1, 1)).save(buffer, "TIFF", exif=_loaded(stream(resolution=True)))
    tags = Tags.of(buffer)
    tree, is_whole = tags.tree(tags.first)
    assert is_whole
    again = Tags.of(BytesIO(stream_of(tags.order, tree)))
    assert again.tree(again.first) == (tree, True)
    assert 0x9003 in tree[0x8769]  # type: ignore[operator]


def _loaded(data: bytes) -> Image.Exif:
    tags = Image.Exif()
    tags.load(b"Exif\0\0" + data)
    return tags


def test_tags_of_others_survive_in_tiffs(tmp_path: Path) -> None:
    extra = [(33550, "d", 3, (1.5, 2.5, 0.0), True), (65000, "s", 0, "something of one's own", True)]
    tifffile.imwrite(tmp_path / "a.tif", picture("RGB", 16), photometric="rgb", extratags=extra, byteorder=">")
    write_picture(read_picture(tmp_path / "a.tif"), tmp_path / "b.tif")
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        tags = file.pages.first.tags
        assert tags[33550].value == (1.5, 2.5, 0.0)
        assert tags[65000].value == "something of one's own"
        assert file.byteorder == ">"


def test_notes_of_cameras_are_not_what_they_were_in_a_tiff(tmp_path: Path) -> None:
    tags = exif()
    tags.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.MakerNote] = b"A camera's own notes"
    metadata = Metadata(exif=tags.tobytes().removeprefix(b"Exif\0\0"))
    with pytest.warns(PictureWarning, match=r"a\.tif: the camera's own notes \(MakerNote\) are kept, but"):
        write_picture(Picture(picture("RGB"), metadata=metadata), tmp_path / "a.tif")
    write_picture(Picture(picture("RGB"), metadata=metadata), tmp_path / "a.png")


def with_thumbnail() -> bytes:
    """EXIF data of a camera: a first directory with a tag, a second one with a small JPEG's tags."""
    first = struct.pack("<HHHIHHI", 1, 0x0112, 3, 1, 6, 0, 26)
    second = struct.pack("<HHHIHHI", 1, 0x0103, 3, 1, 6, 0, 0)
    return b"II*\0" + struct.pack("<I", 8) + first + second


def test_a_thumbnail_within_exif_is_not_kept_in_a_tiff_which_is_said(tmp_path: Path) -> None:
    whole = replace(Picture.from_array(picture("L")), metadata=Metadata(exif=with_thumbnail()))
    with pytest.warns(PictureWarning, match=r"a\.tif: the thumbnail in its EXIF data is not kept"):
        write_picture(whole, tmp_path / "a.tif")
    write_picture(whole, tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png").metadata == whole.metadata


def test_damaged_parts_of_exif_are_said_to_be_left_out_of_a_tiff(tmp_path: Path) -> None:
    pointer = struct.pack("<HHHIII", 1, 0x8825, 4, 1, 1 << 20, 0)  # to GPS data beyond the end
    metadata = Metadata(exif=b"II*\0" + struct.pack("<I", 8) + pointer)
    whole = replace(Picture.from_array(picture("L")), metadata=metadata)
    with pytest.warns(PictureWarning, match="parts of its EXIF data are damaged, and are not kept"):
        write_picture(whole, tmp_path / "a.tif")


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 100, "subsampling": 0}])
def test_what_follows_a_jpeg_is_said_not_to_be_kept(tmp_path: Path, options: dict[str, object]) -> None:
    """A phone's video, behind the picture and its thumbnail."""
    noise = np.random.default_rng(0).integers(0, 256, (1200, 900, 3), np.uint8)
    thumbnail = BytesIO()
    Image.fromarray(noise[:90, :120]).save(thumbnail, "JPEG")
    path = tmp_path / "a.jpg"
    Image.fromarray(noise).save(path, exif=with_thumbnail() + thumbnail.getvalue(), **options)  # type: ignore[arg-type]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole = read_picture(path)
    path.write_bytes(path.read_bytes() + b"\0\0\0\x18ftypmp42" + bytes(988))
    with pytest.warns(PictureWarning, match="the 1000 bytes that follow the picture, such as a phone's video, are not"):
        assert read_picture(path) == whole


def bomb_in_a_tile(compression: str, side: int) -> bytes:
    """64 x 64 pixels by their tags, in a tile of `side` x `side`."""
    file = BytesIO()
    tile = (side, side)
    tifffile.imwrite(file, np.zeros((64, 64), np.uint8), photometric="minisblack", tile=tile, compression=compression)
    return file.getvalue()


@pytest.mark.parametrize("compression", ["zstd", "lzma"])
def test_tiles_much_larger_than_their_picture_are_refused(tmp_path: Path, compression: str) -> None:
    (tmp_path / "a.tif").write_bytes(bomb_in_a_tile(compression, 2048))
    assert read_picture(tmp_path / "a.tif").colour.shape == (64, 64, 1)
    (tmp_path / "b.tif").write_bytes(bomb_in_a_tile(compression, 4096))
    with pytest.raises(PictureError, match=r"b\.tif: is damaged: its tiles are much larger than the picture"):
        read_picture(tmp_path / "b.tif")


@pytest.mark.parametrize("compression", ["zstd", "lzma"])
def test_strips_that_hold_more_than_is_said_take_no_memory_for_it(tmp_path: Path, compression: str) -> None:
    """A strip of 256 MB of zeros, in a picture of 64 x 64."""
    codec = getattr(imagecodecs, f"{compression}_encode")
    packed = codec(bytes(1 << 28))
    small = BytesIO()
    tifffile.imwrite(small, np.zeros((64, 64), np.uint8), photometric="minisblack", compression=compression)
    content = bytearray(small.getvalue())
    with tifffile.TiffFile(BytesIO(content)) as file:
        tags = file.pages.first.tags
        places = {number: tags[number].valueoffset for number in (273, 279)}
        kinds = {number: f"<{'IQ'[tags[number].dtype != 4]}" for number in places}
    struct.pack_into(kinds[273], content, places[273], len(content))
    struct.pack_into(kinds[279], content, places[279], len(packed))
    (tmp_path / "a.tif").write_bytes(content + packed)
    tracemalloc.start()
    with suppress(PictureError):  # what is more is refused, or left alone
        read_picture(tmp_path / "a.tif")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6


def test_damaged_exif_is_left_out_of_a_tiff_with_a_word(tmp_path: Path) -> None:
    first = replace(Picture.from_array(picture("L")), metadata=Metadata(exif=b"II*\0\xff\xff\xff\xff"))
    with pytest.warns(PictureWarning, match="without the EXIF data, which are damaged"):
        write_picture(first, tmp_path / "a.tif")
    assert read_picture(tmp_path / "a.tif").metadata.exif is None


def bomb(name: bytes, before: bytes) -> bytes:
    return png_chunk(name, before + zlib.compress(bytes(65 * MIB)))


@pytest.mark.parametrize(
    "chunk",
    [
        bomb(b"iCCP", b"x\0\0"),
        bomb(b"zTXt", b"Raw profile type exif\0\0"),
        bomb(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0"),
    ],
    ids=["iCCP", "zTXt", "iTXt"],
)
def test_metadata_that_unpack_to_much_are_refused(tmp_path: Path, chunk: bytes) -> None:
    assert len(chunk) < 100_000
    (tmp_path / "a.png").write_bytes(with_chunks(picture("L"), chunk))
    with pytest.raises(PictureError, match=r"a\.png: its .* more than 64 MiB; save the picture without"):
        read_picture(tmp_path / "a.png")


def test_jpeg_xl_boxes_that_unpack_to_much_are_refused(tmp_path: Path) -> None:
    bare = bytes(imagecodecs.jpegxl_encode(picture("L"), lossless=True, usecontainer=False))
    start = b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl \0\0\0\0jxl "
    packed = bytes(imagecodecs.brotli_encode(bytes(65 * MIB)))
    small = bytes(imagecodecs.brotli_encode(b"<x/>"))
    for name, content in (("bomb", packed), ("small", small)):
        box = (len(content) + 12).to_bytes(4) + b"brobxml " + content
        (tmp_path / f"{name}.jxl").write_bytes(start + box + (len(bare) + 8).to_bytes(4) + b"jxlc" + bare)
    assert read_picture(tmp_path / "small.jxl").metadata.xmp == b"<x/>"
    with pytest.raises(PictureError, match=r"bomb\.jxl"):
        read_picture(tmp_path / "bomb.jxl")


def huge_png() -> bytes:
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 16, 6, 0, 0, 0))


def huge_tiff() -> bytes:
    tags = [(256, 4, 1, 60_000), (257, 4, 1, 60_000), (258, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, 8), (279, 4, 1, 1)]
    return b"II*\0\x08\0\0\0" + struct.pack("<H", 6) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)


def huge_gif() -> bytes:
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 60_000, 60_000, 0) + b"\x08\x01\0\0;"
    return b"GIF89a" + struct.pack("<HHBBB", 60_000, 60_000, 0x80, 0, 0) + bytes(6) + frame


def huge_jpeg() -> bytes:
    data = BytesIO()
    Image.new("L", (8, 8)).save(data, "JPEG")
    at = data.getvalue().index(b"\xff\xc0")
    return data.getvalue()[: at + 5] + struct.pack(">HH", 60_000, 60_000) + data.getvalue()[at + 9 :]


def huge_jxl() -> bytes:
    # Not small: two bits choose 30 bits a side.  Then as of one that is small.
    size = 0 | 3 << 1 | (59_999 << 3) | 0 << 33 | 3 << 36 | (59_999 << 38)
    return b"\xff\x0a" + size.to_bytes(9, "little") + b"\x01" + bytes(60)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("a.png", huge_png),
        ("a.tif", huge_tiff),
        ("a.jpg", huge_jpeg),
        ("a.jxl", huge_jxl),
        ("a.ppm", lambda: b"P6 60000 60000 255\n"),
        (
            "a.bmp",
            lambda: b"BM" + struct.pack("<IIIIiiHHIIiiII", 54, 0, 54, 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0),
        ),
        ("a.qoi", lambda: b"qoif" + struct.pack(">IIBB", 60_000, 60_000, 3, 0)),
        ("a.gif", huge_gif),
    ],
)
def test_sizes_are_refused_by_the_header_alone(tmp_path: Path, name: str, make: Callable[[], bytes]) -> None:
    (tmp_path / name).write_bytes(make())
    with pytest.raises(PictureError, match=rf"{name}: 60000 x 60000 = 3600000000 pixels are more than"):
        open_picture(tmp_path / name)


@pytest.mark.parametrize("suffix", [".webp", ".tif", ".jpg", ".avif", ".gif", ".jp2"])
def test_the_limit_is_ours_and_not_pillows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    Image.fromarray(picture("L")).convert("YCbCr" if suffix == ".tif" else "L").save(tmp_path / f"a{suffix}")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PictureWarning)
        assert read_picture(tmp_path / f"a{suffix}").height == 40
    assert Image.MAX_IMAGE_PIXELS == 10


def test_jpeg_xl_says_itself_how_it_is_turned(tmp_path: Path) -> None:
    for mode, depth in (("L", 8), ("RGBA", 16)):
        samples = picture(mode, depth)
        for turned in range(1, 9):
            first = replace(Picture.from_array(samples), metadata=Metadata(exif=with_orientation(None, turned)))
            write_picture(first, tmp_path / "a.jxl", overwrite=True)
            upright = imagecodecs.jpegxl_decode((tmp_path / "a.jxl").read_bytes())
            mirrored = samples[:, ::-1] if turned in (2, 4, 5, 7) else samples
            rotated = np.rot90(mirrored, {1: 0, 2: 0, 3: 2, 4: 2, 5: 1, 6: -1, 7: -1, 8: 1}[turned])
            np.testing.assert_array_equal(upright, rotated)
            assert read_picture(tmp_path / "a.jxl").metadata == first.metadata


def test_heic_says_which_extra_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pillow_heif.from_bytes("RGB", (56, 40), picture("RGB").tobytes()).save(tmp_path / "a.heic")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(PictureError, match=r'a\.heic: is a HEIC picture; .*pip install "bbmr\[heic\]"'):
        read_picture(tmp_path / "a.heic")


def test_numbers_of_colours_come_before_an_icc_profile(tmp_path: Path) -> None:
    """As the PNG specification has it."""
    profiled, numbers = png_chunk(b"iCCP", b"sRGB\0\0" + zlib.compress(icc())), bytes((12, 13, 0, 1))
    (tmp_path / "a.png").write_bytes(with_chunks(picture("RGB"), png_chunk(b"cICP", numbers)))
    (tmp_path / "b.png").write_bytes(with_chunks(picture("RGB"), profiled, png_chunk(b"cICP", numbers)))
    with pytest.warns(PictureWarning, match="ICC profile is not kept"):
        both = read_picture(tmp_path / "b.png").metadata.icc
    assert both == read_picture(tmp_path / "a.png").metadata.icc
    (tmp_path / "c.png").write_bytes(with_chunks(picture("RGB"), profiled, png_chunk(b"cICP", bytes((9, 16, 0, 1)))))
    assert read_picture(tmp_path / "c.png").metadata.icc == icc()  # no profile of ours says what these numbers do


def test_of_many_texts_a_few_are_named(tmp_path: Path) -> None:
    texts = [png_chunk(b"tEXt", b"%d\0text" % number) for number in range(100)]
    own = png_chunk(b"tEXt", b"Software\0A program")
    (tmp_path / "a.png").write_bytes(with_chunks(picture("RGB"), own, *texts))
    with pytest.warns(PictureWarning, match=r"its text \(0, 1, 2, 3, 4, 5, 6, 7, ...\) is not kept"):
        read_picture(tmp_path / "a.png")


def test_keywords_give_no_orders_to_a_terminal(tmp_path: Path) -> None:
    texts = png_chunk(b"tEXt", b"\x1b[2Jgone\0text"), png_chunk(b"tEXt", b"x" * 100_000)
    (tmp_path / "a.png").write_bytes(with_chunks(picture("RGB"), *texts))
    with pytest.warns(PictureWarning, match=r"its text \(\?\[2Jgone, x{79}\) is not kept"):
        read_picture(tmp_path / "a.png")


@pytest.mark.parametrize(("key", "words"), [("depth_images", "depths"), ("aux", "maps")])
def test_what_hangs_from_a_heic_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, words: str) -> None:
    path = tmp_path / "a.heic"
    pillow_heif.from_pillow(Image.fromarray(picture("RGB"))).save(path)
    read_picture(path)
    opened = pillow_heif.open_heif(path)
    opened.info[key] = {"urn:a": [2]}  # as of a telephone's, which nothing here writes
    monkeypatch.setattr(pillow_heif, "open_heif", lambda *_, **__: opened)
    with pytest.warns(PictureWarning, match=f"its {words}.* not kept"), open_picture(path):
        pass


def test_a_profile_that_jpeg_xl_cannot_be_given_is_refused(tmp_path: Path) -> None:
    other = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    first = Picture.from_array(picture("RGB"))
    write_picture(replace(first, metadata=Metadata(icc=icc())), tmp_path / "a.jxl")  # sRGB, which is its own
    with pytest.raises(PictureError, match=r"b\.jxl: .*ICC profile.*use PNG, TIFF or AVIF"):
        write_picture(replace(first, metadata=Metadata(icc=other)), tmp_path / "b.jxl")
    assert not (tmp_path / "b.jxl").exists()


@pytest.mark.parametrize(
    ("name", "primaries", "transfer", "is_srgb"),
    [
        ("sRGB linear", 1, 8, False),
        ("sRGB as it was, of gamma 2.2", 1, 4, False),
        ("sRGB, larger", 12, 13, False),
        ("something", 1, 13, True),
    ],
)
def test_jpeg_xl_takes_a_profile_for_what_it_says_not_for_its_name(
    tmp_path: Path, name: str, primaries: int, transfer: int, is_srgb: bool
) -> None:
    for mode, points in (("RGB", PRIMARIES[primaries][1]), ("L", None)):
        made = profile(name, points, CURVES[transfer][1])
        first = replace(Picture.from_array(picture(mode)), metadata=Metadata(icc=made))
        if is_srgb or (mode, transfer) == ("L", 13):
            write_picture(first, tmp_path / "a.jxl", overwrite=True)
            np.testing.assert_array_equal(read_picture(tmp_path / "a.jxl").to_array(), picture(mode))
            continue
        with pytest.raises(PictureError, match=rf"b\.jxl: .*ICC profile \({name}\)"):
            write_picture(first, tmp_path / "b.jxl")


@pytest.mark.parametrize("suffix", WRITTEN)
def test_orientation_is_kept_and_pixels_are_not_turned(tmp_path: Path, suffix: str) -> None:
    for turned in range(1, 9):
        metadata = Metadata(exif=stream_of("<", {}) if turned == 1 else with_orientation(None, turned))
        write_picture(replace(Picture.from_array(picture("RGB")), metadata=metadata), tmp_path / f"a{suffix}", True)
        again = read_picture(tmp_path / f"a{suffix}")
        assert (again.height, again.width) == (40, 56)
        assert orientation(again.metadata) == turned
        assert np.abs(again.colour.astype(int) - picture("RGB")).max() < 12


def test_tags_that_point_beyond_the_file_are_no_news_for_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    unraisable: list[object] = []  # what callbacks raise would be printed
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    for name, options in (("vips", {}), ("tifffile", {"compression": "zstd"})):
        path = tmp_path / f"{name}.tif"
        tifffile.imwrite(path, picture("RGB"), photometric="rgb", bigtiff=True, **options)  # type: ignore[arg-type]
        content = bytearray(path.read_bytes())
        with tifffile.TiffFile(path) as file:
            at = file.pages.first.tags[273].offset
        content[at + 12 : at + 20] = struct.pack("<Q", 1 << 62)
        path.write_bytes(content)
        with pytest.raises(PictureError, match=rf"{name}\.tif: .*damaged"):
            read_picture(path)
    assert not capfd.readouterr().err
    assert not unraisable
