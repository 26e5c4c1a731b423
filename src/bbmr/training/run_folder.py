"""What a run's folder holds, and what it tells of its weights.  Light to import, PyYAML apart."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bbmr.errors import BbmrError
from bbmr.training.recipe import Maps, Recipe, load_recipe

RECIPE, LOG, LAST, BEFORE_DECAY, AVERAGE = (
    "recipe.yaml",
    "log.csv",
    "last.ckpt",
    "before-decay.ckpt",
    "ema.safetensors",
)

_BICUBIC = "_bicubic"  # what the log calls a view without the network


@dataclass(frozen=True)
class RunFacts:
    """What the index says of weights, as of `WeightsEntry`; steps: of the last line of the log, which is that of the
    averaged weights.
    """

    recipe: Recipe
    scale: int | None
    steps: int
    psnr_y: Mapping[str, float]
    psnr_y_bicubic: Mapping[str, float]


def facts_of(run: Path) -> RunFacts:
    """Of a run that went as far as its first line in the log.  Raises BbmrError for what is no such folder."""
    for needed in (RECIPE, LOG, AVERAGE):
        if not (run / needed).is_file():
            raise BbmrError(f"{run}: there is no {needed}; is this the folder of a run that went far enough?")
    recipe = load_recipe(str(run / RECIPE))
    scale = recipe.maps.scales[0] if len(recipe.maps.scales) == 1 else None
    return RunFacts(recipe, scale, *_read_log(run / LOG, recipe.maps))


def _read_log(log: Path, maps: Maps) -> tuple[int, dict[str, float], dict[str, float]]:
    """Steps, and the PSNR-Y of the views, restored and bicubic; those of scales that the weights were not trained for
    are left out.
    """
    try:
        with log.open(newline="") as file:
            *_, last = csv.DictReader(file)
        views = [key.removesuffix(_BICUBIC) for key in last if key.endswith(_BICUBIC)]
        if maps.uniform == 1:
            views = [view for view in views if view in {f"x{scale}" for scale in maps.scales}]
        restored = {view: float(last[view]) for view in views}
        bicubic = {view: float(last[view + _BICUBIC]) for view in views}
        return int(last["step"]), restored, bicubic
    except (OSError, ValueError, TypeError, KeyError, csv.Error) as error:
        raise BbmrError(f"{log}: cannot be read as the log of a run ({error}); is the run under way?") from error
