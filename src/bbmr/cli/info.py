"""bbmr info: what is in a .bbmr file."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bbmr.cli.batch import run_batch
from bbmr.cli.console import Reporter, guarded
from bbmr.cli.description import describe, human_bytes
from bbmr.cli.files import find_sources
from bbmr.cli.options import Debug, Json, MaxPixels, Quiet
from bbmr.progress import Progress

if TYPE_CHECKING:
    from rich.table import Table

NAME = "info"
EXAMPLES = "\n\n".join(
    (
        "[bold]Examples[/]",
        "bbmr info photo.bbmr",
        "bbmr info 'out/**/*.bbmr' --json             a list, one object a file",
    )
)


@guarded
def run(
    inputs: Annotated[list[str], typer.Argument(metavar="FILE", help=".bbmr files, quoted patterns, or folders.")],
    max_pixels: MaxPixels = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Tell what .bbmr files hold: size, blocks per scale and the codec's quality, LR pixels, bytes, PSNR, weights."""
    from bbmr.fileformat import MAX_PIXELS, open_file

    def work(path: Path, progress: Progress) -> tuple[dict[str, Any], "Table"]:
        with open_file(path, max_pixels or MAX_PIXELS) as reader:
            reader.check()
            facts = describe(reader.outline, reader.qualities, path.stat().st_size)
            facts["sections"] = reader.sizes()
        return {"input": str(path), **facts}, _table(path, facts)

    sources = find_sources(inputs, (".bbmr",))
    run_batch(sources, [(source.path, source.path) for source in sources.files], work, Reporter(json, quiet), debug)


def _psnr_text(facts: Mapping[str, Any]) -> str:
    """Of what is coded with loss it was measured; else, unless samples were refined, it is an estimate."""
    psnr, coded = facts["expected_psnr"], bool(facts["qualities"])
    if psnr is not None:
        return f"{psnr:.2f} dB" + ("" if coded else ", about")
    return "exact" if not coded and set(facts["scales"]) == {"1"} else "unknown"


def _table(path: Path, facts: dict[str, Any]) -> "Table":
    from rich.markup import escape
    from rich.table import Table

    table = Table("", "", title=escape(str(path)), show_header=False, title_justify="left")
    table.add_row("picture", f"{facts['width']} x {facts['height']} {facts['mode']}, {facts['depth']} bits a sample")
    table.add_row("file", f"{human_bytes(facts['bytes'])}, {facts['bpp']:.3f} bits per pixel")
    if facts["quality"] is not None:
        table.add_row("quality", str(facts["quality"]))
    table.add_row("LR pixels", f"{facts['lr_pixels']} = {facts['lr_share']:.2%} of the picture's")
    table.add_row("expected PSNR-Y", _psnr_text(facts))
    table.add_row("pipeline", escape(facts["pipeline"]))
    table.add_row("scales chosen by", escape(facts["tune"]))
    table.add_row("weights", escape(facts["weights"]))
    table.add_section()
    blocks = sum(facts["scales"].values())
    table.add_row("blocks", f"{blocks} of {facts['block']} x {facts['block']} pixels")
    for factor, count in facts["scales"].items():
        coded = f", coded at quality {facts['qualities'][factor]}" if facts["qualities"] else ""
        table.add_row(f"  at x{factor}", f"{count} ({count / blocks:.1%}){coded}")
    table.add_section()
    for name, size in facts["sections"].items():
        table.add_row(f"  {escape(name)}", f"{size} bytes ({size / facts['bytes']:.1%})")
    return table
