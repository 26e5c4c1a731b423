"""Omni-SR against the outputs of the authors' implementation, and its properties without them."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from networks.at_random import at_random
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from bbmr.downscaling.bicubic import upscale
from bbmr.networks import build_network
from bbmr.networks.layers import GatedFeedForward
from bbmr.networks.omnisr import (
    ChannelAttention,
    Grouping,
    OmniSR,
    OmniSRMosaic,
    SpatialAttention,
    SpatialAttentionLayer,
    count_groups,
)

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
        module.register_forward_hook(lambda _, __, output, name=name: found.update({name: output.detach()}))
    loss = (network(tensors["input.16x24"]) - 0.5).square().mean()
    loss.backward()
    torch.testing.assert_close(loss.detach(), tensors["loss.16x24"].reshape(()), rtol=1e-5, atol=0)
    for name, parameter in network.named_parameters():
        expected = tensors[f"grad.16x24.{name}"]
        tolerance = 1e-4 * float(expected.abs().max()) + 1e-8
        torch.testing.assert_close(parameter.grad, expected, rtol=0, atol=tolerance, msg=name)
    middles = {key.removeprefix("mid.16x24."): value for key, value in tensors.items() if key.startswith("mid.")}
    assert len(middles) == 29
    for name, value in middles.items():
        if not name.endswith((".layer.2", ".layer.8")):  # attention here merges its groups, as modules 3 and 9 do there
            own_name, expected = in_our_layout(name, value)
            torch.testing.assert_close(found[own_name], expected, rtol=0, atol=1e-5, msg=name)


def in_our_layout(name: str, value: Tensor) -> tuple[str, Tensor]:
    """The module here that gives a value of the authors' module `name`, and the value as it is laid out here."""
    if value.dim() == 6:  # (N, rows, cols, 8, 8, C): here (groups, tokens, C)
        return name, value.flatten(3, 4).flatten(0, 2)
    if name.endswith(".layer.4.norm"):
        return name, value.permute(0, 2, 3, 1)
    return name.replace(".layer.3", ".layer.2").replace(".layer.9", ".layer.8"), value


@pytest.mark.parametrize(
    ("scale", "groups", "parameters"), [(2, 5, 784_604), (4, 5, 805_376), (8, 5, 888_464), (4, 1, 214_208)]
)
def test_parameters_are_as_many_as_published(scale: int, groups: int, parameters: int) -> None:
    network = OmniSR(scale, groups)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    assert len(network.state_dict()) == 62 * groups + 6


@pytest.mark.parametrize("scale", [2, 4, 8])
@torch.no_grad()
def test_an_untrained_network_is_bicubic_and_its_body_learns(scale: int) -> None:
    network, picture = OmniSR(scale, 1), torch.rand(1, 3, 24, 17)
    inside = (..., slice(2 * scale, -2 * scale), slice(2 * scale, -2 * scale))
    expected = upscale(picture.double(), scale)[inside]
    torch.testing.assert_close(network.double()(picture.double())[inside], expected, rtol=0, atol=1e-6)
    with torch.enable_grad():
        network(torch.rand(1, 3, 24, 24).double()).square().mean().backward()
    gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
    for layer in ("input", "output", "up.0"):
        gradient = gradients[f"{layer}.weight"]
        assert gradient is not None
        assert gradient.any()


@torch.no_grad()
def test_mixed_precision_leaves_whole_pixels_alone() -> None:
    """Within a twentieth of a grey level; bfloat16 itself has steps of one."""
    network, picture = OmniSR(2, 1), torch.rand(1, 3, 24, 24)
    exact = network(picture)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = network(picture)
    assert mixed.dtype == torch.float32
    torch.testing.assert_close(mixed, exact, rtol=0, atol=0.05 / 255)


@pytest.mark.parametrize("size", [(1, 1), (9, 17), (33, 8)])
def test_any_size_comes_back_times_the_scale(size: tuple[int, int]) -> None:
    restored = OmniSR(4, 1)(torch.rand(1, 3, *size))
    assert restored.shape == (1, 3, 4 * size[0], 4 * size[1])
    correction = OmniSRMosaic(1)(torch.rand(2, 48, *size), torch.zeros(2, *size, dtype=torch.long))
    assert correction.shape == (2, 48, *size)
    assert not correction.any()


@pytest.mark.parametrize(("size", "padded"), [((9, 17), (16, 24)), ((3, 40), (16, 40))])
def test_padding_is_zeros_at_the_right_and_bottom(size: tuple[int, int], padded: tuple[int, int]) -> None:
    network, picture = at_random(OmniSR(2, 1)), torch.rand(1, 3, *size)
    larger = torch.zeros(1, 3, *padded)
    larger[:, :, : size[0], : size[1]] = picture
    expected = network(larger)[:, :, : 2 * size[0], : 2 * size[1]]
    torch.testing.assert_close(network(picture), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(network.features(picture), network.features(larger)[:, :, : size[0], : size[1]])


def test_training_and_evaluation_give_the_same_and_pictures_of_a_batch_do_not_meet() -> None:
    torch.manual_seed(0)
    network, pictures = at_random(OmniSR(2, 1)), torch.rand(2, 3, 20, 24)
    trained = network.train()(pictures)
    with torch.inference_mode():
        evaluated = network.eval()(pictures)
        alone = network(pictures[1:])
    torch.testing.assert_close(trained, evaluated, rtol=0, atol=1e-5)
    torch.testing.assert_close(alone, evaluated[1:], rtol=0, atol=1e-5)


def test_to_begin_with_a_mosaic_network_answers_to_differences_only() -> None:
    """Grey pictures leave its first layer where the scale alone puts it, but for the zeros beyond the edge."""
    network, levels = OmniSRMosaic(1), torch.full((1, 16, 16), 2)
    shallow: list[torch.Tensor] = []
    network.input.register_forward_hook(lambda _layer, _inputs, output: shallow.append(output))
    for grey in (0.0, 0.5, 0.9):
        network(torch.full((1, 48, 16, 16), grey), levels)
    inside = [features[:, :, 1:-1, 1:-1] for features in shallow]
    torch.testing.assert_close(inside[0], inside[1], rtol=0, atol=1e-3)
    torch.testing.assert_close(inside[2], inside[1], rtol=0, atol=1e-3)


def test_gradients_reach_every_weight_and_are_finite() -> None:
    torch.manual_seed(0)
    network = OmniSRMosaic(2)
    nn.init.normal_(network.tail.weight, std=0.1)
    network(torch.rand(2, 48, 19, 26), torch.randint(0, 5, (2, 19, 26))).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_channel_attention_bears_features_without_length() -> None:
    """It compares directions, which zeros have not."""
    attention, features = ChannelAttention("window"), torch.zeros(1, 64, 16, 16, requires_grad=True)
    mixed = attention(features)
    mixed.sum().backward()
    assert features.grad is not None
    assert features.grad.isfinite().all()
    assert not mixed.any()


@pytest.mark.parametrize("grad", [True, False], ids=["training", "evaluation"])
def test_spatial_attention_is_the_formula(grad: bool) -> None:
    """Against softmax(q k / sqrt(d) + bias) v, one query and head at a time."""
    torch.manual_seed(0)
    attention, tokens = SpatialAttention(), torch.randn(2, 64, 64)
    with torch.set_grad_enabled(grad):
        found = attention(tokens).detach()
    with torch.no_grad():
        query, key, value = (tokens @ attention.to_qkv.weight.T).view(2, 64, 3, 4, 16).unbind(2)
        mixed = torch.empty(2, 64, 4, 16)
        for group, head, at in torch.cartesian_prod(torch.arange(2), torch.arange(4), torch.arange(64)).tolist():
            rows = [(at // 8 - other // 8 + 7) * 15 + at % 8 - other % 8 + 7 for other in range(64)]
            bias = attention.rel_pos_bias.weight[rows, head]
            scores = key[group, :, head] @ query[group, at, head] / 4 + bias
            mixed[group, at, head] = scores.softmax(0) @ value[group, :, head]
        expected = attention.to_out(mixed.flatten(2))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("grouping", ["window", "grid"])
def test_attention_sees_its_window_or_its_grid(grouping: Grouping) -> None:
    """The gradient of one sample reaches the 64 of its group and no other."""
    features = torch.rand(1, 64, 24, 32, requires_grad=True)
    SpatialAttentionLayer(grouping)(features)[0, :, 9, 18].sum().backward()
    assert features.grad is not None
    # The grid's strides are 24 / 8 and 32 / 8.
    rows, cols = {"window": (slice(8, 16), slice(16, 24)), "grid": (slice(0, 24, 3), slice(2, 32, 4))}[grouping]
    expected = torch.zeros(24, 32, dtype=torch.bool)
    expected[rows, cols] = True
    assert torch.equal(features.grad[0].abs().sum(0) > 0, expected)


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
    with FlopCounterMode(display=False) as counter:
        GatedFeedForward(64, 64)(torch.rand(1, 64, 16, 24))
    assert counter.get_total_flops() / 2 == samples * (64 * 128 + 9 * 128 + 64 * 64)


def test_the_registry_builds_what_a_state_holds() -> None:
    helper = OmniSR(8, 1)
    descriptor = build_network("omnisr-x8", helper.state_dict())
    assert (descriptor.scale, descriptor.reach) == (8, None)
    picture = torch.rand(1, 3, 20, 20)
    torch.testing.assert_close(descriptor.network(picture), helper(picture))
    assert build_network("mosaic-omnisr").scale is None
    light = build_network("omnisr-light-x2")
    assert (light.scale, count_groups(light.network.state_dict())) == (2, 1)
    with pytest.raises(RuntimeError, match=r"up\.0"):
        build_network("omnisr-x4", helper.state_dict())
