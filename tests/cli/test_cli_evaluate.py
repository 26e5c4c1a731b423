"""bbmr evaluate: reports on small pictures, stops and restarts, and what it says of bad input."""

import csv
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result
from upscaling.tiny_networks import textured

from bbmr.cli import app
from bbmr.evaluation import run
from bbmr.evaluation.measurement import Bench


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = Path("photos")
    folder.mkdir()
    for index, name in enumerate(("first", "<b>second&")):
        Image.fromarray(np.roll(textured(200, 290), index, 2)).save(folder / f"{name}.png")
    return folder


def table(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(Path("report/results", name).read_text("utf-8").splitlines()))


def evaluate(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["evaluate", *arguments, "--jobs", "1"])


def test_a_whole_report(photos: Path) -> None:
    crop = "first.png:100,60,80,64"
    options = ["--efforts", "1", "--crop", crop, "--title", "Mine & <yours>"]
    done = evaluate("photos", "-o", "report", "--pipelines", "mosaic-fast", *options)
    assert done.exit_code == 0, done.output
    page = Path("report/report.html").read_text("utf-8")
    markdown = Path("report/results.md").read_text("utf-8")
    headings = (
        "Gains of BBMR over the plain network",
        "Table 1: blocks by class",
        "Table 2: all methods",
        "Table 3: Upscaling Module",
        "Table 4: Downscaling Module",
        "Table 5: step by step",
        "Sides of blocks and scales",
        "Refined LR samples",
        "Figures 1 and 4: crops side by side",
        "Beside the paper",
    )
    for heading in headings:
        assert f"<h2>{heading}</h2>" in page
        assert f"\n## {heading}\n" in markdown
    # Nothing beside the page is needed, and no name of a picture is taken for HTML.
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert "<b>second" not in page
    assert "<h1>Mine &amp; &lt;yours&gt;</h1>" in page
    assert page.count("<svg") == page.count("</svg>") == 4
    assert page.count('src="data:image/png;base64,') == 3
    for name in re.findall(r"\]\((results/[^)]+)\)", markdown):
        assert Path("report", name).stat().st_size > 0
    with Image.open(next(Path("report/results").glob("crops-fast-photos-first-png-80-x-64-at-100-60.png"))) as drawn:
        assert drawn.width > 5 * 80

    rows = table("table-2-photos.csv")
    assert [row["method"] for row in rows[:4]] == [
        "original",
        "bicubic x4",
        "Lanczos x4, both ways",
        "whole picture at x4",
    ]
    assert {row["PI"] for row in rows} == {""}
    assert '<td class="number">needs the Ma model</td>' in page
    raw = table("pictures-photos.csv")
    plain = [float(row["psnr_y"]) for row in raw if row["method"] == "whole picture at x4"]
    assert float(rows[3]["PSNR-Y"]) == pytest.approx(sum(plain) / 2)
    gains = table("gains-photos.csv")
    ours = [float(row["psnr_y"]) for row in raw if row["method"] == gains[0]["method"]]
    assert float(gains[0]["PSNR-Y"]) == pytest.approx((sum(ours) - sum(plain)) / 2)
    assert float(gains[0]["± PSNR-Y"]) > 0


def test_a_killed_run_goes_on(photos: Path) -> None:
    arguments = ["photos", "-o", "report", "--pipelines", "mosaic-fast", "--tables", "2,3"]
    command = [sys.executable, "-m", "bbmr", "evaluate", *arguments, "--jobs", "1"]
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while sum(len(lines) for lines in cached().values()) < 3:
        assert run.poll() is None, run.stderr.read() if run.stderr else ""
        assert time.monotonic() < deadline
        time.sleep(0.02)
    run.kill()
    run.communicate()
    before = cached()
    assert not Path("report/report.html").exists()

    assert evaluate(*arguments).exit_code == 0
    after = cached()
    for name, lines in before.items():
        whole = [line for line in lines if line.endswith("\n")]
        assert after[name][: len(whole)] == whole
    keys = [[json.loads(line)["key"] for line in lines] for lines in after.values()]
    assert keys[0] == keys[1]
    assert len(set(keys[0])) == len(keys[0]) == 8

    tables = {path.name: path.read_text("utf-8") for path in Path("report/results").glob("*.csv")}
    shutil.rmtree("report/results")
    assert evaluate(*arguments).exit_code == 0
    assert tables == {path.name: path.read_text("utf-8") for path in Path("report/results").glob("*.csv")}
    assert cached() == after


def cached() -> dict[str, list[str]]:
    return {
        path.name: path.read_text("utf-8").splitlines(keepends=True) for path in Path("report/cache").glob("*.jsonl")
    }


def test_nothing_is_done_twice(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["photos", "-o", "report", "--pipelines", "mosaic-fast", "--tables", "2"]
    assert evaluate(*arguments).exit_code == 0
    page = Path("report/report.html").read_bytes()
    for name in ("measure", "restored", "original", "block_errors"):
        monkeypatch.setattr(Bench, name, lambda *_: pytest.fail("done again"))
    assert evaluate(*arguments).exit_code == 0
    assert Path("report/report.html").read_bytes() == page


def test_a_picture_that_cannot_be_read(photos: Path) -> None:
    (photos / "broken.png").write_bytes((photos / "first.png").read_bytes()[:999])
    (photos / "loop.png").symlink_to("loop.png")
    Path("empty").mkdir()
    done = evaluate("photos", "empty", "-o", "report", "--tables", "2", "--pipelines", "plain-x4")
    assert done.exit_code == 1
    assert "3 skipped, 2 measured" in done.stderr
    assert "broken.png" in done.stderr
    page = Path("report/report.html").read_text("utf-8")
    assert "<dt>skipped</dt><dd>3</dd>" in page
    assert "broken.png" in page
    assert "photos (2)" in page

    document = json.loads(
        evaluate("photos", "-o", "report", "--tables", "2", "--pipelines", "plain-x4", "--json").stdout
    )
    assert document["pictures"] == {"photos": 2}
    assert "broken.png" in document["failed"][0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--pipelines", "mosaic-fats"], "--pipelines mosaic-fats: there is no such; choose out of mosaic-fast"),
        (["--tables", "2,6"], "--tables 6: there is no such; choose out of 1, 2, 3, 4, 5, sides"),
        (["--efforts", "11"], "--efforts 11"),
        (["--crop", "first.png:1,2,3"], "crop 'first.png:1,2,3': give a picture's name and pixels"),
        (["--crop", "third.png:0,0,9,9"], "crop third.png: no such picture"),
        (
            ["--crop", "first.png:250,0,64,64"],
            "crop first.png: first.png has 290 x 200 pixels, and the crop ends at 314, 64",
        ),
        (["--device", "abacus"], "device 'abacus' cannot be used here"),
        (["--ma-model", "none.mat"], "none.mat: cannot be read"),
        (["--upscaler", "nowhere:none"], "nowhere"),
        (["nowhere"], "nowhere: there is no such folder"),
        (["f" * 300], "f: there is no such folder"),
        (["--simple-below", "nan"], "nan dB is no threshold"),
        (["--tables", ","], "--tables: none is asked for"),
        (["--pipelines", "mosaic-craft"], "mosaic-craft needs weights that are not there: mosaic-craft"),
        (["-o", ""], "the name of the output is empty"),
        (["-o", "photos/first.png"], "photos/first.png: this folder cannot be made"),
        (["-o", "report", "--cache", "photos/first.png/in"], "photos/first.png/in: this folder cannot be made"),
    ],
)
def test_what_is_wrong_is_said_before_long_work(photos: Path, options: list[str], said: str) -> None:
    done = evaluate("photos", "-o", "report", *options)
    assert done.exit_code in (1, 2)
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not Path("report/results.md").exists()
    assert not list(Path().glob("**/*.jsonl"))


def test_no_pictures(photos: Path) -> None:
    Path("empty").mkdir()
    done = evaluate("empty", "-o", "report")
    assert done.exit_code == 2
    assert "no picture of a known kind in this folder" in done.stderr


def test_rows_of_ones_own(photos: Path) -> None:
    Path("cli_sr.py").write_text(
        "import torch\n\ndef enlarge(lr, scale):\n    return torch.nn.functional.interpolate(lr, scale_factor=scale)\n"
    )
    half = textured(200, 290)
    half[:, :150] = 128
    Image.fromarray(half).save(photos / "first.png")
    done = evaluate(
        "photos", "-o", "report", "--tables", "2", "--pipelines", "plain-x4", "--upscaler", "cli_sr:enlarge"
    )
    assert done.exit_code == 0, done.output
    rows = table("table-2-photos.csv")
    mine = {row["method"]: float(row["PSNR-Y"]) for row in rows if row["network"] == "cli_sr:enlarge"}
    bicubic = next(float(row["PSNR-Y"]) for row in rows if row["method"] == "bicubic x4")
    assert mine["whole picture at x4"] < bicubic  # repeated samples
    assert mine["mosaic, blocks of 16, psnr"] > mine["whole picture at x4"] + 1


def test_without_matplotlib_it_says_so_before_long_work(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = evaluate("photos", "-o", "report")
    assert done.exit_code == 1
    assert "this needs matplotlib" in done.stderr
    assert not Path("report").exists()


def test_sets_of_one_name_and_single_files(photos: Path) -> None:
    for folder in ("a/set", "b/set", "b-set"):
        shutil.copytree(photos, folder)
    Path("b/set/first.png").unlink()
    singles = [str(path) for path in sorted(photos.iterdir())]
    done = evaluate("a/set", "b/set", "b-set", *singles, "-o", "report", "--tables", "2", "--pipelines", "plain-x4")
    assert done.exit_code == 0, done.output
    page = Path("report/report.html").read_text("utf-8")
    assert "a/set (2), b/set (1), b-set (2), pictures (2)" in page
    assert len(set(re.findall(r' id="([^"]+)"', page))) == len(re.findall(r' id="([^"]+)"', page))
    assert len(table("pictures-a-set.csv")) == 2 * len(table("pictures-b-set.csv"))
    assert {row["picture"] for row in table("pictures-b-set-2.csv")} == {"b-set/first.png", "b-set/<b>second&.png"}


def test_a_report_is_not_its_own_input(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos)
    for _ in range(2):
        done = evaluate(".", "-o", "report", "--tables", "2", "--pipelines", "mosaic-fast")
        assert done.exit_code == 0, done.output
        assert "photos (2)" in Path("report/report.html").read_text("utf-8")


def test_what_has_no_place_is_said(photos: Path) -> None:
    Path("cli_parts.py").write_text(
        "import torch\n\ndef twice(lr, scale):\n    return torch.nn.functional.interpolate(lr, scale_factor=2.0)\n"
        "twice.scales = (2,)\n\n"
        "def choose(errors, pixels, costs, scales, budget):\n    raise ValueError('never asked')\n"
    )
    own = ["--upscaler", "cli_parts:twice", "--allocator", "cli_parts:choose", "--crop", "first.png:0,0,64,64"]
    done = evaluate("photos", "-o", "report", "--tables", "2", "--pipelines", "plain-x4", *own)
    assert done.exit_code == 0, done.output
    notes = done.stderr.splitlines()
    assert notes == [
        "note: cli_parts:twice enlarges by 2; for rows of whole pictures it has to by 4",
        "note: cli_parts:twice enlarges by 2; for rows of blocks it has to by 2, 4, 8",
        "note: cli_parts:choose: no pipeline here restores blocks whose scales it could choose",
        "note: crops are shown beside table 2, of pipelines that restore blocks, which is not asked for",
    ]
    page = Path("report/report.html").read_text("utf-8")
    assert all(note.removeprefix("note: ") in page for note in notes)


def test_a_part_that_fails_is_named(photos: Path) -> None:
    Path("faulty.py").write_text("def enlarge(lr, scale):\n    raise ValueError('my bug')\n")
    done = evaluate("photos", "-o", "report", "--tables", "2", "--upscaler", "faulty:enlarge")
    assert done.exit_code == 1
    assert done.stderr.strip() == "error: the upscaler faulty:enlarge raised ValueError: my bug"
    done = evaluate("photos", "-o", "report", "--tables", "2", "--upscaler", "faulty:enlarge", "--debug")
    assert "raise ValueError('my bug')" in done.stderr


def test_sigterm_ends_with_143(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = run.evaluate

    def stopped(*given: Any) -> run.Outcome:
        sets, tasks, settings, _, *others = given
        return measured(sets, tasks, settings, lambda news: signal.raise_signal(signal.SIGTERM), *others)

    monkeypatch.setattr(run, "evaluate", stopped)
    done = evaluate("photos", "-o", "report", "--pipelines", "mosaic-fast", "--tables", "5")
    assert (done.exit_code, done.stderr.splitlines()[-1]) == (143, "terminated")
