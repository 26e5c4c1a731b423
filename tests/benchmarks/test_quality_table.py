"""The quality benchmark: its arithmetic on made-up results, its cache, and a whole run on a small picture."""

import csv
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image
from upscaling.tiny_networks import ship, textured, tiny_families

from bbmr import pipeline
from bbmr.options import Options
from bbmr.picture import Picture
from bbmr.pipeline import compress

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "quality.py"


@pytest.fixture(scope="module")
def quality() -> ModuleType:
    spec = importlib.util.spec_from_file_location("quality", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["quality"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def system(quality: ModuleType, name: str, weights: str = "w") -> Any:
    return quality.System(name, compress=None, restore=None, weights=weights, pipeline="p")


def measurement(quality: ModuleType, psnr: float, ms_ssim: float) -> Any:
    values = dict.fromkeys(quality.Measurement.__dataclass_fields__, 1.0)
    return quality.Measurement(**values | {"psnr_y": psnr, "ms_ssim": ms_ssim})


def test_means_and_gains(quality: ModuleType) -> None:
    plain, ours = system(quality, "plain x4"), system(quality, "ours")
    results = {
        plain: {"a.png": measurement(quality, 30, 0.9), "b.png": measurement(quality, 32, 0.99)},
        ours: {"a.png": measurement(quality, 33, 0.99), "b.png": measurement(quality, 36, 0.9)},
    }
    row = quality.summarise("set", results)[1]
    assert row["pictures"] == 2
    assert row["psnr_y"] == 34.5
    assert row["psnr_y_gain"] == 3.5
    assert row["psnr_y_gain_error"] == pytest.approx(0.5)  # gains 3 and 4: deviation 0.7071, over the root of 2
    assert (row["psnr_y_gain_worst"], row["psnr_y_gain_worst_picture"]) == (3, "a.png")
    assert row["ms_ssim_db"] == pytest.approx(15)  # the mean of the dB of each picture
    assert row["ms_ssim_db_gain"] == pytest.approx(0)
    assert row["ms_ssim_db_gain_worst"] == pytest.approx(-10)
    assert row["ms_ssim_db_gain_worst_picture"] == "b.png"


def test_cache_outlives_a_run_that_was_cut_off(quality: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "runs" / "cache.jsonl"
    ours, retrained = system(quality, "ours"), system(quality, "ours", weights="w2")
    known = measurement(quality, 30, 0.9)
    quality.Cache(path).add("digest", ours, known)
    path.write_text(path.read_text() + '{"picture": "digest", "sys')
    cache = quality.Cache(path)
    assert cache.find("digest", ours) == known
    assert cache.find("digest", retrained) is None
    assert cache.find("another", ours) is None
    cache.add("another", ours, known)
    assert quality.Cache(path).find("another", ours) == known


def test_every_row_has_a_key_of_its_own(quality: ModuleType) -> None:
    rows, quick = quality.systems(quick=False), quality.systems(quick=True)
    assert len({row.key for row in rows}) == len(rows) == 36
    assert {row.key for row in quick} < {row.key for row in rows}


@pytest.mark.parametrize("block", [16, 64])
def test_shared_distortions_are_those_of_each_row(quality: ModuleType, block: int) -> None:
    picture = Picture(np.random.default_rng(0).integers(0, 256, (90, 130, 3), np.uint8))
    options = Options(block=block, scales=(8, 2), distortion="network")
    shared = quality.NetworkDistortion(picture)
    ours = compress(picture, options, errors=shared.errors(options, options.pipeline))
    np.testing.assert_array_equal(ours.scales, compress(picture, options).scales)
    assert shared.seconds[options.pipeline] > 0


def test_whole_run(
    quality: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (12, 13, 3), dtype=np.uint8))
    (tmp_path / "small").mkdir()
    coarse.resize((200, 180), Image.Resampling.BICUBIC).save(tmp_path / "small" / "photo.png")
    table, numbers = tmp_path / "table.md", tmp_path / "table.csv"
    arguments = ["--data", str(tmp_path), "--sets", "small", "--quick", "--cache", str(tmp_path / "cache.jsonl")]
    quality.main([*arguments, "--out", str(table), str(numbers)])
    first = capsys.readouterr().out
    assert table.read_text().strip() == first.strip()
    assert "## small, pictures: 1" in first
    assert first.count("least squared error, 16, {1, 2, 4, 8, 16} | corrected | visual") == 2
    rows = list(csv.DictReader(numbers.read_text().splitlines()))
    assert len(rows) == len(quality.systems(quick=True))
    assert max(float(row["lr_share"]) for row in rows) == float(rows[0]["lr_share"]) == 45 * 50 / (180 * 200)
    assert all(0 < float(row["map_bits"]) < float(row["file_bits"]) for row in rows)

    monkeypatch.setattr(quality, "measure", lambda *_: pytest.fail("measured again"))
    quality.main(arguments)
    assert capsys.readouterr().out == first

    quality.main([*arguments, "--only", "16}, corrected"])
    fewer = capsys.readouterr().out.split("Over plain x4")[0]
    assert set(fewer.splitlines()) < set(first.splitlines())
    assert "| plain x4 |" in fewer
    assert fewer.count("{1, 2, 4, 8, 16} | corrected |") == fewer.count("least squared error") > 1


def test_rows_of_omnisr(quality: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    networks = tiny_families()
    ship(monkeypatch, networks)
    monkeypatch.setattr(quality, "load_weights", networks.__getitem__)
    usual = {row.key for row in quality.systems(quick=True)}
    rows = quality.systems(quick=True, network="omnisr")
    assert len({row.key for row in rows}) == len(rows) == 16
    assert {row.key for row in rows[:4]} < usual
    picture = Picture(textured(259, 380))
    shared = quality.NetworkDistortion(picture)
    measured = {row.name: quality.measure(row, picture, shared) for row in rows[4:]}
    assert all(one.lr_share <= 65 * 95 / (259 * 380) for one in measured.values())
    joint = "Omni-SR, least squared error, Joint SR, 128, {2, 4, 8}"
    without, deblocked, seeing = (
        measured[f"{joint}, {how}"] for how in ("band 0, context 0", "band 4, context 0", "band 4, context 4")
    )
    assert without.psnr_y != deblocked.psnr_y
    assert without.file_bits == deblocked.file_bits
    assert deblocked.psnr_y != seeing.psnr_y
    # The last is how the pipeline restores; its map is that of separate blocks.
    options = Options(pipeline="joint-omnisr", distortion="network", tune="psnr")
    own = pipeline.restore(compress(picture, options, errors=shared.errors(options, "separate-omnisr")))
    assert quality.psnr_y(own.colour, picture.colour) == pytest.approx(seeing.psnr_y)


def test_rows_on_learned_lr_planes_go_by_them(quality: ModuleType) -> None:
    rows = {row.name: row for row in quality.systems(quick=True, network="downnet-fast")}
    picture = Picture(textured(180, 170))
    shared = quality.NetworkDistortion(picture)
    plain = quality.measure(rows["downnet-fast, plain x4"], picture, shared)
    own = pipeline.restore(pipeline.compress_uniform(picture, 4, "downnet-plain-x4")).colour
    assert plain.psnr_y == pytest.approx(quality.psnr_y(own, picture.colour))
    (best,) = (row for row in rows.values() if row.key.endswith("16, {1, 2, 4, 8, 16}, network, psnr"))
    assert best.key.startswith("downnet-fast, least squared error")
    assert best.pipeline == "downnet-mosaic-fast"
    assert quality.measure(best, picture, shared).lr_share <= plain.lr_share


def test_rows_of_efforts(quality: ModuleType) -> None:
    rows = quality.refined_systems("fast", [2], ["x4", "x8"])
    assert len({row.key for row in rows}) == len(rows) == 2 + 2 * (2 + 2 * 2 * 2)
    picture = Picture(textured(180, 170))
    shared = quality.NetworkDistortion(picture)
    for kind in ("fast, plain x4", "downnet-fast, plain x4"):
        rough, fine = (
            quality.measure(next(row for row in rows if row.name == f"{kind}, effort {effort}"), picture, shared)
            for effort in (0, 2)
        )
        assert fine.psnr_rgb > rough.psnr_rgb
        assert fine.lr_share == rough.lr_share


def test_rows_without_weights_are_named_and_left_out(
    quality: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    networks = tiny_families()
    ship(
        monkeypatch, {name: network for name, network in networks.items() if name not in ("joint-omnisr", "omnisr-x8")}
    )
    rows = {row.pipeline for row in quality.systems(quick=True, network="omnisr")}
    assert {pipeline for pipeline in rows if "omnisr" in pipeline} == {"plain-omnisr", "mosaic-omnisr"}
    told = capsys.readouterr().err
    assert "left out: joint-omnisr needs weights that are not there: joint-omnisr" in told
    assert "left out: separate-omnisr needs weights that are not there: omnisr-x8" in told


def test_bicubic_row_is_that_of_the_paper(quality: ModuleType) -> None:
    # A linear ramp: inside, bicubic gives it back but for the rounding of the LR samples.
    ramp = np.repeat(np.arange(160, dtype=np.uint8)[None, :, None], 161, axis=0).repeat(3, axis=2)
    row = quality.systems(quick=True)[0]
    restored = row.restore(row.compress(quality.Picture(ramp))).colour
    assert restored.shape == ramp.shape
    assert np.abs(restored[:, 16:-16].astype(int) - ramp[:, 16:-16]).max() <= 1
