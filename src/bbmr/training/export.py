"""Puts the averaged weights of a run into the package, in half precision, with their line in the index.

    python -m bbmr.training.export runs/mosaic --name mosaic-fast --network fast --checkpoints checkpoints

With `--checkpoints` it also keeps, in that folder, what is needed to prolong the run: the state from before the rate
fell, compacted.
"""

import argparse
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor

import bbmr.weights


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("run", type=Path, help="folder of a run")
    parser.add_argument("--name", required=True, help="name in the index")
    parser.add_argument("--network", required=True, help="registered name of the network")
    parser.add_argument("--checkpoints", type=Path, help="folder for what is needed to prolong the run")
    arguments = parser.parse_args()
    folder = Path(bbmr.weights.__file__).parent
    weights = load_file(arguments.run / "average.safetensors")
    # Half precision moves PSNR by 0.0011 dB at most (docs/training.md).
    data = save({key: tensor.to(torch.float16).contiguous() for key, tensor in weights.items()})
    file = folder / f"{arguments.name}.safetensors"
    file.write_bytes(data)
    index_file = folder / "index.json"
    index = json.loads(index_file.read_text("utf-8")) if index_file.exists() else {}
    index[arguments.name] = {"file": file.name, "network": arguments.network, "sha256": sha256(data).hexdigest()}
    index_file.write_text(json.dumps(index, indent=2, sort_keys=True) + "\n", "utf-8")
    if arguments.checkpoints:
        arguments.checkpoints.mkdir(parents=True, exist_ok=True)
        state = torch.load(arguments.run / "stable.pt", weights_only=True, map_location="cpu")
        # bfloat16 for the optimisers: squared gradients are below what float16 can hold.
        compact = {
            key: _cast(value, torch.bfloat16 if key == "optimisers" else torch.float16) for key, value in state.items()
        }
        torch.save(compact, arguments.checkpoints / f"{arguments.name}.pt")


def _cast(value: Any, dtype: torch.dtype) -> Any:
    """Convert every floating-point tensor in nested lists and dicts; single numbers (step counts) stay as they are."""
    if isinstance(value, Tensor):
        return value.to(dtype).contiguous() if value.is_floating_point() and value.numel() > 1 else value
    if isinstance(value, dict):
        return {key: _cast(part, dtype) for key, part in value.items()}
    if isinstance(value, list):
        return [_cast(part, dtype) for part in value]
    return value


if __name__ == "__main__":
    main()
