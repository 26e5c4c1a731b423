"""bbmr compress: pictures -> .bbmr files."""

import time
from enum import StrEnum
from typing import Annotated, Any

import typer

from bbmr.cli.batch import run_batch
from bbmr.cli.console import Reporter, UsageError, guarded
from bbmr.cli.description import describe, human_bytes
from bbmr.cli.files import Job, find_sources, plan
from bbmr.cli.options import Debug, Json, MaxPixels, Overwrite, Quiet
from bbmr.errors import BbmrError
from bbmr.progress import Progress

NAME = "compress"
EXAMPLES = "\n\n".join(
    (
        "[bold]Examples[/]",
        "bbmr compress photo.jpg                      writes photo.bbmr",
        "bbmr compress photo.jpg -o small.bbmr --budget x8",
        "bbmr compress 'photos/**/*.png' -o out/      keeps the folders below photos",
        "bbmr compress photos -o out --json > report.json",
    )
)


class Block(StrEnum):  # noqa: D101
    B16 = "16"
    B32 = "32"
    B64 = "64"
    B128 = "128"


class Tune(StrEnum):  # noqa: D101
    VISUAL = "visual"
    PSNR = "psnr"


class Distortion(StrEnum):  # noqa: D101
    CORRECTED = "corrected"
    BICUBIC = "bicubic"
    NETWORK = "network"


class Allocator(StrEnum):  # noqa: D101
    OPTIMAL = "optimal"
    GREEDY = "greedy"


@guarded
def run(
    inputs: Annotated[list[str], typer.Argument(metavar="IN", help="Pictures, quoted patterns, or folders.")],
    out: Annotated[
        str | None,
        typer.Option(
            "--out", "-o", help="File for one picture, else folder.", show_default="beside the picture, .bbmr"
        ),
    ] = None,
    block: Annotated[Block, typer.Option(help="Pixels per side of a block.")] = Block.B16,
    scales: Annotated[
        str | None,
        typer.Option(help="Factors a block may have.", show_default="1,2,4,8,16; with --allocator greedy 2,4,8"),
    ] = None,
    budget: Annotated[
        str, typer.Option(help="LR pixels to store: those of a uniform x4, or a share such as 1/16, 0.0625, 6.25%.")
    ] = "x4",
    tune: Annotated[
        Tune, typer.Option(help="What to favour: an even look, or the lowest squared error (PSNR).")
    ] = Tune.VISUAL,
    distortion: Annotated[
        Distortion,
        typer.Option(
            metavar="HOW",
            help="How to foresee a block's error: corrected (bicubic and a fitted model), bicubic, or network (slow).",
        ),
    ] = Distortion.CORRECTED,
    allocator: Annotated[
        Allocator, typer.Option(help="How to choose the scales: least error, or the paper's Algorithm 1.")
    ] = Allocator.OPTIMAL,
    pipeline: Annotated[
        str | None, typer.Option(help="Downscaler, network and weights.", show_default="mosaic-fast")
    ] = None,
    max_pixels: MaxPixels = None,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Compress pictures into .bbmr files: each block at the scale it needs, within a budget of LR pixels."""
    from bbmr.imageio import MAX_PIXELS, READ_SUFFIXES, read_picture

    sources = find_sources(inputs, READ_SUFFIXES)
    jobs = plan(sources, out, ".bbmr")
    for job in jobs:
        if job.target.suffix != ".bbmr":
            raise UsageError(f"{job.target}: the name of a compressed picture ends in .bbmr")

    from bbmr.allocation.budget import Budget
    from bbmr.fileformat import save
    from bbmr.pipeline import DEFAULT_PIPELINE, Options, compress, find_pipeline

    try:
        options = Options(
            block=int(block),
            scales=_parse_scales(scales or ("2,4,8" if allocator == Allocator.GREEDY else "1,2,4,8,16")),
            budget=Budget(budget),
            tune=tune.value,
            distortion=distortion.value,
            allocator=allocator.value,
            pipeline=find_pipeline(pipeline or DEFAULT_PIPELINE).name,
        )
    except BbmrError as error:
        raise UsageError(str(error)) from error

    def work(job: Job, progress: Progress) -> tuple[dict[str, Any], str]:
        job.check(overwrite)
        start = time.perf_counter()
        progress("read", 0.0)
        rescaled = compress(read_picture(job.source, max_pixels or MAX_PIXELS), options, progress)
        progress("write", 1.0)
        job.make_folder()
        save(rescaled, job.target, overwrite=overwrite)
        seconds = time.perf_counter() - start
        facts = describe(rescaled, job.target.stat().st_size)
        record = {"input": str(job.source), "output": str(job.target), **facts, "seconds": round(seconds, 3)}
        line = (
            f"{job.target}: {facts['width']} x {facts['height']}, {human_bytes(facts['bytes'])}, "
            f"{facts['bpp']:.3f} bpp, LR {facts['lr_share']:.2%} of the pixels, {seconds:.1f} s"
        )
        return record, line

    run_batch(sources, [(job.source, job) for job in jobs], work, Reporter(json, quiet), debug)


def _parse_scales(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part.strip().lower().removeprefix("x")) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"--scales {text}: give factors with commas between them, such as 1,2,4,8,16") from error
