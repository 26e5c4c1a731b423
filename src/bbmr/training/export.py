"""Puts the averaged weights of a run into the package, with their line in the index: network, scale, steps, and the
PSNR-Y of its log.  They are in half precision but for the first and last layers of SR networks, which whole pixels go
through and not only what is to be added to them.  Of a run end to end Down-Nets come apart, as the filters that they
fold into, under the name with `.lr` behind it.

    python -m bbmr.training.export runs/fast-mosaic --name mosaic-fast --checkpoints checkpoints

With `--checkpoints` it also keeps, in that folder, what is needed to prolong the run: the state from before the rate
fell, or the last one of a run that began after that, compacted.
"""

import argparse
import csv
import sys
from hashlib import sha256
from pathlib import Path

import torch
from safetensors.torch import load_file, save

import bbmr.weights
from bbmr.errors import BbmrError
from bbmr.networks import build_network
from bbmr.networks.end_to_end import take_apart
from bbmr.training.checkpoints import compact, read_start
from bbmr.training.recipe import Maps, load_recipe
from bbmr.training.record import AVERAGE, BEFORE_DECAY, LAST, LOG, RECIPE
from bbmr.weights import WeightsEntry
from bbmr.weights.index import DOWNNET, LR, read_index, write_index
from bbmr.weights.precision import in_half

_BICUBIC = "_bicubic"  # what the log calls a view without the network


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("run", type=Path, help="folder of a run")
    parser.add_argument("--name", required=True, help="name in the index")
    parser.add_argument("--checkpoints", type=Path, help="folder for what is needed to prolong the run")
    arguments = parser.parse_args()
    try:
        export(arguments.run, arguments.name, Path(bbmr.weights.__file__).parent, arguments.checkpoints)
    except BbmrError as error:
        sys.exit(f"error: {error}")


def export(run: Path, name: str, package: Path, checkpoints: Path | None) -> None:
    """Write the weights of `run` as `name` to the folder `package` of weights, and its checkpoint to `checkpoints`.

    Raises BbmrError if the run has left nothing to export.
    """
    kept = BEFORE_DECAY if (run / BEFORE_DECAY).is_file() else LAST
    for needed in (RECIPE, LOG, AVERAGE, *(() if checkpoints is None else (kept,))):
        if not (run / needed).is_file():
            raise BbmrError(f"{run}: there is no {needed}; is this the folder of a run that went far enough?")
    recipe = load_recipe(str(run / RECIPE))
    steps, psnr_y, bicubic = _read_log(run / LOG, recipe.maps)
    filters, weights = take_apart(load_file(run / AVERAGE))
    # So PSNR moves by 0.0011 dB at most (docs/training.md).
    data = save(in_half(weights, build_network(recipe.network).kind))
    file = package / f"{name}.safetensors"
    file.write_bytes(data)
    scale = recipe.maps.scales[0] if len(recipe.maps.scales) == 1 else None
    entries = {name: WeightsEntry(file.name, recipe.network, sha256(data).hexdigest(), scale, steps, psnr_y, bicubic)}
    if filters:
        data = save(filters)
        file = package / f"{name}{LR}.safetensors"
        file.write_bytes(data)
        entries[name + LR] = WeightsEntry(file.name, DOWNNET, sha256(data).hexdigest(), scale, steps)
    write_index(package, read_index(package) | entries)
    if checkpoints:
        checkpoints.mkdir(parents=True, exist_ok=True)
        torch.save(compact(read_start(run / kept)), checkpoints / f"{name}.pt")


def _read_log(log: Path, maps: Maps) -> tuple[int, dict[str, float], dict[str, float]]:
    """Steps of the last line, the one of the averaged weights, and the PSNR-Y of its views, restored and bicubic.

    Views of scales that the weights were not trained for are left out.
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


if __name__ == "__main__":
    main()
