"""What a run leaves goes into the package whole, and can be prolonged."""

import json
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from bbmr.errors import BbmrError
from bbmr.networks import build_network
from bbmr.training.checkpoints import read_start
from bbmr.training.export import export
from bbmr.training.recipe import recipe_from
from bbmr.training.run import train


def test_export_keeps_weights_and_what_prolongs_the_run(photos: Path, tmp_path: Path) -> None:
    out, package, checkpoints = tmp_path / "run", tmp_path / "package", tmp_path / "checkpoints"
    package.mkdir()
    (package / "index.json").write_text('{"other": {}}')
    recipe = recipe_from(
        {
            "steps": 5,
            "batch": 2,
            "crop": 96,
            "data": {"folder": str(photos)},
            "validation": {"crops": 2, "crop": 96, "pictures": 0},
        }
    )
    train(recipe, out)
    export(out, "mine", package, checkpoints)
    weights = package / "mine.safetensors"
    index = json.loads((package / "index.json").read_text())
    digest = sha256(weights.read_bytes()).hexdigest()
    assert index == {"other": {}, "mine": {"file": weights.name, "network": "fast", "sha256": digest}}
    build_network("fast", load_file(weights))
    for key, tensor in load_file(out / "ema.safetensors").items():
        assert load_file(weights)[key].dtype == torch.float16
        torch.testing.assert_close(load_file(weights)[key].float(), tensor, rtol=1e-3, atol=1e-6)

    whole, compacted = read_start(out / "before-decay.ckpt"), read_start(checkpoints / "mine.pt")
    assert (checkpoints / "mine.pt").stat().st_size < 0.6 * (out / "before-decay.ckpt").stat().st_size
    assert compacted.step == whole.step == 3
    assert compacted.network.keys() == whole.network.keys()
    assert compacted.optimiser.keys() == whole.optimiser.keys()
    for index, state in whole.optimiser.items():
        for key, value in state.items():
            torch.testing.assert_close(compacted.optimiser[index][key].float(), value, rtol=0.01, atol=1e-30)


def test_folders_without_a_run_are_named(tmp_path: Path) -> None:
    with pytest.raises(BbmrError, match=r"there is no recipe.yaml"):
        export(tmp_path, "mine", tmp_path, None)
