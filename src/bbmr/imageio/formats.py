"""Formats of picture files: their names, suffixes and first bytes, and what can be written in them."""

from pathlib import Path

from bbmr.imageio.errors import PictureError

_COMMON_SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff", ".webp", ".avif", ".jxl", ".heic")
_OTHER_SUFFIXES = (".heif", ".hif", ".bmp", ".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".qoi")
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
    ".jxl": "JPEG XL",
}
"""Suffix of an output file -> format."""

GRAYLESS = frozenset(("WEBP", "AVIF"))
"""What holds gray as RGB."""
DEEP = frozenset(("PNG", "TIFF", "JPEG XL"))
"""What is written with 16 bits a sample where the picture has them."""

READ_FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "AVIF", "JPEG XL", "HEIC", "BMP", "GIF", "PPM", "JPEG2000", "QOI")
"""Named one by one: Pillow would also try formats that start other programs (EPS) or match almost any bytes (TGA)."""
HEAD = 512
"""Bytes that say which format a file has."""
JPEG_XL_CODESTREAM = b"\xff\x0a"
JPEG_XL_BOXES = b"\0\0\0\x0cJXL \r\n\x87\n"
_SIGNATURES = (
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"qoif", "QOI"),
    (JPEG_XL_CODESTREAM, "JPEG XL"),
    (JPEG_XL_BOXES, "JPEG XL"),
    (b"\0\0\0\x0cjP  ", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
    *((b"P%d" % kind, "PPM") for kind in range(1, 7)),
)
_AVIF_BRANDS = frozenset((b"avif", b"avis"))
_HEIC_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"))


def format_of(head: bytes) -> str | None:
    """The format that a file's first bytes say, one of READ_FORMATS, or None."""
    if head[4:8] == b"ftyp":
        brands = {head[at : at + 4] for at in range(8, min(int.from_bytes(head[:4]), len(head)), 4)}
        return "AVIF" if brands & _AVIF_BRANDS else "HEIC" if brands & _HEIC_BRANDS else None
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    return next((name for start, name in _SIGNATURES if head.startswith(start)), None)


def check_writable(path: Path, mode: str | None = None) -> str:
    """The format for `path`; PictureError if it is unknown, or cannot hold pictures of `mode`."""
    name = WRITE_FORMATS.get(path.suffix.lower())
    if name is None:
        known = ", ".join(WRITE_FORMATS)
        raise PictureError(f"{path}: no picture format is known by the suffix '{path.suffix}'; use one of {known}")
    if name == "JPEG" and mode in ("LA", "RGBA"):
        raise PictureError(f"{path}: JPEG cannot hold the picture's transparency; use PNG, TIFF, WebP, AVIF or JPEG XL")
    return name
