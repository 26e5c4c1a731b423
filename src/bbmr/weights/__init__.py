"""Weights that ship with the package: `index.json` names each file, its network and its checksum."""

import json
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files

import torch
from safetensors.torch import load

from bbmr.errors import BbmrError
from bbmr.networks import NetworkDescriptor, build_network


@dataclass(frozen=True)
class WeightsEntry:
    """One line of the index; how the weights came about stands in docs/training.md."""

    file: str
    network: str
    sha256: str


def weights_index() -> dict[str, WeightsEntry]:
    """All weights that ship, by name."""
    entries = json.loads(files(__name__).joinpath("index.json").read_text("utf-8"))
    return {name: WeightsEntry(**entry) for name, entry in entries.items()}


@cache
def load_weights(name: str) -> NetworkDescriptor:
    """The network called `name` with its weights, in float32.  Raises BbmrError for unknown or damaged weights."""
    index = weights_index()
    if name not in index:
        raise BbmrError(f"no weights are called {name!r}; there are: {', '.join(sorted(index))}")
    entry = index[name]
    data = files(__name__).joinpath(entry.file).read_bytes()
    if sha256(data).hexdigest() != entry.sha256:
        raise BbmrError(f"the weights {name!r} ({entry.file}) are damaged: their checksum differs; install bbmr again")
    state = {key: tensor.to(torch.float32) for key, tensor in load(data).items()}
    return build_network(entry.network, state)
