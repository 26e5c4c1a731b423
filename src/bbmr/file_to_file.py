"""From a picture's file to a .bbmr file, and back, in memory that does not grow with a large picture's height.

What fits is worked on whole; of what is in several panels (`bbmr.panels`), strips are read, and strips are written.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from operator import index
from os import PathLike
from pathlib import Path
from typing import Any

from bbmr import api, fileformat, imageio
from bbmr.api import AnyOptions
from bbmr.atomic import OutputError, check_apart, check_free, replacing
from bbmr.blocks import BlockGrid
from bbmr.coding.options import CodedOptions
from bbmr.errors import BbmrError
from bbmr.fileformat import check_writable, encode, load_outline, open_file
from bbmr.imageio import PictureError, Sheet, create_picture, open_picture
from bbmr.imageio.errors import warn
from bbmr.large import compress_large, in_panels
from bbmr.parts import NO_PARTS, Parts
from bbmr.picture import Picture
from bbmr.progress import Progress, silent
from bbmr.rescaled import Outline
from bbmr.windows import PREVIEWS, Windows, preview_of


def compress_file(
    source: str | PathLike[str],
    target: str | PathLike[str],
    *,
    progress: Progress = silent,
    max_pixels: int = imageio.MAX_PIXELS,
    device: str = "cpu",
    overwrite: bool = False,
    parents: bool = False,
    strip: bool = False,
    options: AnyOptions | None = None,
    **given: Any,
) -> Outline:
    """Compress the picture in a file into a .bbmr file, which is there whole in the end, or not at all.

    Arguments as of `bbmr.compress`, but for an upscaler, downscaler or allocator of one's own.  Pictures of more than
    2^24 pixels, or 32,768 on a side, that are coded to a quality are worked on part by part; PNG, JPEG, TIFF and PNM
    are read so too.
    parents: whether a folder that is missing is made; not for a file that does not come about.  strip: as of
    `bbmr.imageio.read_picture`.  Gives what is in the file, but for samples and metadata.
    Raises BbmrError, naming the file that it is about; OutputError, one of these, where `target` exists already and
    `overwrite` is false, is the source, or cannot be written.
    """
    target = Path(target)
    chosen = api.one_of(options, given)
    max_file_pixels = max(max_pixels, fileformat.MAX_PIXELS)  # partial blocks count whole there
    _check_target(source, target, overwrite, parents)
    progress("read", 0.0)
    with open_picture(source, max_pixels, strip) as picture:
        with _naming(source):  # before what may take hours
            check_writable(BlockGrid(picture.height, picture.width, chosen.block), max_file_pixels)
        if picture.depth > 8 and isinstance(chosen, CodedOptions):
            warn(f"{source}: {api.coded_as_8_bit(picture.depth)}")
        if in_panels(chosen, picture.height, picture.width):
            with _folder_of(target, parents), replacing(target, overwrite) as file, _naming(source):
                compress_large(picture, file, chosen, progress, device, max_file_pixels)
            return load_outline(target, max_file_pixels)
        with _naming(source):
            rescaled = api.compress_picture(picture.read(), chosen, progress, device)
            data = encode(rescaled, max_file_pixels)
    progress("write", 1.0)
    # Last, for another process that has made the folder takes it away again where it fails, while nothing is in it.
    with _folder_of(target, parents), replacing(target, overwrite) as file:
        file.write(data)
    return rescaled.outline


def restore_file(
    source: str | PathLike[str],
    target: str | PathLike[str],
    *,
    progress: Progress = silent,
    max_pixels: int = fileformat.MAX_PIXELS,
    device: str = "cpu",
    parts: Parts = NO_PARTS,
    region: tuple[int, int, int, int] | None = None,
    preview: int | None = None,
    overwrite: bool = False,
    parents: bool = False,
    quality: int = 95,
    salvage: bool = False,
) -> Sheet:
    """Restore the picture in a .bbmr file into a picture's file, which is there whole in the end, or not at all.

    region, preview: as of `bbmr.restore` and `bbmr.preview`, one of them at most; max_pixels, device, parts too.
    salvage: leave out metadata that are damaged, with a warning.  parents: as of `compress_file`; overwrite, quality:
    as of `bbmr.write_picture`.  Whole pictures in several panels are restored strip by strip; PNG, TIFF and JPEG are
    written so too.  Gives what the picture is; raises BbmrError, naming the file that it is about.
    """
    if region is not None and preview is not None:
        raise BbmrError("a region has no place beside a preview; leave one out")
    with open_file(source, max_pixels, salvage) as reader:
        header, in_strips = reader.header, len(reader.panels) > 1
        sheet = Sheet(*restored_size(header.grid, region, preview), header.mode, header.depth, reader.metadata)
        for name in reader.lost:
            warn(f"{source}: its {name} is damaged, and left out")
    target = Path(target)
    imageio.check_holdable(target, sheet)  # before what may take hours
    _check_target(source, target, overwrite, parents)
    strips: Iterator[Picture]
    if in_strips and region is None and preview is None:
        strips = _restored_strips(source, progress, max_pixels, device, parts, salvage)
    else:
        with open_file(source, max_pixels, salvage) as reader:
            if preview is not None:
                picture = replace(preview_of(reader, preview, progress), metadata=reader.metadata)
            else:
                picture = api.restore_open(reader, progress, device, parts, region)
        strips = iter((picture,))
        progress("write", 1.0)
    size = sheet.height, sheet.width, sheet.mode, sheet.depth
    with (
        _folder_of(target, parents),
        create_picture(target, *size, sheet.metadata, overwrite, quality) as writer,
    ):
        for strip in strips:
            writer.add(strip)
            del strip  # before the next is made
    return sheet


def _restored_strips(
    source: str | PathLike[str], progress: Progress, max_pixels: int, device: str, parts: Parts, salvage: bool
) -> Iterator[Picture]:
    """What goes wrong with them where they are used is not the file's fault."""
    with open_file(source, max_pixels, salvage) as reader:
        reader.check()  # damage at its end would be found at the end of hours
        yield from Windows(reader, device, parts).strips(progress)


def restored_size(grid: BlockGrid, region: tuple[int, int, int, int] | None, preview: int | None) -> tuple[int, int]:
    """Height and width of what is restored; of the picture where what is asked for is not possible."""
    if preview in PREVIEWS:
        return grid.lr_size(preview)
    with suppress(TypeError, ValueError):
        _, _, width, height = (0, 0, grid.width, grid.height) if region is None else map(index, region)
        if 0 < height <= grid.height and 0 < width <= grid.width:
            return height, width
    return grid.height, grid.width


def _check_target(source: str | PathLike[str], target: Path, overwrite: bool, parents: bool) -> None:
    check_apart(Path(source), target)
    if not parents or os.path.isdir(target.parent):
        check_free(target, overwrite)


@contextmanager
def _folder_of(target: Path, parents: bool) -> Iterator[None]:
    """Where it is missing and may be made, it is there in the block; and after it, unless that raises."""
    missing = [folder for folder in target.parents if not os.path.exists(folder)] if parents else []
    try:
        for folder in reversed(missing):
            folder.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"{target.parent}: this folder cannot be made ({error.strerror})") from error
    try:
        yield
    except BaseException:
        for folder in missing:
            with suppress(OSError):  # others have put something there
                folder.rmdir()
        raise


@contextmanager
def _naming(path: str | PathLike[str]) -> Iterator[None]:
    """Say in errors which picture they are about, where they do not."""
    try:
        yield
    except (PictureError, OutputError):
        raise
    except BbmrError as error:
        raise BbmrError(f"{path}: {error}") from error
