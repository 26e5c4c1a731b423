"""Training batches through the codec."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from networks.at_random import randomised
from safetensors.torch import save_file

from bbmr.blocks import SCALES
from bbmr.codecs import avif
from bbmr.downscaling import bicubic_planes
from bbmr.networks import NetworkDescriptor, build_network
from bbmr.networks.fast import Fast
from bbmr.training.coding import draw_qualities
from bbmr.training.data import Batch, BatchSource, find_photos, load_photos
from bbmr.training.errors import RecipeError
from bbmr.training.initial import read_initial
from bbmr.training.recipe import Coding, Maps, recipe_from
from bbmr.training.tasks import CodedTask, find_task

CODING = Coding(lowest=20, highest=40, smallest_step=5, largest_step=10, speed=8, part=160, pool=5, renew_every=3)
MAPS = Maps(uniform=0.5, uniform_scales={1: 0.5, 4: 0.5}, blocks={64: 1.0})


def source_of(
    photos: Path, side: int = 128, seed: int = 0, coding: Coding = CODING, coded: Path | None = None
) -> BatchSource:
    found = load_photos(find_photos(photos)[0][:6], side, "", False)
    return BatchSource(found, 4, side, MAPS, torch.device("cpu"), coding=coding, seed=seed, coded=coded)


def draw(photos: Path, step: int = 0, share: slice = slice(None), seed: int = 0) -> Batch:
    return source_of(photos, seed=seed).draw(np.random.default_rng(0), share, step)


def test_qualities_rise_with_the_scale_within_what_is_asked_for() -> None:
    random = np.random.default_rng(0)
    qualities = np.stack([draw_qualities(CODING, random) for _ in range(500)])
    assert qualities.shape == (500, len(SCALES))
    assert qualities[:, 0].min() == 20
    assert qualities[:, 0].max() == 40
    steps = np.diff(qualities, axis=1)
    assert steps.min() >= 4  # rounded
    assert steps.max() <= 11
    assert draw_qualities(Coding(lowest=75, highest=80), random).max() == 100
    assert draw_qualities(Coding(lowest=-100, highest=-90), random)[0] == 0


def test_planes_are_parts_of_what_the_codec_makes_of_a_photograph(photos: Path) -> None:
    """By hand: the part, shrunk and coded whole, then turned as the crop was."""
    source = source_of(photos)
    batch = source.draw(np.random.default_rng(0))
    assert source.pool is not None
    assert batch.qualities is not None
    parts = source.pool.at(0, range(5))
    for crop in range(4):
        wanted = (batch.qualities[crop] * 100).round().long().tolist()
        part = next(part for part in parts if part.qualities.tolist() == wanted)
        whole = source.photos[part.photo].pixels[:, part.top : part.top + 160, part.left : part.left + 160]
        exact = bicubic_planes(whole.permute(1, 2, 0).numpy(), SCALES)
        place = None
        for factor, quality in zip(SCALES, wanted, strict=True):
            plane = exact[factor]
            coded = avif.decode(avif.encode(plane, quality, speed=8, cdef=factor == 1), plane.shape)
            found = (batch.planes[factor][crop] * 255).round().byte().permute(1, 2, 0).numpy()
            places = [
                (turn, top, left)
                for turn, turned in enumerate(turns(coded))
                for top in range(0, 160 // factor - len(found) + 1, 16 // factor)
                for left in range(0, 160 // factor - len(found) + 1, 16 // factor)
                if np.array_equal(turned[top : top + len(found), left : left + len(found)], found)
            ]
            assert places
            if factor == 1:
                assert not np.array_equal(coded, plane)
                place = turns(plane)[places[0][0]][places[0][1] :, places[0][2] :][:128, :128]
        np.testing.assert_array_equal((batch.hr[crop] * 255).round().byte().permute(1, 2, 0).numpy(), place)


def turns(picture: np.ndarray) -> list[np.ndarray]:
    """A picture flipped and transposed in all eight ways."""
    flipped = [picture, picture[::-1], picture[:, ::-1], picture[::-1, ::-1]]
    return flipped + [one.transpose(1, 0, 2) for one in flipped]


def test_one_part_at_a_time_is_replaced(photos: Path) -> None:
    pool = source_of(photos).pool
    assert pool is not None
    before, same, after = pool.at(0, range(5)), pool.at(2, range(5)), pool.at(3, range(5))
    assert all(one is other for one, other in zip(before, same, strict=True))
    assert all(one is other for one, other in zip(before[1:], after, strict=False))
    assert after[4] not in before


def test_a_pool_depends_on_seed_and_step_alone(photos: Path) -> None:
    """A run that goes on sees what the unbroken one would have seen."""
    unbroken = source_of(photos)
    for step in range(0, 12, 3):
        expected = unbroken.draw(np.random.default_rng(0), step=step)
    resumed = draw(photos, step=9)
    assert torch.equal(resumed.hr, expected.hr)
    assert torch.equal(resumed.planes[1], expected.planes[1])
    assert not torch.equal(draw(photos, step=9, seed=1).planes[1], expected.planes[1])


def test_distinct_parts_come_again(photos: Path) -> None:
    pool = source_of(photos, coding=replace(CODING, distinct=7)).pool
    assert pool is not None
    first, again = pool.at(0, range(5)), pool.at(3 * 7, range(5))
    for one, other in zip(first, again, strict=True):
        assert (one.photo, one.top, one.left) == (other.photo, other.top, other.left)
        assert torch.equal(one.planes[2], other.planes[2])
    assert {(part.photo, part.top, part.left) for part in first} != {
        (part.photo, part.top, part.left) for part in pool.at(3 * 5, range(5))
    }


def test_frames_that_are_kept_are_not_coded_again(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = source_of(photos, coded=tmp_path)
    assert source.pool is not None
    source.pool.at(0, range(5))
    expected = source.draw(np.random.default_rng(0))
    next(tmp_path.glob("*/2.safetensors")).write_bytes(b"damaged")
    coded = []
    code = avif.encode

    def listening(plane: np.ndarray, quality: int, speed: int, cdef: bool) -> bytes:
        coded.append(plane.shape)
        return code(plane, quality, speed=speed, cdef=cdef)

    monkeypatch.setattr(avif, "encode", listening)
    source = source_of(photos, coded=tmp_path)
    assert source.pool is not None
    source.pool.at(0, range(5))
    batch = source.draw(np.random.default_rng(0))
    assert torch.equal(batch.planes[1], expected.planes[1])
    assert torch.equal(batch.hr, expected.hr)
    # The damaged part, and one more at most, which is made ahead.
    assert len(SCALES) <= len(coded) <= 2 * len(SCALES)
    # Other qualities are other frames.
    other = source_of(photos, coding=replace(CODING, highest=41), coded=tmp_path).draw(np.random.default_rng(0))
    assert not torch.equal(other.planes[1], expected.planes[1])


def test_shares_of_a_coded_batch_are_the_batch(photos: Path) -> None:
    whole = draw(photos)
    parts = [draw(photos, share=slice(first, first + 2)) for first in (0, 2)]
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


@pytest.fixture
def narrow(tmp_path: Path) -> tuple[NetworkDescriptor, Path]:
    """`fast-coded` with weights of some size, and their file."""
    descriptor = build_network("fast-coded")
    randomised(descriptor.network)
    path = tmp_path / "narrow.safetensors"
    save_file({key: part.contiguous() for key, part in descriptor.network.state_dict().items()}, path)
    return descriptor, path


@pytest.mark.parametrize("name", ["fast-coded-wide", "fast-coded-fine"])
def test_a_larger_network_may_begin_from_a_smaller_one(name: str, narrow: tuple[NetworkDescriptor, Path]) -> None:
    larger = build_network(name)
    start = read_initial(recipe_from({"network": name, "coding": {}, "init_from": str(narrow[1])}), larger)
    assert start is not None
    larger.network.load_state_dict(start.network)
    inputs = torch.rand(1, 48, 6, 6), torch.randint(5, (1, 6, 6)), torch.rand(1, 5)
    expected = narrow[0].network(*inputs)
    found = larger.network(*inputs)
    assert expected.abs().max() > 0.1
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    # What is new can learn.
    found.square().sum().backward()
    new = "tail.weight" if name == "fast-coded-wide" else "fine.tail.weight"
    gradient = larger.network.get_parameter(new).grad
    assert gradient is not None
    assert gradient[:, -48:].abs().min() > 0


def test_a_narrow_network_takes_nothing_from_a_wide_one(narrow: tuple[NetworkDescriptor, Path], tmp_path: Path) -> None:
    path = tmp_path / "wide.safetensors"
    wide = build_network("fast-coded-wide").network.state_dict()
    save_file({key: part.contiguous() for key, part in wide.items()}, path)
    with pytest.raises(RecipeError, match="these are no weights of fast-coded"):
        read_initial(recipe_from({"network": "fast-coded", "coding": {}, "init_from": str(path)}), narrow[0])


@pytest.mark.parametrize(
    ("section", "word"),
    [
        ({"lowest": 50, "highest": 40}, "coding.lowest, coding.highest: are in order"),
        ({"highest": 81}, "coding.lowest, coding.highest: are in order, from -100 to 80"),
        ({"smallest_step": -1}, "coding.smallest_step, coding.largest_step: are in order"),
        ({"speed": 11}, "coding.speed: is from 0 to 10"),
        ({"renew_every": 0}, "coding.renew_every: is at least 1"),
        ({"sped": 8}, "coding.sped: unknown key"),
    ],
)
def test_what_is_wrong_with_a_coding_is_named(section: dict[str, float], word: str) -> None:
    with pytest.raises(RecipeError, match=word):
        recipe_from({"coding": section})
