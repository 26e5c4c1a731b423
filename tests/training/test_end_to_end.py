"""Down-Nets in training: what they make is what the sender stores, and the loss is eq. (6)."""

from pathlib import Path

import pytest
import torch
from networks.at_random import at_random
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bbmr import weights
from bbmr.downscaling import bicubic_planes
from bbmr.downscaling.downnet import DownNet, LearnedPlanes, fold
from bbmr.networks import build_network
from bbmr.networks.end_to_end import EndToEnd, take_apart
from bbmr.training.data import Batch, lr_planes
from bbmr.training.end_to_end import EndToEndTask, store, with_downscalers
from bbmr.training.errors import RecipeError
from bbmr.training.export import export
from bbmr.training.initial import read_initial
from bbmr.training.objective import training_loss
from bbmr.training.recipe import Loss, recipe_from
from bbmr.training.run import train
from bbmr.training.tasks import Example, MosaicTask, SRTask
from bbmr.weights import load_filters
from bbmr.weights.index import read_index

SCALES = (2, 4, 8, 16)
FOLDER = Path(weights.__file__).parent


def learned(network: nn.Module) -> EndToEnd:
    """With Down-Nets that differ from bicubic."""
    torch.manual_seed(0)
    whole = EndToEnd(network, SCALES)
    for net in whole.downscalers.values():
        assert isinstance(net, DownNet)
        nn.init.normal_(net.last.weight, std=0.1)
    return whole


@pytest.fixture
def batch() -> Batch:
    """Two pictures of 64 x 96 pixels that have all scales."""
    torch.manual_seed(1)
    hr = (torch.rand(2, 3, 64, 96) * 255).round() / 255
    return Batch(hr, lr_planes(hr, (1, *SCALES)), torch.randint(5, (2, 4, 6)))


@torch.no_grad()
def test_the_network_is_given_what_the_sender_stores(batch: Batch) -> None:
    whole = learned(at_random(build_network("fast").network))
    colour = (batch.hr[0] * 255).round().byte().permute(1, 2, 0).numpy()
    filters, _ = take_apart(whole.state_dict())
    stored = LearnedPlanes({int(scale): taps for scale, taps in filters.items()})(colour, SCALES)
    for factor, plane in whole.lr_planes(batch.hr[:1]).items():
        ours = (store(plane)[0] * 255).permute(1, 2, 0).numpy()
        assert abs(ours - stored[factor]).max() < 1.01  # sums in another order: at a half it is the one or the other
        assert (abs(ours - stored[factor]) > 0.01).mean() < 0.01
        assert abs(stored[factor].astype(int) - bicubic_planes(colour, (factor,))[factor]).max() > 3
    planes = batch.planes | {factor: store(plane) for factor, plane in whole.lr_planes(batch.hr).items()}
    expected = MosaicTask().restore(whole.restorer, MosaicTask().inputs(Batch(batch.hr, planes, batch.levels)))
    torch.testing.assert_close(EndToEndTask(MosaicTask()).restore(whole, (batch,)), expected)


def test_rounding_is_passed_by_gradients() -> None:
    plane = torch.tensor([-0.2, 0.3001, 0.7, 1.3], requires_grad=True)
    stored = store(plane)
    torch.testing.assert_close((stored * 255).detach(), torch.tensor([0.0, 77.0, 178.0, 255.0]), rtol=0, atol=1e-3)
    stored.sum().backward()  # type: ignore[no-untyped-call]
    assert plane.grad is not None
    assert plane.grad.tolist() == [0, 1, 1, 0]


def test_the_loss_is_that_of_the_paper(batch: Batch) -> None:
    """Eq. (6), with one scale all over."""
    whole = learned(at_random(build_network("omnisr-light-x4").network))
    uniform = Batch(batch.hr, {4: batch.planes[4]}, torch.full_like(batch.levels, 2))
    task, options = EndToEndTask(SRTask(4)), Loss(name="rgb_l1")
    found = task.loss(whole, Example(batch.hr, (uniform,)), options)
    restored = training_loss(task.restore(whole, (uniform,)), batch.hr, options)
    distance = (whole.lr_planes(batch.hr)[4] - batch.planes[4]).abs().mean()
    torch.testing.assert_close(found, restored + distance / 8)


def test_every_part_learns(batch: Batch) -> None:
    whole = learned(at_random(build_network("fast").network))
    EndToEndTask(MosaicTask()).loss(whole, Example(batch.hr, (batch,)), Loss()).backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in whole.parameters())


def test_a_run_learns_both_and_goes_on_as_unbroken(photos: Path, tmp_path: Path) -> None:
    values = {
        "network": "fast",
        "downscaler": "downnet",
        "batch": 2,
        "crop": 64,
        "precision": "32-true",
        "optimiser": {"downscaler": 0.5},
        "validation": {"every": 20, "crops": 2, "crop": 64, "pictures": 1},
        "data": {"folder": str(photos)},
    }
    recipe = recipe_from(values | {"steps": 12})
    train(recipe, tmp_path / "unbroken")
    train(recipe, tmp_path / "broken", minutes=0)  # stops after ten steps
    train(recipe, tmp_path / "broken")
    unbroken, broken = (load_file(tmp_path / run / "ema.safetensors") for run in ("unbroken", "broken"))
    assert all(torch.equal(unbroken[key], broken[key]) for key in unbroken)
    assert unbroken["downscalers.16.last.weight"].any()
    export(tmp_path / "unbroken", "mine", tmp_path, None)
    filters, restorer = take_apart(unbroken)
    assert {name: entry.network for name, entry in read_index(tmp_path).items()} == {
        "mine": "fast",
        "mine.lr": "downnet",
    }
    build_network("fast", load_file(tmp_path / "mine.safetensors"))
    assert load_file(tmp_path / "mine.safetensors").keys() == restorer.keys()
    for scale, taps in load_file(tmp_path / "mine.lr.safetensors").items():
        assert torch.equal(taps, filters[scale])


def start_of(values: dict[str, object]) -> dict[str, Tensor]:
    recipe = recipe_from({"downscaler": "downnet"} | values)
    descriptor = with_downscalers(build_network(recipe.network), recipe.maps.scales)
    start = read_initial(recipe, descriptor)
    assert start is not None
    assert start.step == 0
    descriptor.network.load_state_dict(start.network)
    return dict(start.network)


def test_a_network_without_downscalers_begins_with_bicubic_ones(tmp_path: Path) -> None:
    parts = at_random(build_network("fast").network).state_dict()
    alone = {key: part.contiguous() for key, part in parts.items()}
    save_file(alone, tmp_path / "alone.safetensors")
    state = start_of({"network": "fast", "init_from": str(tmp_path / "alone.safetensors")})
    assert all(torch.equal(state[f"restorer.{key}"], part) for key, part in alone.items())
    assert not state["downscalers.8.last.weight"].any()


def test_joint_sr_begins_with_the_downscalers_of_its_branches(tmp_path: Path) -> None:
    paths = {}
    for scale in (2, 4, 8):
        whole = EndToEnd(at_random(build_network(f"omnisr-light-x{scale}").network), [scale])
        paths[scale] = str(tmp_path / f"x{scale}.safetensors")
        save_file(at_random(whole).state_dict(), paths[scale])
    state = start_of(
        {
            "network": "joint-omnisr-light",
            "init_from": paths,
            "crop": 384,
            "maps": {"uniform": 0, "blocks": {128: 1}, "all_scales": 0},
        }
    )
    for scale, path in paths.items():
        for key, part in load_file(path).items():
            if key.startswith("downscalers."):
                assert torch.equal(state[key], part)
        assert torch.equal(state[f"restorer.branches.{scale}.input.weight"], load_file(path)["restorer.input.weight"])


@pytest.mark.parametrize("from_weights", [False, True])
def test_downscalers_may_be_those_of_another_network(from_weights: bool, tmp_path: Path) -> None:
    other = learned(build_network("fast").network)
    save_file({key: part.contiguous() for key, part in other.state_dict().items()}, tmp_path / "other.safetensors")
    values: dict[str, object] = {
        "network": "omnisr-light-x4",
        "maps": {"uniform": 1, "uniform_scales": {4: 1}},
        "init_downscalers": str(tmp_path / "other.safetensors"),
    }
    alone = build_network("omnisr-light-x4").network.state_dict()
    if from_weights:
        alone = at_random(build_network("omnisr-light-x4").network).state_dict()
        save_file(alone, tmp_path / "alone.safetensors")
        values["init_from"] = str(tmp_path / "alone.safetensors")
    state = start_of(values)
    nets = {key: part for key, part in state.items() if key.startswith("downscalers.")}
    assert {key.split(".")[1] for key in nets} == {"4"}
    assert all(torch.equal(part, other.state_dict()[key]) for key, part in nets.items())
    taken = all(torch.equal(state[f"restorer.{key}"], part) for key, part in alone.items())
    assert taken == from_weights


def test_downscalers_may_be_given_as_the_filters_that_ship(tmp_path: Path) -> None:
    """Their layers are found again, and fold into the same."""
    state = start_of(
        {
            "network": "omnisr-light-x2",
            "maps": {"uniform": 1, "uniform_scales": {2: 1}},
            "init_downscalers": str(FOLDER / "downnet-mosaic-fast.lr.safetensors"),
        }
    )
    filters, _ = take_apart(state)
    shipped = load_filters("downnet-mosaic-fast.lr")[2]
    bicubic = fold(DownNet(2))
    assert (filters["2"] - shipped).norm() < 1e-3 * (bicubic - shipped).norm()


def test_filters_that_are_none_of_a_downnet_are_refused(tmp_path: Path) -> None:
    taps = torch.rand(3, 3, 8, 8)  # reaches further than a Down-Net's does
    save_file({"2": taps}, tmp_path / "noise.safetensors")
    with pytest.raises(RecipeError, match=r"noise.safetensors: its filter for x2 is none of a Down-Net"):
        start_of(
            {
                "network": "omnisr-light-x2",
                "maps": {"uniform": 1, "uniform_scales": {2: 1}},
                "init_downscalers": str(tmp_path / "noise.safetensors"),
            }
        )


def test_files_without_the_downscalers_asked_for_are_refused(tmp_path: Path) -> None:
    whole = EndToEnd(build_network("omnisr-light-x2").network, [2])
    save_file(whole.state_dict(), tmp_path / "x2.safetensors")
    values: dict[str, object] = {
        "network": "omnisr-light-x4",
        "maps": {"uniform": 1, "uniform_scales": {4: 1}},
        "init_downscalers": str(tmp_path / "x2.safetensors"),
    }
    with pytest.raises(RecipeError, match=r"init_downscalers: .*x2.safetensors: has no Down-Net for x4"):
        start_of(values)
    with pytest.raises(RecipeError, match=r"init_downscalers: nothere.safetensors: cannot be read"):
        start_of(values | {"init_downscalers": "nothere.safetensors"})
    with pytest.raises(RecipeError, match="init_downscalers: needs downscaler: downnet"):
        recipe_from(values | {"downscaler": "bicubic"})


def test_a_checkpoint_goes_on_with_its_own_downscalers(tmp_path: Path) -> None:
    whole = learned(build_network("fast").network)
    state = {f"{prefix}.{key}": part for prefix in ("network", "averaged") for key, part in whole.state_dict().items()}
    kept = {
        "pytorch-lightning_version": "2",
        "state_dict": state,
        "first_step": 0,
        "global_step": 7,
        "optimizer_states": [{"state": {0: {"momentum": torch.zeros(1)}}}],
    }
    torch.save(kept, tmp_path / "last.ckpt")
    recipe = recipe_from(
        {"downscaler": "downnet", "init_from": str(tmp_path / "last.ckpt"), "init_downscalers": "x.safetensors"}
    )
    with pytest.raises(RecipeError, match=r"init_downscalers: .*last.ckpt is a checkpoint"):
        read_initial(recipe, with_downscalers(build_network("fast"), recipe.maps.scales))
