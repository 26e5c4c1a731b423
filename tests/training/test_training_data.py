"""What training feeds the network is what the product feeds it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bbmr.allocation.distortion import bicubic_errors, luma_variance
from bbmr.allocation.visual import visual_distortion
from bbmr.blocks import BLOCK_SIDES, SCALES, BlockGrid
from bbmr.downscaling import bicubic_planes
from bbmr.errors import BbmrError
from bbmr.training.data import (
    TUNINGS,
    Batch,
    BatchSource,
    blocks_of_cells,
    find_photos,
    load_photo,
    load_photos,
    lr_planes,
    measure_cells,
)
from bbmr.training.recipe import Maps

CPU = torch.device("cpu")


def draw(photos: Path, maps: Maps, seed: int = 0, share: slice = slice(None)) -> Batch:
    source = BatchSource([load_photo(path) for path in find_photos(photos)[0][:8]], 8, 96, maps, CPU)
    return source.draw(np.random.default_rng(seed), share)


def test_the_split_depends_on_names_alone(photos: Path, tmp_path: Path) -> None:
    train, held_out = find_photos(photos)
    assert held_out
    assert len(train) + len(held_out) == 40
    fewer = tmp_path / "fewer"
    fewer.mkdir()
    for path in [*held_out, *train[:3]]:
        (fewer / path.name).write_bytes(path.read_bytes())
    assert [path.name for path in find_photos(fewer)[1]] == [path.name for path in held_out]


def test_shrunk_copies_of_div2k_are_no_photographs_to_train_on(photos: Path) -> None:
    """They have other names, so some would show what is held out."""
    expected = find_photos(photos)
    shrunk = photos / "DIV2K_train_LR_bicubic" / "X2"
    shrunk.mkdir(parents=True)
    for path in expected[1]:
        (shrunk / f"{path.stem}x2.png").write_bytes(path.read_bytes())
    assert find_photos(photos) == expected


@pytest.mark.parametrize("name", ["DIV2K_valid_HR", "Flickr2K_test_HR", ".thumbnails"])
def test_test_sets_are_not_trained_on_unless_they_are_asked_for(name: str, photos: Path) -> None:
    expected = find_photos(photos)
    (photos / name).mkdir()
    for path in expected[0][:3]:
        (photos / name / f"new-{path.name}").write_bytes(path.read_bytes())
    assert find_photos(photos) == expected
    assert sum(map(len, find_photos(photos / name))) == 3


def test_only_files_are_photographs(photos: Path) -> None:
    expected = find_photos(photos)
    (photos / "folder.jpg").mkdir()
    (photos / "._1.png").write_bytes(b"AppleDouble")
    (photos / "nowhere.png").symlink_to("gone.png")
    assert find_photos(photos) == expected


def test_linked_folders_are_searched_once(photos: Path, tmp_path: Path) -> None:
    here = tmp_path / "here"
    (here / "z").mkdir(parents=True)
    (here / "z" / "own.png").write_bytes((photos / "0.png").read_bytes())
    (here / "a").symlink_to(here / "z")  # inside: found by its own name
    (here / "b").symlink_to(photos)
    (here / "c").symlink_to(photos)
    (here / "z" / "above").symlink_to(here)
    found = sorted(path for part in find_photos(here) for path in part)
    assert found == sorted([here / "z" / "own.png", *(here / "b" / path.name for path in photos.iterdir())])


def test_grey_pictures_of_16_bit_are_scaled(tmp_path: Path) -> None:
    grey = np.linspace(0, 65535, 256).round().astype(np.uint16)
    Image.fromarray(np.resize(grey, (16, 256))).save(tmp_path / "deep.png")
    pixels = load_photo(tmp_path / "deep.png").pixels
    assert torch.equal(pixels, torch.arange(256, dtype=torch.uint8).expand(3, 16, 256))


def test_pictures_too_large_for_pillow_are_named(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(BbmrError, match=r"0.png: cannot be read as a picture \(Image size .* exceeds limit"):
        load_photo(photos / "0.png")


def test_few_photographs_are_split_too(photos: Path) -> None:
    train, held_out = find_photos(photos)
    for path in [*held_out, *train[2:]]:
        path.unlink()
    assert sorted(map(len, find_photos(photos))) == [1, 1]


def test_another_is_held_out_where_those_are_too_small(photos: Path) -> None:
    train, held_out = find_photos(photos)
    for path in held_out[1:]:
        Image.new("RGB", (95, 300)).save(path)
    assert find_photos(photos, 96) == (train, held_out)
    Image.new("RGB", (300, 95)).save(held_out[0])
    (added,) = set(find_photos(photos, 96)[1]) - set(held_out)
    Image.new("RGB", (95, 95)).save(added)
    (other,) = set(find_photos(photos, 96)[1]) - set(held_out)
    assert other in set(train) - {added}
    assert find_photos(photos, 512) == (train, held_out)  # load_photos refuses them


def test_folders_that_cannot_serve_are_named(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(BbmrError, match="nowhere: no such folder"):
        find_photos(tmp_path / "nowhere")
    (tmp_path / "none").mkdir()
    with pytest.raises(BbmrError, match="none: no photographs"):
        find_photos(tmp_path / "none")
    train, held_out = find_photos(photos)
    for path in [*train, *held_out[1:]]:
        path.unlink()
    with pytest.raises(BbmrError, match="one photograph is too few"):
        find_photos(photos)


def test_small_photographs_are_left_out_and_broken_ones_named(photos: Path) -> None:
    paths = find_photos(photos)[0][:3]
    Image.new("RGB", (95, 300)).save(paths[0])
    Image.new("L", (9, 9)).save(paths[1])
    assert [photo.name for photo in load_photos(paths, 96, "training", show=False)] == [paths[2].stem]
    with pytest.raises(BbmrError, match="no photograph for training has 512 x 512 pixels"):
        load_photos(paths, 512, "training", show=False)
    paths[2].write_bytes(paths[2].read_bytes()[:1000])
    with pytest.raises(BbmrError, match=f"{paths[2].name}: cannot be read"):
        load_photos(paths, 96, "training", show=False)


def test_without_maps_to_weigh_batches_are_the_same(photos: Path) -> None:
    paths, maps = find_photos(photos)[0][:8], Maps(uniform=0.5, shuffled=0.5)
    weighed, not_weighed = (
        BatchSource(load_photos(paths, 96, "training", False, yes), 8, 96, maps, CPU).draw(np.random.default_rng(0))
        for yes in (True, False)
    )
    assert torch.equal(weighed.hr, not_weighed.hr)
    assert torch.equal(weighed.levels, not_weighed.levels)
    assert load_photo(paths[0]).multipliers != load_photo(paths[0], weighed=False).multipliers


def test_batches_hold_what_the_sender_makes(photos: Path) -> None:
    """LR planes as the product's downscaler makes them; every map holds whole blocks of scales."""
    batch = draw(photos, Maps())
    assert batch.levels.shape == (8, 6, 6)
    assert len(set(batch.levels.flatten().tolist())) > 2
    for n in range(8):
        colour = (batch.hr[n] * 255).round().byte().permute(1, 2, 0).numpy()
        for factor, plane in bicubic_planes(colour, batch.planes).items():
            ours = (batch.planes[factor][n] * 255).round().permute(1, 2, 0).numpy()
            assert np.abs(ours - plane).max() <= 1
            assert (ours != plane).mean() < 1e-3


def test_maps_have_the_scales_and_blocks_that_are_asked_for(photos: Path) -> None:
    uniform = draw(photos, Maps(uniform=1.0, uniform_scales={2: 0.5, 8: 0.5}))
    assert set(uniform.planes) == {2, 8}
    assert {tuple(set(level.flatten().tolist())) for level in uniform.levels} == {(1,), (3,)}
    shuffled = draw(photos, Maps(uniform=0.0, shuffled=1.0, blocks={32: 1.0}))
    assert set(shuffled.planes) == {2, 4, 8}
    blocks = shuffled.levels[:, ::2, ::2]
    assert torch.equal(shuffled.levels, blocks.repeat_interleave(2, 1).repeat_interleave(2, 2))
    assert [sorted(level.flatten().tolist()) for level in blocks] == 8 * [[1, 1, 1, 2, 2, 2, 3, 3, 3]]
    assert len({tuple(level.flatten().tolist()) for level in blocks}) > 4
    blocks = draw(photos, Maps(uniform=0.0, blocks={32: 1.0}, all_scales=0.0)).levels
    assert set(blocks.flatten().tolist()) == {1, 2, 3}
    assert bool((blocks.view(8, 3, 2, 3, 2) == blocks[:, ::2, ::2].view(8, 3, 1, 3, 1)).all())


def test_shares_of_a_batch_are_the_batch(photos: Path) -> None:
    whole = draw(photos, Maps())
    parts = [draw(photos, Maps(), share=slice(first, first + 4)) for first in (0, 4)]
    for name in ("hr", "levels"):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name))
    assert not torch.equal(whole.hr, draw(photos, Maps(), seed=1).hr)


@pytest.mark.parametrize("tuning", TUNINGS)
@pytest.mark.parametrize("side", BLOCK_SIDES)
def test_maps_are_drawn_by_what_the_sender_weighs(side: int, tuning: str) -> None:
    random = np.random.default_rng(0)
    contrast = np.kron(random.uniform(0, 60, (13, 9)), np.ones((16, 16)))[:, :, None]  # partial blocks of 32 and up
    colour = np.clip(128 + contrast * random.standard_normal((208, 144, 3)), 0, 255).astype(np.uint8)
    grid = BlockGrid(208, 144, side)
    planes = bicubic_planes(colour, SCALES)
    expected = bicubic_errors(colour, planes, grid)
    if tuning == "visual":
        expected = visual_distortion(expected, luma_variance(colour, grid), grid.costs(1), SCALES.index(4))
    hr = torch.from_numpy(colour).permute(2, 0, 1)[None] / 255
    distortion, cost = blocks_of_cells(*measure_cells(hr, lr_planes(hr, SCALES)), side // 16, tuning)
    np.testing.assert_allclose(distortion[0], expected, rtol=0.01, atol=1)
    np.testing.assert_array_equal(cost[0], np.stack([grid.costs(factor) for factor in SCALES]))
