"""The Python door: the reach of the command line, for arrays, pictures and paths."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields, replace
from io import BytesIO
from numbers import Real
from operator import index
from os import PathLike
from typing import Any

import numpy as np

from bbmr import catalogue, fileformat, imageio, pipeline
from bbmr.allocation.budget import Budget
from bbmr.coding import sender
from bbmr.coding.options import CODED_SIDES, DEFAULT_QUALITY, TARGETS, CodedOptions, parse_size
from bbmr.depth import Samples
from bbmr.errors import BbmrError
from bbmr.fileformat import Reader, load, open_file, save
from bbmr.imageio.errors import warn
from bbmr.networks import is_coded
from bbmr.options import PIPELINE_CHOICES, Options
from bbmr.parts import NO_PARTS, Parts
from bbmr.picture import Picture
from bbmr.progress import Progress, silent
from bbmr.rescaled import RescaledImage
from bbmr.weights import weights_index
from bbmr.windows import Windows, preview_of

__all__ = ["check", "compress", "load", "preview", "restore", "save"]

AnyOptions = Options | CodedOptions


def compress(
    picture: Picture | Samples | str | PathLike[str],
    *,
    progress: Progress = silent,
    max_pixels: int = imageio.MAX_PIXELS,
    device: str = "cpu",
    parts: Parts = NO_PARTS,
    options: AnyOptions | None = None,
    **given: Any,
) -> RescaledImage:
    """Choose a scale for every block of a picture and keep its LR samples, coded with loss or as they are.

    picture: a path, a Picture, or an array (H, W), (H, W, 2), (H, W, 3) or (H, W, 4) of uint8 or uint16: gray, gray
    with alpha, RGB, RGB with alpha.  max_pixels: larger files are refused; a small file may hold a huge picture.
    device: where networks run, by torch's name of it, such as "cuda".  parts: upscaler, downscaler or allocator of
    one's own, see docs/plug-ins.md.  Else the fields of `bbmr.coding.options.CodedOptions`, such as quality=40,
    target_size="100kB" or tune="psnr"; or, for LR samples that are stored as they are, lossless_lr=True or those of
    `bbmr.options.Options`, such as budget="x5", block=32 or effort=3.  options: all of them at once, as `options_from`
    gives them.  With parts LR samples are stored as they are.
    The picture is one panel, whatever its size; `bbmr.compress_file` cuts large ones.
    Raises BbmrError for files, options and parts that do not work; ValueError or TypeError for such arrays.  Warns
    where 16 bits a sample are coded as 8, and as `bbmr.imageio.read_picture` does.
    """
    if not isinstance(parts, Parts):
        raise TypeError(f"parts are a bbmr.parts.Parts, not a {type(parts).__name__}")
    if parts != NO_PARTS and options is None and not any(given.get(name) is not None for name in TARGETS):
        given.setdefault("lossless_lr", True)
    chosen = one_of(options, given)
    if parts != NO_PARTS and isinstance(chosen, CodedOptions):
        raise BbmrError("parts of one's own have no place where LR samples are coded with loss; leave them out")
    if isinstance(picture, np.ndarray):
        picture = Picture.from_array(picture)
    elif not isinstance(picture, Picture):
        picture = imageio.read_picture(_path(picture, "a picture is a path, an array or a bbmr.Picture"), max_pixels)
    if picture.depth > 8 and isinstance(chosen, CodedOptions):
        warn(coded_as_8_bit(picture.depth))
    return compress_picture(picture, chosen, progress, device, parts)


def compress_picture(
    picture: Picture, options: AnyOptions, progress: Progress = silent, device: str = "cpu", parts: Parts = NO_PARTS
) -> RescaledImage:
    """As `compress`, by options that are known; parts have no place beside CodedOptions.  Does not warn."""
    if isinstance(options, CodedOptions):
        return sender.compress(picture, options, progress, device)
    return pipeline.compress(picture, options, progress, device=device, parts=parts)


def coded_as_8_bit(depth: int) -> str:
    """What is said of a picture of more bits a sample that is coded with loss."""
    return f"coded with loss as 8 bits a sample, restored with {depth}"


def restore(
    rescaled: RescaledImage | str | PathLike[str],
    *,
    progress: Progress = silent,
    max_pixels: int = fileformat.MAX_PIXELS,
    device: str = "cpu",
    parts: Parts = NO_PARTS,
    region: tuple[int, int, int, int] | None = None,
) -> Picture:
    """Restore a picture from a RescaledImage or from the path of a .bbmr file.

    max_pixels: larger files are refused, see `load`.  device: as for `compress`.  parts: an upscaler among them
    restores, in place of what the picture was compressed for.  region: left, top, width and height in pixels of the
    part that is restored, where that is not all; its metadata are those of the whole.  Raises BbmrError for damaged
    files, and for what is no region.
    """
    if isinstance(rescaled, RescaledImage):
        if region is None:
            return pipeline.restore(rescaled, progress, device, parts)
        return restore_open(Reader(BytesIO(fileformat.encode(rescaled, max_pixels))), progress, device, parts, region)
    path = _path(rescaled, "what is restored is a bbmr.RescaledImage or the path of a .bbmr file")
    with open_file(path, max_pixels) as reader:
        return restore_open(reader, progress, device, parts, region)


def restore_open(
    reader: Reader, progress: Progress, device: str, parts: Parts, region: tuple[int, int, int, int] | None
) -> Picture:
    """As `restore`, of a file that is open."""
    if region is None and len(reader.panels) == 1:
        return pipeline.restore(reader.rescaled(), progress, device, parts)
    whole = 0, 0, reader.header.grid.width, reader.header.grid.height
    try:
        left, top, width, height = map(index, whole if region is None else region)
    except (TypeError, ValueError) as error:
        raise BbmrError(f"region {region!r} is none: give left, top, width and height, whole numbers") from error
    found = Windows(reader, device, parts).region(slice(top, top + height), slice(left, left + width), progress)
    return replace(found, metadata=reader.metadata)


def preview(
    path: str | PathLike[str],
    factor: int = 8,
    *,
    progress: Progress = silent,
    max_pixels: int = fileformat.MAX_PIXELS,
) -> Picture:
    """The picture in a .bbmr file at 1 / factor of its sides, 2, 4, 8 or 16, quickly: without the network.

    Its metadata are those of the whole, resolution included.  Raises BbmrError for another factor, and as `restore`.
    """
    with open_file(_path(path, _OF_A_FILE), max_pixels) as reader:
        return replace(preview_of(reader, factor, progress), metadata=reader.metadata)


def check(path: str | PathLike[str], *, thorough: bool = False, max_pixels: int = fileformat.MAX_PIXELS) -> None:
    """Read a whole .bbmr file, of any size, and hold it against its checksums; nothing is restored.

    thorough: also decode all LR samples, alpha and metadata, which finds what was written wrongly in the first place,
    and see that the weights are there that restore it; max_pixels: then, as of `restore`.  Raises BbmrError, naming
    what is wrong; warns as `restore` does.
    """
    with open_file(_path(path, _OF_A_FILE), max_pixels=max_pixels if thorough else 1 << 64) as reader:
        reader.check()
        if thorough:
            reader.check_samples()
            if reader.recipe.pipeline != catalogue.OWN:  # else it takes an upscaler that is not at hand
                pipeline.restorer_of(reader.outline, reader.is_lossy)


_OF_A_FILE = "this takes the path of a .bbmr file; bbmr.save writes one"


def _path(given: object, wanted: str) -> str | PathLike[str]:
    if not isinstance(given, str | PathLike):
        raise TypeError(f"{wanted}, not a {type(given).__name__}")
    return given


def one_of(options: AnyOptions | None, given: Mapping[str, Any]) -> AnyOptions:
    """Options, or those that `options_from` makes of keyword arguments.  Raises BbmrError where there are both."""
    if options is None:
        return options_from(given)
    if given:
        raise BbmrError(f"{', '.join(given)} given beside options; leave one out")
    return options


def options_from(given: Mapping[str, Any]) -> AnyOptions:
    """Options from keyword arguments: with loss, at DEFAULT_QUALITY where no target is given, unless lossless_lr or
    anything else that is given is for LR samples that are stored as they are.

    The budget may be text or a share, a size text such as "100kB", the scales any sequence of numbers.  Raises
    BbmrError for what is unknown, has no place beside the rest, or does not work.
    """
    lossy = [name for name in TARGETS if given.get(name) is not None]
    lossless = [name for name in given if is_lossless(name, given[name])]
    kind: type[AnyOptions] = CodedOptions if lossy or not lossless else Options
    own = [field.name for field in fields(kind)]
    everything = dict.fromkeys(field.name for one in (CodedOptions, Options) for field in fields(one))
    values = dict(given)
    flag = values.pop("lossless_lr", None)
    if not isinstance(flag, bool | None):
        raise BbmrError(f"lossless_lr {flag!r} is not possible; choose True or False")
    if flag and lossy:
        raise BbmrError(_out_of_place("lossless_lr", lossy[0], with_loss=False))
    if flag is False and lossless:
        raise BbmrError(_out_of_place(lossless[0], "lossless_lr=False", with_loss=False))
    for name in values:
        if name not in everything:
            raise BbmrError(f"option {name!r} is unknown; there are: {', '.join((*everything, 'lossless_lr'))}")
        if name not in own:
            beside = lossy[0] if kind is CodedOptions else lossless[0]
            raise BbmrError(_out_of_place(name, beside, with_loss=kind is Options))
    if kind is CodedOptions and not lossy:
        values["quality"] = DEFAULT_QUALITY
    if isinstance(budget := values.get("budget"), str):
        values["budget"] = Budget(budget)
    elif isinstance(budget, Real):
        values["budget"] = Budget(np.format_float_positional(float(budget), 9, trim="-"))
    if isinstance(size := values.get("target_size"), str):
        values["target_size"] = parse_size(size)
    # Whole numbers may be numpy's.  What is no number, the options refuse by name.
    for name in {"block", "effort", "quality", "speed", "target_size"} & set(values):
        with suppress(TypeError):
            values[name] = values[name] if isinstance(values[name], bool) else index(values[name])
    if "scales" in values:
        with suppress(TypeError):
            values["scales"] = tuple(map(index, values["scales"]))
    return kind(**values)


def check_options(options: AnyOptions, device: str = "cpu") -> None:
    """Raise BbmrError where weights are missing or do not suit what is asked for, or the device cannot be used."""
    if isinstance(options, CodedOptions):
        sender.pipeline_for(options, device)
    else:
        catalogue.pipeline_for(options, device)


def is_lossless(name: str, value: Any) -> bool:
    """Whether an option, by its name or its value, is for LR samples that are stored as they are."""
    if name == "lossless_lr":
        return bool(value)
    if name == "pipeline":
        return isinstance(value, str) and value in PIPELINE_CHOICES
    if name == "block":
        return value not in CODED_SIDES
    if name == "weights":
        known = [entry.network for part in str(value).split("+") if (entry := weights_index().get(part))]
        return any(not is_coded(network) for network in known)
    return name in {field.name for field in fields(Options)} - {field.name for field in fields(CodedOptions)}


def _out_of_place(name: str, beside: str, with_loss: bool) -> str:
    how = "coded with loss" if with_loss else "stored as they are"
    return f"{name} has no place beside {beside}: it is for LR samples that are {how}; leave one out"
