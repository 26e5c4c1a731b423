"""From a picture's file to a .bbmr file, and back, in memory that does not grow with a large picture's height.

What fits is worked on whole; of what is in several panels (`bbmr.panels`), strips are read, and strips are written.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

from bbmr import api, fileformat, imageio
from bbmr.api import AnyOptions
from bbmr.atomic import OutputError, check_free, replacing
from bbmr.errors import BbmrError
from bbmr.fileformat import load_outline, open_file, save
from bbmr.imageio import PictureError, Sheet, create_picture, open_picture
from bbmr.large import compress_large, in_panels
from bbmr.parts import NO_PARTS, Parts
from bbmr.picture import Picture
from bbmr.progress import Progress, silent
from bbmr.rescaled import Outline
from bbmr.windows import Windows


def compress_file(
    source: str | PathLike[str],
    target: str | PathLike[str],
    progress: Progress = silent,
    max_pixels: int = imageio.MAX_PIXELS,
    device: str = "cpu",
    overwrite: bool = False,
    parents: bool = False,
    options: AnyOptions | None = None,
    **given: Any,
) -> Outline:
    """Compress the picture in a file into a .bbmr file, which is there whole in the end, or not at all.

    Arguments as of `bbmr.compress`, but for an upscaler, downscaler or allocator of one's own.  Pictures of more than
    2^24 pixels that are coded to a quality are worked on part by part; PNG, JPEG, TIFF and PNM are read so too.
    parents: whether a folder that is missing is made, once there is something to write.  Raises BbmrError, naming the
    file that it is about; OutputError, one of these, where `target` exists already and `overwrite` is false, or cannot
    be written.
    """
    target = Path(target)
    chosen = api.options_from(given) if options is None else options
    max_file_pixels = max(max_pixels, fileformat.MAX_PIXELS)  # partial blocks count whole there
    _check_target(target, overwrite, parents)
    progress("read", 0.0)
    with open_picture(source, max_pixels) as picture:
        if in_panels(chosen, picture.height, picture.width):
            _make_folder(target, parents)
            with replacing(target, overwrite) as file, _naming(source):
                compress_large(picture, file, chosen, progress, device, max_file_pixels)
            return load_outline(target, max_file_pixels)
        with _naming(source):
            rescaled = api.compress(picture.read(), progress, device=device, options=chosen)
    progress("write", 1.0)
    _make_folder(target, parents)
    save(rescaled, target, overwrite, max_file_pixels)
    return rescaled.outline


def restore_file(
    source: str | PathLike[str],
    target: str | PathLike[str],
    progress: Progress = silent,
    max_pixels: int = fileformat.MAX_PIXELS,
    device: str = "cpu",
    parts: Parts = NO_PARTS,
    region: tuple[int, int, int, int] | None = None,
    preview: int | None = None,
    overwrite: bool = False,
    parents: bool = False,
    quality: int = 95,
) -> Sheet:
    """Restore the picture in a .bbmr file into a picture's file, which is there whole in the end, or not at all.

    region, preview: as of `bbmr.restore` and `bbmr.preview`, one of them at most; max_pixels, device, parts too.
    parents: as of `compress_file`; overwrite, quality: as of `bbmr.write_picture`.  Whole pictures in several panels
    are restored strip by strip; PNG, TIFF and JPEG are written so too.  Gives what the picture is; raises BbmrError,
    naming the file that it is about.
    """
    if region is not None and preview is not None:
        raise BbmrError("a region has no place beside a preview; leave one out")
    with open_file(source, max_pixels) as reader:
        header, in_strips = reader.header, len(reader.panels) > 1
        sheet = Sheet(header.grid.height, header.grid.width, header.mode, header.depth, reader.metadata)
    target = Path(target)
    imageio.check_writable(target, sheet.mode)
    _check_target(target, overwrite, parents)
    strips: Iterator[Picture]
    if in_strips and region is None and preview is None:
        strips = _restored_strips(source, progress, max_pixels, device, parts)
    else:
        if preview is not None:
            picture = api.preview(source, preview, max_pixels)
        else:
            picture = api.restore(source, progress, max_pixels, device, parts, region)
        sheet = Sheet(picture.height, picture.width, picture.mode, picture.depth, picture.metadata)
        strips = iter((picture,))
        progress("write", 1.0)
    _make_folder(target, parents)
    with create_picture(
        target, sheet.height, sheet.width, sheet.mode, sheet.depth, sheet.metadata, overwrite, quality
    ) as writer:
        for strip in strips:
            writer.add(strip)
    return sheet


def _restored_strips(
    source: str | PathLike[str], progress: Progress, max_pixels: int, device: str, parts: Parts
) -> Iterator[Picture]:
    """What goes wrong with them where they are used is not the file's fault."""
    with open_file(source, max_pixels) as reader:
        yield from Windows(reader, device, parts).strips(progress)


def _check_target(target: Path, overwrite: bool, parents: bool) -> None:
    if target.parent.is_dir() or not parents:
        check_free(target, overwrite)


def _make_folder(target: Path, parents: bool) -> None:
    if parents:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{target.parent}: this folder cannot be made ({error.strerror})") from error


@contextmanager
def _naming(path: str | PathLike[str]) -> Iterator[None]:
    """Say in errors which picture they are about, where they do not."""
    try:
        yield
    except (PictureError, OutputError):
        raise
    except BbmrError as error:
        raise BbmrError(f"{path}: {error}") from error
