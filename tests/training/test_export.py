"""What a run leaves goes into the package whole, and can be prolonged."""

import json
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from bbmr.errors import BbmrError
from bbmr.networks import build_network
from bbmr.training.checkpoints import read_start
from bbmr.training.export import export
from bbmr.training.recipe import Maps, Recipe, recipe_from, to_yaml
from bbmr.training.run import train
from bbmr.weights.imported import import_weights
from bbmr.weights.index import read_index


def test_export_keeps_weights_and_what_prolongs_the_run(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, package, checkpoints = tmp_path / "run", tmp_path / "package", tmp_path / "checkpoints"
    package.mkdir()
    other = {"file": "other.safetensors", "network": "fast", "sha256": "0"}
    (package / "index.json").write_text(json.dumps({"other": other}))
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
    assert index["other"].items() >= other.items()
    mine = index["mine"]
    assert mine.items() >= {"file": weights.name, "network": "fast", "sha256": digest, "scale": None}.items()
    header, *_, last = (out / "log.csv").read_text().splitlines()
    logged = dict(zip(header.split(","), map(float, last.split(",")), strict=True))
    assert mine["steps"] == logged["step"] == 5
    assert mine["psnr_y"] == {view: logged[view] for view in ("maps", "x2", "x4", "x8")}
    assert mine["psnr_y_bicubic"] == {view: logged[f"{view}_bicubic"] for view in ("maps", "x2", "x4", "x8")}
    monkeypatch.setenv("BBMR_WEIGHTS", str(tmp_path / "own"))
    imported = import_weights(out / "ema.safetensors", "mine").entry
    assert (imported.scale, imported.steps) == (None, 5)
    assert (imported.psnr_y, imported.psnr_y_bicubic) == (mine["psnr_y"], mine["psnr_y_bicubic"])
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

    (out / "before-decay.ckpt").unlink()  # as where a run goes on from a checkpoint of later
    export(out, "mine", package, checkpoints)
    assert read_start(checkpoints / "mine.pt").step == 5


@pytest.mark.parametrize(
    ("network", "ends"),
    [
        ("omnisr-light-x4", {"input", "up"}),
        ("joint-omnisr-light", {"branches.2.input", "branches.4.input", "branches.8.input", "tails", "deblock", "up"}),
    ],
)
def test_what_whole_pixels_go_through_stays_exact(run: Path, network: str, ends: set[str], tmp_path: Path) -> None:
    weights = build_network(network).network.state_dict()
    (run / "recipe.yaml").write_text(to_yaml(Recipe(network=network, maps=Maps(uniform=1.0, uniform_scales={4: 1.0}))))
    save_file(weights, run / "ema.safetensors")
    export(run, "mine", tmp_path, None)
    stored = load_file(tmp_path / "mine.safetensors")
    build_network(network, stored)
    for key, tensor in weights.items():
        exact = key.startswith(tuple(f"{end}." for end in ends)) or not tensor.is_floating_point()
        assert stored[key].dtype == (tensor.dtype if exact else torch.float16), key
        assert torch.equal(stored[key], tensor) or not exact


def test_folders_without_a_run_are_named(tmp_path: Path) -> None:
    with pytest.raises(BbmrError, match=r"there is no recipe.yaml"):
        export(tmp_path, "mine", tmp_path, None)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """What a run on uniform x4 leaves, written by hand."""
    run = tmp_path / "run"
    run.mkdir()
    maps = Maps(uniform=1.0, uniform_scales={4: 1.0})
    (run / "recipe.yaml").write_text(to_yaml(Recipe(maps=maps)))
    lines = ["step,loss,maps,maps_bicubic,x4,x4_bicubic", "500,0.2,30.1,30.3,33.0,31.5", "900,0.1,30.2,30.3,33.7,31.5"]
    (run / "log.csv").write_text("\n".join(lines))
    save_file({"a": torch.zeros(1)}, run / "ema.safetensors")
    return run


def test_weights_for_one_scale_are_told_so(run: Path, tmp_path: Path) -> None:
    export(run, "plain", tmp_path, None)
    entry = read_index(tmp_path)["plain"]
    assert (entry.scale, entry.steps) == (4, 900)
    assert (entry.psnr_y, entry.psnr_y_bicubic) == ({"x4": 33.7}, {"x4": 31.5})


@pytest.mark.parametrize("text", ["", "step,x4,x4_bicubic\n", "step,x4,x4_bicubic\n500,33", "x4\n3\n"])
def test_logs_that_break_off_are_named(text: str, run: Path, tmp_path: Path) -> None:
    (run / "log.csv").write_text(text)
    with pytest.raises(BbmrError, match=r"log.csv: cannot be read as the log of a run"):
        export(run, "plain", tmp_path, None)
    assert not list(tmp_path.glob("*.safetensors"))
