"""Puts the averaged weights of a run into the package, with their line in the index: network, scale, steps, and the
PSNR-Y of its log.  They are in half precision but for the first and last layers of SR networks, which whole pixels go
through and not only what is to be added to them.  Of a run end to end Down-Nets come apart, as the filters that they
fold into, under the name with `.lr` behind it.

    python -m bbmr.training.export runs/fast-mosaic --name mosaic-fast --checkpoints checkpoints

With `--checkpoints` it also keeps, in that folder, what is needed to prolong the run: the state from before the rate
fell, or the last one of a run that began after that, compacted.
"""

import argparse
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
from bbmr.training.run_folder import AVERAGE, BEFORE_DECAY, LAST, facts_of
from bbmr.weights import WeightsEntry
from bbmr.weights.index import DOWNNET, LR, read_index, write_index
from bbmr.weights.precision import in_half


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
    if checkpoints is not None and not (run / kept).is_file():
        raise BbmrError(f"{run}: there is no {kept}; is this the folder of a run that went far enough?")
    facts = facts_of(run)
    filters, weights = take_apart(load_file(run / AVERAGE))
    # So PSNR moves by 0.0011 dB at most (docs/training.md).
    data = save(in_half(weights, build_network(facts.recipe.network).kind))
    file = package / f"{name}.safetensors"
    file.write_bytes(data)
    told = facts.scale, facts.steps
    digest = sha256(data).hexdigest()
    entries = {name: WeightsEntry(file.name, facts.recipe.network, digest, *told, facts.psnr_y, facts.psnr_y_bicubic)}
    if filters:
        data = save(filters)
        file = package / f"{name}{LR}.safetensors"
        file.write_bytes(data)
        entries[name + LR] = WeightsEntry(file.name, DOWNNET, sha256(data).hexdigest(), *told)
    write_index(package, read_index(package) | entries)
    if checkpoints:
        checkpoints.mkdir(parents=True, exist_ok=True)
        torch.save(compact(read_start(run / kept)), checkpoints / f"{name}.pt")


if __name__ == "__main__":
    main()
