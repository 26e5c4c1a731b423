"""bbmr restore: .bbmr files -> pictures."""

import time
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from bbmr.atomic import OutputError
from bbmr.cli.console import Reporter, UsageError, guarded
from bbmr.cli.description import human_bytes
from bbmr.cli.files import Job, find_sources, plan
from bbmr.cli.jobs import Making, run_jobs
from bbmr.cli.options import Debug, Device, Jobs, Json, MaxPixels, Overwrite, Quiet, Resume
from bbmr.errors import BbmrError
from bbmr.progress import Progress

NAME = "restore"
EXAMPLES = "\n\n".join(
    (
        "[bold]Examples[/]",
        "bbmr restore photo.bbmr -o restored.png",
        "bbmr restore photo.bbmr -o restored.jpg --quality 90",
        "bbmr restore 'out/*.bbmr' -o restored/       writes PNG files",
        "bbmr restore out -o restored --format jpg    or others",
        "bbmr restore out -o restored --resume        goes on with a run that was stopped",
        "bbmr restore photo.bbmr --region 1000,500,512,512 -o part.png",
        "bbmr restore photo.bbmr --preview 8 -o small.png",
    )
)


@guarded
def run(
    inputs: Annotated[list[str], typer.Argument(metavar="IN", help=".bbmr files, quoted patterns, or folders.")],
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            help="File (PNG, JPEG, TIFF, WebP, AVIF or JPEG XL by its suffix) for one picture, else folder.",
            show_default="beside the input",
        ),
    ] = None,
    kind: Annotated[
        str,
        typer.Option(
            "--format", metavar="png|jpg|tif|webp|avif|jxl", help="Of pictures whose names --out does not give."
        ),
    ] = "png",
    quality: Annotated[int, typer.Option(min=1, max=100, help="Of JPEG and AVIF; the others keep every sample.")] = 95,
    region: Annotated[
        str | None,
        typer.Option(
            metavar="X,Y,W,H",
            help="Restore a part alone: left and top edge, width and height, in pixels as they are stored, not turned.",
        ),
    ] = None,
    preview: Annotated[
        int | None,
        typer.Option(metavar="2|4|8|16", help="So many times smaller, without the network: in a fraction of the time."),
    ] = None,
    salvage: Annotated[
        bool,
        typer.Option("--salvage", help="Leave out a colour profile, EXIF data or XMP that is damaged, with a note."),
    ] = False,
    device: Device = "cpu",
    max_pixels: MaxPixels = None,
    jobs: Jobs = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Restore pictures from .bbmr files, at their size and mode, metadata included."""
    from bbmr.imageio import check_writable

    sources = find_sources(inputs, (".bbmr",))
    planned = plan(sources, out, f".{kind.lower().removeprefix('.')}")
    for job in planned:
        try:
            check_writable(job.target)
        except BbmrError as error:
            raise UsageError(str(error)) from error

    if region is not None and preview is not None:
        raise UsageError("--region has no place beside --preview; leave one out")
    part = None if region is None else _parse_region(region)

    from bbmr.devices import find_device
    from bbmr.fileformat import MAX_PIXELS
    from bbmr.windows import PREVIEWS

    if preview is not None and preview not in PREVIEWS:
        raise UsageError(f"--preview {preview}: a preview is {', '.join(map(str, PREVIEWS))} times smaller")
    find_device(device)  # one that is not there is one error, not one for each picture
    making = _Restoring(device, overwrite, quality, max_pixels or MAX_PIXELS, part, preview, salvage)
    run_jobs(sources, planned, making, Reporter(json, quiet), debug, jobs, resume)


@dataclass(frozen=True)
class _Restoring(Making):
    """quality: of formats that have one.  max_pixels: of whole blocks.  region, preview, salvage: as of
    `bbmr.restore_file`.
    """

    quality: int
    max_pixels: int
    region: tuple[int, int, int, int] | None
    preview: int | None
    salvage: bool

    def __call__(self, job: Job, progress: Progress) -> tuple[dict[str, Any], str]:
        from bbmr.file_to_file import restore_file

        start = time.perf_counter()
        progress("read", 0.0)
        picture = restore_file(
            job.source,
            job.target,
            progress=progress,
            max_pixels=self.max_pixels,
            device=self.device,
            region=self.region,
            preview=self.preview,
            overwrite=self.overwrite,
            parents=job.in_folder,
            quality=self.quality,
            salvage=self.salvage,
        )
        seconds = time.perf_counter() - start
        size = job.target.stat().st_size
        record = {
            "input": str(job.source),
            "output": str(job.target),
            "width": picture.width,
            "height": picture.height,
            "mode": picture.mode,
            "bytes": size,
            "seconds": round(seconds, 3),
        }
        line = f"{job.target}: {picture.width} x {picture.height}, {human_bytes(size)}, {seconds:.1f} s"
        return record, line

    def check_made(self, job: Job) -> None:
        from bbmr.file_to_file import restored_size
        from bbmr.fileformat import open_file
        from bbmr.imageio import MAX_PIXELS, open_picture

        with open_file(job.source, self.max_pixels) as reader:
            height, width = restored_size(reader.header.grid, self.region, self.preview)
        with open_picture(job.target, max(MAX_PIXELS, height * width)) as picture:
            if (picture.height, picture.width) != (height, width):
                raise OutputError(
                    f"it has {picture.width} x {picture.height} pixels, and would have {width} x {height}"
                )


def _parse_region(text: str) -> tuple[int, int, int, int]:
    try:
        left, top, width, height = map(int, text.split(","))
    except ValueError as error:
        raise UsageError(f"--region {text}: give left, top, width and height, such as 1000,500,512,512") from error
    return left, top, width, height
