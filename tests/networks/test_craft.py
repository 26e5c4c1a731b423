"""CRAFT against the outputs of the authors' implementation, and its properties without them."""

from pathlib import Path

import pytest
import torch
from networks.at_random import at_random
from safetensors.torch import load_file
from torch import Tensor, nn

from bbmr.downscaling.bicubic import upscale
from bbmr.networks import build_network
from bbmr.networks.craft import CRAFT, CRAFTMosaic, RectangleAttention, count_groups, pad, relative_positions

GOLDEN = Path(__file__).parents[3] / "shared" / "golden"
NETWORKS = {"craft_x2": (2, 4, 48, 2), "craft_x4": (4, 4, 48, 2), "craft_wide_x2": (2, 1, 96, 1)}
beside_golden = pytest.mark.skipif(not GOLDEN.is_dir(), reason="the golden vectors are not beside the project")


def golden(name: str) -> tuple[CRAFT, dict[str, Tensor]]:
    tensors = load_file(GOLDEN / f"{name}.safetensors")
    state = {key.removeprefix("state."): value for key, value in tensors.items() if key.startswith("state.")}
    assert count_groups(state) == NETWORKS[name][1]
    network = CRAFT(*NETWORKS[name])
    network.load_state_dict(state, strict=True)
    for key in ("biases_h", "biases_v", "relative_position_index_h", "relative_position_index_v"):
        assert torch.equal(dict(CRAFT(2, 1).named_buffers())[key], state[key].float())
    return network.eval(), tensors


@beside_golden
@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_are_those_of_the_authors(name: str) -> None:
    network, tensors = golden(name)
    checked = 0
    for key, expected in tensors.items():
        kind, _, size = key.partition(".")
        if kind not in {"output", "output64"}:
            continue
        exact = kind == "output64"
        with torch.no_grad():
            source = tensors[f"input.{size}"]
            found = network.double()(source.double()) if exact else network.float()(source)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12 if exact else 1e-5)
        checked += 1
    assert checked >= 4


@beside_golden
def test_every_gradient_is_that_of_the_authors() -> None:
    """Of the wide network, whose position bias is not inert."""
    network, tensors = golden("craft_wide_x2")
    loss = (network(tensors["input.16x32"]) - 0.5).square().mean()
    loss.backward()
    torch.testing.assert_close(loss.detach(), tensors["loss.16x32"].reshape(()), rtol=1e-5, atol=0)
    for name, parameter in network.named_parameters():
        expected = tensors[f"grad.16x32.{name}"]
        tolerance = 1e-4 * float(expected.abs().max()) + 1e-8
        torch.testing.assert_close(parameter.grad, expected, rtol=0, atol=tolerance, msg=name)


@beside_golden
def test_every_module_is_that_of_the_authors() -> None:
    network, tensors = golden("craft_x4")
    found: dict[str, Tensor] = {}
    for name, module in network.named_modules():
        module.register_forward_hook(lambda _, __, output, name=name: found.update({name: output}))
    with torch.no_grad():
        network(tensors["input.16x32"])
    middles = {key.removeprefix("mid.16x32."): value for key, value in tensors.items() if key.startswith("mid.")}
    assert len(middles) == 18
    for name, value in middles.items():
        own = found[name]
        if value.ndim == 3:  # tokens, which have rows and columns here
            own = own.flatten(1, 2)
        if "srwa_blocks.1.attns" in name:  # from before the shift is undone
            own = own.roll((-2, -8) if name.endswith("0") else (-8, -2), (1, 2))
        torch.testing.assert_close(own, value, rtol=0, atol=2e-6 * float(value.abs().max()) + 1e-6, msg=name)


@pytest.mark.parametrize(("scale", "groups", "parameters"), [(2, 4, 737_756), (4, 4, 753_344), (8, 4, 815_696)])
def test_parameters_are_as_many_as_published(scale: int, groups: int, parameters: int) -> None:
    network = CRAFT(scale, groups)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    assert len(network.state_dict()) == 844


@pytest.mark.parametrize("scale", [2, 4, 8])
@torch.no_grad()
def test_an_untrained_network_is_bicubic(scale: int) -> None:
    network, picture = CRAFT(scale, 1).double(), torch.rand(1, 3, 32, 17).double()
    inside = (..., slice(2 * scale, -2 * scale), slice(2 * scale, -2 * scale))
    torch.testing.assert_close(network(picture)[inside], upscale(picture, scale)[inside], rtol=0, atol=1e-6)


@torch.no_grad()
def test_mixed_precision_leaves_whole_pixels_alone() -> None:
    """Within a twentieth of a grey level; bfloat16 itself has steps of one."""
    network, picture = CRAFT(2, 1), torch.rand(1, 3, 32, 32)
    exact = network(picture)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(network(picture), exact, rtol=0, atol=0.05 / 255)


@pytest.mark.parametrize("size", [(1, 1), (9, 17), (33, 8)])
def test_any_size_comes_back_times_the_scale(size: tuple[int, int]) -> None:
    restored = CRAFT(4, 1)(torch.rand(1, 3, *size))
    assert restored.shape == (1, 3, 4 * size[0], 4 * size[1])
    correction = CRAFTMosaic(1)(torch.rand(2, 48, *size), torch.zeros(2, *size, dtype=torch.long))
    assert correction.shape == (2, 48, *size)
    assert not correction.any()


def test_padding_mirrors_as_far_as_it_must() -> None:
    samples = torch.arange(21.0).view(1, 1, 1, 21).expand(1, 1, 16, 21)
    torch.testing.assert_close(pad(samples), nn.functional.pad(samples, (0, 11, 0, 0), mode="reflect"))
    assert pad(torch.tensor([0.0, 1.0, 2.0]).view(1, 1, 1, 3))[0, 0, 5].tolist() == [0, 1, 2, 1] * 4
    assert pad(torch.ones(1, 1, 1, 1)).sum() == 256


def test_gradients_reach_every_weight_and_are_finite() -> None:
    """But for the position bias, which is inert at this width."""
    torch.manual_seed(0)
    network = CRAFTMosaic(2)
    nn.init.normal_(network.tail.weight, std=0.1)
    network(torch.rand(2, 48, 19, 26), torch.randint(0, 5, (2, 19, 26))).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any() or ".pos." in name, name


def test_windows_lie_down_or_stand_and_shift_round_the_edges() -> None:
    """Which samples move with one of them: the 64 of its window."""
    torch.manual_seed(0)
    positions = {"h": relative_positions((4, 16)), "v": relative_positions((16, 4))}
    for direction, shifted, rows, cols in (
        ("h", False, range(4), range(16)),
        ("v", False, range(16), range(4)),
        ("h", True, {30, 31, 0, 1}, {*range(24, 32), *range(8)}),
        ("v", True, {*range(24, 32), *range(8)}, {30, 31, 0, 1}),
    ):
        attention = RectangleAttention(24, direction, shifted)  # type: ignore[arg-type]
        qkv = torch.rand(1, 32, 32, 3, 24)
        moved = qkv.clone()
        moved[0, 0, 0] += 1
        with torch.no_grad():
            changed = (attention(moved, positions) != attention(qkv, positions)).any(-1)[0]
        expected = torch.zeros(32, 32, dtype=torch.bool)
        expected[torch.tensor(sorted(rows))[:, None], torch.tensor(sorted(cols))] = True
        assert torch.equal(changed, expected), (direction, shifted)


def test_pictures_of_a_batch_do_not_meet() -> None:
    torch.manual_seed(0)
    network, pictures = at_random(CRAFT(2, 1)), torch.rand(2, 3, 20, 24)
    with torch.inference_mode():
        torch.testing.assert_close(network(pictures[1:]), network(pictures)[1:], rtol=0, atol=1e-5)


def test_the_registry_builds_what_a_state_holds() -> None:
    light = CRAFT(8, 1)
    descriptor = build_network("craft-x8", light.state_dict())
    assert (descriptor.scale, descriptor.kind, descriptor.reach) == (8, "sr", None)
    assert isinstance(descriptor.network, CRAFT)
    assert len(descriptor.network.layers) == 1
    with pytest.raises(RuntimeError):
        build_network("craft-x4", light.state_dict())
