"""bbmr check: whether .bbmr files are whole."""

from pathlib import Path
from typing import Annotated, Any

import typer

from bbmr.cli.batch import run_batch
from bbmr.cli.console import Reporter, guarded
from bbmr.cli.description import human_bytes
from bbmr.cli.files import find_sources
from bbmr.cli.options import Debug, Json, MaxPixels, Quiet
from bbmr.progress import Progress

NAME = "check"
EXAMPLES = "\n\n".join(
    (
        "[bold]Examples[/]",
        "bbmr check photo.bbmr",
        "bbmr check archive --quiet                   says nothing unless a file is damaged; exit code 1 then",
        "bbmr check archive --thorough                some tenths of a second for 10 megapixels",
    )
)


@guarded
def run(
    inputs: Annotated[list[str], typer.Argument(metavar="FILE", help=".bbmr files, quoted patterns, or folders.")],
    thorough: Annotated[
        bool,
        typer.Option(
            "--thorough",
            help="Decode LR samples, alpha and metadata too, which finds what was written wrongly, with the right "
            "checksums; and see that the weights are here that restore them.",
        ),
    ] = False,
    max_pixels: MaxPixels = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Read whole .bbmr files, of any size, and hold every section against its checksum; nothing is restored."""
    from bbmr.api import check
    from bbmr.fileformat import MAX_PIXELS

    def work(path: Path, progress: Progress) -> tuple[dict[str, Any], str]:
        progress("check", 0.0)
        check(path, thorough=thorough, max_pixels=max_pixels or MAX_PIXELS)
        size = path.stat().st_size
        return {"input": str(path), "bytes": size, "whole": True}, f"{path}: whole, {human_bytes(size)}"

    sources = find_sources(inputs, (".bbmr",))
    items = [(source.path, source.path) for source in sources.files]
    run_batch(sources, items, work, Reporter(json, quiet), debug, of_failed={"whole": False})
