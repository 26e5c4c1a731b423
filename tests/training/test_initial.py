"""A run begins from what its recipe names, whole or in the parts that it names, or not at all."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from networks.at_random import at_random
from safetensors.torch import load_file, save_file

from bbmr.networks import build_network
from bbmr.networks.joint import JointSR
from bbmr.training.errors import RecipeError
from bbmr.training.initial import read_initial
from bbmr.training.recipe import recipe_from

Save = Callable[[str], str]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Writes random weights of a network, and names the file."""

    def write(name: str) -> str:
        path = tmp_path / f"{name}.safetensors"
        save_file(at_random(build_network(name).network).state_dict(), path)
        return str(path)

    return write


@pytest.mark.parametrize("family", ["omnisr", "craft"])
@torch.no_grad()
def test_joint_sr_begins_as_its_branches_alone(family: str, save: Save) -> None:
    """Blocks of all scales come out as each SR network restores them by itself, along their edges too."""
    paths = {scale: save(f"{family}-light-x{scale}") for scale in (2, 4, 8)}
    recipe = recipe_from({"network": f"joint-{family}-light", "init_from": paths})
    descriptor = build_network(recipe.network)
    start = read_initial(recipe, descriptor)
    assert start is not None
    assert start.step == 0
    descriptor.network.load_state_dict(start.network)
    scales = torch.tensor([[[2, 8], [4, 4]]])
    blocks = {scale: torch.rand(count, 3, 128 // scale, 128 // scale) for scale, count in ((2, 1), (4, 2), (8, 1))}
    alone = {scale: build_network(f"{family}-light-x{scale}", load_file(paths[scale])).network for scale in blocks}
    restored = {scale: alone[scale](own) for scale, own in blocks.items()}
    top, bottom = torch.cat([restored[2], restored[8]], 3), torch.cat(list(restored[4][:, None]), 3)
    torch.testing.assert_close(descriptor.network(blocks, scales), torch.cat([top, bottom], 2), rtol=0, atol=1e-5)


def test_the_deblocking_branch_can_learn_from_its_start(save: Save) -> None:
    """As the identity it is linear, but not stuck there: dark and bright samples lie on either side of the bend."""
    paths = {scale: save(f"omnisr-light-x{scale}") for scale in (2, 4, 8)}
    recipe = recipe_from({"network": "joint-omnisr-light", "init_from": paths})
    descriptor = build_network(recipe.network)
    start = read_initial(recipe, descriptor)
    assert start is not None
    network = descriptor.network
    assert isinstance(network, JointSR)
    network.load_state_dict(start.network)
    network.deblock(torch.rand(1, 12, 8, 8)).square().sum().backward()
    for name, parameter in network.deblock.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().sum()) > 0, name


@pytest.mark.parametrize("scale", [2, 8])
@pytest.mark.parametrize("family", ["omnisr", "craft"])
@torch.no_grad()
def test_a_network_begins_as_that_of_another_scale(family: str, scale: int, save: Save) -> None:
    """Its pixels are the means of the other's, or the other's repeated."""
    path = save(f"{family}-light-x4")
    network = f"{family}-light-x{scale}"
    descriptor = build_network(network)
    start = read_initial(recipe_from({"network": network, "init_from": path, "init_parts": "body"}), descriptor)
    assert start is not None
    assert not start.optimiser
    body = load_file(path)
    for key, tensor in start.network.items():
        assert torch.equal(tensor, body[key]) or key.startswith(descriptor.last)
    descriptor.network.load_state_dict(start.network)
    picture = torch.rand(1, 3, 16, 24)
    by_four = build_network(f"{family}-light-x4", body).network(picture)
    expected = F.avg_pool2d(by_four, 2) if scale == 2 else by_four.repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(descriptor.network(picture), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("family", "first"), [("omnisr", "input.weight"), ("craft", "conv_first.")])
def test_a_mosaic_network_begins_with_the_body_of_an_sr_network(family: str, first: str, save: Save) -> None:
    path = save(f"{family}-x4")
    descriptor = build_network(f"mosaic-{family}")
    recipe = recipe_from({"network": f"mosaic-{family}", "init_from": path, "init_parts": "body"})
    start = read_initial(recipe, descriptor)
    assert start is not None
    body = load_file(path)
    taken = {key for key, tensor in start.network.items() if key in body and torch.equal(tensor, body[key])}
    assert taken == {key for key in body if not key.startswith((first, *build_network(f"{family}-x4").last))}
    descriptor.network.load_state_dict(start.network)


def test_nothing_is_taken_in_part_unless_it_is_asked_for(save: Save) -> None:
    """Neither weights of another scale nor, as a body, one of another depth, nor other networks as branches."""
    path = save("omnisr-light-x4")
    with pytest.raises(RecipeError, match=r"are no weights of omnisr-light-x8 \(init_parts: body"):
        read_initial(recipe_from({"network": "omnisr-light-x8", "init_from": path}), build_network("omnisr-light-x8"))
    recipe = recipe_from({"network": "omnisr-x4", "init_from": path, "init_parts": "body"})
    with pytest.raises(RecipeError, match=r"has another body than omnisr-x4: residual_layer.1.*differs"):
        read_initial(recipe, build_network("omnisr-x4"))
    recipe = recipe_from({"network": "fast", "init_from": path, "init_parts": "body"})
    with pytest.raises(RecipeError, match="has another body than fast"):
        read_initial(recipe, build_network("fast"))


def test_branches_have_to_be_those_of_the_network(save: Save) -> None:
    joint = build_network("joint-omnisr-light")
    paths = {scale: save(f"omnisr-light-x{scale}") for scale in (2, 4, 8)}
    for wrong, told in (
        (paths | {8: paths[4]}, r"x4.safetensors: these are no weights of a x8 network"),
        (paths | {4: save("omnisr-x4")}, r"omnisr-x4.safetensors: these are no weights of a x4 network"),
        ({2: paths[2], 4: paths[4]}, r"has a file for each of 2, 4, 8"),
    ):
        recipe = recipe_from({"network": "joint-omnisr-light", "init_from": wrong})
        with pytest.raises(RecipeError, match=told):
            read_initial(recipe, joint)
    with pytest.raises(RecipeError, match="fast has no branches"):
        read_initial(recipe_from({"init_from": paths}), build_network("fast"))


def test_a_run_may_begin_at_random() -> None:
    assert read_initial(recipe_from({}), build_network("fast")) is None
