"""States that a run can begin from, whatever file they lie in."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from bbmr.training.errors import RecipeError

State = Mapping[str, Tensor]


@dataclass(frozen=True)
class TrainingState:
    """step: steps taken; optimiser: state of each trained parameter, the matrices' before the others', or none."""

    step: int
    network: State
    averaged: State
    optimiser: Mapping[int, Any]


def read_start(path: Path, key: str = "init_from") -> TrainingState:
    """Read what `init_from`, or another key of a recipe, names.

    A checkpoint of a run (.ckpt) or a compacted one (.pt) is continued: weights, average, optimiser, step.  Weights
    (.safetensors) are where a run starts at step 0.  Raises RecipeError for any other file.
    """
    try:
        if path.suffix == ".safetensors":
            weights = load_file(path)
            weights = {key: tensor.float() for key, tensor in weights.items()}
            return TrainingState(0, weights, weights, {})
        content = torch.load(path, map_location="cpu", weights_only=True)
        return _of_run(content) if "pytorch-lightning_version" in content else _of_compacted(content)
    except OSError as error:
        raise RecipeError(f"{key}: {path}: cannot be read ({error.strerror or error})") from error
    except Exception as error:  # pickles fail in many ways, and at length
        raise RecipeError(f"{key}: {path}: is neither a checkpoint nor weights, or damaged") from error


def compact(state: TrainingState) -> dict[str, Any]:
    """What `read_start` reads from a .pt file, at half the size: float16 for weights, bfloat16 for the optimiser, whose
    squared gradients are below what float16 can hold.
    """
    return {
        "step": state.step,
        "network": _cast(state.network, torch.float16),
        "averaged": _cast(state.averaged, torch.float16),
        "optimisers": [{"state": _cast(state.optimiser, torch.bfloat16)}],
    }


def _of_run(content: Mapping[str, Any]) -> TrainingState:
    weights = content["state_dict"]
    network, averaged = (
        {key.removeprefix(prefix): tensor for key, tensor in weights.items() if key.startswith(prefix)}
        for prefix in ("network.", "averaged.")
    )
    step = content["first_step"] + content["global_step"]
    return TrainingState(step, network, averaged, content["optimizer_states"][0]["state"])


def _of_compacted(content: Mapping[str, Any]) -> TrainingState:
    """The parts of the optimiser's state follow one another: files of before 2026-11-23 have Muon's and AdamW's
    apart.
    """
    joined: dict[int, Any] = {}
    for part in content["optimisers"]:
        offset = len(joined)
        joined |= {offset + index: state for index, state in part["state"].items()}
    weights = {key: {name: t.float() for name, t in content[key].items()} for key in ("network", "averaged")}
    return TrainingState(content["step"], weights["network"], weights["averaged"], joined)


def _cast(value: Any, dtype: torch.dtype) -> Any:
    """Convert every floating-point tensor in nested dicts; single numbers (step counts) stay as they are."""
    if isinstance(value, Tensor):
        return value.to(dtype).contiguous() if value.is_floating_point() and value.numel() > 1 else value
    if isinstance(value, Mapping):
        return {key: _cast(part, dtype) for key, part in value.items()}
    return value
