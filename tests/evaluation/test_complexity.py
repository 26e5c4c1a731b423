"""Counts against arithmetic by hand, and against torch's counter over the real computation."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.numpy import load
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from upscaling.tiny_networks import rescale, textured

from bbmr.allocation.corrected import LIGHT
from bbmr.blocks import PAPER_SCALES, SCALES, BlockGrid
from bbmr.catalogue import PIPELINES, find_pipeline
from bbmr.downscaling import bicubic, bicubic_planes
from bbmr.errors import BbmrError
from bbmr.evaluation.complexity import Complexity, count_distortion, count_macs, count_upscaling
from bbmr.networks import NetworkDescriptor, build_network
from bbmr.networks.joint import JointSR
from bbmr.options import DISTORTIONS
from bbmr.picture import Picture
from bbmr.pipeline import measure_distortion
from bbmr.upscaling.joint import JointUpscaler
from bbmr.weights.index import shipped_index

FAST_POSITION = 12 * 48 * 48 * 9  # `fast`: head, five pairs, tail
ENLARGED_TWICE = 25 * 4  # bicubic: 5 x 5 taps for each of 2 x 2 samples


def uniform(grid: BlockGrid, factor: int = 4) -> NDArray[np.uint8]:
    return np.full((grid.rows, grid.cols), factor, np.uint8)


def without_data(*shape: int) -> Tensor:
    return torch.empty(shape, device="meta")


def count_network(network: nn.Module, lr_height: int, lr_width: int) -> Complexity:
    """A network on a whole LR picture, without tiles: what papers give."""
    parameters = sum(parameter.numel() for parameter in network.parameters())
    with torch.no_grad():
        return Complexity(parameters, count_macs(lambda: network(without_data(1, 3, lr_height, lr_width))))


def really_counted(run: Callable[[], object]) -> int:
    # Torch's counter does not know its fused attention for CPUs.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        run()
    macs: int = counter.get_total_flops() // 2
    return macs


@pytest.mark.parametrize(("stride", "groups"), [(1, 1), (2, 1), (1, 4), (3, 2)])
def test_convolution(stride: int, groups: int) -> None:
    layer = nn.Conv2d(8, 12, (5, 3), stride, padding=(2, 1), groups=groups)
    rows, cols = -(-30 // stride), -(-18 // stride)
    by_hand = 8 // groups * 12 * 5 * 3 * rows * cols
    for picture in (without_data(1, 8, 30, 18), torch.rand(1, 8, 30, 18)):
        assert count_macs(lambda x=picture: layer(x)) == by_hand  # type: ignore[misc]


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_attention(mode: Callable[[], torch.no_grad]) -> None:
    tokens, width, heads = 50, 24, 3
    to_qkv, to_out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def attend(features: Tensor) -> Tensor:
        query, key, value = to_qkv(features).view(2, tokens, 3, heads, -1).permute(2, 0, 3, 1, 4)
        bias = torch.zeros(1, heads, tokens, tokens)
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        out: Tensor = to_out(attended.transpose(1, 2).reshape(2, tokens, width))
        return out

    with mode():
        found = count_macs(lambda: attend(without_data(2, tokens, width)))
    assert found == 2 * (4 * tokens * width**2 + heads * 2 * tokens**2 * (width // heads))


def test_products_of_what_is_at_hand_are_computed_and_counted() -> None:
    one, other = torch.rand(3, 4), torch.rand(4, 5)
    found: list[Tensor] = []
    assert count_macs(lambda: found.append(one @ other)) == 3 * 4 * 5
    torch.testing.assert_close(found[0], one @ other)


def test_nothing_large_is_computed() -> None:
    layer = nn.Conv2d(3, 1000, 3, padding=1)  # its output would take 4 petabytes
    assert count_macs(lambda: layer(without_data(1, 3, 10**6, 10**6))) == 27 * 1000 * 10**12


def test_whole_pictures_by_a_network() -> None:
    network = nn.Sequential(nn.Conv2d(3, 48, 3, padding=1), nn.PReLU(48), nn.PixelShuffle(4))
    assert count_network(network, 70, 90) == Complexity(3 * 48 * 9 + 2 * 48, 3 * 48 * 9 * 70 * 90)


@pytest.mark.parametrize(("family", "parameters"), [("omnisr", 805_376), ("craft", 753_344)])
def test_published_networks_at_their_published_sizes(family: str, parameters: int) -> None:
    assert count_network(build_network(f"{family}-x4").network, 32, 32).parameters == parameters


def test_the_sender_of_the_paper_costs_what_its_table_4_has() -> None:
    """Ratios, as the paper does not say how large its pictures are."""

    plain, light = (
        {k: count_network(build_network(f"{name}-x{k}").network, 512 // k, 512 // k).macs for k in PAPER_SCALES}
        for name in ("omnisr", "omnisr-light")
    )
    assert sum(plain.values()) / plain[4] == pytest.approx(1258.53 / 243.46, rel=0.005)
    assert sum(light.values()) / sum(plain.values()) == pytest.approx(324.01 / 1258.53, rel=0.03)


def test_fast_on_one_tile_by_hand() -> None:
    grid = BlockGrid(320, 208, 16)
    mosaic = 3 * ENLARGED_TWICE * (80 * 52 + 160 * 104)  # from x4 to x2, and from there
    found = count_upscaling(find_pipeline("mosaic-fast"), uniform(grid), grid)
    assert found.macs == FAST_POSITION * 80 * 52 + mosaic
    # With a block at x16 anywhere all of the mosaic is made from there.
    scales = uniform(grid)
    scales[3, 5] = 16
    mosaic += 3 * ENLARGED_TWICE * (20 * 13 + 40 * 26)
    assert count_upscaling(find_pipeline("mosaic-fast"), scales, grid).macs == FAST_POSITION * 80 * 52 + mosaic


def test_tiles_cost_their_halos() -> None:
    grid = BlockGrid(256, 2 * 768, 128)
    # The network reaches 12 positions, 48 pixels, and the mosaic 60; whole cells of 16.
    mosaic, network = 2 * (768 + 112) * 256, 2 * (768 + 48) * 256
    found = count_upscaling(find_pipeline("mosaic-fast"), uniform(grid), grid).macs
    assert found == (FAST_POSITION * network + 3 * ENLARGED_TWICE * (1 + 4) * mosaic) // 16


@pytest.mark.parametrize("name", ["mosaic-fast", "separate-omnisr"])
def test_twice_the_area_costs_twice(name: str) -> None:
    grid, double = BlockGrid(128, 256, 128), BlockGrid(128, 512, 128)
    pipeline, scales = find_pipeline(name), np.array([[2, 8]], np.uint8)
    once = count_upscaling(pipeline, scales, grid)
    assert once.macs > 0
    twice = Complexity(once.parameters, 2 * once.macs)
    assert count_upscaling(pipeline, np.hstack([scales, scales]), double) == twice


def test_deblocking_is_three_convolutions_on_half_the_size() -> None:
    def without_band(descriptor: NetworkDescriptor) -> JointUpscaler:
        network = deepcopy(descriptor.network)
        assert isinstance(network, JointSR)
        network.band = 0
        return JointUpscaler(replace(descriptor, network=network))

    grid = BlockGrid(128, 256, 128)  # one strip, of which no row is computed twice
    joint = find_pipeline("joint-omnisr")
    with_it, without = (
        count_upscaling(pipeline, uniform(grid), grid).macs
        for pipeline in (joint, replace(joint, restorer=without_band))
    )
    assert with_it - without == 3 * 12 * 12 * 9 * (128 // 2) * (256 // 2)


BUFFERS = ("relative_position_index_", "biases_", "_extra_state")  # numbers in files of weights that are not trained


@pytest.mark.parametrize("name", ["mosaic-fast", "plain-craft", "separate-omnisr", "joint-omnisr"])
def test_parameters_are_those_of_the_weights(name: str) -> None:
    pipeline, grid = find_pipeline(name), BlockGrid(128, 128, 128)
    expected = 0
    for weights in pipeline.networks:
        state = load(files("bbmr.weights").joinpath(shipped_index()[weights].file).read_bytes())
        expected += sum(part.size for key, part in state.items() if not key.split(".")[-1].startswith(BUFFERS))
    assert count_upscaling(pipeline, uniform(grid), grid).parameters == expected


REAL = [
    ("mosaic-fast", SCALES, 16),
    ("plain-craft", (4,), 128),
    ("separate-omnisr", PAPER_SCALES, 128),
    ("joint-omnisr", PAPER_SCALES, 128),
]


@pytest.mark.parametrize(("name", "factors", "side"), REAL)
def test_receivers_cost_what_they_compute(name: str, factors: tuple[int, ...], side: int) -> None:
    colour = textured(100, 300)
    grid = BlockGrid(100, 300, side)
    scales = np.resize(np.array(factors, np.uint8), (grid.rows, grid.cols))
    pipeline, rescaled = find_pipeline(name), rescale(colour, scales, side)
    expected = really_counted(lambda: pipeline.upscaler().restore(rescaled))
    assert count_upscaling(pipeline, scales, grid).macs == expected


SENDERS = [(distortion, "separate-omnisr" if distortion == "helper" else "mosaic-fast") for distortion in DISTORTIONS]


@pytest.mark.parametrize(("distortion", "name"), SENDERS)
def test_senders_cost_what_they_compute(distortion: str, name: str) -> None:
    colour = textured(100, 120)
    grid, planes, pipeline = BlockGrid(100, 120, 128), bicubic_planes(colour, SCALES), find_pipeline(name)
    found = count_distortion(pipeline, distortion, grid, PAPER_SCALES).macs
    assert found == really_counted(
        lambda: measure_distortion(Picture(colour), planes, grid, distortion, pipeline, PAPER_SCALES)
    )


def test_bicubic_distortion_by_hand() -> None:
    found = count_distortion(find_pipeline("mosaic-fast"), "bicubic", BlockGrid(96, 160, 32))
    assert found == Complexity(0, 4 * 25 * 96 * 160)  # the luma at four scales


def test_corrected_distortion_by_hand() -> None:
    height, width = 96, 160
    found = count_distortion(find_pipeline("mosaic-fast"), "corrected", BlockGrid(height, width, 32))
    light = (2 * 16 * 24 + 4 * 24 * 24) * 9 * height * width // 16
    # The luma of mosaics that are x2, x4 and x8 all over, in steps of two.
    steps = sum(ENLARGED_TWICE * height * width // k**2 for scale in (2, 4, 8) for k in (2, 4, 8) if k <= scale)
    assert found.macs == 3 * light + steps + 2 * 25 * height * width  # and bicubic at x8 and x16
    state = load(files("bbmr.weights").joinpath(shipped_index()[LIGHT].file).read_bytes())
    assert found.parameters == sum(part.size for part in state.values())


def test_the_network_foresees_at_the_price_of_restoring_each_scale() -> None:
    pipeline, grid = find_pipeline("mosaic-fast"), BlockGrid(200, 300, 128)
    each = [count_upscaling(pipeline, uniform(grid, factor), grid) for factor in (2, 4, 8, 16)]
    found = count_distortion(pipeline, "network", grid)
    assert found == Complexity(each[0].parameters, sum(one.macs for one in each))


def test_the_helper_has_networks_of_its_own() -> None:
    grid = BlockGrid(128, 192, 128)
    found = count_distortion(find_pipeline("separate-omnisr"), "helper", grid, PAPER_SCALES)
    networks = {scale: build_network(f"omnisr-light-x{scale}").network for scale in PAPER_SCALES}
    each = [count_network(network, 128 // k, 192 // k) for k, network in networks.items()]
    assert found == Complexity(sum(one.parameters for one in each), sum(one.macs for one in each))


def test_nothing_without_data_is_left_behind() -> None:
    """Stencils are kept for later calls, and here first made while something is counted."""
    colour = textured(64, 96)
    pipeline, grid = find_pipeline("mosaic-fast"), BlockGrid(64, 96, 16)
    rescaled = rescale(colour, np.resize(np.array(SCALES, np.uint8), (grid.rows, grid.cols)), 16)
    restored, planes = pipeline.upscaler().restore(rescaled), bicubic_planes(colour, SCALES)
    for kept in (bicubic._shrinking_stencil, bicubic._enlarging_stencils):
        kept.cache_clear()
    count_macs(lambda: bicubic_planes(colour, SCALES))
    count_upscaling(pipeline, rescaled.scales, grid)
    for distortion in ("bicubic", "corrected", "network"):
        count_distortion(pipeline, distortion, grid)
    np.testing.assert_array_equal(pipeline.upscaler().restore(rescaled), restored)
    for factor, plane in bicubic_planes(colour, SCALES).items():
        np.testing.assert_array_equal(plane, planes[factor])


def refused() -> list[tuple[Callable[[], object], type[Exception], str]]:
    grid = BlockGrid(128, 256, 128)
    separate = PIPELINES["separate-omnisr"]
    fast = PIPELINES["mosaic-fast"]
    own = replace(fast, networks=())
    return [
        (lambda: count_upscaling(separate, uniform(grid, 16), grid), BbmrError, "cannot restore"),
        (lambda: count_upscaling(separate, uniform(grid)[:, :1], grid), ValueError, "the grid 1 x 2"),
        (lambda: count_upscaling(own, uniform(grid), grid), ValueError, "not known"),
        (lambda: count_distortion(own, "network", grid), ValueError, "not known"),
        (lambda: count_distortion(separate, "network", grid), BbmrError, "cannot restore"),
        (lambda: count_distortion(separate, "helper", grid), BbmrError, "foresees scales 2, 4, 8"),
        (lambda: count_distortion(fast, "helper", grid), BbmrError, "mosaic-fast has no helper"),
        (lambda: count_distortion(fast, "guessed", grid), KeyError, "guessed"),
    ]


@pytest.mark.parametrize(("run", "error", "message"), refused())
def test_what_cannot_run_is_not_counted(run: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        run()
