"""Puts the averaged weights of a run into the package, in half precision, with their line in the index.

    python -m bbmr.training.export runs/fast-mosaic --name mosaic-fast --checkpoints checkpoints

With `--checkpoints` it also keeps, in that folder, what is needed to prolong the run: the state from before the rate
fell, compacted.
"""

import argparse
import json
import sys
from hashlib import sha256
from pathlib import Path

import torch
from safetensors.torch import load_file, save

import bbmr.weights
from bbmr.errors import BbmrError
from bbmr.training.checkpoints import compact, read_start
from bbmr.training.recipe import load_recipe
from bbmr.training.record import AVERAGE, BEFORE_DECAY, RECIPE


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
    for needed in (RECIPE, AVERAGE) if checkpoints is None else (RECIPE, AVERAGE, BEFORE_DECAY):
        if not (run / needed).is_file():
            raise BbmrError(f"{run}: there is no {needed}; is this the folder of a run that went far enough?")
    weights = load_file(run / AVERAGE)
    # Half precision moves PSNR by 0.0011 dB at most (docs/training.md).
    data = save({key: tensor.to(torch.float16).contiguous() for key, tensor in weights.items()})
    file = package / f"{name}.safetensors"
    file.write_bytes(data)
    index_file = package / "index.json"
    index = json.loads(index_file.read_text("utf-8")) if index_file.exists() else {}
    network = load_recipe(str(run / RECIPE)).network
    index[name] = {"file": file.name, "network": network, "sha256": sha256(data).hexdigest()}
    index_file.write_text(json.dumps(index, indent=2, sort_keys=True) + "\n", "utf-8")
    if checkpoints:
        checkpoints.mkdir(parents=True, exist_ok=True)
        torch.save(compact(read_start(run / BEFORE_DECAY)), checkpoints / f"{name}.pt")


if __name__ == "__main__":
    main()
