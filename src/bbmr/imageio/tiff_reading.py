"""TIFF and BigTIFF: tags read here, samples by libvips."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyvips
from PIL import Image

from bbmr.depth import Samples
from bbmr.imageio.errors import PictureError
from bbmr.imageio.exif import ORIENTATION, Directory, Entry, ExifError, Tags, stream_of
from bbmr.imageio.metadata import bounded, profile_space
from bbmr.imageio.source import Source, bits_remark, channels_of, check_pixels, in_memory
from bbmr.imageio.streaming import Loader, in_srgb, sequential, streamed
from bbmr.pillow_limit import no_pillow_limit

XMP, ICC = 700, 34675
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _CHANNELS = 256, 257, 258, 259, 262, 277
_SUBFILE, _SUBDIRECTORIES, _EXTRA, _SAMPLE_FORMAT = 254, 330, 338, 339
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _SEPARATED, _YCBCR, _LAB = 0, 1, 2, 3, 5, 6, 8
_COMPRESSIONS = frozenset((1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946))
_MORE_COMPRESSIONS = frozenset((34925, 50000))  # LZMA, Zstandard; a strip of WebP may be of any size, whatever is said
_TILE_WIDTH, _TILE_HEIGHT, _PLANAR, _SEPARATE = 322, 323, 284, 2
_TILE_PIXELS = 1 << 22
"""Of a tile that is larger than its picture, at most."""
_RESOURCES, _LAYERS = 34377, 37724  # of Photoshop
LAYOUT = frozenset(
    # What describes the file rather than the photograph, its samples' places and coding, pointers to what is not read
    # (thumbnails, layers of image editors), and what is kept by itself (ICC profile, XMP).
    (
        *(254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284, 288, 289, 290, 291),
        *(292, 293, 301, 317, 320, 321, 322, 323, 324, 325, 326, 327, 328, 330, 332, 333, 334, 336, 337, 338, 339, 340),
        *(
            341,
            342,
            347,
            512,
            513,
            514,
            515,
            517,
            518,
            519,
            520,
            521,
            529,
            530,
            531,
            532,
            XMP,
            ICC,
            _RESOURCES,
            _LAYERS,
        ),
    )
)
_LISTS = frozenset((273, 279, 324, 325, _LAYERS, _RESOURCES))  # long, or not kept: not even looked at
DAMAGED = "parts of its EXIF data are damaged, and are not kept"
_NOT_KEPT = {
    _SUBDIRECTORIES: "the pictures that hang from it",
    _LAYERS: "its layers",
    _RESOURCES: "its paths, guides and other resources of Photoshop",
}
_JPEGS = (6, 7)
_SUBSAMPLING = 530
_NAMES = {_PALETTE: "P", _SEPARATED: "CMYK", _YCBCR: "YCbCr", _LAB: "LAB"}


def open_tiff(path: Path, file: BinaryIO, max_pixels: int) -> Source:
    """Raises PictureError for what cannot be read, ExifError for what is damaged."""
    tags = Tags.of(file)
    entries, following = tags.directory(tags.first, _LISTS)
    first = _Page(tags.order, entries)
    check_pixels(first.width, first.height, max_pixels)
    if first.tile_pixels > max(first.width * first.height, _TILE_PIXELS):
        raise PictureError("is damaged: its tiles are much larger than the picture; get a new copy")
    if first.is_reduced:
        raise PictureError("is a raw file of a camera, or begins with a thumbnail; develop it, or save it as a TIFF")
    remarks = _further_pages(tags, following)
    mode, depth = first.read_as()
    remarks += first.remarks(mode) + _left_out(entries)
    icc = entries[ICC].content if ICC in entries else None
    loaded = sequential(pyvips.Image.tiffload_source, unlimited=True)
    load: Loader = loaded
    if first.photometric in (_SEPARATED, _LAB):
        load = in_srgb(loaded, depth, icc)
        if profile_space(icc) in ("CMYK", "Lab"):
            icc = None
    elif first.photometric == _PALETTE:
        load = _in_colours(loaded)
    elif first.channels > channels_of(mode):
        load = _without_extra(loaded, channels_of(mode))
    strips = streamed(path, load, (first.height, first.width, channels_of(mode), depth))
    if first.is_left_to_pillow:
        strips = in_memory(lambda: _by_pillow(path))
    elif first.is_left_to_tifffile:
        strips = in_memory(lambda: _by_tifffile(path, channels_of(mode)))
    tree, is_whole = tags.tree(tags.first, LAYOUT)
    if not is_whole:
        remarks += (DAMAGED,)
    xmp = entries[XMP].content if XMP in entries else None
    metadata = bounded(icc, stream_of(tags.order, tree) if tree else None, xmp)
    return Source(first.height, first.width, mode, depth, metadata, strips, remarks, first.streams)


class _Page:
    """What a directory says of its picture."""

    def __init__(self, order: str, entries: dict[int, Entry]) -> None:
        def numbers(tag: int, default: int | None = None) -> tuple[int, ...]:
            if tag in entries:
                return entries[tag].integers(order)
            if default is None:
                raise ExifError(f"tag {tag} is missing")
            return (default,)

        self.width, self.height = numbers(_WIDTH)[0], numbers(_HEIGHT)[0]
        self.bits = numbers(_BITS, 1)
        self.channels = numbers(_CHANNELS, 1)[0]
        self.photometric = numbers(_PHOTOMETRIC, _BLACK_IS_ZERO)[0]
        self.compression = numbers(_COMPRESSION, 1)[0]
        self.format = numbers(_SAMPLE_FORMAT, 1)
        self.extra = numbers(_EXTRA, 0) if _EXTRA in entries else ()
        self.tile_pixels = numbers(_TILE_WIDTH, 0)[0] * numbers(_TILE_HEIGHT, 0)[0]
        self.is_reduced = bool(numbers(_SUBFILE, 0)[0] & 1)
        is_plain_ycbcr = self.photometric == _YCBCR and self.compression not in _JPEGS
        # libvips takes the one for RGB and fails on the other.
        self.is_left_to_pillow = is_plain_ycbcr or (self.photometric == _LAB and max(self.bits) == 8)
        # It knows no other compressions, nor tiles of one channel each.
        has_tiles_of_channels = _TILE_WIDTH in entries and numbers(_PLANAR, 1)[0] == _SEPARATE and self.channels > 1
        self.is_left_to_tifffile = self.compression not in _COMPRESSIONS or has_tiles_of_channels
        self.streams = not (self.is_left_to_pillow or self.is_left_to_tifffile)
        if is_plain_ycbcr and numbers(_SUBSAMPLING, 2) != (1, 1):
            raise PictureError("is a TIFF of YCbCr colours at lower resolution than its luma; save it as RGB first")

    def read_as(self) -> tuple[str, int]:
        """Mode and depth.  Raises PictureError for what is not read."""
        if self.is_left_to_tifffile and not self._is_known_to_tifffile:
            raise PictureError(
                f"is a TIFF with compression {self.compression}, or a layout, that is not read; save it with deflate"
            )
        bits = max(self.bits)
        allowed = (1, 2, 4, 8) if self.photometric == _PALETTE else (1, 2, 4, 8, 16) if self.channels == 1 else (8, 16)
        formats = {1, 2} if self.photometric == _LAB else {1}  # of Lab, a and b have signs, whatever the tag says
        if set(self.format) - formats or bits not in allowed or min(self.bits) != bits:
            kind = {2: "signed integers", 3: "floating-point numbers"}.get(self.format[0], "integers")
            raise PictureError(
                f"has {bits} bits a sample ({kind}), and only unsigned ones of 8 or 16 are read; save it with 8 or 16"
            )
        colours = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _PALETTE: 1, _RGB: 3, _YCBCR: 3, _LAB: 3, _SEPARATED: 4}
        if self.photometric not in colours or self.channels < colours[self.photometric]:
            raise PictureError(
                f"has colours of a kind that is not read (PhotometricInterpretation {self.photometric}, "
                f"{self.channels} channels); save it as RGB first"
            )
        mode = "L" if colours[self.photometric] == 1 and self.photometric != _PALETTE else "RGB"
        alpha = self.channels > colours[self.photometric] and self.extra[:1] in ((1,), (2,))
        if alpha and self.photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB):
            alpha = False
        return mode + ("A" if alpha else ""), 16 if bits == 16 else 8

    @property
    def _is_known_to_tifffile(self) -> bool:
        is_plain = self.photometric in (_BLACK_IS_ZERO, _RGB) and self.extra[:1] != (1,) and max(self.bits) in (8, 16)
        return is_plain and self.compression in (_COMPRESSIONS - set(_JPEGS)) | _MORE_COMPRESSIONS

    def remarks(self, mode: str) -> tuple[str, ...]:
        found: tuple[str, ...] = ()
        if self.photometric in _NAMES and not (self.photometric == _YCBCR and self.compression in _JPEGS):
            found += (f"read as {mode}; its own mode is {_NAMES[self.photometric]}",)
        elif self.photometric != _PALETTE:
            found += bits_remark(max(self.bits))
        expected = {_SEPARATED: 4}.get(self.photometric, channels_of(mode))
        if self.photometric != _PALETTE and self.channels > expected:
            found += (f"{self.channels - expected} of its {self.channels} channels are no colours, and are not kept",)
        elif self.extra[:1] == (1,):
            found += ("its colours were multiplied by alpha; they are divided by it, which rounds them",)
        return found


def _left_out(entries: Mapping[int, Entry]) -> tuple[str, ...]:
    left_out = [words for tag, words in _NOT_KEPT.items() if tag in entries]
    return (f"{' and '.join(left_out)} are not kept",) if left_out else ()


def _further_pages(tags: Tags, offset: int) -> tuple[str, ...]:
    """Raises PictureError where there is another picture than a smaller version of the first."""
    pages, full, seen, budget = 1, 1, set[int](), tags.budget()
    while offset and offset not in seen and pages < 1000:
        seen.add(offset)
        entries, following = tags.directory(offset, _LISTS, budget)
        pages += 1
        full += not _Page(tags.order, entries).is_reduced
        offset = following
    if full > 1:
        raise PictureError(f"holds {pages} frames or pages; save the one you want as a picture of its own")
    return ("holds smaller versions too, which are not kept",) if pages > 1 else ()


def _by_pillow(path: Path) -> Samples:
    with no_pillow_limit(), Image.open(path, formats=("TIFF",)) as image:
        image.getexif().pop(ORIENTATION, None)  # lest it sets the picture upright
        return np.array(image.convert("RGB"))


def _by_tifffile(path: Path, channels: int) -> Samples:
    import tifffile  # noqa: PLC0415 - slow, and hardly ever needed

    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        samples = np.atleast_3d(page.asarray())
        if page.planarconfig == _SEPARATE and page.samplesperpixel > 1:
            samples = np.moveaxis(samples, 0, 2)
    return samples[:, :, :channels].astype(samples.dtype.newbyteorder("="))


def _in_colours(load: Loader) -> Loader:
    """Of a palette whose colours are all gray libvips makes gray."""

    def loaded(source: pyvips.Source) -> pyvips.Image:
        image = load(source)
        return image if image.bands > 1 else image.bandjoin([image, image])

    return loaded


def _without_extra(load: Loader, channels: int) -> Loader:
    return lambda source: load(source)[:channels]


def directory_of(exif: bytes) -> tuple[str, Directory, tuple[str, ...]]:
    """Byte order of EXIF data, what of them a TIFF file can have among its own tags, and what it cannot, in words.

    Raises ExifError.
    """
    tags = Tags.of(BytesIO(exif))
    tree, is_whole = tags.tree(tags.first, LAYOUT)
    lost: tuple[str, ...] = () if is_whole else (DAMAGED,)
    if tags.directory(tags.first, LAYOUT)[1]:
        lost += ("the thumbnail in its EXIF data is not kept",)
    return tags.order, tree, lost
