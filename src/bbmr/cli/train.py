"""bbmr train: a network by a recipe, on the user's photographs."""

from pathlib import Path
from typing import Annotated

import typer

from bbmr.cli.console import UsageError, guarded
from bbmr.cli.options import Debug
from bbmr.training.recipes import shipped_recipes

NAME = "train"
EXAMPLES = "\n\n".join(
    (
        "[bold]Examples[/]",
        "bbmr train short-fast-mosaic --data photos/",
        "bbmr train fast-mosaic --data photos/ --out runs/mine --set steps=30000 --set schedule.decay=0.2",
        "bbmr train my-recipe.yaml --devices 4",
        "Run again with the same --out to go on from its last checkpoint.",
    )
)


@guarded
def run(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help=f"{', '.join(shipped_recipes())}, or a YAML file.")],
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of photographs.", show_default="the recipe's data.folder"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Folder of the run.", show_default="runs/RECIPE")
    ] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one key of the recipe.")
    ] = None,
    devices: Annotated[
        int | None, typer.Option(min=1, help="GPUs, or processes where there are none.", show_default="all GPUs")
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(min=0, help="Stop by then, with a checkpoint to go on from.", show_default="no limit"),
    ] = None,
    debug: Debug = False,
) -> None:
    """Train a network by a recipe; log, checkpoints and weights go to the folder of the run."""
    from bbmr.training.command import train_by_name
    from bbmr.training.errors import RecipeError

    try:
        train_by_name(recipe, data, out, change or (), devices, minutes)
    except RecipeError as error:
        raise UsageError(str(error)) from error
