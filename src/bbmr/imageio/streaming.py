"""Strips out of libvips, which decodes no more of a picture than it is asked for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

import numpy as np
import pyvips

from bbmr.depth import Samples, dtype_of
from bbmr.imageio.errors import PictureError
from bbmr.imageio.metadata import profile_space
from bbmr.imageio.source import Strips
from bbmr.interrupts import interrupts_delayed

# What is read once needs no cache, and a file that was replaced must not come out of one.
pyvips.cache_set_max(0)

Loader = Callable[[pyvips.Source], pyvips.Image]
_FETCHED = 64
"""Rows: libvips keeps a multiple of what is asked for at once."""
_ERRORS = Lock()
"""libvips' list of them, one for all threads."""
FORMATS = {8: "uchar", 16: "ushort"}
"""libvips' name for samples of so many bits."""


def sequential(load: Callable[..., pyvips.Image], **options: object) -> Loader:
    """One of libvips' loaders, from top to bottom, that stops at what is damaged."""
    return lambda source: load(source, access="sequential", fail_on="error", **options)


def streamed(path: Path, load: Loader, size: tuple[int, int, int, int]) -> Strips:
    """Strips of the file at `path`; size: height, width, channels, depth."""

    def strips(height: int) -> Iterator[Samples]:
        with _opened(path) as source:
            with _alone():
                image = load(source)
                _check(image, size)
                region = pyvips.Region.new(image)
            for top in range(0, image.height, height):
                yield _fetched(region, top, min(height, image.height - top), size)

    return strips


@contextmanager
def _alone() -> Iterator[None]:
    """While libvips works, and is asked what went wrong: interrupts would get lost in what it calls of ours."""
    with _ERRORS, interrupts_delayed():
        yield


def _check(image: pyvips.Image, size: tuple[int, int, int, int]) -> None:
    height, width, channels, depth = size
    if (image.height, image.width, image.bands, image.format) != (height, width, channels, FORMATS[depth]):
        found = f"{image.width} x {image.height} x {image.bands} {image.format}"
        said = f"{width} x {height} x {channels} of {depth} bits"
        raise PictureError(f"the picture is damaged: its samples are {found}, its header says {said}; get a new copy")


def _fetched(region: pyvips.Region, top: int, count: int, size: tuple[int, int, int, int]) -> Samples:
    _, width, channels, depth = size
    strip = np.empty((count, width, channels), dtype_of(depth))
    for start in range(0, count, _FETCHED):
        part = strip[start : start + _FETCHED]
        with _alone():
            pyvips.vips_lib.vips_error_clear()
            data = region.fetch(0, top + start, width, len(part))
            _raise_what_was_swallowed()
        part[:] = np.frombuffer(data, strip.dtype).reshape(part.shape)
    return strip


def _raise_what_was_swallowed() -> None:
    """libvips paints tiles of a TIFF black that it cannot decode, and says so in its list of errors alone."""
    said = pyvips.ffi.string(pyvips.vips_lib.vips_error_buffer()).decode("utf-8", "replace").strip()
    if said:
        pyvips.vips_lib.vips_error_clear()
        raise ValueError(said)


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


@contextmanager
def _opened(path: Path) -> Iterator[pyvips.Source]:
    """Read by us, as libvips would map files into memory, which counts as used, and knows names of Unicode alone."""
    with path.open("rb", buffering=0) as file:
        # What is raised in here would be printed: libvips has its own words for what it cannot read.
        def read(count: int) -> bytes:
            with suppress(OSError):
                return file.read(count) or b""
            return b""

        def seek(offset: int, whence: int) -> int:
            with suppress(OSError, ValueError, OverflowError):
                return file.seek(offset, whence)
            return -1

        source = pyvips.SourceCustom()
        source.on_read(read)
        source.on_seek(seek)
        yield source
