"""The trainer learns, and what it feeds the network is what the product feeds it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from bbmr.allocation.distortion import bicubic_errors, luma_variance
from bbmr.allocation.visual import visual_distortion
from bbmr.blocks import BLOCK_SIDES, SCALES, BlockGrid
from bbmr.downscaling import bicubic_planes
from bbmr.errors import BbmrError
from bbmr.networks import build_network
from bbmr.training import trainer
from bbmr.training.data import TUNINGS, BatchSource, blocks_of_cells, find_photos, load_photo, lr_planes, measure_cells
from bbmr.training.muon import Muon


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Small pictures with edges; their names put some of them into the validation split."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:272, :288]
    for number in range(40):
        angle, period = random.uniform(0, np.pi), random.uniform(6, 40)
        stripes = np.sign(np.sin((x * np.cos(angle) + y * np.sin(angle)) / period)) * 80 + 128
        Image.fromarray(np.repeat(stripes[:, :, None], 3, 2).astype(np.uint8)).save(tmp_path / f"{number}.png")
    return tmp_path


def test_the_split_depends_on_names_alone(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    train, held_out = find_photos(photos)
    assert held_out
    assert len(train) + len(held_out) == 40
    fewer = tmp_path_factory.mktemp("fewer")
    for path in [*held_out, *train[:3]]:
        (fewer / path.name).write_bytes(path.read_bytes())
    assert [path.name for path in find_photos(fewer)[1]] == [path.name for path in held_out]
    with pytest.raises(BbmrError, match="no photographs"):
        find_photos(tmp_path_factory.mktemp("none"))


@pytest.mark.parametrize("wrong", [{"decay": 0.0}, {"loss": "l3"}, {"side": 100}, {"steps": 0}])
def test_options_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BbmrError, match=next(iter(wrong))):
        trainer.TrainingOptions(**wrong)


def test_photographs_that_cannot_serve_are_named(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(BbmrError, match="less than a crop of 512 x 512"):
        trainer.train(trainer.TrainingOptions(side=512), photos, tmp_path / "run")
    for path in find_photos(photos)[1]:
        path.unlink()
    with pytest.raises(BbmrError, match="held out"):
        trainer.train(trainer.TrainingOptions(), photos, tmp_path / "run")


def test_batches_hold_what_the_sender_makes(photos: Path) -> None:
    """LR planes as the product's downscaler makes them; every map holds whole blocks of scales."""
    source = BatchSource([load_photo(path) for path in find_photos(photos)[0]], 4, 96, False, torch.device("cpu"), 0)
    batch = next(iter(source))
    assert batch.levels.shape == (4, 6, 6)
    assert len(set(batch.levels.flatten().tolist())) > 1
    for n in range(4):
        colour = (batch.hr[n] * 255).round().byte().permute(1, 2, 0).numpy()
        for factor, plane in bicubic_planes(colour, batch.planes).items():
            ours = (batch.planes[factor][n] * 255).round().permute(1, 2, 0).numpy()
            assert np.abs(ours - plane).max() <= 1
            assert (ours != plane).mean() < 1e-3


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
    errors, sums = measure_cells(hr, lr_planes(hr))
    distortion, cost = blocks_of_cells(errors[0], sums[0], side // 16, tuning)
    np.testing.assert_allclose(distortion, expected, rtol=0.01, atol=1)
    np.testing.assert_array_equal(cost, np.stack([grid.costs(factor) for factor in SCALES]))


def test_training_improves_on_the_mosaic_and_goes_on_from_a_checkpoint(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    brief = trainer.TrainingOptions(steps=40, batch=2, side=96, warm_up=5, average=0.9)
    trainer.train(brief, photos, out)
    half = torch.load(out / "last.pt", weights_only=True)["step"]
    trainer.train(replace(brief, steps=80, loss="psnr"), photos, out)
    assert (half, torch.load(out / "last.pt", weights_only=True)["step"]) == (40, 80)
    log = (out / "log.jsonl").read_text().splitlines()
    assert len(log) == 2
    last = json.loads(log[-1])
    assert last["maps"] > last["maps_bicubic"] + 0.03
    assert last["x2"] > last["x2_bicubic"] + 0.03
    build_network("fast", load_file(out / "average.safetensors"))


def test_muon_steps_are_orthogonal() -> None:
    """Newton-Schulz only approximates: singular values of the step lie between 0.6 and 1.3 of its length."""
    weight = nn.Parameter(torch.zeros(8, 4, 3, 3))
    torch.manual_seed(0)
    weight.grad = torch.randn_like(weight)
    Muon([weight], lr=1.0).step()
    singular = torch.linalg.svdvals(weight.detach().flatten(1)) / (0.2 * 36**0.5)
    assert float(singular.min()) > 0.6
    assert float(singular.max()) < 1.3
