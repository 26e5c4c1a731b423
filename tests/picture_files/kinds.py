"""Pictures of every kind, made by other programs' code: what the table of docs/pictures-table.md is about."""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pillow_heif
import pyvips
import tifffile
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms

Samples = NDArray[Any]
HEIGHT, WIDTH = 40, 56
CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>caf\xc3\xa9</x:xmpmeta>"
ORIENTATION, PER_INCH = 6, 300


@dataclass(frozen=True)
class Kind:
    """made: writes the file at a path.  truth: its samples, (H, W) or (H, W, C), as another decoder or the arithmetic
    of its format has them, or None where none are to be expected.  near: by how many levels of 255 what is read may
    differ.  metadata: what the file has of ICC, EXIF, XMP, orientation, resolution.
    """

    suffix: str
    maker: str
    holds: str
    made: Callable[[Path], object]
    truth: Samples | None = None
    near: float = 0
    metadata: frozenset[str] = frozenset()


def picture(mode: str, depth: int = 8) -> Samples:
    """Soft waves, (H, W) or (H, W, C)."""
    y, x, c = np.ogrid[:HEIGHT, :WIDTH, : CHANNELS[mode]]
    waves = 0.5 + 0.35 * np.sin(y / 9 + c) * np.cos(x / 7 - c)
    samples: Samples = (waves * ((1 << depth) - 1)).astype(np.uint8 if depth == 8 else np.uint16)
    return samples[:, :, 0] if mode == "L" else samples


def muted(depth: int) -> Samples:
    """RGB within what CMYK and Lab can say."""
    samples = picture("RGB", depth)
    gray = samples.mean(axis=2, keepdims=True)
    soft: Samples = np.rint(gray + 0.2 * (samples - gray)).astype(samples.dtype)
    return soft


def icc() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif(resolution: bool = False) -> Image.Exif:
    tags = Image.Exif()
    tags[ExifTags.Base.Orientation] = ORIENTATION
    tags[ExifTags.Base.Make] = "A camera maker"
    tags.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2026:01:02 03:04:05"
    if resolution:
        tags[ExifTags.Base.XResolution] = tags[ExifTags.Base.YResolution] = PER_INCH
        tags[ExifTags.Base.ResolutionUnit] = 2
    return tags


def png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def raw_png(depth: int, colour: int, rows: bytes, *chunks: bytes) -> bytes:
    """rows: packed samples, each row led by a zero."""
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, colour, 0, 0, 0)
    parts = (png_chunk(b"IHDR", header), *chunks, png_chunk(b"IDAT", zlib.compress(rows)), png_chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def with_chunks(samples: Samples, *chunks: bytes) -> bytes:
    """A PNG of Pillow's or imagecodecs' with chunks behind its header."""
    data = bytes(imagecodecs.png_encode(samples))
    return data[:33] + b"".join(chunks) + data[33:]


def packed(levels: Samples, bits: int) -> bytes:
    """Rows of samples of 1, 2 or 4 bits, each led by a zero."""
    per_byte = 8 // bits
    padded = np.pad(levels, ((0, 0), (0, -levels.shape[1] % per_byte))).astype(np.uint8)
    groups = padded.reshape(len(padded), -1, per_byte)
    shifts = np.arange(per_byte - 1, -1, -1, dtype=np.uint8) * np.uint8(bits)
    data = np.bitwise_or.reduce(groups << shifts, axis=2).astype(np.uint8)
    return b"".join(b"\0" + row.tobytes() for row in data)


ALL = frozenset(("ICC", "EXIF", "XMP", "orientation"))


def saved(samples: Samples, name: str, mode: str | None = None, **options: Any) -> Callable[[Path], object]:
    """By Pillow, in a mode of its."""
    image = Image.fromarray(samples)
    return lambda path: (image if mode is None else image.convert(mode)).save(path, name, **options)


def content(data: bytes | bytearray) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data)


def tiff(samples: Samples, **options: Any) -> Callable[[Path], object]:
    """By tifffile."""
    return lambda path: tifffile.imwrite(path, samples, **options)


def as_pillow_sees(
    samples: Samples, name: str, mode: str | None = None, out: str | None = None, **options: Any
) -> Samples:
    """What Pillow decodes of what it has coded."""
    buffer = BytesIO()
    image = Image.fromarray(samples)
    (image if mode is None else image.convert(mode)).save(buffer, name, **options)
    with Image.open(buffer) as again:
        return np.array(again if out is None else again.convert(out))


def png_kinds() -> list[Kind]:
    kinds = []
    for mode in CHANNELS:
        kinds.append(Kind(".png", "Pillow", f"{mode}, 8 bits", saved(picture(mode), "PNG"), picture(mode)))
    for mode in CHANNELS:
        deep = picture(mode, 16)
        kinds.append(Kind(".png", "imagecodecs", f"{mode}, 16 bits", content(imagecodecs.png_encode(deep)), deep))
    gray, rgb, deep = picture("L"), picture("RGB"), picture("RGB", 16)
    for bits in (1, 2, 4):
        levels = gray >> (8 - bits)
        rows = packed(levels, bits)
        truth = levels * np.uint8(255 // ((1 << bits) - 1))
        kinds.append(Kind(".png", "bytes", f"L, {bits} bit", content(raw_png(bits, 0, rows)), truth))
    kinds.append(Kind(".png", "Pillow", "palette", saved(rgb, "PNG", "P"), as_pillow_sees(rgb, "PNG", "P", "RGB")))
    kinds.append(
        Kind(
            ".png",
            "Pillow",
            "palette, an entry transparent",
            saved(rgb, "PNG", "P", transparency=66),
            as_pillow_sees(rgb, "PNG", "P", "RGBA", transparency=66),
        )
    )
    key = int(gray[3, 3])
    keyed = np.dstack([gray, np.where(gray == key, 0, 255).astype(np.uint8)])
    kinds.append(Kind(".png", "Pillow", "L, a level transparent", saved(gray, "PNG", transparency=key), keyed))
    colour = tuple(deep[3, 3].tolist())
    clear = np.where((deep == deep[3, 3]).all(axis=2), 0, 65535).astype(np.uint16)
    data = with_chunks(deep, png_chunk(b"tRNS", struct.pack(">HHH", *colour)))
    kinds.append(
        Kind(".png", "imagecodecs", "RGB, 16 bits, a colour transparent", content(data), np.dstack([deep, clear]))
    )
    interlaced = pyvips.Image.new_from_array(deep, interpretation="rgb16").pngsave_buffer(interlace=True, bitdepth=16)
    kinds.append(Kind(".png", "libvips", "RGB, 16 bits, interlaced", content(interlaced), deep))
    info = {"icc_profile": icc(), "exif": exif()}
    made = BytesIO()
    Image.fromarray(rgb).save(made, "PNG", **info)
    xmp = png_chunk(b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + XMP)
    data = made.getvalue()
    kinds.append(Kind(".png", "Pillow", "RGB, 8 bits", content(data[:33] + xmp + data[33:]), rgb, metadata=ALL))
    chunks = (
        png_chunk(b"iCCP", b"x\0\0" + zlib.compress(icc())),
        png_chunk(b"eXIf", exif(True).tobytes().removeprefix(b"Exif\0\0")),
        png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(XMP)),
    )
    data = with_chunks(deep, *chunks)
    everything = ALL | {"resolution"}
    kinds.append(Kind(".png", "imagecodecs, bytes", "RGB, 16 bits", content(data), deep, metadata=everything))
    resolution = frozenset(("resolution",))
    kinds.append(Kind(".png", "Pillow", "RGB, 8 bits", saved(rgb, "PNG", dpi=(300, 300)), rgb, metadata=resolution))
    old = b"\nexif\n%8d\n" % len(exif().tobytes()) + exif().tobytes().hex().encode()
    data = with_chunks(rgb, png_chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(old)))
    said = frozenset(("EXIF", "orientation"))
    kinds.append(Kind(".png", "bytes", "RGB, EXIF in ImageMagick's old way", content(data), rgb, metadata=said))
    text, hdr = png_chunk(b"tEXt", b"parameters\0A castle"), png_chunk(b"cICP", bytes((9, 16, 0, 1)))
    author = png_chunk(b"tEXt", b"Author\0Somebody")
    kinds.append(Kind(".png", "bytes", "RGB, with text", content(with_chunks(rgb, author, text)), rgb))
    kinds.append(Kind(".png", "bytes", "RGB, BT.2020 and PQ (cICP)", content(with_chunks(rgb, hdr)), rgb))
    profile = frozenset(("ICC",))  # one that says the same
    wide = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
    named: tuple[tuple[str, tuple[bytes, ...]], ...] = (
        ("RGB, linear (gAMA)", (png_chunk(b"gAMA", (100_000).to_bytes(4)),)),
        (
            "RGB, gamma 1.8 and wide colours (gAMA, cHRM)",
            (png_chunk(b"gAMA", (55_556).to_bytes(4)), png_chunk(b"cHRM", wide)),
        ),
        ("RGB, Display P3 (cICP)", (png_chunk(b"cICP", bytes((12, 13, 0, 1))),)),
    )
    for words, parts in named:
        kinds.append(Kind(".png", "bytes", words, content(with_chunks(rgb, *parts)), rgb, metadata=profile))
    same = png_chunk(b"gAMA", (45_455).to_bytes(4))
    kinds.append(Kind(".png", "bytes", "RGB, gamma as of sRGB", content(with_chunks(rgb, same)), rgb))
    frames = [Image.fromarray(rgb)]
    kinds.append(Kind(".png", "Pillow", "animation", saved(255 - rgb, "PNG", save_all=True, append_images=frames)))
    return kinds


def jpeg_kinds() -> list[Kind]:
    rgb, kinds = picture("RGB"), []
    for mode in ("L", "RGB"):
        truth = as_pillow_sees(picture(mode), "JPEG", quality=90)
        kinds.append(
            Kind(
                ".jpg",
                "Pillow",
                f"{mode}, 4:2:0" if mode == "RGB" else mode,
                saved(picture(mode), "JPEG", quality=90),
                truth,
            )
        )
    for words, options in (
        ("RGB, 4:4:4", {"subsampling": "4:4:4"}),
        ("RGB, 4:2:2, progressive", {"subsampling": "4:2:2", "progressive": True}),
        ("RGB, restart markers", {"restart_marker_rows": 1}),
    ):
        kinds.append(
            Kind(".jpg", "Pillow", words, saved(rgb, "JPEG", **options), as_pillow_sees(rgb, "JPEG", **options))
        )
    kinds.append(Kind(".jpg", "Pillow", "CMYK", saved(rgb, "JPEG", "CMYK", quality=95), rgb, near=4))
    vips = pyvips.Image.new_from_array(muted(8), interpretation="srgb")
    cmyk = vips.icc_transform("cmyk", input_profile="srgb")
    kinds.append(
        Kind(".jpg", "libvips", "CMYK with its profile", content(cmyk.jpegsave_buffer(Q=97)), muted(8), near=9)
    )
    every: dict[str, Any] = {"exif": exif(), "icc_profile": icc(), "xmp": XMP}
    kinds.append(Kind(".jpg", "Pillow", "RGB", saved(rgb, "JPEG", **every), as_pillow_sees(rgb, "JPEG"), metadata=ALL))
    resolution = frozenset(("resolution",))
    kinds.append(
        Kind(
            ".jpg",
            "Pillow",
            "RGB, resolution in JFIF",
            saved(rgb, "JPEG", dpi=(300, 300)),
            as_pillow_sees(rgb, "JPEG"),
            metadata=resolution,
        )
    )
    kinds.append(
        Kind(".jpg", "Pillow", "RGB, a comment", saved(rgb, "JPEG", comment="words"), as_pillow_sees(rgb, "JPEG"))
    )
    second: dict[str, Any] = {"save_all": True, "append_images": [Image.fromarray(255 - rgb)]}
    kinds.append(
        Kind(".jpg", "Pillow", "RGB, two pictures (MPO)", saved(rgb, "MPO", **second), as_pillow_sees(rgb, "JPEG"))
    )
    deep = np.ascontiguousarray(picture("L", 16) >> 4)
    kinds.append(Kind(".jpg", "imagecodecs", "L, 12 bits", content(imagecodecs.jpeg8_encode(deep, bitspersample=12))))
    return kinds


def tiff_kinds() -> list[Kind]:
    rgb, deep = picture("RGB"), picture("RGB", 16)
    kinds = []
    for depth in (8, 16):
        for mode, channels in CHANNELS.items():
            options: dict[str, Any] = {"photometric": "rgb" if channels > 2 else "minisblack"}
            if mode != "L":
                options["planarconfig"] = "contig"
            if mode.endswith("A"):
                options["extrasamples"] = ["unassalpha"]
            samples = picture(mode, depth)
            kinds.append(Kind(".tif", "tifffile", f"{mode}, {depth} bits", tiff(samples, **options), samples))
    for words, options in (
        ("RGB, 16 bits, tiles, deflate, differences", {"tile": (16, 16), "compression": "deflate", "predictor": True}),
        ("RGB, 16 bits, big-endian, LZW", {"byteorder": ">", "compression": "lzw", "rowsperstrip": 7}),
        ("RGB, 16 bits, BigTIFF, PackBits", {"bigtiff": True, "compression": "packbits"}),
        ("RGB, 16 bits, Zstandard", {"compression": "zstd", "byteorder": ">", "predictor": True}),
        ("RGB, 16 bits, LZMA", {"compression": "lzma"}),
    ):
        kinds.append(Kind(".tif", "tifffile", words, tiff(deep, photometric="rgb", **options), deep))
    jpeg2000 = tiff(deep, photometric="rgb", compression="jpeg2000")
    kinds.append(Kind(".tif", "tifffile", "RGB, 16 bits, JPEG 2000 within", jpeg2000))
    webp = tiff(rgb, photometric="rgb", compression="webp", compressionargs={"lossless": True})
    kinds.append(Kind(".tif", "tifffile", "RGB, WebP within", webp))
    planes = np.ascontiguousarray(np.moveaxis(deep, 2, 0))
    kinds.append(
        Kind(".tif", "tifffile", "RGB, 16 bits, planar", tiff(planes, photometric="rgb", planarconfig="separate"), deep)
    )
    tiles = tiff(planes, photometric="rgb", planarconfig="separate", tile=(16, 16), compression="deflate")
    kinds.append(Kind(".tif", "tifffile", "RGB, 16 bits, planar in tiles", tiles, deep))
    coded = pyvips.Image.new_from_array(rgb, interpretation="srgb").tiffsave_buffer(compression="jpeg", Q=95)
    with tifffile.TiffFile(BytesIO(coded)) as file:
        kinds.append(Kind(".tif", "libvips", "RGB, JPEG within", content(coded), file.asarray(), near=1))
    return kinds


def tiff_kinds_of_other_colours() -> list[Kind]:
    rgb, gray, deep = picture("RGB"), picture("L"), picture("RGB", 16)
    kinds = []
    kinds.append(Kind(".tif", "tifffile", "L, white is 0", tiff(gray, photometric="miniswhite"), 255 - gray))
    bilevel = as_pillow_sees(gray, "TIFF", "1", "L")
    kinds.append(Kind(".tif", "Pillow", "1 bit, CCITT fax", saved(gray, "TIFF", "1", compression="group4"), bilevel))
    kinds.append(Kind(".tif", "Pillow", "palette", saved(rgb, "TIFF", "P"), as_pillow_sees(rgb, "TIFF", "P", "RGB")))
    grays = np.dstack([as_pillow_sees(gray, "TIFF")] * 3)
    kinds.append(Kind(".tif", "Pillow", "palette of grays", saved(gray, "TIFF", "P"), grays))
    alpha = picture("RGBA")
    alpha[..., 3] |= 128
    multiplied = (alpha[..., :3] * (alpha[..., 3:] / 255)).round().astype(np.uint8)
    associated = np.dstack([multiplied, alpha[..., 3]])
    kinds.append(
        Kind(
            ".tif",
            "tifffile",
            "RGBA, colours times alpha",
            tiff(associated, photometric="rgb", extrasamples=["assocalpha"]),
            alpha,
            near=2,
        )
    )
    kinds.append(
        Kind(
            ".tif",
            "tifffile",
            "RGB and a channel of no meaning",
            tiff(alpha, photometric="rgb", extrasamples=["unspecified"]),
            alpha[..., :3],
        )
    )
    kinds.append(Kind(".tif", "Pillow", "CMYK", saved(rgb, "TIFF", "CMYK"), rgb, near=2))
    vips = pyvips.Image.new_from_array(muted(16), interpretation="rgb16")
    cmyk = vips.icc_transform("cmyk", input_profile="srgb", depth=16).tiffsave_buffer()
    kinds.append(Kind(".tif", "libvips", "CMYK, 16 bits, with its profile", content(cmyk), muted(16), near=9))
    lab = ImageCms.profileToProfile(
        Image.fromarray(muted(8)), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert lab is not None
    kinds.append(Kind(".tif", "Pillow", "Lab, 8 bits", lab.save, muted(8), near=6))
    labs = vips.colourspace("lab").colourspace("labs").tiffsave_buffer()
    kinds.append(Kind(".tif", "libvips", "Lab, 16 bits", content(labs), muted(16), near=1))
    kinds.append(Kind(".tif", "Pillow", "YCbCr", saved(rgb, "TIFF", "YCbCr"), rgb, near=3))
    kinds.append(Kind(".tif", "tifffile", "L, 32-bit floats", tiff(gray / np.float32(255))))
    kinds.append(Kind(".tif", "tifffile", "L, 32-bit integers", tiff(gray.astype(np.uint32))))
    kinds.append(Kind(".tif", "tifffile", "two pages", tiff(np.stack([gray, gray]), photometric="minisblack")))
    kinds.append(Kind(".tif", "tifffile", "RGB and a thumbnail", lambda path: _with_thumbnail(path, rgb), rgb))
    kinds.append(
        Kind(".tif", "tifffile", "RGB, a thumbnail first", lambda path: _with_thumbnail(path, rgb, first=True))
    )
    kinds.append(Kind(".tif", "tifffile", "RGB, a smaller version within", lambda path: _with_subifd(path, rgb), rgb))
    of_photoshop = [(tag, "B", 6, b"layers", True) for tag in (34377, 37724)]
    layers = tiff(rgb, photometric="rgb", extratags=of_photoshop)
    kinds.append(Kind(".tif", "tifffile", "RGB, layers and resources of Photoshop", layers, rgb))
    tags = Image.Exif()
    tags.load(exif(True).tobytes())
    tags[700] = XMP
    everything = ALL | {"resolution"}
    kinds.append(
        Kind(".tif", "Pillow", "RGB", saved(rgb, "TIFF", exif=tags, icc_profile=icc()), rgb, metadata=everything)
    )
    resolution = frozenset(("resolution",))
    dots = tiff(deep, photometric="rgb", resolution=(300, 300), resolutionunit="INCH")
    kinds.append(Kind(".tif", "tifffile", "RGB, 16 bits", dots, deep, metadata=resolution))
    return kinds


def _with_thumbnail(path: Path, rgb: Samples, first: bool = False) -> None:
    small = np.ascontiguousarray(rgb[::4, ::4])
    pages = [(small, 1), (rgb, 0)] if first else [(rgb, 0), (small, 1)]
    with tifffile.TiffWriter(path) as writer:
        for samples, kind in pages:
            writer.write(samples, photometric="rgb", subfiletype=kind)


def _with_subifd(path: Path, rgb: Samples) -> None:
    with tifffile.TiffWriter(path) as writer:
        writer.write(rgb, photometric="rgb", subifds=1)
        writer.write(np.ascontiguousarray(rgb[::4, ::4]), photometric="rgb", subfiletype=1)


def modern_kinds() -> list[Kind]:
    """WebP, AVIF, JPEG XL, HEIC."""
    rgb, rgba, kinds = picture("RGB"), picture("RGBA"), []
    every: dict[str, Any] = {"exif": exif(), "icc_profile": icc(), "xmp": XMP}
    frames: dict[str, Any] = {"save_all": True, "append_images": [Image.fromarray(255 - rgb)]}
    kinds.append(Kind(".webp", "Pillow", "RGB, lossless", saved(rgb, "WEBP", lossless=True), rgb))
    kinds.append(Kind(".webp", "Pillow", "RGBA, lossless", saved(rgba, "WEBP", lossless=True, exact=True), rgba))
    kinds.append(Kind(".webp", "Pillow", "RGB, lossy", saved(rgb, "WEBP"), as_pillow_sees(rgb, "WEBP")))
    kinds.append(
        Kind(".webp", "Pillow", "RGB, lossless", saved(rgb, "WEBP", lossless=True, **every), rgb, metadata=ALL)
    )
    kinds.append(Kind(".webp", "Pillow", "animation", saved(rgb, "WEBP", **frames)))
    for mode in ("L", "RGB", "RGBA"):
        truth = as_pillow_sees(picture(mode), "AVIF", quality=90)
        kinds.append(Kind(".avif", "Pillow", f"{mode}, 8 bits", saved(picture(mode), "AVIF", quality=90), truth))
    for bits in (10, 12):
        deep = picture("RGB", 16)
        data = imagecodecs.avif_encode(deep >> (16 - bits), level=95, bitspersample=bits, pixelformat="444")
        kinds.append(Kind(".avif", "imagecodecs", f"RGB, {bits} bits", content(data), deep, near=3))
    kinds.append(
        Kind(".avif", "Pillow", "RGB, 8 bits", saved(rgb, "AVIF", **every), as_pillow_sees(rgb, "AVIF"), metadata=ALL)
    )
    kinds.append(Kind(".avif", "Pillow", "animation", saved(rgb, "AVIF", **frames)))
    for words, numbers, said in (
        ("RGB, Display P3 by numbers", (12, 13), frozenset(("ICC",))),
        ("RGB, BT.2020 and PQ by numbers", (9, 16), frozenset[str]()),
    ):
        data = imagecodecs.avif_encode(rgb, level=95, primaries=numbers[0], transfer=numbers[1], pixelformat="444")
        kinds.append(Kind(".avif", "imagecodecs", words, content(data), rgb, near=6, metadata=said))
    for mode in CHANNELS:
        data = imagecodecs.jpegxl_encode(picture(mode), lossless=True)
        kinds.append(Kind(".jxl", "imagecodecs", f"{mode}, 8 bits, lossless", content(data), picture(mode)))
    two = imagecodecs.jpegxl_encode(np.stack([rgb, rgb]), lossless=True, photometric="rgb")
    kinds.append(Kind(".jxl", "imagecodecs", "animation", content(two)))
    lossy = imagecodecs.jpegxl_encode(rgb, distance=1)
    kinds.append(Kind(".jxl", "imagecodecs", "RGB, lossy", content(lossy), imagecodecs.jpegxl_decode(lossy)))
    coded = BytesIO()
    Image.fromarray(rgb).save(coded, "JPEG", quality=90)
    data = imagecodecs.jpegxl_encode_jpeg(coded.getvalue())
    kinds.append(
        Kind(".jxl", "imagecodecs", "a JPEG recoded", content(data), as_pillow_sees(rgb, "JPEG", quality=90), near=3)
    )
    for bits in (10, 12, 16):
        levels = picture("RGB", 16) >> (16 - bits)
        data = imagecodecs.jpegxl_encode(levels, lossless=True, bitspersample=bits)
        full = np.rint(levels * (65535 / ((1 << bits) - 1))).astype(np.uint16)
        kinds.append(
            Kind(".jxl", "imagecodecs", f"RGB, {bits} bits, linear", content(data), full, metadata=frozenset(("ICC",)))
        )
    boxes = b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl \0\0\0\0jxl "
    tiff_stream = exif().tobytes().removeprefix(b"Exif\0\0")
    bare = bytes(imagecodecs.jpegxl_encode(rgb, lossless=True, usecontainer=False))
    for name, part in ((b"Exif", bytes(4) + tiff_stream), (b"xml ", XMP), (b"jxlc", bare)):
        boxes += (len(part) + 8).to_bytes(4) + name + part
    said = frozenset(("EXIF", "XMP"))
    kinds.append(
        Kind(
            ".jxl",
            "imagecodecs, bytes",
            "RGB, EXIF that is wrong about its orientation",
            content(boxes),
            rgb,
            metadata=said,
        )
    )
    kinds.append(Kind(".jxl", "imagecodecs", "RGB, floats", content(imagecodecs.jpegxl_encode(rgb / np.float32(255)))))
    for mode in ("L", "RGB", "RGBA"):
        kinds.append(Kind(".heic", "pillow-heif", f"{mode}, 8 bits", _heic(mode, picture(mode)), picture(mode), near=4))
    kinds.append(
        Kind(".heic", "pillow-heif", "RGB, 10 bits", _heic("RGB;16", picture("RGB", 16)), picture("RGB", 16), near=4)
    )
    # Its orientation is one of the container, which the decoder applies: clockwise by 90 degrees.
    turned = np.ascontiguousarray(np.rot90(rgb, -1))
    kinds.append(
        Kind(
            ".heic",
            "pillow-heif",
            "RGB, 8 bits, turned",
            _heic("RGB", rgb, **{**every, "exif": exif().tobytes()}),
            turned,
            near=4,
            metadata=ALL - {"orientation"},
        )
    )
    kinds.append(Kind(".heic", "pillow-heif", "two pictures", _heic("RGB", rgb, rgb)))
    return kinds


def _heic(
    mode: str, *pictures: Samples, exif: bytes | None = None, icc_profile: bytes | None = None, xmp: bytes | None = None
) -> Callable[[Path], object]:
    def made(path: Path) -> None:
        file = pillow_heif.HeifFile()  # type: ignore[no-untyped-call]
        for samples in pictures:
            added = file.add_frombytes(mode, (WIDTH, HEIGHT), samples.tobytes())
            added.info.update(
                {key: value for key, value in (("exif", exif), ("icc_profile", icc_profile), ("xmp", xmp)) if value}
            )
        file.save(path, quality=-1, chroma=444)

    return made


def plain_kinds() -> list[Kind]:
    """PNM, BMP, GIF, JPEG 2000, QOI."""
    rgb, gray, deep, kinds = picture("RGB"), picture("L"), picture("RGB", 16), []
    size = f"{WIDTH} {HEIGHT}".encode()
    kinds.append(Kind(".ppm", "bytes", "P6, RGB, 8 bits", content(b"P6 " + size + b" 255\n" + rgb.tobytes()), rgb))
    kinds.append(
        Kind(
            ".ppm",
            "bytes",
            "P6, RGB, 16 bits",
            content(b"P6 " + size + b" 65535\n" + deep.astype(">u2").tobytes()),
            deep,
        )
    )
    kinds.append(
        Kind(".pgm", "bytes", "P5, L, 8 bits", content(b"P5\n# words\n" + size + b"\n255\n" + gray.tobytes()), gray)
    )
    twelve = picture("L", 16) >> 4
    full = np.rint(twelve * (65535 / 4095)).astype(np.uint16)
    kinds.append(
        Kind(
            ".pgm",
            "bytes",
            "P5, L, up to 4095",
            content(b"P5 " + size + b" 4095\n" + twelve.astype(">u2").tobytes()),
            full,
        )
    )
    bits = gray > 128
    rows = np.packbits(~bits, axis=1).tobytes()
    kinds.append(Kind(".pbm", "bytes", "P4, 1 bit", content(b"P4 " + size + b"\n" + rows), bits * np.uint8(255)))
    words = " ".join(map(str, rgb.reshape(-1).tolist())).encode()
    kinds.append(Kind(".ppm", "bytes", "P3, RGB in words", content(b"P3 " + size + b" 255\n" + words), rgb))
    two = 2 * (b"P6 " + size + b" 255\n" + rgb.tobytes())
    kinds.append(Kind(".ppm", "bytes", "P6, two pictures", content(two)))
    kinds.append(Kind(".bmp", "Pillow", "RGB", saved(rgb, "BMP"), rgb))
    kinds.append(Kind(".bmp", "Pillow", "palette", saved(rgb, "BMP", "P"), as_pillow_sees(rgb, "BMP", "P", "RGB")))
    kinds.append(Kind(".gif", "Pillow", "palette", saved(rgb, "GIF", "P"), as_pillow_sees(rgb, "GIF", "P", "RGB")))
    kinds.append(
        Kind(
            ".gif",
            "Pillow",
            "palette, an entry transparent",
            saved(rgb, "GIF", "P", transparency=66),
            as_pillow_sees(rgb, "GIF", "P", "RGBA", transparency=66),
        )
    )
    kinds.append(
        Kind(
            ".gif",
            "Pillow",
            "palette, a comment",
            saved(rgb, "GIF", "P", comment=b"words"),
            as_pillow_sees(rgb, "GIF", "P", "RGB"),
        )
    )
    frames: dict[str, Any] = {"save_all": True, "append_images": [Image.fromarray(255 - rgb)]}
    kinds.append(Kind(".gif", "Pillow", "animation", saved(rgb, "GIF", **frames)))
    for mode in ("L", "RGB", "RGBA"):
        kinds.append(
            Kind(".jp2", "Pillow", f"{mode}, 8 bits, lossless", saved(picture(mode), "JPEG2000"), picture(mode))
        )
    coded = BytesIO()
    Image.fromarray(rgb).save(coded, "JPEG2000")
    everything = content(with_jp2_metadata(coded.getvalue()))
    kinds.append(Kind(".jp2", "Pillow, bytes", "RGB, 8 bits, lossless", everything, rgb, metadata=ALL))
    dots = frozenset(("resolution",))
    kinds.append(Kind(".bmp", "Pillow", "RGB", saved(rgb, "BMP", dpi=(300, 300)), rgb, metadata=dots))
    for mode, depth in (("L", 16), ("RGB", 16), ("RGB", 12)):
        levels = picture(mode, 16) >> (16 - depth)
        data = imagecodecs.jpeg2k_encode(levels, level=0, bitspersample=depth)
        full = np.rint(levels * (65535 / ((1 << depth) - 1))).astype(np.uint16)
        kinds.append(Kind(".jp2", "imagecodecs", f"{mode}, {depth} bits, lossless", content(data), full))
    for mode in ("RGB", "RGBA"):
        kinds.append(Kind(".qoi", "imagecodecs", mode, content(imagecodecs.qoi_encode(picture(mode))), picture(mode)))
    return kinds


def with_jp2_metadata(data: bytes) -> bytes:
    """A JP2 file with an ICC profile instead of the name of its colours, EXIF and XMP."""

    def box(name: bytes, part: bytes) -> bytes:
        return (len(part) + 8).to_bytes(4) + name + part

    named = data.index(b"colr") - 4
    length = int.from_bytes(data[named : named + 4])
    profile = box(b"colr", b"\x02\0\0" + icc())
    outer = data.index(b"jp2h") - 4
    size = int.from_bytes(data[outer : outer + 4]) + len(profile) - length
    start = data[:outer] + size.to_bytes(4) + data[outer + 4 : named] + profile
    exif_box = box(b"uuid", b"JpgTiffExif->JP2" + exif().tobytes().removeprefix(b"Exif\0\0"))
    xmp_box = box(b"uuid", bytes.fromhex("be7acfcb97a942e89c71999491e3afac") + XMP)
    after = data.index(b"jp2c") - 4
    return start + data[named + length : after] + exif_box + xmp_box + data[after:]


def all_kinds() -> list[Kind]:
    return [*png_kinds(), *jpeg_kinds(), *tiff_kinds(), *tiff_kinds_of_other_colours(), *modern_kinds(), *plain_kinds()]
