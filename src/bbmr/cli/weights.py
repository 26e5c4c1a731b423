"""bbmr weights: what networks can be restored with; import and export of checkpoints."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bbmr.cli.console import Reporter, guarded
from bbmr.cli.options import Debug, Json, Overwrite, Quiet

if TYPE_CHECKING:
    from rich.table import Table

    from bbmr.weights import WeightsEntry

NAME = "weights"
EXAMPLES = "\n\n".join(
    (
        "[bold]Examples[/]",
        "bbmr weights list",
        "bbmr weights import omnisr_x4.pth --name authors-x4",
        "bbmr weights export authors-x4 -o authors-x4.safetensors",
        "bbmr weights remove authors-x4",
    )
)

verbs = typer.Typer(no_args_is_help=True, help="List, import, export and remove the weights of networks.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="As `bbmr weights list` has it.")]


@verbs.command("list", epilog="[bold]Examples[/]\n\nbbmr weights list\n\nbbmr weights list --json")
@guarded
def list_all(json: Json = False, debug: Debug = False) -> None:
    """List all weights: network, scale, steps of training, PSNR-Y in validation, hash."""
    from bbmr.weights import weights_index
    from bbmr.weights.index import own_folder, shipped_index

    shipped, entries = shipped_index(), dict(sorted(weights_index().items()))
    reporter = Reporter(json)
    reporter.document(
        [{"name": name, "imported": name not in shipped, **asdict(entry)} for name, entry in entries.items()]
    )
    reporter.table(_table(entries))
    reporter.line("PSNR-Y: mean over the validation crops of the training, in brackets the gain over bicubic.")
    reporter.line("*: LR pictures by Down-Nets that were trained with them.")
    imported = ", ".join(name for name in entries if name not in shipped)
    if imported:
        reporter.line(f"Imported, in {own_folder()}: {imported}")


@verbs.command(
    "import",
    epilog="[bold]Examples[/]\n\nbbmr weights import omnisr_x4.pth --name authors-x4\n\n"
    "bbmr weights import runs/mine/ema.safetensors --name mine",
)
@guarded
def import_one(
    checkpoint: Annotated[Path, typer.Argument(metavar="FILE", help="A checkpoint: .pth, .pt or .safetensors.")],
    name: Annotated[str, typer.Option(help="What to call the weights.")],
    network: Annotated[
        str | None, typer.Option(help="The network that they are for.", show_default="by keys and shapes")
    ] = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Import a checkpoint, for example one of Omni-SR's authors, after checking it.

    Nothing in the file is run.  The weights go into the folder BBMR_WEIGHTS, if that is set, or one of the user's.
    """
    from bbmr.weights.imported import import_weights

    done = import_weights(checkpoint, name, network)
    precision = "half precision" if done.half else "float32, as half precision would change the result"
    Reporter(quiet=quiet).line(f"{name}: {done.entry.network}, {precision}, in {done.path}")


@verbs.command("export", epilog="[bold]Examples[/]\n\nbbmr weights export omnisr-x4 -o omnisr-x4.pth")
@guarded
def export_one(
    name: Name,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="A .safetensors, .pth or .pt file.")],
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write weights as a checkpoint, in float32; those of Omni-SR have the keys of its authors' release."""
    from bbmr.weights.imported import export_weights

    export_weights(name, out, overwrite)
    Reporter(quiet=quiet).line(f"{out}: the weights {name}")


@verbs.command("remove", epilog="[bold]Examples[/]\n\nbbmr weights remove authors-x4")
@guarded
def remove_one(name: Name, quiet: Quiet = False, debug: Debug = False) -> None:
    """Remove imported weights; those that come with bbmr stay."""
    from bbmr.weights.imported import remove_weights

    remove_weights(name)
    Reporter(quiet=quiet).line(f"{name}: removed")


def _table(entries: Mapping[str, "WeightsEntry"]) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    from bbmr.weights.index import DOWNNET, LR

    table = Table(box=SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False)
    for column in ("weights", "network", "scale", "steps", "PSNR-Y, dB", "SHA-256"):
        table.add_column(column, no_wrap=column in ("weights", "network"), overflow="fold")  # names are to be typed
    for name, entry in entries.items():
        if entry.network == DOWNNET:  # stands in the line of the weights that it was trained with
            continue
        psnr = "\n".join(
            f"{view} {value:.2f} ({value - entry.psnr_y_bicubic[view]:+.2f})" for view, value in entry.psnr_y.items()
        )
        table.add_row(
            escape(name),
            escape(entry.network),
            (f"x{entry.scale}" if entry.scale else "maps") + (" *" if name + LR in entries else ""),
            "?" if entry.steps is None else f"{entry.steps:,}",
            psnr or "?",
            entry.sha256[:8],
        )
    return table
