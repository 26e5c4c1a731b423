"""The benchmark of rate and distortion: a run on one small picture, and BD-rates that are known."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from upscaling.tiny_networks import textured

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "rate_distortion.py"
sys.path.insert(0, str(SCRIPT.parent))

from rate_distortion import LOW_RATE, Point, at_rate, complete, curve, saved, up_to  # noqa: E402
from rivals import Jpeg, WebP  # noqa: E402

POINT = Point("set", "a.png", "0", "JPEG", "1", 1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def points(scale: float = 1.0) -> list[Point]:
    """6 dB more for four times the bits."""
    return [replace(POINT, bpp=scale * rate, psnr_y=40 + 10 * np.log10(rate)) for rate in (0.02, 0.05, 0.1, 0.3, 1.0)]


def test_half_the_bits_at_equal_quality_are_half_saved() -> None:
    assert saved(points(0.5), points(), "psnr_y") == pytest.approx(-50)
    assert saved(points(0.5), points(), "psnr_y", LOW_RATE) == pytest.approx(-50)
    assert saved(points(), points(), "psnr_y") == pytest.approx(0)


def test_only_what_lies_below_a_rate_counts_there() -> None:
    """Half the bits up to 0.1 bpp, twice as many above."""
    mixed = points(0.5)[:3] + points(2.0)[3:]
    assert saved(mixed, points(), "psnr_y", 0.1) == pytest.approx(-50, abs=3)
    assert saved(mixed, points(), "psnr_y") > -30


def test_curves_rise_and_end_where_they_are_cut() -> None:
    worse = replace(POINT, bpp=0.2, psnr_y=20.0)
    rates, values = up_to(curve([*points(), worse], "psnr_y"), 38.0)
    assert 0.2 not in rates
    assert values[-1] == 38
    assert rates[-1] == pytest.approx(10**-0.2)
    assert at_rate(points(), "psnr_y", 0.1) == pytest.approx(30)
    assert np.isnan(at_rate(points(), "psnr_y", 2.0))


def test_curves_that_hardly_meet_say_nothing() -> None:
    above = [replace(point, psnr_y=point.psnr_y + 30) for point in points()]
    assert np.isnan(saved(above, points(), "psnr_y"))


def test_pictures_count_once_all_codecs_have_all_settings() -> None:
    jpeg = [replace(POINT, setting=setting) for setting in Jpeg.settings]
    webp = [replace(POINT, codec="WebP", setting=setting) for setting in WebP.settings]
    assert list(complete(jpeg + webp, [Jpeg(), WebP()])) == ["a.png"]
    assert not complete(jpeg + webp[1:], [Jpeg(), WebP()])


def test_a_run_is_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    Image.fromarray(textured(200, 240)).save(tmp_path / "set" / "a.png")
    command = [sys.executable, str(SCRIPT), "--data", str(tmp_path), "--sets", "set", "--out", str(tmp_path / "rd")]
    command += ["--only", "JPEG", "AVIF, psnr"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "## set, pictures: 1" in done.stdout
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line.endswith(" |")]
    table = {row[0]: row[1:] for row in rows[2:4]}
    assert table["AVIF, psnr"][0] == "+0.0 %"
    assert float(table["JPEG"][1].split(" %")[0]) > 20
    log = tmp_path / "rd" / "points.jsonl"
    lines = log.read_text().splitlines()
    for line in lines:
        point = Point(**json.loads(line))
        assert 0 < point.bpp < 24
        assert 10 < point.psnr_y < 60
    of_another_version = json.dumps({**json.loads(lines[1]), "version": "older"})
    log.write_text("\n".join([of_another_version, *lines[2:]]) + '\n{"set": "cut o')
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    kept = [json.loads(line) for line in log.read_text().splitlines() if line.endswith("}")]
    assert len(kept) == len(lines)
    assert "older" not in log.read_text()
    assert (tmp_path / "rd" / "set.svg").stat().st_size > 5000
