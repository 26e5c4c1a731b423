"""Puts the averaged weights of a run into the package, in half precision, with their line in the index.

python -m bbmr.training.export RUN/average.safetensors --name mosaic-fast --network fast
"""

import argparse
import json
from hashlib import sha256
from pathlib import Path

import torch
from safetensors.torch import load_file, save

import bbmr.weights


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("weights", type=Path, help="averaged weights of a run")
    parser.add_argument("--name", required=True, help="name in the index")
    parser.add_argument("--network", required=True, help="registered name of the network")
    arguments = parser.parse_args()
    folder = Path(bbmr.weights.__file__).parent
    # Half precision moves no PSNR by more than 0.001 dB (docs/training.md).
    data = save({key: tensor.to(torch.float16).contiguous() for key, tensor in load_file(arguments.weights).items()})
    file = folder / f"{arguments.name}.safetensors"
    file.write_bytes(data)
    index_file = folder / "index.json"
    index = json.loads(index_file.read_text("utf-8")) if index_file.exists() else {}
    index[arguments.name] = {"file": file.name, "network": arguments.network, "sha256": sha256(data).hexdigest()}
    index_file.write_text(json.dumps(index, indent=2, sort_keys=True) + "\n", "utf-8")


if __name__ == "__main__":
    main()
