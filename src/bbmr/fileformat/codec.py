"""RescaledImage <-> the bytes of a .bbmr file."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from bbmr.fileformat import container, jpegxl, payload, recipe, scale_map
from bbmr.fileformat.compressed import deflate, inflate
from bbmr.fileformat.container import LR_KINDS, MAX_PIXELS, Codec, Header, Kind, Section
from bbmr.fileformat.errors import FileFormatError
from bbmr.picture import Metadata
from bbmr.rescaled import Outline, RescaledImage

METADATA_LIMIT = 1 << 26
"""Bytes that each of ICC profile, EXIF and XMP may have."""
_METADATA = {"icc": Kind.ICC, "exif": Kind.EXIF, "xmp": Kind.XMP}


def encode(rescaled: RescaledImage, max_pixels: int = MAX_PIXELS) -> bytes:
    """The file's bytes.

    max_pixels: as in `decode`, so that what is written can be read.  Raises ValueError for a recipe that is not as
    Recipe says, PictureTooLargeError for larger pictures, FileFormatError for metadata above 64 MiB.
    """
    container.check_size(
        rescaled.grid, max_pixels, "choose smaller blocks, or raise max_pixels here and on reading (--max-pixels)"
    )
    return container.write(rescaled.grid, rescaled.channels, _sections(rescaled))


def decode(data: bytes, max_pixels: int = MAX_PIXELS) -> RescaledImage:
    """The picture in a file's bytes; decode(encode(x)) equals x in every sample and byte.

    max_pixels: pixels of whole blocks that may be allocated.  Raises FileFormatError, naming what is wrong.
    """
    header, sections = _read(data, max_pixels)
    outline = _decode_outline(header, sections)
    grid = outline.grid
    blocks, frames = {}, {}
    for factor in outline.blocks_per_scale:
        kind = LR_KINDS[factor]
        with _naming(kind):
            where = outline.scales, factor, grid, header.channels
            if sections[kind].codec == Codec.AV1:
                blocks[factor], frames[factor] = payload.decode_frame(sections[kind], *where)
            else:
                blocks[factor] = payload.decode(sections[kind], *where)
    if frames and set(frames) != set(blocks):
        raise FileFormatError("broken: LR samples of some scales are lossy, of others not")
    metadata = {}
    for name, kind in _METADATA.items():
        if kind in sections:
            with _naming(kind):
                metadata[name] = inflate(sections[kind], METADATA_LIMIT)
    alpha = _decode_alpha(sections[Kind.ALPHA], grid.height, grid.width) if Kind.ALPHA in sections else None
    return RescaledImage(grid, outline.scales, blocks, outline.recipe, alpha, Metadata(**metadata), frames)


def decode_outline(data: bytes, max_pixels: int = MAX_PIXELS) -> Outline:
    """What a file's bytes say without their samples: all checksums are checked, only recipe and map are decoded.

    Raises FileFormatError as `decode` does for these.
    """
    return _decode_outline(*_read(data, max_pixels))


def _read(data: bytes, max_pixels: int) -> tuple[Header, dict[Kind, Section]]:
    header = container.read_header(data[: container.HEADER_LIMIT], len(data), max_pixels)
    return header, container.read_sections(header, data)


def _decode_outline(header: Header, sections: dict[Kind, Section]) -> Outline:
    with _naming(Kind.RECIPE):
        made_for = recipe.decode(inflate(_required(sections, Kind.RECIPE), recipe.LIMIT))
    with _naming(Kind.SCALE_MAP):
        scales = scale_map.decode(_required(sections, Kind.SCALE_MAP), header.grid)
    mode = ("L" if header.channels == 1 else "RGB") + ("A" if Kind.ALPHA in sections else "")
    outline = Outline(header.grid, scales, made_for, mode)
    for factor, kind in LR_KINDS.items():
        with _naming(kind):
            if factor in outline.blocks_per_scale:
                _required(sections, kind)
            elif kind in sections:
                raise FileFormatError("there, though no block of the map has this scale")
    return outline


def _sections(rescaled: RescaledImage) -> Iterator[Section]:
    yield Section(Kind.RECIPE, Codec.STORED, recipe.encode(rescaled.recipe))
    yield scale_map.encode(rescaled.scales)
    # From coarse to fine: what arrives first is worth most.
    for factor in sorted(rescaled.blocks, reverse=True):
        yield payload.encode(rescaled.blocks[factor], factor, rescaled.frames.get(factor))
    if rescaled.alpha is not None:
        yield Section(Kind.ALPHA, Codec.JPEG_XL, jpegxl.encode(rescaled.alpha[:, :, None]))
    for name, kind in _METADATA.items():
        data: bytes | None = getattr(rescaled.metadata, name)
        if data is not None:
            if len(data) > METADATA_LIMIT:
                raise FileFormatError(f"the {kind.label} has {len(data)} bytes; {METADATA_LIMIT} is the limit")
            yield deflate(kind, data)


def _decode_alpha(section: Section, height: int, width: int) -> NDArray[np.uint8]:
    with _naming(Kind.ALPHA):
        if section.codec != Codec.JPEG_XL:
            raise FileFormatError(f"coded as {section.codec.name}, which is not possible here")
        return jpegxl.decode(section.payload, (height, width, 1))[:, :, 0]


def _required(sections: dict[Kind, Section], kind: Kind) -> Section:
    if kind not in sections:
        raise FileFormatError("missing")
    return sections[kind]


@contextmanager
def _naming(kind: Kind) -> Iterator[None]:
    """Say in errors which section they are about."""
    try:
        yield
    except FileFormatError as error:
        raise FileFormatError(f"broken {kind.label}: {error}") from error
