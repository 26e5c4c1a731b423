"""LR samples refined at the sender: against least squares, differences, and what is restored in the end."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor
from upscaling.tiny_networks import random_map, rescale, textured

from bbmr import fileformat
from bbmr.allocation.budget import Budget
from bbmr.blocks import SCALES, BlockGrid
from bbmr.downscaling.bicubic import upscale
from bbmr.errors import BbmrError
from bbmr.lr_blocks import LRBlocks
from bbmr.networks import FAMILIES, build_network
from bbmr.options import EFFORTS, Options
from bbmr.picture import Picture
from bbmr.pipeline import compress, compress_uniform
from bbmr.refinement import descent as descent_room
from bbmr.refinement import refine as refine_room
from bbmr.refinement.descent import Descent
from bbmr.refinement.refine import MAY_GROW, STEPS, UNSEEN, as_floats, refine
from bbmr.refinement.restoration import Restoration, total
from bbmr.rescaled import RescaledImage
from bbmr.tiles import Tile, tiles
from bbmr.training.initial import join_branches
from bbmr.upscaling import Upscaler
from bbmr.upscaling import mosaic as mosaic_room
from bbmr.upscaling.joint import JointUpscaler
from bbmr.upscaling.mosaic import MosaicUpscaler
from bbmr.upscaling.plain import PlainUpscaler
from bbmr.upscaling.separate import SeparateUpscaler
from bbmr.weights import load_weights

LUMA = np.array([65.481, 128.553, 24.966]) / 255


class BicubicUpscaler(Upscaler):
    """No network at all: linear in the samples, so that the best ones are known."""

    scales, sides = SCALES, (128,)

    def restored_tiles(self, stored: LRBlocks) -> Iterator[tuple[Tile, Tensor]]:
        (factor,) = stored.samples
        height, width = stored.grid.height, stored.grid.width
        (tile,) = tiles(height, width, 1024, 0)
        plane = stored.planes_of(slice(0, -(-height // 16) * 16), slice(0, -(-width // 16) * 16))[factor]
        yield tile, upscale(plane, factor)[:, :, :height, :width]


def fast_upscaler() -> MosaicUpscaler:
    return MosaicUpscaler(load_weights("mosaic-fast"))


def mixed(height: int, width: int, side: int = 16, channels: int = 3) -> tuple[RescaledImage, NDArray[np.uint8]]:
    """Half sky, half waves, each block at the scale that it needs."""
    y, x = np.mgrid[:height, :width]
    waves = 120 + 50 * np.sin(x / 4.3 + np.sin(y / 9)) * np.cos(y / 5.1)
    luma = np.where(y + 9 * np.sin(x / 20) < height / 2, 170 + y / 9, waves)
    picture = Picture((luma[:, :, None] + np.array([0, 9, 20])[:channels]).astype(np.uint8))
    options = Options(block=side, budget=Budget("x3"), tune="psnr", distortion="bicubic")
    return compress(picture, options), picture.colour


def block_errors(upscaler: Upscaler, rescaled: RescaledImage, colour: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Summed squared errors of the blocks as they are restored: of the luma, and the mean over R, G and B."""
    difference = upscaler.restore(rescaled).astype(float) - colour
    luma = difference @ LUMA if colour.shape[2] == 3 else difference[:, :, 0] * LUMA.sum()
    squared = np.square(luma), np.square(difference).mean(2)
    return np.stack([rescaled.grid.block_sums(part) for part in squared])


def test_every_effort_has_its_steps() -> None:
    assert len(STEPS) == len(EFFORTS)
    assert STEPS[0] == 0
    assert list(STEPS) == sorted(set(STEPS))


def test_it_comes_close_to_the_least_squares_solution() -> None:
    """Of a linear upscaler that is known without any descent: what is lost beyond it is lost to rounding."""
    colour = textured(48, 48)
    noise = np.random.default_rng(0).integers(-9, 10, (1, 32, 32, 3))
    start = rescale(colour, np.full((1, 1), 4, np.uint8), 128)
    start = replace(start, blocks={4: (start.blocks[4] + noise).astype(np.uint8)})
    refined = refine(start, colour, BicubicUpscaler(), 24).rescaled
    # The matrix of the enlargement, column by column, and the best samples by numpy's solver.
    impulses = torch.eye(144, dtype=torch.float64).view(144, 1, 12, 12)
    matrix = upscale(impulses, 4).flatten(1).T.numpy()
    target = colour.reshape(-1, 3).astype(float)
    best = np.linalg.lstsq(matrix, target)[0]

    def error(samples: NDArray[np.floating]) -> float:
        return float(np.square(matrix @ samples - target).mean())

    begun, ended = (picture.blocks[4][0, :12, :12].reshape(-1, 3).astype(float) for picture in (start, refined))
    assert error(begun) > 1.5 * error(best)
    assert error(ended) < error(best) + 0.1 * (error(begun) - error(best)) + 1 / 12


@pytest.mark.parametrize("channels", [1, 3])
def test_gradients_are_those_of_differences(channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Summed over tiles, with weights for the blocks, and on samples that partial blocks repeat."""
    monkeypatch.setattr(mosaic_room, "TILE", 128)
    rescaled, colour = mixed(150, 203, channels=channels)
    restoration = Restoration(colour, fast_upscaler(), rescaled.grid, rescaled.scales)
    samples = as_floats(LRBlocks.of(rescaled))
    weights = np.random.default_rng(1).uniform(1, 3, rescaled.scales.shape)
    gradients, _ = restoration.gradient(samples, weights)
    assert set(gradients) == {2, 4, 8, 16}

    def objective() -> float:
        """In float64 from restored tiles: luma and colours in halves, by the formulas."""
        total = 0.0
        with torch.no_grad():
            for tile, core in fast_upscaler().restored_tiles(LRBlocks(rescaled.grid, rescaled.scales, samples)):
                difference = core[0].clamp(0, 1).permute(1, 2, 0).double().numpy() - colour[tile.core] / 255
                luma = difference @ (LUMA / LUMA.sum()) if channels == 3 else difference[:, :, 0]
                squared = (np.square(luma) + np.square(difference).mean(2)) / 2
                rows, cols = (np.arange(part.start, part.stop) // 16 for part in tile.core)
                total += float((squared * weights[np.ix_(rows, cols)]).sum())
        return total

    random = np.random.default_rng(2)
    last = rescaled.scales[-1, -1]
    for factor, gradient in gradients.items():
        own = weights[rescaled.scales == factor]
        block = len(own) - 1 if factor == last else int(random.integers(len(own)))
        # All samples of a block's colour at once: what partial blocks repeat moves along.
        before = samples[factor][block, 0].clone()
        by_difference = []
        for step in (0.002, -0.002):
            samples[factor][block, 0] = before + step
            by_difference.append(objective())
        samples[factor][block, 0] = before
        expected = (by_difference[0] - by_difference[1]) / 0.004 / own[block]
        assert float(gradient[block, 0].sum()) == pytest.approx(expected, rel=0.02, abs=0.02)


def test_partial_blocks_pass_their_gradients_on() -> None:
    """`_gather` is the transpose of `fill`: <fill(x), y> is <x, gather(y)> over the true samples."""
    rescaled, colour = mixed(37, 45)
    restoration = Restoration(colour, fast_upscaler(), rescaled.grid, rescaled.scales)
    for factor, blocks in LRBlocks.of(rescaled).samples.items():
        x, y = torch.rand(2, *blocks.shape, dtype=torch.float64)
        filled, gathered = x.clone(), restoration._gather(y.clone(), factor)
        restoration.fill(filled, factor)
        true = torch.zeros_like(x)
        heights, widths = rescaled.grid.block_sizes(factor)
        for block, (row, col) in enumerate(np.argwhere(rescaled.scales == factor)):
            true[block, :, : heights[row], : widths[col]] = 1
        torch.testing.assert_close((filled * y).sum(), (x * gathered).sum())
        assert not (gathered * (1 - true)).any()


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_restored_better_and_the_promise_is_kept(channels: int) -> None:
    rescaled, colour = mixed(203, 150, channels=channels)
    before = block_errors(fast_upscaler(), rescaled, colour).sum((1, 2))
    found = refine(rescaled, colour, fast_upscaler(), 6)
    after = block_errors(fast_upscaler(), found.rescaled, colour).sum((1, 2))
    assert (after < 0.95 * before).all()
    assert found.luma_error == pytest.approx(after[0], rel=1e-5)
    assert replace(found.rescaled, blocks=rescaled.blocks) == rescaled
    np.testing.assert_array_equal(found.rescaled.blocks[1], rescaled.blocks[1])  # exact as they are
    assert fileformat.decode(fileformat.encode(found.rescaled, 1 << 20), 1 << 20) == found.rescaled


@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from([16, 32, 64, 128]), st.integers(0, 99))
@settings(max_examples=15)
def test_no_block_is_restored_worse_than_that_is_allowed(height: int, width: int, side: int, seed: int) -> None:
    """Noise, which nothing restores, is where blocks gain at the cost of others."""
    random = np.random.default_rng(seed)
    colour = (128 + random.normal(0, random.choice([0.5, 5, 50]), (height, width, 3))).clip(0, 255).astype(np.uint8)
    grid = BlockGrid(height, width, side)
    rescaled = rescale(colour, random.choice(SCALES, (grid.rows, grid.cols)).astype(np.uint8), side)
    before = block_errors(fast_upscaler(), rescaled, colour)
    after = block_errors(fast_upscaler(), refine(rescaled, colour, fast_upscaler(), 4).rescaled, colour)
    assert (after <= (1 + MAY_GROW) * before + UNSEEN * grid.costs(1) + 1e-3).all()
    assert total(after) <= total(before) + 1e-3


def test_blocks_that_become_worse_are_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing at all may be lost, wider and wider parts are put back until nothing is."""
    rescaled, colour = mixed(128, 128)
    monkeypatch.setattr(refine_room, "MAY_GROW", 0)
    monkeypatch.setattr(refine_room, "UNSEEN", 1e-6)
    before = block_errors(fast_upscaler(), rescaled, colour)
    found = refine(rescaled, colour, fast_upscaler(), 3).rescaled
    assert (block_errors(fast_upscaler(), found, colour) <= before + 1e-3).all()
    assert any((found.blocks[k] == own).all((1, 2, 3)).any() for k, own in rescaled.blocks.items() if k > 1)


class RoundingOtherwise(MosaicUpscaler):
    """Gives other last digits where gradients are taken, as other code for that may."""

    def restored_tiles(self, stored: LRBlocks) -> Iterator[tuple[Tile, Tensor]]:
        for tile, core in super().restored_tiles(stored):
            yield tile, core * (1 - 1e-4 * torch.is_grad_enabled())


@pytest.mark.parametrize("seed", range(8))
def test_putting_back_ends_whatever_the_last_digits(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refine_room, "MAY_GROW", 0)
    monkeypatch.setattr(refine_room, "UNSEEN", 0)
    noise = np.random.default_rng(seed).normal(128, 9, (37, 50, 3)).clip(0, 255).astype(np.uint8)
    rescaled = compress(Picture(noise), Options(block=16, budget=Budget("x4"), distortion="bicubic"))
    upscaler = RoundingOtherwise(load_weights("mosaic-fast"))
    before = block_errors(upscaler, rescaled, noise)
    found = refine(rescaled, noise, upscaler, 3)
    assert total(block_errors(upscaler, found.rescaled, noise)) <= total(before)


def test_more_steps_are_no_worse() -> None:
    rescaled, colour = mixed(112, 96)
    restoration = Restoration(colour, fast_upscaler(), rescaled.grid, rescaled.scales)
    descent = Descent(restoration, as_floats(LRBlocks.of(rescaled)))
    while descent.step():
        assert total(restoration.errors(descent.best)) == pytest.approx(descent.least, rel=1e-4)
    few, many = (refine(rescaled, colour, fast_upscaler(), steps).rescaled for steps in (2, 16))
    errors = [block_errors(fast_upscaler(), one, colour).sum() for one in (few, many)]
    assert errors[1] < errors[0]


def test_rates_that_are_too_high_are_lowered(monkeypatch: pytest.MonkeyPatch) -> None:
    rescaled, colour = mixed(96, 96)
    before = block_errors(fast_upscaler(), rescaled, colour).sum()
    monkeypatch.setattr(descent_room, "_FIRST_RATE", 20.0)
    found = refine(rescaled, colour, fast_upscaler(), 8)
    assert block_errors(fast_upscaler(), found.rescaled, colour).sum() < 0.97 * before


def test_what_is_exact_stays_as_it_is() -> None:
    colour = textured(40, 50)
    rescaled = rescale(colour, np.ones((3, 4), np.uint8), 16)
    found = refine(rescaled, colour, fast_upscaler(), 3)
    assert found.rescaled == rescaled
    assert found.luma_error == 0


def upscalers_that_are_bicubic() -> dict[str, Upscaler]:
    """Of SR networks as they are before training."""
    networks = {k: build_network(f"omnisr-light-x{k}") for k in (2, 4, 8)}
    joint = build_network("joint-omnisr-light")
    template = joint.network.state_dict()
    states = {k: descriptor.network.state_dict() for k, descriptor in networks.items()}
    joint.network.load_state_dict(join_branches(states, template, FAMILIES[0]))
    return {
        "plain": PlainUpscaler(networks[4]),
        "separate": SeparateUpscaler(*networks.values()),
        "joint": JointUpscaler(joint),
    }


@pytest.mark.parametrize("kind", ["plain", "separate", "joint"])
def test_every_upscaler_can_be_refined_for(kind: str) -> None:
    upscaler = upscalers_that_are_bicubic()[kind]
    size = 200, 150
    scales = np.full((2, 2), 4, np.uint8) if kind == "plain" else random_map(2, 2)
    # A picture that there are samples for, and a start from others.
    rescaled = rescale(textured(*size), scales, 128)
    colour = upscaler.restore(rescaled)
    random = np.random.default_rng(0)
    noisy = {k: own + random.integers(-9, 10, own.shape) for k, own in rescaled.blocks.items()}
    start = replace(rescaled, blocks={k: own.clip(0, 255).astype(np.uint8) for k, own in noisy.items()})
    before = block_errors(upscaler, start, colour).sum()
    assert block_errors(upscaler, refine(start, colour, upscaler, 8).rescaled, colour).sum() < 0.5 * before


def test_progress_rises_to_one() -> None:
    rescaled, colour = mixed(40, 50)
    seen: list[float] = []
    refine(rescaled, colour, fast_upscaler(), 3, lambda stage, done: seen.append(done))
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0.0, 1.0)


def test_refining_takes_steps() -> None:
    rescaled, colour = mixed(16, 16)
    with pytest.raises(ValueError, match="takes steps, not 0"):
        refine(rescaled, colour, fast_upscaler(), 0)


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_refining_works_where_gradients_are_off(off: type[torch.no_grad | torch.inference_mode]) -> None:
    picture, options = Picture(textured(64, 80)), Options(distortion="bicubic", effort=1)
    with off():
        found = compress(picture, options)
    assert found == compress(picture, options)
    assert found != compress(picture, Options(distortion="bicubic"))


@pytest.mark.parametrize("effort", [-1, 10, 1.5, "3"])
def test_efforts_that_there_are_not_are_refused(effort: Any) -> None:
    with pytest.raises(BbmrError, match="is not possible; choose one from 0 to 9"):
        compress_uniform(Picture(textured(20, 20)), 4, effort=effort)
