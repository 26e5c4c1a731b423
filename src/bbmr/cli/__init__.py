"""The command line: one verb, one module.  `main` is what `bbmr` starts.

Nothing here imports torch at the top: `bbmr --help` answers at once, the verbs import what they work with.
"""

import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from typing import Annotated

import typer

from bbmr.cli import check, compare, compress, evaluate, info, map, restore, train, weights
from bbmr.cli.console import INTERRUPTED, TERMINATED, version_text

app = typer.Typer(
    rich_markup_mode="rich",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (compress, restore, info, check, map, compare, evaluate, train):
    app.command(verb.NAME, epilog=verb.EXAMPLES)(verb.run)
app.add_typer(weights.verbs, name=weights.NAME, epilog=weights.EXAMPLES)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"bbmr {version_text()}")
        raise typer.Exit


@app.callback(epilog="[bold]First steps[/]\n\nbbmr compress photo.jpg\n\nbbmr restore photo.bbmr -o restored.png")
def _verbs(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Image rescaling by blocks.

    Each part of a photograph is stored at the scale it needs; one network restores the whole.
    """


def main() -> None:
    """Run the command line.

    Exit code 0: all done; 1: something failed, named on stderr; 2: wrong usage; 130: interrupted; 143: ended
    by SIGTERM.
    """
    # Threads that spin while they wait make torch several times slower wherever another program wants a core too.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started this; what is meant for one must not go to the other
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  # until the end
    if isinstance(sys.stdout, TextIOWrapper):
        # File names may hold what it has no characters for; stderr does so anyway.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app(prog_name="bbmr")
    except SystemExit as end:
        if end.code in {INTERRUPTED, TERMINATED}:
            # Threads that code large planes would be waited for, up to half a minute; what matters is tidied up.
            with suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(end.code)
        raise
