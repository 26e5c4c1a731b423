"""The command line from outside: arguments in; files, output and exit codes out."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner
from upscaling.tiny_networks import ship, textured

from bbmr import file_to_file
from bbmr.cli import app
from bbmr.coding.options import DEFAULT_QUALITY
from bbmr.options import CODED_PIPELINE, DEFAULT_PIPELINE, LEARNED, PIPELINE_NAMES

PHOTO = (40, 52)


def bbmr(*arguments: str | Path, code: int = 0) -> tuple[str, str]:
    """(stdout, stderr) of a run that has to end with `code`."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, (result.output, result.stderr)
    assert "Traceback" not in result.stderr
    return result.stdout, result.stderr


def paint(path: Path, seed: int = 0, mode: str = "RGB", **options: Any) -> Path:
    """A small picture, smooth on one side and busy on the other."""
    height, width = PHOTO
    rng = np.random.default_rng(seed)
    array = np.tile(np.linspace(40, 200, width)[:, None], (height, 1, 4))
    array[:, width // 2 :] += rng.normal(0, 25, (height, width - width // 2, 4))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array.clip(0, 255).astype(np.uint8)).convert(mode).save(path, **options)
    return path


@pytest.fixture
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return paint(Path("photo.png"))


@pytest.fixture
def packed(photo: Path) -> Path:
    bbmr("compress", photo, "-q")
    return Path("photo.bbmr")


def test_there_and_back(photo: Path) -> None:
    out, err = bbmr("compress", photo)
    assert "photo.bbmr: 52 x 40" in out
    assert "bpp" in out
    assert "PSNR-Y" in out
    assert not err
    bbmr("restore", "photo.bbmr", "-o", "restored.png")
    with Image.open("photo.png") as before, Image.open("restored.png") as after:
        assert (after.size, after.mode) == (before.size, before.mode)
        error = np.array(after).astype(float) - np.array(before)
    assert (error**2).mean() < 25**2
    assert sorted(os.listdir()) == ["photo.bbmr", "photo.png", "restored.png"]


def test_exif_is_left_out_where_that_is_asked_for(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "A camera maker"
    made = paint(tmp_path / "a.png", exif=exif)
    for name, options in (("whole", ()), ("stripped", ("--strip",))):
        bbmr("compress", made, "-o", tmp_path / f"{name}.bbmr", *options)
        bbmr("restore", tmp_path / f"{name}.bbmr", "-o", tmp_path / f"{name}.png")
    with Image.open(tmp_path / "whole.png") as whole, Image.open(tmp_path / "stripped.png") as stripped:
        assert dict(whole.getexif()) == {0x0112: 6, 0x010F: "A camera maker"}
        assert dict(stripped.getexif()) == {0x0112: 6}


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA"])
def test_modes_and_exif_come_back(tmp_path: Path, mode: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    made = paint(tmp_path / "a.png", mode=mode, exif=exif)
    bbmr("compress", made, "-o", tmp_path / "a.bbmr")
    bbmr("restore", tmp_path / "a.bbmr", "-o", tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as after:
        assert (after.mode, after.size) == (mode, (PHOTO[1], PHOTO[0]))
        assert after.getexif()[0x0112] == 6


def test_quiet_is_silent(photo: Path) -> None:
    assert bbmr("compress", photo, "--quiet") == ("", "")
    assert bbmr("info", "photo.bbmr", "-q") == ("", "")
    assert bbmr("map", "photo.bbmr", "-q") == ("", "")
    assert bbmr("restore", "photo.bbmr", "-o", "b.png", "-q") == ("", "")


def test_compress_json(photo: Path) -> None:
    out, err = bbmr("compress", photo, "--json")
    record = json.loads(out)
    assert record["input"] == "photo.png"
    assert record["output"] == "photo.bbmr"
    assert record["bytes"] == Path("photo.bbmr").stat().st_size
    assert not err
    assert json.loads(bbmr("compress", photo, "-o", "b.bbmr", "--json", "--lossless-lr")[0])["lr_pixels"] <= 10 * 13
    out, _ = bbmr("compress", "*.png", "-o", "out", "--json")
    assert [entry["output"] for entry in json.loads(out)] == ["out/photo.bbmr"]


def test_effort_makes_the_samples_better_and_says_how_good(photo: Path) -> None:
    measured = {}
    for effort in ("0", "4"):
        bbmr("compress", photo, "--effort", effort, "--overwrite")
        bbmr("restore", "photo.bbmr", "-o", "restored.png", "--overwrite")
        with Image.open("photo.png") as before, Image.open("restored.png") as after:
            error = (np.array(after).astype(float) - np.array(before)) @ [65.481 / 255, 128.553 / 255, 24.966 / 255]
        measured[effort] = 10 * np.log10(255**2 / np.square(error).mean())
    assert measured["4"] > measured["0"] + 0.2
    expected = json.loads(bbmr("info", "photo.bbmr", "--json")[0])["expected_psnr"]
    assert expected == pytest.approx(measured["4"], abs=0.01)  # measured too, no estimate
    _, err = bbmr("compress", photo, "--effort", "10", code=2)
    assert err == "error: effort 10 is not possible; choose one from 0 to 9\n"


def test_with_loss_files_are_smaller_the_lower_the_quality(photo: Path) -> None:
    sizes = []
    for quality in (10, 90):
        facts = json.loads(bbmr("compress", photo, "--quality", str(quality), "--overwrite", "--json")[0])
        assert (facts["pipeline"], facts["block"], facts["tune"]) == (CODED_PIPELINE, 128, "visual")
        sizes.append(facts["bytes"])
        bbmr("restore", "photo.bbmr", "-o", f"{quality}.png")
        with Image.open("photo.png") as before, Image.open(f"{quality}.png") as after:
            error = np.array(after).astype(float) - np.array(before)
        assert facts["expected_psnr"] > 20
        assert (error**2).mean() < 25**2
    assert sizes[0] < 0.7 * sizes[1]
    facts = json.loads(bbmr("compress", photo, "-o", "default.bbmr", "--json")[0])
    assert sizes[0] < facts["bytes"] < sizes[1]


@pytest.mark.parametrize("option", ["--budget=x4", "--effort=0", "--block=16", "--pipeline=mosaic-fast"])
def test_what_is_for_samples_stored_as_they_are_stores_them_so_and_says_it(photo: Path, option: str) -> None:
    paint(Path("another.png"))
    _, err = bbmr("compress", "*.png", "-o", "out", option, "--tune", "psnr")
    said = "LR samples are stored as they are, as with --lossless-lr, and not coded with loss"
    assert err == f"note: {option.replace('=', ' ')}: {said}\n"
    assert json.loads(bbmr("info", "out/photo.bbmr", "--json")[0])["pipeline"] in PIPELINE_NAMES
    for silent in ("--lossless-lr", "--quiet"):
        assert not bbmr("compress", photo, option, silent, "--overwrite")[1]


def test_options_for_either_kind_say_nothing(photo: Path) -> None:
    assert not bbmr("compress", photo, "--block", "64")[1]
    assert not bbmr("compress", photo, "--lossless-lr", "--block", "64", "--overwrite")[1]
    _, err = bbmr("compress", photo, "--block", "32", "--effort", "1", "--overwrite")
    assert err.startswith("note: --block 32, --effort 1: LR samples are stored as they are")


def test_a_size_is_met_or_it_is_said_what_can_be(photo: Path) -> None:
    Image.fromarray(textured(400, 500)).save("large.png")
    facts = json.loads(bbmr("compress", "large.png", "--target-size", "12kB", "--block", "64", "--json")[0])
    assert 0.97 * 12_000 <= facts["bytes"] <= 12_000
    assert 0 < facts["quality"] < 100
    _, err = bbmr("compress", "large.png", "-o", "tiny.bbmr", "--target-size", "90", code=1)
    assert "large.png: out of reach: it does not get below" in err
    assert not Path("tiny.bbmr").exists()


def test_devices_that_are_not_there(packed: Path) -> None:
    for verb, file in (("compress", "photo.png"), ("restore", packed)):
        _, err = bbmr(verb, file, "--device", "cuda:77", code=1)
        assert err.startswith("error: device 'cuda:77' cannot be used here")
        assert len(err.splitlines()) == 1
    assert sorted(os.listdir()) == ["photo.bbmr", "photo.png"]


def test_info_json(packed: Path) -> None:
    out, _ = bbmr("info", packed, "--json")
    facts = json.loads(out)
    assert (facts["width"], facts["height"], facts["block"], facts["mode"]) == (52, 40, 128, "RGB")
    assert sum(facts["scales"].values()) == 1
    assert set(facts["scales"]) <= {"1", "2", "4", "8", "16"}
    assert facts["lr_share"] == pytest.approx(facts["lr_pixels"] / (52 * 40))
    assert facts["bytes"] == packed.stat().st_size
    assert facts["bpp"] == pytest.approx(facts["bytes"] * 8 / (52 * 40))
    assert facts["pipeline"] == CODED_PIPELINE
    assert {"expected_psnr", "weights"} <= set(facts)
    assert facts["quality"] == DEFAULT_QUALITY
    assert facts["qualities"].keys() == facts["scales"].keys()
    assert all(0 <= quality <= 100 for quality in facts["qualities"].values())
    assert sum(facts["sections"].values()) == facts["bytes"]
    out, _ = bbmr("info", ".", "--json")
    assert [entry["input"] for entry in json.loads(out)] == ["photo.bbmr"]


def test_info_table(packed: Path) -> None:
    bbmr("compress", "photo.png", "-o", "greedy.bbmr", "--allocator", "greedy")
    out, _ = bbmr("info", "greedy.bbmr")
    for word in ("algorithm 1", "mosaic-fast", "12 of 16 x 16"):
        assert word in out
    assert "quality" not in out
    out, _ = bbmr("info", packed)
    for word in (
        "photo.bbmr",
        "52 x 40 RGB",
        "LR pixels",
        "expected PSNR",
        CODED_PIPELINE,
        "visual",
        "1 of 128 x 128",
        "coded at quality",
    ):
        assert word in out


@pytest.mark.parametrize(
    ("options", "block", "scales", "pipeline"),
    [
        (("--block", "32", "--scales", "1,4,16"), 32, {"1", "4", "16"}, DEFAULT_PIPELINE),
        (
            ("--budget", "1/64", "--tune", "psnr", "--distortion", "bicubic"),
            16,
            {"2", "4", "8", "16"},
            DEFAULT_PIPELINE,
        ),
        (("--allocator", "greedy", "--distortion", "network"), 16, {"2", "4", "8"}, DEFAULT_PIPELINE),
        (("--pipeline", "mosaic-fast"), 16, {"1", "2", "4", "8", "16"}, "mosaic-fast"),
        (("--pipeline", "plain-x4"), 128, {"4"}, "plain-x4"),
        (("--pipeline", "plain-x4", "--effort", "1", "--device", "cpu"), 128, {"4"}, "plain-x4"),
    ],
)
def test_options_reach_the_file(
    photo: Path, options: tuple[str, ...], block: int, scales: set[str], pipeline: str
) -> None:
    out, _ = bbmr("compress", photo, "--json", *options)
    facts = json.loads(out)
    assert facts["block"] == block
    assert set(facts["scales"]) <= scales
    assert facts["pipeline"] == pipeline


def test_folders_and_patterns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    paint(Path("in/a.png"), 1)
    paint(Path("in/deep/b.jpg"), 2)
    out, _ = bbmr("compress", "in", "-o", "packed")
    assert len(out.splitlines()) == 2
    bbmr("restore", "packed/**/*.bbmr", "-o", "back/")
    assert sorted(str(path) for path in Path("back").rglob("*.png")) == ["back/a.png", "back/deep/b.png"]


def test_a_bad_file_does_not_stop_the_rest(photo: Path) -> None:
    Path("bad.png").write_bytes(b"\x89PNG no more than this")
    paint(Path("zebra.png"), 3)
    out, err = bbmr("compress", "*.png", "none.png", "*.gif", "-o", "out", code=1)
    assert len(out.splitlines()) == 2
    assert "3 of 5 failed" in err
    for name in ("bad.png: ", "none.png: there is no such file", "*.gif: no file matches"):
        assert f"error: {name}" in err
    assert sorted(os.listdir("out")) == ["photo.bbmr", "zebra.bbmr"]
    out, _ = bbmr("compress", "*.png", "-o", "more", "--json", code=1)
    assert ["error" in entry for entry in json.loads(out)] == [True, False, False]
    out, _ = bbmr("compress", "bad.png", "--json", code=1)
    assert json.loads(out)["input"] == "bad.png"


def test_existing_files_are_kept_unless_asked(packed: Path) -> None:
    before = packed.read_bytes()
    _, err = bbmr("compress", "photo.png", code=1)
    assert "photo.bbmr: exists already; choose another name (--out), replace it (--overwrite), or " in err
    _, err = bbmr("restore", packed, code=1)
    assert "photo.png: exists already" in err
    assert packed.read_bytes() == before
    bbmr("compress", "photo.png", "--overwrite", "--budget", "x8")
    assert packed.read_bytes() != before


def test_two_pictures_of_one_result_are_refused_before_any_work(photo: Path) -> None:
    for folder in ("one", "two"):
        Path(folder).mkdir()
        paint(Path(folder, "photo.png"))
    _, err = bbmr("compress", "one", "two", "-o", "out", code=2)
    assert "one/photo.png and two/photo.png would both become out/photo.png.bbmr" in err
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("compress", "photo.png", "--budget", "lots"), "budget"),
        (("compress", "photo.png", "--scales", "1,3"), "scales"),
        (("compress", "photo.png", "--scales", "one"), "--scales one"),
        (("compress", "photo.png", "--block", "17"), "choose one of 16, 32, 64, 128"),
        (("compress", "photo.png", "--tune", "loud"), "choose one of visual, psnr"),
        (("compare", "photo.png", "--tune", "loud"), "choose one of visual, psnr"),
        (("compress", "photo.png", "--pipeline", "none"), "pipeline"),
        (("compress", "photo.png", "--pipeline", "joint-omnisr", "--block", "16"), "blocks of 128 pixels, not of 16"),
        (("compress", "photo.png", "--pipeline", "plain-x4", "--budget", "x5"), "no options but weights and effort"),
        (("compress", "photo.png", "--allocator", "greedy", "--scales", "1,2"), "three scales"),
        (("compress", "photo.png", "--quality", "101"), "quality"),
        (("compress", "photo.png", "--quality", "10", "--target-bpp", "1"), "exactly one of"),
        (("compress", "photo.png", "--quality", "10", "--budget", "x8"), "budget has no place beside quality"),
        (("compress", "photo.png", "--quality", "10", "--lossless-lr"), "--lossless-lr has no place beside quality"),
        (("compress", "photo.png", "--quality", "10", "--block", "16"), "choose one of 128, 64"),
        (("compress", "photo.png", "--weights", "my_own+my_other"), "my_own+my_other"),
        (("compress", "photo.png", "--target-size", "small"), "give bytes such as 20000, 100kB"),
        (("compress", "photo.png", "--chroma", "4:2:2"), "choose one of 4:2:0, 4:4:4"),
        (("compress", "photo.png", "--chroma", "4:4:4", "--budget", "x8"), "chroma has no place beside budget"),
        (("compress", "photo.png", "-o", "photo.zip"), "ends in .bbmr"),
        (("restore", "photo.bbmr", "-o", "photo.doc"), ".png, .jpg"),
        (("map", "photo.bbmr", "-o", "map.doc"), ".png, .jpg"),
        (("compress", ""), "name of an input is empty"),
        (("map", ""), "name of an input is empty"),
        (("compare", ""), "name of an input is empty"),
        (("map", "photo.bbmr", "--over", ""), "name of an input is empty"),
        (("compress",), "IN"),
        (("expand", "photo.png"), "expand"),
    ],
)
def test_wrong_usage_ends_with_2(photo: Path, arguments: tuple[str, ...], word: str) -> None:
    _, err = bbmr(*arguments, code=2)
    assert word in err
    assert os.listdir() == ["photo.png"]


def test_missing_weights_are_one_error_for_all_pictures(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ship(monkeypatch, {})
    paint(Path("another.png"))
    _, err = bbmr("compress", "*.png", "-o", "out", "--pipeline", "mosaic-omnisr", code=1)
    assert err.count("mosaic-omnisr needs weights that are not there") == 1
    assert not Path("out").exists()


def test_own_weights_from_import_to_restored_picture(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BBMR_WEIGHTS", "own")
    bbmr("weights", "export", "mosaic-fast", "-o", "ema.safetensors")
    bbmr("weights", "import", "ema.safetensors", "--name", "mine")
    facts = json.loads(bbmr("compress", photo, "--weights", "mine", "--json")[0])
    assert (facts["weights"], facts["expected_psnr"]) == ("mine", None)
    assert "mine" in bbmr("info", "photo.bbmr")[0]
    bbmr("restore", "photo.bbmr", "-o", "mine.png")
    bbmr("compress", photo, "-o", "shipped.bbmr", "--pipeline", "mosaic-fast")
    bbmr("restore", "shipped.bbmr", "-o", "shipped.png")
    assert Path("mine.png").read_bytes() == Path("shipped.png").read_bytes()  # the same weights by another name
    bbmr("weights", "remove", "mine")
    _, err = bbmr("restore", "photo.bbmr", "-o", "again.png", code=1)
    assert "mosaic-fast needs weights that are not there: mine; " in err
    assert "`bbmr weights import FILE --name mine`" in err
    assert not Path("again.png").exists()


def test_weights_that_do_not_suit_are_one_error_for_all_pictures(photo: Path) -> None:
    paint(Path("another.png"))
    _, err = bbmr("compress", "*.png", "-o", "out", "--weights", "plain-fast-x4", code=1)
    assert err.count("with the weights plain-fast-x4, mosaic-fast restores") == 1
    assert not Path("out").exists()
    _, err = bbmr("compress", "*.png", "-o", "out", "--weights", "mine", "--pipeline", "separate-omnisr", code=2)
    assert "separate-omnisr takes the names of 3 weights" in err


def test_help_lists_every_pipeline() -> None:
    out, _ = bbmr("compress", "--help")
    for name in PIPELINE_NAMES:
        assert name.removeprefix(LEARNED) in out
    assert f"{LEARNED}NAME" in out


def test_damaged_files_are_named(packed: Path) -> None:
    content = packed.read_bytes()
    packed.write_bytes(content[: len(content) // 2])
    Path("foreign.bbmr").write_bytes(b"something else")
    for verb in ("restore", "info", "map"):
        for name in ("photo.bbmr", "foreign.bbmr", "none.bbmr"):
            arguments = (name,) if verb == "info" else (name, "-o", "out.png")
            _, err = bbmr(verb, *arguments, code=1)
            assert f"error: {name}" in err
    assert not Path("out.png").exists()


def test_what_is_no_bbmr_file_is_said_to_be_none(packed: Path) -> None:
    for arguments in ((), ("--overwrite",), ("--resume",)):
        _, err = bbmr("restore", "photo.png", *arguments, code=1)
        assert err == "error: photo.png: not a .bbmr file; give one that `bbmr compress` wrote\n"


def test_a_tiny_budget_of_pixels_allowed_refuses_the_picture(photo: Path) -> None:
    _, err = bbmr("compress", photo, "--max-pixels", "2079", code=1)
    assert "--max-pixels" in err
    bbmr("compress", photo, "--max-pixels", "2080", "--lossless-lr")
    _, err = bbmr("restore", "photo.bbmr", "-o", "b.png", "--max-pixels", "2000", code=1)
    assert "error: photo.bbmr: " in err
    for verb in ("info", "map"):
        bbmr(verb, "photo.bbmr", "--max-pixels", "2000", code=1)
        bbmr(verb, "photo.bbmr", "--max-pixels", "4000")


def test_thin_pictures_that_could_not_be_restored_are_refused(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bbmr.fileformat.MAX_PIXELS", 8000)
    monkeypatch.setattr("bbmr.imageio.MAX_PIXELS", 1000)
    Image.new("L", (1000, 1), 7).save("thin.png")
    _, err = bbmr("compress", "thin.png", "--lossless-lr", code=1)
    assert "error: thin.png: 1000 x 1 pixels, 16128 in whole blocks" in err
    bbmr("compress", "thin.png", "--lossless-lr", "--max-pixels", "16128")
    bbmr("restore", "thin.bbmr", "-o", "b.png", "--max-pixels", "16128")


def test_conversions_are_said(tmp_path: Path) -> None:
    paint(tmp_path / "a.png", mode="P")
    _, err = bbmr("compress", tmp_path / "a.png")
    assert "note: " in err
    assert "read as RGB" in err
    assert bbmr("compress", tmp_path / "a.png", "--overwrite", "--quiet") == ("", "")


def test_map_is_drawn_over_restored_picture_or_original(packed: Path) -> None:
    out, _ = bbmr("map", packed)
    assert "photo.map.png" in out
    with Image.open("photo.map.png") as drawn:
        assert drawn.height > PHOTO[0]
    bbmr("map", packed, "-o", "over.png", "--over", "photo.png")
    _, err = bbmr("map", packed, "-o", "over.png", code=1)
    assert err == "error: over.png: exists already; choose another name (--out), or replace it (--overwrite)\n"
    paint(Path("wide.png"))
    with Image.open("wide.png") as wide:
        wide.resize((60, 40)).save("wide.png")
    _, err = bbmr("map", packed, "-o", "wrong.png", "--over", "wide.png", code=1)
    assert "wide.png: has 60 x 40 pixels" in err


def test_compare_measures_and_draws(photo: Path) -> None:
    out, _ = bbmr("compare", photo, "--json")
    record = json.loads(out)
    assert [result["name"] for result in record["results"]] == ["bicubic x4", "plain x4", "bbmr"]
    _, plain, ours = record["results"]
    assert ours["lr_pixels"] <= plain["lr_pixels"] == 10 * 13
    assert min(result["psnr_y"] for result in record["results"]) > 15
    with Image.open("photo.compare.png") as sheet:
        assert sheet.width > 4 * PHOTO[1]
    bbmr("compare", photo, "-o", "crops.png", "--tune", "psnr")
    Image.new("L", (3, 2), 7).save("flat.png")
    out, _ = bbmr("compare", "flat.png", "--json")
    assert json.loads(out, parse_constant=pytest.fail)["results"][0]["psnr_y"] is None  # a perfect copy
    out, _ = bbmr("compare", photo, "--overwrite")
    for word in ("PSNR-Y", "PSNR-RGB", "LR pixels", "plain x4", "photo.compare.png"):
        assert word in out


def test_compare_holds_files_of_one_size_against_each_other(photo: Path) -> None:
    Image.fromarray(textured(200, 240)).save("large.png")
    for tune in ("visual", "psnr"):
        record = json.loads(bbmr("compare", "large.png", "--quality", "60", "--tune", tune, "--overwrite", "--json")[0])
        webp, avif, ours = record["results"]
        assert webp["name"].startswith("WebP, quality ")
        assert avif["name"].startswith(f"AVIF, {'psnr' if tune == 'psnr' else 'ssim'}, quality ")
        assert (webp["lr_pixels"], avif["lr_pixels"], ours["name"]) == (None, None, "bbmr")
        assert 0.8 * ours["bytes"] < avif["bytes"] < 1.25 * ours["bytes"]
        bbmr("compress", "large.png", "--quality", "60", "--tune", tune, "--overwrite")
        assert ours["bytes"] == Path("large.bbmr").stat().st_size
    out, _ = bbmr("compare", "large.png", "--quality", "60", "--overwrite")
    assert out.count("quality") == 2


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("compare", "photo.png", "-o", "photo.png"), "photo.png"),
        (("compare", "photo.png", "-o", "./link.png"), "photo.png"),
        (("map", "photo.bbmr", "--over", "photo.png", "-o", "photo.png"), "photo.png"),
        (("map", "map.png", "-o", "map.png"), "map.png"),
        (("compress", "picture.bbmr"), "picture.bbmr"),
        (("restore", "map.png"), "map.png"),
    ],
)
def test_inputs_are_never_replaced(packed: Path, arguments: tuple[str, ...], named: str) -> None:
    Path("map.png").write_bytes(packed.read_bytes())
    Path("picture.bbmr").write_bytes(Path("photo.png").read_bytes())
    Path("link.png").hardlink_to("photo.png")
    before = Path(named).read_bytes()
    _, err = bbmr(*arguments, "--overwrite", code=1)
    assert f"error: {named}: the result would replace this input" in err
    assert Path(named).read_bytes() == before


@pytest.mark.parametrize("verb", ["map", "compare"])
def test_a_folder_is_one_error(verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in (str(tmp_path), ".", "/"):
        _, err = bbmr(verb, folder, code=1)
        assert err.startswith(f"error: {folder}: this is a folder")
        assert len(err.splitlines()) == 1


def test_interrupt_ends_with_130_and_leaves_nothing(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.link", interrupt)
    _, err = bbmr("restore", packed, "-o", "restored.png", code=130)
    assert "interrupted" in err
    assert sorted(os.listdir()) == ["photo.bbmr", "photo.png"]


def test_an_interrupt_that_python_ignores_ends_a_folder_after_the_file_at_hand(
    photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By SIGTERM: where these tests run in the background of a shell, Ctrl-C is ignored."""

    class Unlucky:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)

    compress_file = file_to_file.compress_file

    def interrupted(*args: Any, **options: Any) -> Any:
        Unlucky()
        return compress_file(*args, **options)

    monkeypatch.setattr(file_to_file, "compress_file", interrupted)
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    Path("in").mkdir()
    for name in ("a.png", "b.png"):
        shutil.copy(photo, Path("in", name))
    _, err = bbmr("compress", "in", "-o", "out", "--jobs", "1", code=143)
    assert "terminated: 1 of 2 done" in err
    assert os.listdir("out") == ["a.bbmr"]


def test_unexpected_errors_are_one_line_unless_asked(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("bbmr.coding.sender.compress", fail)
    _, err = bbmr("compress", photo, code=1)
    assert err == "error: photo.png: RuntimeError: boom (unexpected; run with --debug for the trace)\n"
    result = CliRunner().invoke(app, ["compress", "photo.png", "--debug"])
    assert result.exit_code == 1
    assert "Traceback" in result.stderr


@pytest.mark.parametrize("verb", ["compress", "restore", "info", "check", "map", "compare"])
def test_help_has_examples_and_fits_80_columns(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    out, _ = bbmr(verb, "--help")
    assert "Examples" in out
    assert f"bbmr {verb} " in out
    assert max(len(line) for line in out.splitlines()) <= 80


def test_version_and_quick_start() -> None:
    out, _ = bbmr("--version")
    assert out.startswith("bbmr ")
    run = "import sys; from bbmr.cli import app; app(sys.argv[1:], standalone_mode=False)"
    heavy = f"{run}; print({{'torch', 'PIL', 'imagecodecs'}} & set(sys.modules) or 'light')"
    for arguments in (["--help"], ["compress", "--help"]):
        done = subprocess.run([sys.executable, "-c", heavy, *arguments], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "light"


def test_a_reader_that_leaves_early_sees_no_trace(packed: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "bbmr", "info", str(packed), "--json"],
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert b"Traceback" not in done.stderr
    assert done.returncode != 0


def test_errors_are_json_where_that_is_asked_for(photo: Path) -> None:
    for arguments, code in ((("--quality", "10", "--budget", "x5"), 2), (("--weights", "nosuch"), 1)):
        out, err = bbmr("compress", photo, *arguments, "--json", code=code)
        assert err == f"error: {json.loads(out)['error']}\n"


def test_names_do_not_rule_the_terminal(photo: Path) -> None:
    name = Path("a\x1b[31mb\nc.png")
    photo.rename(name)
    out, _ = bbmr("compress", name)
    assert out.startswith("a\\x1b[31mb\\nc.bbmr: 52 x 40")
    assert out.count("\n") == 1
    _, err = bbmr("compress", name, code=1)
    assert "\x1b" not in err


def test_exact_pictures_are_told_so(photo: Path) -> None:
    bbmr("compress", photo, "--lossless-lr", "--scales", "1", "--budget", "x1")
    out, _ = bbmr("info", "photo.bbmr")
    assert "exact" in out


def test_other_formats_for_folders(packed: Path) -> None:
    for given, suffix in (("jpg", ".jpg"), (".TIF", ".tif")):
        bbmr("restore", ".", "--format", given)
        with Image.open(packed.with_suffix(suffix)) as image:
            assert image.size == PHOTO[::-1]
    _, err = bbmr("restore", packed, "--format", "doc", code=2)
    assert ".png, .jpg" in err


@pytest.mark.parametrize("closed", ["2>&-", ">&-"])
def test_a_stream_that_is_closed_says_nothing_elsewhere(packed: Path, closed: str) -> None:
    Path("bad.bbmr").write_bytes(b"no such file")
    found = subprocess.run(
        f'"{sys.executable}" -m bbmr check {packed} bad.bbmr --json {closed}',
        shell=True,
        check=False,
        capture_output=True,
        text=True,
    )
    assert found.returncode == 1
    if closed == "2>&-":
        assert [record["whole"] for record in json.loads(found.stdout)] == [True, False]
    else:
        assert found.stdout == ""
        assert "bad.bbmr" in found.stderr
