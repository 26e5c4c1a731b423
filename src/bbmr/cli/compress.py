"""bbmr compress: pictures -> .bbmr files."""

import re
import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bbmr.blocks import BLOCK_SIDES
from bbmr.cli.console import Reporter, UsageError, guarded
from bbmr.cli.description import describe, human_bytes
from bbmr.cli.files import Job, find_sources, plan
from bbmr.cli.jobs import Making, run_jobs
from bbmr.cli.options import (
    Debug,
    Device,
    Effort,
    Jobs,
    Json,
    MaxPixels,
    Overwrite,
    Quiet,
    Resume,
    Tune,
    quality_option,
)
from bbmr.coding.options import CHROMAS, CODED_SIDES, DEFAULT_QUALITY, SPEEDS, CodedOptions
from bbmr.errors import BbmrError
from bbmr.options import (
    ALLOCATORS,
    BICUBIC_CHOICES,
    BICUBIC_MOSAIC,
    CODED_CHOICES,
    DEFAULT_SCALES,
    DISTORTIONS,
    LEARNED,
    Options,
)
from bbmr.progress import Progress

if TYPE_CHECKING:
    from bbmr.api import AnyOptions

NAME = "compress"
EXAMPLES = "\n\n".join(
    (
        "[bold]Examples[/]",
        "bbmr compress photo.jpg                      writes photo.bbmr",
        "bbmr compress photo.jpg -o small.bbmr --quality 35",
        "bbmr compress photos -o out --target-size 100kB",
        "bbmr compress 'photos/**/*.png' -o out/      keeps the folders below photos",
        "bbmr compress photos -o out --json > report.json",
        "bbmr compress photos -o out --resume         goes on with a run that was stopped",
        "bbmr compress photo.jpg --lossless-lr        as the paper: a budget of LR pixels, stored as they are",
        "bbmr compress photo.jpg --budget x8          likewise, with fewer of them",
        "bbmr compress photo.jpg --effort 5           likewise, better, and slower; restoring takes no longer",
        "bbmr compress photo.jpg --weights mine       weights of your own, see bbmr weights",
    )
)
DEFAULTS = Options()
LARGE_BLOCKS = ", ".join(
    name for name, choice in BICUBIC_CHOICES.items() if choice.blocks[0] != DEFAULTS.block and not choice.uniform
)


def _listed(factors: tuple[int, ...]) -> str:
    return ",".join(map(str, factors))


@guarded
def run(
    context: typer.Context,
    inputs: Annotated[list[str], typer.Argument(metavar="IN", help="Pictures, quoted patterns, or folders.")],
    out: Annotated[
        str | None,
        typer.Option(
            "--out", "-o", help="File for one picture, else folder.", show_default="beside the picture, .bbmr"
        ),
    ] = None,
    block: Annotated[
        int | None,
        typer.Option(
            metavar="|".join(map(str, BLOCK_SIDES)),
            help="Pixels per side of a block.",
            show_default=f"{CodedOptions.block}, or {min(CODED_SIDES)}; with --lossless-lr {DEFAULTS.block}, with "
            f"{LARGE_BLOCKS} {max(BLOCK_SIDES)}",
        ),
    ] = None,
    scales: Annotated[
        str | None,
        typer.Option(
            help="Factors a block may have.",
            show_default=f"{_listed(DEFAULT_SCALES['optimal'])}; with --allocator greedy, {LARGE_BLOCKS} "
            f"{_listed(DEFAULT_SCALES['greedy'])}",
        ),
    ] = None,
    budget: Annotated[
        str,
        typer.Option(
            help="Without loss: LR pixels to store in all: x4 stands for those of the whole picture shrunk by 4, x6 "
            "for fewer (a smaller file, less detail); or a share of the picture's pixels, such as 1/20, 0.05 or 5%.",
        ),
    ] = DEFAULTS.budget.text,
    tune: Tune = DEFAULTS.tune,
    distortion: Annotated[
        str,
        typer.Option(
            metavar="HOW",
            help=f"Without loss: how to foresee what a block loses ({', '.join(DISTORTIONS)}): by a light network and "
            "a model fitted to its errors, by bicubic enlargement (fastest), by the pipeline's own network (slow), or "
            "by the paper's small networks (with Omni-SR and CRAFT).",
        ),
    ] = DEFAULTS.distortion,
    allocator: Annotated[
        str,
        typer.Option(
            metavar="|".join(ALLOCATORS),
            help="Without loss: how to choose the scales: least error in all, or the paper's Algorithm 1, which "
            "ignores --tune and stores about what the middle one of its three scales would, however large the budget.",
        ),
    ] = DEFAULTS.allocator,
    pipeline: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="What shrinks and restores: "
            + "; ".join(f"{name}, {choice.summary}" for name, choice in CODED_CHOICES.items())
            + ". Without loss: "
            + "; ".join(f"{name}, {choice.summary}" for name, choice in BICUBIC_CHOICES.items())
            + f"; each as {LEARNED}NAME too, on LR pictures that Down-Net makes; of gray pictures that is NAME.",
            show_default=f"{CodedOptions.pipeline}; without loss {DEFAULTS.pipeline}",
        ),
    ] = DEFAULTS.pipeline,
    weights: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Restore with these weights, as `bbmr weights list` has them; of several networks joined by +. "
            f"For those without Down-Nets the default pipeline is {BICUBIC_MOSAIC}.",
            show_default="the pipeline's own",
        ),
    ] = DEFAULTS.weights,
    effort: Effort = DEFAULTS.effort,
    lossless_lr: Annotated[
        bool,
        typer.Option(
            "--lossless-lr",
            help="Store the LR samples as they are, within a budget of pixels; so do options that say without loss.",
        ),
    ] = False,
    quality: Annotated[
        int | None,
        quality_option(
            "From small files to excellent ones: LR samples coded with loss, each block at the scale that is worth its "
            "bits.",
            str(DEFAULT_QUALITY),
        ),
    ] = None,
    target_size: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="To a file of this size or up to 3 % less: 20000, 100kB, 1.5MB, 64KiB."),
    ] = None,
    target_bpp: Annotated[
        float | None,
        typer.Option(metavar="BITS", help="To so many bits per pixel of the picture, or up to 3 % fewer."),
    ] = None,
    target_psnr: Annotated[float | None, typer.Option(metavar="DB", help="To a PSNR-Y of at least so many dB.")] = None,
    chroma: Annotated[
        str,
        typer.Option(
            metavar="|".join(CHROMAS), help="With loss: colours at half the resolution of the luma, or at the same."
        ),
    ] = CodedOptions.chroma,
    strip: Annotated[
        bool,
        typer.Option(
            "--strip",
            help="Leave out EXIF data (place, camera, thumbnail) and XMP, but for the orientation; the colour profile "
            "stays.",
        ),
    ] = False,
    speed: Annotated[
        int,
        typer.Option(
            metavar=f"{SPEEDS[0]}..{SPEEDS[-1]}",
            help="With loss: how fast the encoder is; small files take long. At equal PSNR-Y those of 6 are some 10 % "
            "larger than those of 4, those of 3 some 2 % smaller. Restoring takes no longer.",
        ),
    ] = CodedOptions.speed,
    device: Device = "cpu",
    max_pixels: MaxPixels = None,
    jobs: Jobs = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Compress pictures into .bbmr files: each block at the scale that it needs."""
    from bbmr.imageio import MAX_PIXELS, READ_SUFFIXES

    sources = find_sources(inputs, READ_SUFFIXES)
    planned = plan(sources, out, ".bbmr")
    for job in planned:
        if job.target.suffix != ".bbmr":
            raise UsageError(f"{job.target}: the name of a compressed picture ends in .bbmr, that of a folder in /")

    from bbmr.api import check_options, is_lossless, options_from

    chosen = {
        "block": block,
        "scales": None if scales is None else _parse_scales(scales),
        "budget": budget,
        "tune": tune,
        "distortion": distortion,
        "allocator": allocator,
        "pipeline": pipeline,
        "weights": weights,
        "effort": effort,
        "lossless_lr": lossless_lr,
        "quality": quality,
        "target_size": target_size,
        "target_bpp": target_bpp,
        "target_psnr": target_psnr,
        "chroma": chroma,
        "speed": speed,
    }
    # What was not given decides nothing: some options have no place beside others.
    given = [name for name in chosen if (source := context.get_parameter_source(name)) and source.name != "DEFAULT"]
    try:
        options = options_from({name: chosen[name] for name in given})
    except BbmrError as error:
        names = "|".join(name for name in chosen if "_" in name)
        raise UsageError(re.sub(rf"\b({names})\b", _as_option, str(error))) from error
    if isinstance(options, Options) and not lossless_lr:
        deciding = ", ".join(f"--{name} {context.params[name]}" for name in given if is_lossless(name, chosen[name]))
        text = f"{deciding}: LR samples are stored as they are, as with --lossless-lr, and not coded with loss"
        warnings.warn(text, stacklevel=1)
    check_options(options, device)  # weights that are missing or do not suit are one error, not one for each picture

    making = _Compressing(device, overwrite, options, max_pixels or MAX_PIXELS, strip)
    run_jobs(sources, planned, making, Reporter(json, quiet), debug, jobs, resume)


@dataclass(frozen=True)
class _Compressing(Making):
    """options, max_pixels, strip: as of `bbmr.compress_file`."""

    options: "AnyOptions"
    max_pixels: int
    strip: bool

    def __call__(self, job: Job, progress: Progress) -> tuple[dict[str, Any], str]:
        from bbmr import fileformat
        from bbmr.file_to_file import compress_file

        start = time.perf_counter()
        held = compress_file(
            job.source,
            job.target,
            progress=progress,
            max_pixels=self.max_pixels,
            device=self.device,
            overwrite=self.overwrite,
            parents=job.in_folder,
            strip=self.strip,
            options=self.options,
        )
        seconds = time.perf_counter() - start
        with fileformat.open_file(job.target, max(self.max_pixels, fileformat.MAX_PIXELS)) as reader:
            facts = describe(held, reader.qualities, job.target.stat().st_size)
        record = {"input": str(job.source), "output": str(job.target), **facts, "seconds": round(seconds, 3)}
        # Without loss it is an estimate.
        known = facts["expected_psnr"] is not None and isinstance(self.options, CodedOptions)
        psnr = f", PSNR-Y {facts['expected_psnr']:.2f} dB" if known else ""
        quality = "" if facts["quality"] is None else f", quality {facts['quality']}"
        line = (
            f"{job.target}: {facts['width']} x {facts['height']}, {human_bytes(facts['bytes'])}, "
            f"{facts['bpp']:.3f} bpp, LR {facts['lr_share']:.2%} of the pixels{quality}{psnr}, {seconds:.1f} s"
        )
        return record, line

    def check_made(self, job: Job) -> None:
        from bbmr.fileformat import FileFormatError, load_outline
        from bbmr.imageio import open_picture

        held = load_outline(job.target, 1 << 64)
        with open_picture(job.source, self.max_pixels) as picture:
            made, found = ((one.width, one.height) for one in (picture, held.grid))
        if made != found:
            raise FileFormatError("it is of another picture, of {} x {} pixels; this has {} x {}".format(*found, *made))


def _as_option(name: re.Match[str]) -> str:
    """What Python calls target_size, as it is given here."""
    return f"--{name[0].replace('_', '-')}"


def _parse_scales(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part.strip().lower().removeprefix("x")) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"--scales {text}: give factors with commas between them, such as 1,2,4,8,16") from error
