"""Reading and writing users' pictures, 8 bits a sample, with the metadata that travels with them.

Pixels stay as they are stored: a picture that carries an EXIF orientation is not turned, the tag survives instead.
What cannot be kept is refused with a PictureError or, where nothing visible is lost, said by a PictureWarning.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageFile, PngImagePlugin, TiffImagePlugin, UnidentifiedImageError

from bbmr.atomic import replacing
from bbmr.errors import BbmrError
from bbmr.picture import Metadata, Picture
from bbmr.pillow_limit import no_pillow_limit

MAX_PIXELS = 1 << 27
"""Pixels that a picture may have unless the caller allows more: 134 million, 400 MB of RGB samples."""

_COMMON_SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff", ".webp", ".avif")
_OTHER_SUFFIXES = (".bmp", ".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".qoi")
READ_SUFFIXES = frozenset((*_COMMON_SUFFIXES, *_OTHER_SUFFIXES))
"""Names that pictures end in; a folder is searched for these (what a file is, its first bytes say)."""

WRITE_FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
    ".avif": "AVIF",
}
"""Suffix of an output file -> format, by Pillow's name."""

# Named one by one: Pillow would also try formats that start other programs (EPS) or match almost any bytes (TGA).
_READ_FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "AVIF", "BMP", "GIF", "PPM", "JPEG2000", "QOI")
_SIGNATURES = (b"\x89PNG", b"\xff\xd8\xff", b"II*\x00", b"MM\x00*", b"GIF8", b"BM", b"qoif")
_CONVERTED = {
    "1": "L",
    "La": "LA",
    "P": "RGB",
    "PA": "RGBA",
    "RGBa": "RGBA",
    "RGBX": "RGB",
    "CMYK": "RGB",
    "YCbCr": "RGB",
    "LAB": "RGB",
    "HSV": "RGB",
}
_EXIF_PREFIX = b"Exif\x00\x00"
_XMP_TIFF_TAG = 700
# Of a TIFF's tags those that describe the photograph rather than the file's layout.
_EXIF_TIFF_TAGS = frozenset(
    (
        ExifTags.Base.ImageDescription,
        ExifTags.Base.Make,
        ExifTags.Base.Model,
        ExifTags.Base.Orientation,
        ExifTags.Base.XResolution,
        ExifTags.Base.YResolution,
        ExifTags.Base.ResolutionUnit,
        ExifTags.Base.Software,
        ExifTags.Base.DateTime,
        ExifTags.Base.Artist,
        ExifTags.Base.WhitePoint,
        ExifTags.Base.PrimaryChromaticities,
        ExifTags.Base.Copyright,
        ExifTags.Base.ExifOffset,
        ExifTags.Base.GPSInfo,
    )
)
# What turns a picture back that Pillow has set upright; orientations 6 and 8 are each other's inverse.
_UNDO_ORIENTATION = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


class PictureError(BbmrError):
    """A file cannot be read as a picture, or a picture not be written as asked."""


class PictureWarning(UserWarning):
    """A picture was read or written in another mode than its own, or without a part that its format cannot hold."""


def read_picture(path: str | PathLike[str], max_pixels: int = MAX_PIXELS) -> Picture:
    """Read a still picture of 8 bits a sample, in its size and mode (L, LA, RGB or RGBA), pixels as stored.

    Metadata: EXIF as the bytes of its TIFF stream (starting with II or MM), ICC profile and XMP as stored.
    Other modes (palette, 1 bit, CMYK, YCbCr, LAB) become L, LA, RGB or RGBA, with a PictureWarning; CMYK by its own
    profile.  Raises PictureError if the file is missing, unreadable, damaged or no picture, has more than `max_pixels`
    pixels, several frames or pages (of a camera's multi-picture JPEG the first is read, with a warning), or more than
    8 bits a sample.
    """
    path = Path(path)
    with _opened(path) as file:
        try:
            with no_pillow_limit(), Image.open(file, formats=_READ_FORMATS) as image:
                _check_supported(path, image, file, max_pixels)
                exif = _exif(image)
                image.load()
                converted, icc = _to_known_mode(path, _as_stored(image, exif))
                return replace(
                    Picture.from_array(np.array(converted)), metadata=Metadata(icc=icc, exif=exif, xmp=_xmp(image))
                )
        except PictureError:
            raise
        except UnidentifiedImageError as error:
            raise PictureError(_unknown(path, file)) from error
        except MemoryError as error:
            raise PictureError(f"{path}: the picture does not fit into memory") from error
        except Exception as error:  # Pillow's decoders raise nearly anything on damaged files
            raise PictureError(f"{path}: the picture is damaged or truncated ({error}); get a new copy") from error


def write_picture(picture: Picture, path: str | PathLike[str], overwrite: bool = False, quality: int = 95) -> None:
    """Write `picture` in the format that the suffix of `path` names, whole or not at all, metadata included.

    PNG, TIFF (uncompressed) and WebP (lossless) keep every sample.  JPEG and AVIF are lossy: `quality` 1 to 100, chroma
    at full resolution (4:4:4).  WebP and AVIF hold gray as RGB, with a PictureWarning.
    Raises PictureError for an unknown suffix, alpha into JPEG and whatever the format cannot hold; OutputError (see
    `bbmr.atomic`) if the file exists and `overwrite` is false, or cannot be written.
    """
    path = Path(path)
    name = check_writable(path, picture.mode)
    if not 1 <= quality <= 100:
        raise PictureError(f"quality {quality} is not between 1 and 100")
    metadata = picture.metadata
    image = Image.fromarray(picture.to_array())
    if name in ("WEBP", "AVIF") and picture.mode in ("L", "LA"):
        image = image.convert(picture.mode.replace("L", "RGB"))
        lost = ""
        if metadata.icc is not None and _profile_space(metadata.icc) == "GRAY":
            metadata = replace(metadata, icc=None)
            lost = " and without its gray colour profile"
        _warn(f"{path}: {name} has no gray pictures; written as {image.mode}{lost}")
    options = _save_options(name, metadata, quality)
    encoded = BytesIO()
    try:
        image.save(encoded, name, **options)
    except Exception as error:  # sides or metadata beyond the format's limits: each encoder has its own way to say so
        raise PictureError(f"{path}: the picture cannot be written as {name} ({error}); try PNG") from error
    with replacing(path, overwrite) as file:
        file.write(encoded.getbuffer())


def check_writable(path: Path, mode: str | None = None) -> str:
    """Pillow's name of the format for `path`; PictureError if it is unknown, or cannot hold pictures of `mode`."""
    name = WRITE_FORMATS.get(path.suffix.lower())
    if name is None:
        known = ", ".join(WRITE_FORMATS)
        raise PictureError(f"{path}: no picture format is known by the suffix '{path.suffix}'; use one of {known}")
    if name == "JPEG" and mode in ("LA", "RGBA"):
        raise PictureError(f"{path}: JPEG cannot hold the picture's transparency; use PNG, TIFF, WebP or AVIF")
    return name


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        file = path.open("rb")
    except FileNotFoundError as error:
        raise PictureError(f"{path}: there is no such file") from error
    except IsADirectoryError as error:
        raise PictureError(f"{path}: this is a folder, not a picture") from error
    except PermissionError as error:
        raise PictureError(f"{path}: you may not read this file") from error
    except (OSError, ValueError) as error:
        raise PictureError(f"{path}: cannot be read ({error})") from error
    with file:
        yield file


def _check_supported(path: Path, image: ImageFile.ImageFile, file: BinaryIO, max_pixels: int) -> None:
    pixels = image.width * image.height
    if pixels > max_pixels:
        raise PictureError(
            f"{path}: {image.width} x {image.height} = {pixels} pixels are more than the {max_pixels} allowed; "
            "if the file is what it should be, raise max_pixels (--max-pixels)"
        )
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format == "MPO":
        _warn(f"{path}: holds {frames} pictures; only the first, the photograph itself, is read")
    elif frames > 1:
        raise PictureError(f"{path}: holds {frames} frames or pages; save the one you want as a picture of its own")
    bits = _bits(image, file)
    if bits > 8:
        raise PictureError(
            f"{path}: has {bits} bits a sample, and so far only 8 are handled; save it with 8 bits a channel first"
        )
    if image.mode not in ("L", "LA", "RGB", "RGBA", *_CONVERTED):
        raise PictureError(f"{path}: pictures of mode {image.mode} are not handled; save it as 8-bit RGB first")


def _bits(image: ImageFile.ImageFile, file: BinaryIO) -> int:
    """Bits a sample in the file: Pillow itself cuts many deeper pictures down to 8 without a word."""
    bits = 8
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        bits = 32 if image.mode == "F" else 16
    elif isinstance(image, TiffImagePlugin.TiffImageFile):
        bits = max(image.tag_v2.get(ExifTags.Base.BitsPerSample, (1,)))
    elif image.format == "PPM":
        arguments = image.tile[0].args  # (raw mode, largest value) where samples are not plain bytes
        if isinstance(arguments, tuple) and any(isinstance(value, int) and value > 255 for value in arguments):
            bits = 16
    elif image.format in ("PNG", "AVIF", "JPEG2000"):
        position = file.tell()
        file.seek(0)
        bits = _header_bits(image.format, file.read(1 << 16))
        file.seek(position)
    return bits


def _header_bits(name: str, head: bytes) -> int:
    if name == "PNG":
        return head[24]  # the IHDR chunk comes first: signature 8, length and name 8, width and height 8
    if name == "AVIF":
        flags = head[head.index(b"av1C") + 6]  # seq_tier_0, high_bitdepth, twelve_bit, ... (AV1-ISOBMFF 2.3.3)
        return 8 if not flags & 0x40 else 12 if flags & 0x20 else 10
    return (head[head.index(b"\xff\x4f\xff\x51") + 42] & 0x7F) + 1  # SIZ marker: Ssiz of the first component


def _exif(image: ImageFile.ImageFile) -> bytes | None:
    if image.format == "TIFF":
        exif = image.getexif()
        for tag in set(exif) - _EXIF_TIFF_TAGS:
            del exif[tag]
        return exif.tobytes().removeprefix(_EXIF_PREFIX) if len(exif) else None
    stored = image.info.get("exif")
    if stored is None and "Raw profile type exif" in image.info:  # ImageMagick's PNGs before the eXIf chunk
        stored = image.getexif().tobytes()
    return stored.removeprefix(_EXIF_PREFIX) or None if stored else None


def _xmp(image: Image.Image) -> bytes | None:
    stored = image.info.get("xmp")
    return (stored.encode() if isinstance(stored, str) else bytes(stored)) if stored else None


def orientation(metadata: Metadata) -> int:
    """EXIF orientation, 1 to 8; 1 (upright) where there is none or the EXIF data are damaged."""
    if metadata.exif is None:
        return 1
    exif = Image.Exif()
    try:
        exif.load(_EXIF_PREFIX + metadata.exif)
        value = exif.get(ExifTags.Base.Orientation, 1)
    except Exception:  # as with pictures, damaged EXIF data raise nearly anything
        return 1
    return value if value in range(1, 9) else 1


def _as_stored(image: ImageFile.ImageFile, exif: bytes | None) -> Image.Image:
    """Pillow sets TIFFs upright on loading, and only those."""
    undo = _UNDO_ORIENTATION.get(orientation(Metadata(exif=exif)))
    return image if image.format != "TIFF" or undo is None else image.transpose(undo)


def _to_known_mode(path: Path, image: Image.Image) -> tuple[Image.Image, bytes | None]:
    """The picture as L, LA, RGB or RGBA, and its ICC profile where that still holds."""
    icc = image.info.get("icc_profile") or None
    mode = _CONVERTED.get(image.mode, image.mode)
    if "transparency" in image.info and not mode.endswith("A"):
        mode += "A"  # one colour, or palette entries, marked as transparent
    if mode == image.mode:
        return image, icc
    _warn(f"{path}: read as {mode}; its own mode is {image.mode}")
    if image.mode in ("CMYK", "LAB"):
        return _to_srgb(image, icc), None
    return image.convert(mode), icc


def _to_srgb(image: Image.Image, icc: bytes | None) -> Image.Image:
    if image.mode == "CMYK" and icc is not None and _profile_space(icc) == "CMYK":
        try:
            converted = ImageCms.profileToProfile(
                image, ImageCms.ImageCmsProfile(BytesIO(icc)), ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
        except (ImageCms.PyCMSError, OSError):
            converted = None  # a broken profile: as if there were none
        if converted is not None:
            return converted
    return image.convert("RGB")


def _profile_space(icc: bytes) -> str:
    return icc[16:20].decode("latin-1").strip()  # ICC.1:2022, 7.2: data colour space


def _unknown(path: Path, file: BinaryIO) -> str:
    file.seek(0)
    head = file.read(16)
    if not head:
        return f"{path}: the file is empty"
    if head.startswith(_SIGNATURES) or head[8:12] == b"WEBP" or head[4:12] == b"ftypavif":
        return f"{path}: the picture is damaged or truncated; get a new copy of it"
    return f"{path}: not a picture of a known format ({', '.join(_READ_FORMATS)}); save it as PNG or JPEG first"


def _save_options(name: str, metadata: Metadata, quality: int) -> dict[str, Any]:
    by_format: dict[str, dict[str, Any]] = {
        "PNG": {},
        "TIFF": {},  # uncompressed: Pillow's compressing TIFF encoder fails on EXIF data
        "WEBP": {"lossless": True, "exact": True},  # exact: keep the colours under full transparency
        "JPEG": {"quality": quality, "subsampling": "4:4:4", "optimize": True},
        "AVIF": {"quality": quality, "subsampling": "4:4:4"},
    }
    options = by_format[name]
    if metadata.icc is not None:
        options["icc_profile"] = metadata.icc
    if name == "TIFF":
        tags = Image.Exif()
        if metadata.exif is not None:
            tags.load(_EXIF_PREFIX + metadata.exif)
        if metadata.xmp is not None:
            tags[_XMP_TIFF_TAG] = metadata.xmp
        options["exif"] = tags
        return options
    if metadata.exif is not None:
        options["exif"] = _EXIF_PREFIX + metadata.exif
    if metadata.xmp is not None and name == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", metadata.xmp, "", "")
        options["pnginfo"] = info
    elif metadata.xmp is not None:
        options["xmp"] = metadata.xmp
    return options


def _warn(message: str) -> None:
    warnings.warn(message, PictureWarning, stacklevel=3)
