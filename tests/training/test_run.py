"""Runs learn, leave what they should, and go on exactly where they were."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bbmr.errors import BbmrError
from bbmr.networks import NetworkDescriptor, build_network
from bbmr.networks.end_to_end import take_apart
from bbmr.training import record, run
from bbmr.training.checkpoints import read_start
from bbmr.training.data import Batch, BatchSource, Photo, load_photos
from bbmr.training.errors import RecipeError
from bbmr.training.module import TrainingModule
from bbmr.training.recipe import Data, Recipe, Validation, load_recipe, recipe_from, to_yaml
from bbmr.training.recipes import shipped_recipes
from bbmr.training.run import train


def small(photos: Path, **changes: Any) -> Recipe:
    """A recipe of seconds."""
    values = {
        "steps": 20,
        "batch": 2,
        "crop": 96,
        "data": {"folder": str(photos)},
        "schedule": {"warm_up": 5},
        "ema": {"decay": 0.9},
        "validation": {"every": 10, "crops": 4, "crop": 96, "pictures": 2},
    }
    return recipe_from(values | changes)


def checkpoint(out: Path, name: str = "last.ckpt") -> dict[str, Any]:
    content: dict[str, Any] = torch.load(out / name, weights_only=True)
    return content


def log(out: Path) -> list[dict[str, str]]:
    with (out / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def assert_equal(one: Any, other: Any) -> None:
    """Bit for bit, tensors in nested dicts and lists included."""
    if isinstance(one, Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_equal(one[key], other[key])
    elif isinstance(one, list):
        for part, counterpart in zip(one, other, strict=True):
            assert_equal(part, counterpart)
    else:
        assert one == other


class Forgetful(nn.Module):
    """A mosaic network with randomness of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(48, 16, 3, padding=1), nn.Conv2d(16, 48, 3, padding=1)
        self.dropout = nn.Dropout(0.5)

    def forward(self, pixels: Tensor, levels: Tensor) -> Tensor:
        corrections: Tensor = self.second(self.dropout(self.first(pixels)))
        return corrections


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "build_network", lambda name: NetworkDescriptor(name, Forgetful(), "mosaic", None, 2))


def test_training_improves_on_the_mosaic_and_leaves_its_folder(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    recipe = small(photos, steps=60, validation={"every": 50, "crops": 8, "crop": 128, "pictures": 2})
    train(recipe, out)
    assert [line["step"] for line in log(out)] == ["50", "60"]
    last = {key: float(value) for key, value in log(out)[-1].items()}
    assert last["maps"] > last["maps_bicubic"] + 0.03
    assert last["x2"] > last["x2_bicubic"] + 0.03
    assert 0 <= last["data_share"] < 1
    assert last["steps_per_second"] > 0
    build_network("fast", load_file(out / "ema.safetensors"))
    assert recipe_from(yaml.safe_load((out / "recipe.yaml").read_text())) == recipe
    assert (checkpoint(out)["global_step"], checkpoint(out, "before-decay.ckpt")["global_step"]) == (60, 36)
    with Image.open(out / "samples" / "step-0000060.png") as image:
        assert image.size == (3 * 128, 2 * 128)
        columns = np.split(np.array(image).astype(float), 3, axis=1)
    hr, mosaic, restored = columns
    errors = [float(np.square(one - other).mean()) for one, other in ((mosaic, hr), (restored, hr), (restored, mosaic))]
    assert errors[0] > 2 * errors[2] > 0  # restored is nearer to the mosaic than that is to HR
    assert errors[1] < 1.1 * errors[0] < 0.2 * float(hr.var())


@pytest.mark.usefixtures("forgetful")
def test_a_resumed_run_ends_as_an_unbroken_one_bit_for_bit(photos: Path, tmp_path: Path) -> None:
    recipe = small(photos, optimiser={"last": 0.5})
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    train(recipe, unbroken)
    train(recipe, broken, minutes=0)
    assert checkpoint(broken)["global_step"] == 1  # one process looks at the clock after every step
    torch.manual_seed(99)  # whatever went on meanwhile
    train(recipe, broken)
    for key in ("state_dict", "optimizer_states", "global_step"):
        assert_equal(checkpoint(broken)[key], checkpoint(unbroken)[key])
    assert (broken / "ema.safetensors").read_bytes() == (unbroken / "ema.safetensors").read_bytes()
    timing = {"steps_per_second", "data_share"}
    assert log(broken)[0]["step"] == "1"
    for one, other in zip(log(broken)[2:], log(unbroken)[1:], strict=True):
        assert {key: one[key] for key in one.keys() - timing} == {key: other[key] for key in other.keys() - timing}
    other_seed = tmp_path / "other"
    train(replace(recipe, seed=1), other_seed)
    assert (other_seed / "ema.safetensors").read_bytes() != (unbroken / "ema.safetensors").read_bytes()


def test_time_spent_waiting_for_batches_is_told(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = BatchSource.draw

    def draw_slowly(*arguments: Any, **options: Any) -> Batch:
        time.sleep(1)
        return draw(*arguments, **options)

    monkeypatch.setattr(BatchSource, "draw", draw_slowly)
    train(small(photos, steps=5), tmp_path / "run")
    assert float(log(tmp_path / "run")[-1]["data_share"]) > 0.5


def test_a_run_cut_off_between_checkpoints_logs_each_step_once(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(small(photos), out, minutes=0)
    with (out / "log.csv").open("a") as file:
        file.write((out / "log.csv").read_text().splitlines()[1].replace("1", "15", 1) + "\n")
    train(small(photos), out)
    assert [line["step"] for line in log(out)] == ["1", "10", "20"]


def test_a_torn_log_does_not_keep_a_run_from_going_on(photos: Path, tmp_path: Path) -> None:
    for steps, told in ((1, ["1"]), (2, ["1", "2"])):
        train(small(photos, steps=steps), tmp_path)
        assert [line["step"] for line in log(tmp_path)] == told
        with (tmp_path / "log.csv").open("ab") as file:
            file.write(b"\0\xff\n\nlo,ss\n1,0.25")
    for number, torn in enumerate((b"", b"step,lo"), 3):
        (tmp_path / "log.csv").write_bytes(torn)
        train(small(photos, steps=number), tmp_path)
        assert [line["step"] for line in log(tmp_path)] == [str(number)]


def test_a_loss_that_is_no_number_ends_the_run(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sane, step = tmp_path / "sane", TrainingModule.training_step
    train(small(photos, steps=1), sane)
    monkeypatch.setattr(TrainingModule, "training_step", lambda *arguments: step(*arguments) * float("nan"))
    with pytest.raises(BbmrError, match="the loss is nan at step 10; begin again with lower rates"):
        train(small(photos), tmp_path / "run")
    assert not (tmp_path / "run" / "last.ckpt").exists()
    with pytest.raises(BbmrError, match=r"the loss is nan at step 10; go on from last.ckpt with lower rates"):
        train(small(photos), sane)
    assert checkpoint(sane)["global_step"] == 1


def at_draw(number: int, act: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Do something while the batch of that number is made, the validation crops being the first."""
    draw, made = BatchSource.draw, count(1)

    def acting(*arguments: Any, **options: Any) -> Batch:
        if next(made) == number:
            act()
        return draw(*arguments, **options)

    monkeypatch.setattr(BatchSource, "draw", acting)


@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_loses_nothing(
    number: int, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, unbroken = tmp_path / "run", tmp_path / "unbroken"
    train(small(photos), unbroken)
    handler = signal.getsignal(number)
    with monkeypatch.context() as patched:
        at_draw(15, lambda: os.kill(os.getpid(), number), patched)
        with pytest.raises(KeyboardInterrupt):
            train(small(photos), out)
    assert signal.getsignal(number) == handler
    step = checkpoint(out)["global_step"]
    assert 10 < step < 20
    assert f"stopped at step {step}; run again to go on" in capsys.readouterr().err
    assert [line["step"] for line in log(out)] == ["10"]
    train(small(photos), out)
    for key in ("state_dict", "optimizer_states", "global_step"):
        assert_equal(checkpoint(out)[key], checkpoint(unbroken)[key])
    assert [line["step"] for line in log(out)] == ["10", "20"]
    assert (out / "ema.safetensors").read_bytes() == (unbroken / "ema.safetensors").read_bytes()


@pytest.mark.usefixtures("forgetful")
def test_a_run_is_saved_between_validations_too(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, unbroken = tmp_path / "run", tmp_path / "unbroken"
    train(small(photos), unbroken)

    def fail() -> None:
        raise RuntimeError("cut off")

    with monkeypatch.context() as patched:
        patched.setattr(record, "_SAVE_AFTER", 0)
        at_draw(17, fail, patched)
        with pytest.raises(RuntimeError, match="cut off"):
            train(small(photos), out)
    assert 10 < checkpoint(out)["global_step"] < 20
    train(small(photos), out)
    assert_equal(checkpoint(out)["state_dict"], checkpoint(unbroken)["state_dict"])
    assert log(out)[0]["loss"] == log(unbroken)[0]["loss"]  # of all ten steps, saved in between or not


def test_loading_is_part_of_the_minutes(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load_slowly(*arguments: Any) -> list[Photo]:
        time.sleep(0.6)
        return load_photos(*arguments)

    monkeypatch.setattr(run, "load_photos", load_slowly)  # of the training photographs, then of those held out
    train(small(photos), tmp_path / "run", minutes=1 / 60)
    assert checkpoint(tmp_path / "run")["global_step"] == 1


def test_a_run_goes_on_with_more_steps_and_another_loss(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    train(small(photos), out)
    train(small(photos), out)
    assert "20 steps are done" in capsys.readouterr().err
    train(small(photos, steps=24, loss={"name": "psnr"}), out)
    assert "goes on at step 20, changed: steps: 20 -> 24; loss.name: l1 -> psnr" in capsys.readouterr().err
    assert checkpoint(out)["global_step"] == 24
    assert float(log(out)[-1]["loss"]) < 0  # a logarithm


def test_options_of_the_optimiser_may_change_when_a_run_goes_on(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(small(photos, steps=2), out)
    train(small(photos, steps=4, optimiser={"last": 0.5, "weight_decay": 0.2}), out)
    matrices, rest = checkpoint(out)["optimizer_states"][0]["param_groups"]
    assert set(matrices["shares"]) == set(rest["shares"]) == {1.0, 0.5}
    assert rest["weight_decay"] == 0.2


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"network": "fast-luma"}, "network: .*run holds a run with fast, not fast-luma; give --out another folder"),
        ({"optimiser": {"name": "adamw"}}, "optimiser.name: .* holds a run with muon, not adamw"),
    ],
)
def test_a_folder_is_for_one_network_and_optimiser(
    changes: dict[str, Any], told: str, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    train(small(photos, steps=2), out)
    before = (out / "recipe.yaml").read_text()
    with pytest.raises(RecipeError, match=told):
        train(small(photos, steps=4, **changes), out)
    assert (out / "recipe.yaml").read_text() == before


def test_a_run_keeps_its_start(photos: Path, tmp_path: Path) -> None:
    first, out = tmp_path / "first", tmp_path / "run"
    train(small(photos, steps=2), first)
    start = str(first / "ema.safetensors")
    with pytest.raises(RecipeError, match=r"init_from: .*first holds a run begun from nothing, not .*; give --out"):
        train(small(photos, steps=4, init_from=start), first)
    train(small(photos, steps=2, init_from=start), out)
    before = (out / "recipe.yaml").read_text()
    with pytest.raises(RecipeError, match=r"init_from: .*run holds a run begun from .*ema.safetensors, not nothing"):
        train(small(photos, steps=4), out)
    with pytest.raises(RecipeError, match=r"init_parts: .*run holds a run begun from all, not body"):
        train(small(photos, steps=4, init_from=start, init_parts="body"), out)
    assert (out / "recipe.yaml").read_text() == before
    train(small(photos, steps=4, init_from=start), out)
    assert checkpoint(out)["global_step"] == 4


def test_adamw_alone_goes_by_the_one_rate(photos: Path, tmp_path: Path) -> None:
    train(small(photos, steps=2, optimiser={"name": "adamw", "rate": 1e-4}, schedule={"warm_up": 1}), tmp_path)
    (group,) = checkpoint(tmp_path)["optimizer_states"][0]["param_groups"]
    assert 0 < group["lr"] <= 1e-4


def test_a_checkpoint_that_is_further_is_refused(photos: Path, tmp_path: Path) -> None:
    train(small(photos, steps=2), tmp_path / "first")
    recipe = small(photos, steps=2, init_from=str(tmp_path / "first" / "last.ckpt"))
    with pytest.raises(RecipeError, match=r"init_from: .*last.ckpt is at step 2, and steps is 2; ask for more"):
        train(recipe, tmp_path / "second")
    assert not (tmp_path / "second").exists()


def test_a_run_may_start_from_a_checkpoint_or_from_weights(photos: Path, tmp_path: Path) -> None:
    recipe, first = small(photos), tmp_path / "first"
    unbroken, continued = tmp_path / "unbroken", tmp_path / "continued"
    train(recipe, first)
    shutil.copytree(first, unbroken)
    train(replace(recipe, steps=24), unbroken)
    train(replace(recipe, steps=24, init_from=str(first / "last.ckpt")), continued)
    assert_equal(checkpoint(continued)["state_dict"], checkpoint(unbroken)["state_dict"])
    assert checkpoint(continued)["first_step"] + checkpoint(continued)["global_step"] == 24
    train(replace(recipe, steps=26, init_from=str(first / "last.ckpt")), continued)  # resumed, not begun again
    assert [line["step"] for line in log(continued)] == ["24", "26"]

    tuned = tmp_path / "tuned"
    train(replace(recipe, steps=1, init_from=str(first / "ema.safetensors")), tuned)
    before, after = load_file(first / "ema.safetensors"), load_file(tuned / "ema.safetensors")
    assert checkpoint(tuned)["first_step"] == 0
    assert all(torch.allclose(before[key], after[key], atol=0.01) for key in before)
    assert any(not torch.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize("name", ["mosaic-fast", "plain-fast-x4"])
def test_shipped_checkpoints_are_continued(name: str, photos: Path, tmp_path: Path) -> None:
    path = Path(__file__).parents[2] / "checkpoints" / f"{name}.pt"
    old = torch.load(path, weights_only=True)
    recipe = small(photos, steps=old["step"] + 2, init_from=str(path))
    train(recipe, tmp_path / "run")
    last = log(tmp_path / "run")[-1]
    assert int(last["step"]) == old["step"] + 2
    assert float(last["x4"]) > float(last["x4_bicubic"]) + 3

    module = TrainingModule(recipe, build_network("fast"), [], read_start(path))
    optimiser = module.configure_optimizers()
    parameters = list(module.network.parameters())
    for part, own in zip(
        old["optimisers"], ([p for p in parameters if p.ndim == 4], [p for p in parameters if p.ndim != 4]), strict=True
    ):
        for index, parameter in enumerate(own):
            saved = {key: value.float() for key, value in part["state"][index].items()}
            assert_equal(dict(optimiser.state[parameter]), saved)
    for which, network in (("network", module.network), ("averaged", module.averaged)):
        assert_equal(dict(network.state_dict()), {key: value.float() for key, value in old[which].items()})


@pytest.mark.parametrize("name", shipped_recipes())
def test_layers_that_put_out_pixels_take_their_share_of_the_rate(name: str) -> None:
    recipe = load_recipe(name, ["optimiser.last=0.25"])
    descriptor = build_network(recipe.network)
    module = TrainingModule(recipe, descriptor, [])
    names = {id(parameter): name for name, parameter in module.network.named_parameters()}
    slower = {
        names[id(parameter)]
        for group in module.configure_optimizers().param_groups
        for parameter, share in zip(group["params"], group["shares"], strict=True)
        if share == 0.25
    }
    assert slower == {name for name in names.values() if name.startswith(descriptor.last)}
    for layer in descriptor.last:
        assert any(name.startswith(layer) for name in slower)


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_shipped_recipe_takes_a_step(name: str, photos: Path, tmp_path: Path) -> None:
    """On small crops, and from weights of the kind that it begins from."""
    recipe = load_recipe(name)
    descriptor = build_network(recipe.network)
    starts = {}
    if recipe.init_from is not None:
        wanted = recipe.init_from if not isinstance(recipe.init_from, str) else {4: recipe.init_from}
        light = "-light" if "light" in recipe.network else ""
        for scale in wanted:
            starts[scale] = str(tmp_path / f"x{scale}.safetensors")
            assert descriptor.family
            save_file(build_network(f"{descriptor.family.name}{light}-x{scale}").network.state_dict(), starts[scale])
    crop = 128 if descriptor.kind == "joint" else 64
    recipe = replace(
        recipe,
        steps=1,
        batch=1,
        crop=crop,
        data=Data(str(photos)),
        init_from=starts[4] if isinstance(recipe.init_from, str) else starts or None,
        validation=Validation(crops=1, crop=crop, pictures=1),
    )
    train(recipe, tmp_path / "run")
    filters, weights = take_apart(load_file(tmp_path / "run" / "ema.safetensors"))
    build_network(recipe.network, weights)
    assert bool(filters) == (recipe.downscaler == "downnet")
    line = log(tmp_path / "run")[-1]
    measured = {"maps", "x2", "x4", "x1" if descriptor.kind == "coded" else "x8"}
    if descriptor.scale is not None:
        measured = {f"x{descriptor.scale}"}
    assert {key for key in line if f"{key}_bicubic" in line} == measured


def test_networks_for_whole_pictures_are_trained_too(photos: Path, tmp_path: Path) -> None:
    recipe = small(photos, network="omnisr-x4", steps=2, maps={"uniform": 1, "uniform_scales": {4: 1}})
    train(recipe, tmp_path / "run")
    assert log(tmp_path / "run")[-1].keys() >= {"x4", "x4_bicubic"}
    build_network("omnisr-x4", load_file(tmp_path / "run" / "ema.safetensors"))


def test_photographs_are_weighed_for_the_allocators_maps_only(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for changes, in_training, in_validation in (
        ({"network": "omnisr-light-x4", "maps": {"uniform": 1, "uniform_scales": {4: 1}}}, False, False),
        ({"maps": {"uniform": 1}}, False, True),
        ({}, True, True),
    ):
        weighed: list[bool] = []

        def load(*arguments: Any, weighed: list[bool] = weighed) -> list[Photo]:
            weighed.append(arguments[-1])
            return load_photos(*arguments)

        monkeypatch.setattr(run, "load_photos", load)
        train(small(photos, steps=1, **changes), tmp_path / str(len(changes)))
        assert weighed == [in_training, in_validation]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"network": "fats"}, "network: no network is called 'fats'"),
        ({"network": "omnisr-x4"}, r"maps: omnisr-x4 enlarges whole pictures.*uniform_scales: \{4: 1\}"),
        ({"init_from": "nowhere.pt"}, "init_from: nowhere.pt: cannot be read"),
        ({"data": {}}, "data.folder: names the folder"),
        ({"optimiser": {"name": "adamw"}, "init_from": "checkpoints/mosaic-fast.pt"}, "init_from: .*another optimiser"),
    ],
)
def test_recipes_that_cannot_run_are_named(
    changes: dict[str, Any], told: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    with pytest.raises(RecipeError, match=told) as caught:
        train(small(photos, **changes), tmp_path / "run")
    assert "\n" not in str(caught.value)


def test_foreign_weights_and_checkpoints_are_refused(photos: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.safetensors"
    save_file({"weight": torch.zeros(3)}, foreign)
    with pytest.raises(RecipeError, match="are no weights of fast"):
        train(small(photos, init_from=str(foreign)), tmp_path / "run")
    noise = np.random.default_rng(0).bytes(1000)
    for name, content in (("a.safetensors", noise), ("a.pt", noise), ("a.ckpt", b"nothing"), ("b.ckpt", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(RecipeError, match=f"{name}: is neither a checkpoint nor weights, or damaged") as caught:
            train(small(photos, init_from=str(tmp_path / name)), tmp_path / "run")
        assert "\n" not in str(caught.value)


def test_damaged_and_foreign_checkpoints_are_not_gone_on_from(photos: Path, tmp_path: Path) -> None:
    last = tmp_path / "last.ckpt"
    for content in (b"nothing", np.random.default_rng(0).bytes(1000)):
        last.write_bytes(content)
        with pytest.raises(BbmrError, match=r"last.ckpt: cannot be read; .* remove it to begin anew$"):
            train(small(photos), tmp_path)
    for foreign in ({"state_dict": {}, "global_step": 1}, [1]):
        torch.save(foreign, last)
        with pytest.raises(BbmrError, match=r"last.ckpt: is no checkpoint of such a run; give --out another folder"):
            train(small(photos), tmp_path)


@pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="needs torch with gloo")
@pytest.mark.parametrize(
    "changes",
    [
        {"steps": 6, "batch": 4},
        # Each process sees one scale, so that branches rest in one of them or in both.
        {
            "network": "joint-omnisr-light",
            "maps": {"uniform": 1, "uniform_scales": {2: 0.3, 4: 0.3, 8: 0.4}, "blocks": {32: 1}},
            "steps": 3,
            "batch": 2,
            "crop": 64,
            "validation": {"crops": 1, "crop": 64, "pictures": 0},
        },
    ],
    ids=["fast", "joint-omnisr-light"],
)
def test_two_processes_train_as_one_with_twice_the_batch(changes: dict[str, Any], photos: Path, tmp_path: Path) -> None:
    """Each of the two makes half of the batch; both see the mean of their gradients."""
    recipe = small(photos, precision="32-true", **changes)
    train(recipe, tmp_path / "one")
    (tmp_path / "recipe.yaml").write_text(to_yaml(recipe))
    command = [sys.executable, "-m", "bbmr.training", str(tmp_path / "recipe.yaml"), "--devices", "2"]
    subprocess.run(
        [*command, "--out", str(tmp_path / "two")],
        env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    train(replace(recipe, batch=recipe.batch // 2), tmp_path / "half")
    one, two, half = (checkpoint(tmp_path / name) for name in ("one", "two", "half"))
    distance, other = (
        max(float((one["state_dict"][key] - run["state_dict"][key]).abs().max()) for key in one["state_dict"])
        for run in (two, half)
    )
    assert distance < 1e-4
    assert other > 100 * distance
    assert two["global_step"] == recipe.steps


def test_a_batch_that_cannot_be_shared_is_refused(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="batch: 3 crops cannot be shared evenly by 2 processes"):
        train(small(photos, batch=3), tmp_path / "run", devices=2)
