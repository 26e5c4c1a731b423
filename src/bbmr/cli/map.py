"""bbmr map: the scale map of a .bbmr file, drawn over the picture."""

from typing import Annotated, Any

import typer

from bbmr.cli.batch import run_batch
from bbmr.cli.console import Reporter, guarded
from bbmr.cli.files import Job, plan_beside
from bbmr.cli.options import Debug, Json, MaxPixels, Overwrite, Quiet
from bbmr.errors import BbmrError
from bbmr.progress import Progress

NAME = "map"
EXAMPLES = "\n\n".join(
    (
        "[bold]Examples[/]",
        "bbmr map photo.bbmr                          writes photo.map.png",
        "bbmr map photo.bbmr -o map.png --over photo.jpg",
    )
)


@guarded
def run(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A .bbmr file.")],
    out: Annotated[
        str | None, typer.Option("--out", "-o", help="The picture to write.", show_default="beside FILE, .map.png")
    ] = None,
    over: Annotated[
        str | None, typer.Option(help="Draw over this picture (the original) and not over the restored one.")
    ] = None,
    max_pixels: MaxPixels = None,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Draw which block is stored at which scale: warm colours many samples, cold ones few."""
    sources, job = plan_beside(file, out, ".map.png", [over] if over is not None else [])

    from bbmr import fileformat, imageio
    from bbmr.api import restore
    from bbmr.evaluation.pictures import draw_map, scale_plane, upright
    from bbmr.imageio import orientation, read_picture, write_picture
    from bbmr.picture import Picture

    def work(job: Job, progress: Progress) -> tuple[dict[str, Any], str]:
        job.check(overwrite)
        limit = max_pixels or fileformat.MAX_PIXELS
        with fileformat.open_file(job.source, limit) as reader:
            reader.check()
            held, turned = reader.outline, orientation(reader.metadata)
        if over is None:
            picture = restore(job.source, progress=progress, max_pixels=limit).in_8_bit()
        else:
            picture = read_picture(over, max_pixels or imageio.MAX_PIXELS).in_8_bit()
            if (picture.height, picture.width) != (held.grid.height, held.grid.width):
                raise BbmrError(
                    f"{over}: has {picture.width} x {picture.height} pixels, and {job.source} {held.grid.width} x "
                    f"{held.grid.height}; give the picture that it was made from"
                )
        plane = scale_plane(held.scales, held.grid)
        drawn = draw_map(upright(picture.colour, turned), upright(plane, turned), held.blocks_per_scale)
        write_picture(Picture(drawn), job.target, overwrite)
        scales = {str(factor): count for factor, count in held.blocks_per_scale.items()}
        record = {"input": str(job.source), "output": str(job.target), "scales": scales}
        shares = ", ".join(f"x{factor} {count}" for factor, count in scales.items())
        return record, f"{job.target}: blocks at {shares}"

    run_batch(sources, [(job.source, job)], work, Reporter(json, quiet), debug)
