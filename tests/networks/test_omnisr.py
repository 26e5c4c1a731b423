"""Omni-SR against the outputs of the authors' implementation, and its properties without them."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from bbmr.networks import build_network
from bbmr.networks.omnisr import ChannelAttention, OmniSR, OmniSRMosaic, SpatialAttention, count_groups

GOLDEN = Path(__file__).parents[3] / "shared" / "golden"
NETWORKS = {"omnisr_x2": (2, 5), "omnisr_x4": (4, 5), "omnisr_x8": (8, 5), "omnisr_light_x4": (4, 1)}
beside_golden = pytest.mark.skipif(not GOLDEN.is_dir(), reason="the golden vectors are not beside the project")


def golden(name: str) -> tuple[OmniSR, dict[str, Tensor]]:
    tensors = load_file(GOLDEN / f"{name}.safetensors")
    state = {key.removeprefix("state."): value for key, value in tensors.items() if key.startswith("state.")}
    scale, groups = NETWORKS[name]
    assert count_groups(state) == groups
    network = OmniSR(scale, groups)
    network.load_state_dict(state, strict=True)
    return network.eval(), tensors


@beside_golden
@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_are_those_of_the_authors(name: str) -> None:
    network, tensors = golden(name)
    checked = 0
    for key, expected in tensors.items():
        if not key.startswith("output"):
            continue
        kind, size = key.split(".")
        exact = kind == "output64"
        with torch.no_grad():
            source = tensors[f"input.{size}"]
            found = network.double()(source.double()) if exact else network.float()(source)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12 if exact else 1e-5)
        checked += 1
    assert checked >= 3


@beside_golden
def test_every_module_and_gradient_is_that_of_the_authors() -> None:
    network, tensors = golden("omnisr_light_x4")
    found: dict[str, Tensor] = {}
    for name, module in network.named_modules():
        module.register_forward_hook(lambda _, __, output, name=name: found.update({name: output}))
    loss = (network(tensors["input.16x24"]) - 0.5).square().mean()
    loss.backward()
    torch.testing.assert_close(loss.detach(), tensors["loss.16x24"].reshape(()), rtol=1e-5, atol=0)
    gradients = dict(network.named_parameters())
    checked = 0
    for key, expected in tensors.items():
        kind, _, name = key.partition(".16x24.")
        if kind == "grad":
            gradient = gradients[name].grad
            assert gradient is not None
            torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=1e-6)
            checked += 1
        elif kind == "mid" and name in found and found[name].shape == expected.shape:
            torch.testing.assert_close(found[name], expected, rtol=0, atol=1e-5)
            checked += 1
    assert checked > 60


@pytest.mark.parametrize(
    ("scale", "groups", "parameters"), [(2, 5, 784_604), (4, 5, 805_376), (8, 5, 888_464), (4, 1, 214_208)]
)
def test_parameters_are_as_many_as_published(scale: int, groups: int, parameters: int) -> None:
    network = OmniSR(scale, groups)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    assert len(network.state_dict()) == 62 * groups + 6


@pytest.mark.parametrize("size", [(1, 1), (9, 17), (33, 8)])
def test_any_size_comes_back_times_the_scale(size: tuple[int, int]) -> None:
    restored = OmniSR(4, 1)(torch.rand(1, 3, *size))
    assert restored.shape == (1, 3, 4 * size[0], 4 * size[1])
    correction = OmniSRMosaic(1)(torch.rand(2, 48, *size), torch.zeros(2, *size, dtype=torch.long))
    assert correction.shape == (2, 48, *size)
    assert not correction.any()


def test_the_mosaic_network_is_told_the_scales() -> None:
    torch.manual_seed(0)
    network = OmniSRMosaic(1)
    nn.init.normal_(network.tail.weight, std=0.1)
    pixels = torch.rand(1, 48, 16, 16)
    outputs = [network(pixels, torch.full((1, 16, 16), level)) for level in range(5)]
    assert all((one - other).abs().max() > 1e-3 for one, other in pairwise(outputs))


def test_a_state_of_another_depth_is_refused() -> None:
    with pytest.raises(RuntimeError, match="residual_layer"):
        OmniSR(4, 2).load_state_dict(OmniSR(4, 1).state_dict(), strict=True)


def test_multiply_accumulates_are_those_counted_by_hand() -> None:
    tokens = 10 * 64  # ten windows of 64 tokens, 4 heads of 16 channels
    with FlopCounterMode(display=False) as counter:
        SpatialAttention()(torch.rand(10, 64, 64))
    by_hand = tokens * 64 * (3 * 64 + 64) + 10 * 4 * 2 * 64 * 64 * 16
    assert counter.get_total_flops() / 2 == by_hand
    with FlopCounterMode(display=False) as counter:
        ChannelAttention("grid")(torch.rand(1, 64, 16, 24))
    samples = 16 * 24
    by_hand = samples * (64 * 192 + 9 * 192 + 64 * 64) + 64 * 4 * 2 * 16 * 16 * (samples // 64)
    assert counter.get_total_flops() / 2 == by_hand


def test_the_registry_builds_what_a_state_holds() -> None:
    helper = OmniSR(8, 1)
    descriptor = build_network("omnisr-x8", helper.state_dict())
    assert (descriptor.scale, descriptor.reach) == (8, None)
    picture = torch.rand(1, 3, 20, 20)
    torch.testing.assert_close(descriptor.network(picture), helper(picture))
    assert build_network("omnisr-mosaic").scale is None
    with pytest.raises(RuntimeError, match=r"up\.0"):
        build_network("omnisr-x4", helper.state_dict())
