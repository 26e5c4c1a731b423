"""Strips out of libvips, which decodes no more of a picture than it is asked for."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyvips

from bbmr.depth import Samples, dtype_of
from bbmr.imageio.errors import PictureError
from bbmr.imageio.metadata import profile_space
from bbmr.imageio.source import Strips

# What is read once needs no cache, and a file that was replaced must not come out of one.
pyvips.cache_set_max(0)

Loader = Callable[[pyvips.Source], pyvips.Image]
_FETCHED = 64
"""Rows: libvips keeps a multiple of what is asked for at once."""
FORMATS = {8: "uchar", 16: "ushort"}
"""libvips' name for samples of so many bits."""


def sequential(load: Callable[..., pyvips.Image], **options: object) -> Loader:
    """One of libvips' loaders, from top to bottom, that stops at what is damaged."""
    return lambda source: load(source, access="sequential", fail_on="error", **options)


def streamed(path: Path, load: Loader, size: tuple[int, int, int, int]) -> Strips:
    """Strips of the file at `path`; size: height, width, channels, depth."""

    def strips(height: int) -> Iterator[Samples]:
        rows, width, channels, depth = size
        image = load(_opened(path))
        if (image.height, image.width, image.bands, image.format) != (rows, width, channels, FORMATS[depth]):
            found = f"{image.width} x {image.height} x {image.bands} {image.format}"
            raise PictureError(
                f"the picture is damaged: its samples are {found}, its header says {width} x {rows} x {channels} of "
                f"{depth} bits; get a new copy"
            )
        region = pyvips.Region.new(image)
        for top in range(0, rows, height):
            strip = np.empty((min(height, rows - top), width, channels), dtype_of(depth))
            for start in range(0, len(strip), _FETCHED):
                part = strip[start : start + _FETCHED]
                data = region.fetch(0, top + start, width, len(part))
                part[:] = np.frombuffer(data, strip.dtype).reshape(part.shape)
            yield strip

    return strips


def in_srgb(load: Loader, depth: int, icc: bytes | None) -> Loader:
    """What loads CMYK, its profile given, or Lab, as sRGB of 8 or 16 bits."""
    return lambda source: _to_srgb(load(source), depth, icc)


def _to_srgb(image: pyvips.Image, depth: int, icc: bytes | None) -> pyvips.Image:
    """CMYK, through its profile where it has a sound one, or Lab, as RGB of 8 or 16 bits."""
    if image.interpretation == "cmyk":
        image = image[:4]
        if profile_space(icc) == "CMYK":
            try:
                return image.icc_transform("srgb", embedded=True, depth=depth)
            except pyvips.Error:  # a broken profile: as if there were none
                pass
        white = 255 if depth == 8 else 65535
        rgb = (white - image[:3]) * (white - image[3]) / white
        return (rgb + 0.5).cast(FORMATS[depth]).copy(interpretation="srgb" if depth == 8 else "rgb16")
    return image[:3].colourspace("srgb" if depth == 8 else "rgb16")


def _opened(path: Path) -> pyvips.Source:
    """By its number, not its name: names need not be Unicode."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        return pyvips.Source.new_from_descriptor(descriptor)  # libvips has a duplicate of its own
    finally:
        os.close(descriptor)
