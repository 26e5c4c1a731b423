"""Training batches through the codec."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from bbmr.blocks import SCALES
from bbmr.codecs import avif
from bbmr.networks import build_network
from bbmr.networks.fast import Fast
from bbmr.training.coding import draw_qualities
from bbmr.training.data import Batch, BatchSource, find_photos, load_photos
from bbmr.training.errors import RecipeError
from bbmr.training.initial import read_initial
from bbmr.training.recipe import Coding, Maps, recipe_from
from bbmr.training.tasks import CodedTask, find_task

CODING = Coding(lowest=20, highest=40, smallest_step=5, largest_step=10)
MAPS = Maps(uniform=0.5, uniform_scales={1: 0.5, 4: 0.5}, blocks={64: 1.0})


def draw(photos: Path, coding: Coding | None, all_coded: bool = False, share: slice = slice(None)) -> Batch:
    found = load_photos(find_photos(photos)[0][:6], 128, "", False)
    source = BatchSource(found, 6, 128, MAPS, torch.device("cpu"), coding=coding)
    return source.draw(np.random.default_rng(0), share, all_coded)


def test_qualities_rise_with_the_scale_within_what_is_asked_for() -> None:
    qualities = draw_qualities(CODING, 500, np.random.default_rng(0))
    assert qualities.shape == (500, len(SCALES))
    assert qualities[:, 0].min() == 20
    assert qualities[:, 0].max() == 40
    steps = np.diff(qualities, axis=1)
    assert steps.min() >= 4  # rounded
    assert steps.max() <= 11
    assert draw_qualities(Coding(lowest=90, highest=100), 50, np.random.default_rng(0)).max() == 100


@pytest.mark.parametrize("all_coded", [False, True])
def test_planes_are_what_the_codec_makes_of_them(photos: Path, all_coded: bool) -> None:
    """Those that a crop's map has, or all of them."""
    before, after = draw(photos, None), draw(photos, CODING, all_coded)
    assert torch.equal(before.hr, after.hr)
    assert torch.equal(before.levels, after.levels)
    assert after.qualities is not None
    changed = 0
    for crop in range(6):
        used = set(after.levels[crop].flatten().tolist())
        for level, factor in enumerate(SCALES):
            exact, coded = before.planes[factor][crop], after.planes[factor][crop]
            if not all_coded and level not in used:
                assert torch.equal(coded, exact)
                continue
            samples = (exact * 255).round().byte().permute(1, 2, 0).numpy()
            quality = round(float(after.qualities[crop, level]) * 100)
            by_hand = avif.decode(avif.encode(samples, quality, speed=CODING.speed), samples.shape)
            np.testing.assert_array_equal((coded * 255).round().byte().permute(1, 2, 0).numpy(), by_hand)
            changed += not np.array_equal(by_hand, samples)
    assert changed > 6


def test_shares_of_a_coded_batch_are_the_batch(photos: Path) -> None:
    whole = draw(photos, CODING)
    parts = [draw(photos, CODING, share=slice(first, first + 3)) for first in (0, 3)]
    assert whole.qualities is not None
    assert torch.equal(torch.cat([part.qualities for part in parts if part.qualities is not None]), whole.qualities)
    assert torch.equal(torch.cat([part.planes[1] for part in parts]), whole.planes[1])


def test_networks_and_recipes_have_to_go_together() -> None:
    coded = recipe_from({"network": "fast-coded", "coding": {}})
    assert isinstance(find_task(build_network("fast-coded"), coded), CodedTask)
    with pytest.raises(RecipeError, match="coding: fast-coded restores LR samples that were coded"):
        find_task(build_network("fast-coded"), recipe_from({"network": "fast-coded"}))
    with pytest.raises(RecipeError, match="coding: fast is for LR samples that no codec has been at"):
        find_task(build_network("fast"), recipe_from({"coding": {}}))


def test_a_run_may_begin_from_a_network_for_exact_samples(tmp_path: Path) -> None:
    descriptor = build_network("fast", Fast(48, 5).state_dict())
    torch.nn.init.normal_(descriptor.network.get_parameter("tail.weight"))
    path = tmp_path / "fast.safetensors"
    save_file({key: part.contiguous() for key, part in descriptor.network.state_dict().items()}, path)
    coded = build_network("fast-coded")
    start = read_initial(recipe_from({"network": "fast-coded", "coding": {}, "init_from": str(path)}), coded)
    assert start is not None
    coded.network.load_state_dict(start.network)
    pixels, levels = torch.rand(1, 48, 6, 6), torch.randint(5, (1, 6, 6))
    torch.testing.assert_close(
        coded.network(pixels, levels, torch.rand(1, 5)), descriptor.network(pixels, levels), atol=1e-3, rtol=1e-3
    )


@pytest.mark.parametrize(
    ("section", "word"),
    [
        ({"lowest": 50, "highest": 40}, "coding.lowest, coding.highest: are in order"),
        ({"smallest_step": -1}, "coding.smallest_step, coding.largest_step: are in order"),
        ({"speed": 11}, "coding.speed: is from 0 to 10"),
        ({"sped": 8}, "coding.sped: unknown key"),
    ],
)
def test_what_is_wrong_with_a_coding_is_named(section: dict[str, float], word: str) -> None:
    with pytest.raises(RecipeError, match=word):
        recipe_from({"coding": section})
