"""What `bbmr train` and `python -m bbmr.training` do, without what either needs to read its command line."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from bbmr.extras import from_extra


def train_by_name(
    name: str,
    data: Path | None = None,
    out: Path | None = None,
    overrides: Iterable[str] = (),
    devices: int | None = None,
    minutes: float | None = None,
) -> None:
    """Train by a shipped recipe's name or a YAML file's path, `section.key=value` overrides applied.

    data: in place of the recipe's `data.folder`.  out: folder of the run, by default runs/NAME.  devices, minutes: as
    in `bbmr.training.run.train`.  Raises RecipeError for what is wrong with the command, BbmrError for all else.
    """
    with from_extra("train"):
        from bbmr.training.recipe import load_recipe  # noqa: PLC0415  # so that it can be said what is missing
        from bbmr.training.run import train  # noqa: PLC0415
    recipe = load_recipe(name, overrides)
    if data is not None:
        recipe = replace(recipe, data=replace(recipe.data, folder=str(data)))
    train(recipe, out or Path("runs", Path(name).stem), devices or "auto", minutes)
