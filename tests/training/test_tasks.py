"""What networks are given is what the product would give them."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from upscaling.tiny_networks import random_map, rescale, textured

from bbmr.lr_blocks import LRBlocks
from bbmr.networks import build_network
from bbmr.training.data import Batch, lr_planes
from bbmr.training.errors import RecipeError
from bbmr.training.recipe import recipe_from
from bbmr.training.tasks import JointTask, MosaicTask, SRTask, find_task
from bbmr.upscaling.context import blocks_in_context
from bbmr.upscaling.mosaic import build_mosaic

JOINT = {"uniform": 0, "blocks": {32: 1}, "all_scales": 0}


@pytest.fixture
def batch() -> Batch:
    """Two pictures of 2 x 3 blocks of 32 pixels."""
    torch.manual_seed(0)
    hr = (torch.rand(2, 3, 64, 96) * 255).round() / 255
    blocks = torch.tensor([[[1, 2, 3], [3, 2, 1]], [[2, 2, 1], [1, 3, 3]]])
    levels = blocks.repeat_interleave(2, 1).repeat_interleave(2, 2)
    return Batch(hr, lr_planes(hr, (1, 2, 4, 8, 16)), levels)


def test_joint_sr_is_given_its_blocks_in_raster_order(batch: Batch) -> None:
    blocks, scales, _ = JointTask(32, context=0).inputs(batch)
    assert scales.tolist() == [[[2, 4, 8], [8, 4, 2]], [[4, 4, 2], [2, 8, 8]]]
    by_hand: dict[int, list[torch.Tensor]] = {2: [], 4: [], 8: []}
    for n in range(2):
        for row in range(2):
            for col in range(3):
                scale = int(scales[n, row, col])
                side = 32 // scale
                down, right = slice(row * side, (row + 1) * side), slice(col * side, (col + 1) * side)
                by_hand[scale].append(batch.planes[scale][n, :, down, right])
    assert blocks.keys() == by_hand.keys()
    for scale, own in blocks.items():
        assert torch.equal(own, torch.stack(by_hand[scale]))


@pytest.mark.parametrize("scales", [np.full((3, 3), 4, np.uint8), random_map(3, 3)], ids=["uniform", "mixed"])
def test_blocks_have_the_context_that_the_receiver_gives_them(scales: NDArray[np.uint8]) -> None:
    colour = textured(384, 384)
    hr = torch.from_numpy(colour).permute(2, 0, 1)[None].float() / 255
    levels = torch.from_numpy(np.log2(scales).astype(np.int64)).repeat_interleave(8, 0).repeat_interleave(8, 1)[None]
    blocks, _, context = JointTask(128, context=4).inputs(Batch(hr, lr_planes(hr, (2, 4, 8)), levels))
    rescaled = rescale(colour, scales, 128)
    for scale, given in blocks.items():
        rows = [blocks_in_context(LRBlocks.of(rescaled), row, scale, context) for row in range(3)]
        expected = torch.cat(rows)
        assert given.shape == expected.shape
        own = slice(context, -context)
        assert torch.equal(given[:, :, own, own], expected[:, :, own, own])
        # The neighbours of other scales, resampled as parts of a plane or block by block.
        assert (given - expected).abs().max() < (0.12 if len(np.unique(scales)) > 1 else 1e-6)
        assert (given - expected).abs().mean() < 0.002


def test_scales_that_are_missing_in_a_batch_have_no_blocks(batch: Batch) -> None:
    blocks, _, _ = JointTask(32, context=0).inputs(Batch(batch.hr, batch.planes, torch.full_like(batch.levels, 2)))
    assert {scale: len(own) for scale, own in blocks.items()} == {4: 12}


def test_networks_for_mosaics_and_whole_pictures_are_given_those(batch: Batch) -> None:
    mosaic, levels = MosaicTask().inputs(batch)
    assert torch.equal(mosaic, build_mosaic(batch.planes, batch.levels))
    assert torch.equal(levels, batch.levels)
    assert torch.equal(SRTask(8).inputs(batch)[0], batch.planes[8])


@pytest.mark.parametrize(
    ("network", "changes", "told"),
    [
        ("joint-omnisr-light", {}, "maps.blocks: joint-omnisr-light needs blocks of one size"),
        (
            "joint-omnisr-light",
            {"maps": JOINT | {"all_scales": 0.1}},
            "maps: joint-omnisr-light restores scales 2, 4, 8",
        ),
        ("joint-omnisr-light", {"maps": JOINT | {"uniform": 0.1}}, "maps: joint-omnisr-light restores scales 2, 4, 8"),
        ("joint-omnisr-light", {"maps": JOINT, "context": 5}, "context: 5 is more than a block of 32 pixels has at x8"),
        ("joint-omnisr-light", {"maps": JOINT, "crop": 144}, "crop: 144 is no multiple of 32"),
        ("joint-omnisr-light", {"maps": JOINT, "validation": {"crop": 80}}, "validation.crop: 80 is no multiple of 32"),
        ("omnisr-light-x2", {}, r"maps: omnisr-light-x2 enlarges whole pictures.*uniform_scales: {2: 1}"),
    ],
)
def test_recipes_that_are_not_for_a_network_are_named(network: str, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(RecipeError, match=told):
        find_task(build_network(network), recipe_from({"network": network} | changes))


def test_networks_are_measured_on_maps_that_they_can_restore() -> None:
    assert find_task(build_network("fast"), recipe_from({})) == MosaicTask()
    joint = find_task(build_network("joint-omnisr-light"), recipe_from({"maps": JOINT}))
    assert joint == JointTask(32, context=4)
    assert joint.maps.scales == joint.uniform == (2, 4, 8)
    assert SRTask(8).maps.scales == SRTask(8).uniform == (8,)
