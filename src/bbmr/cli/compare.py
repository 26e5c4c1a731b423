"""bbmr compare: one picture by plain x4 and by bbmr, at the same budget; or by codecs and by bbmr, in as many bytes."""

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bbmr.cli.batch import run_batch
from bbmr.cli.console import Reporter, UsageError, guarded
from bbmr.cli.description import human_bytes
from bbmr.cli.files import Job, plan_beside
from bbmr.cli.options import Debug, Json, MaxPixels, Overwrite, Quiet, Tune, quality_option
from bbmr.errors import BbmrError
from bbmr.options import Options
from bbmr.progress import Progress

if TYPE_CHECKING:
    from rich.table import Table

    from bbmr.evaluation.comparison import Contender

NAME = "compare"
EXAMPLES = "\n\n".join(
    (
        "[bold]Examples[/]",
        "bbmr compare photo.jpg                       writes photo.compare.png",
        "bbmr compare photo.jpg -o crops.png --tune psnr",
        "bbmr compare photo.jpg --quality 30          with WebP and AVIF, files of equal size",
    )
)


@guarded
def run(
    file: Annotated[str, typer.Argument(metavar="PICTURE", help="A picture.")],
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", help="The picture to write.", show_default="beside PICTURE, .compare.png"),
    ] = None,
    tune: Tune = Options.tune,
    quality: Annotated[
        int | None,
        quality_option("Compare what is coded with loss at this quality with WebP and AVIF in as many bytes instead."),
    ] = None,
    max_pixels: MaxPixels = None,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Compare with a network for x4 all over, in as many LR pixels; at a quality with WebP and AVIF, in as many bytes.

    Codecs come as near to these bytes as they can.  Writes crops side by side where bbmr and plain x4, or
    AVIF, differ most, and one where that is better, if it is anywhere.
    """
    sources, job = plan_beside(file, out, ".compare.png")

    from bbmr.coding.options import CodedOptions
    from bbmr.evaluation.comparison import compare, compare_in_bytes
    from bbmr.evaluation.metrics import psnr_y
    from bbmr.evaluation.pictures import side_by_side, upright
    from bbmr.evaluation.regions import telling_regions
    from bbmr.imageio import MAX_PIXELS, orientation, read_picture, write_picture
    from bbmr.picture import Picture

    try:
        options = Options(tune=tune) if quality is None else CodedOptions(quality=quality, tune=tune)
    except BbmrError as error:
        raise UsageError(str(error)) from error

    def work(job: Job, progress: Progress) -> tuple[dict[str, Any], "Table"]:
        job.check(overwrite)
        picture = read_picture(job.source, max_pixels or MAX_PIXELS).in_8_bit()
        if isinstance(options, CodedOptions):
            contenders = compare_in_bytes(picture, options, progress)
        else:
            contenders = compare(picture, options, progress)
        turned = orientation(picture.metadata)
        truth = upright(picture.colour, turned)
        shown = [upright(contender.colour, turned) for contender in contenders]
        regions = telling_regions(truth, shown[2], shown[1])
        rows = [[region.cut_out(colour) for colour in (truth, *shown)] for region in regions]
        captions = [
            [
                f"at {region.left}, {region.top}",
                *(f"PSNR-Y {psnr_y(crop, row[0], border=0):.2f} dB" for crop in row[1:]),
            ]
            for region, row in zip(regions, rows, strict=True)
        ]
        titles = ["original", *(_title(contender) for contender in contenders)]
        write_picture(Picture(side_by_side(titles, rows, captions)), job.target, overwrite)
        record = {
            "input": str(job.source),
            "output": str(job.target),
            "width": picture.width,
            "height": picture.height,
            "results": [
                {
                    "name": contender.name,
                    "psnr_y": _finite(contender.psnr_y),
                    "psnr_rgb": _finite(contender.psnr_rgb),
                    "lr_pixels": contender.lr_pixels,
                    "bytes": contender.bytes,
                }
                for contender in contenders
            ],
        }
        return record, _table(job, contenders)

    run_batch(sources, [(job.source, job)], work, Reporter(json, quiet), debug)


def _title(contender: "Contender") -> str:
    """Of its column: codecs do not get down to every size."""
    return contender.name if contender.bytes is None else f"{contender.name}, {human_bytes(contender.bytes)}"


def _finite(psnr: float) -> float | None:
    """JSON knows no infinity, the PSNR of a perfect copy."""
    return psnr if math.isfinite(psnr) else None


def _table(job: Job, contenders: list["Contender"]) -> "Table":
    from rich.markup import escape
    from rich.table import Table

    caption = f"crops side by side: {escape(str(job.target))}"
    table = Table("", title=escape(str(job.source)), caption=caption, title_justify="left", caption_justify="left")
    for column in ("PSNR-Y, dB", "PSNR-RGB, dB", "LR pixels", "file"):
        table.add_column(column, justify="right")
    for contender in contenders:
        table.add_row(
            contender.name,
            f"{contender.psnr_y:.2f}",
            f"{contender.psnr_rgb:.2f}",
            "" if contender.lr_pixels is None else str(contender.lr_pixels),
            "as plain x4" if contender.bytes is None else human_bytes(contender.bytes),
        )
    return table
