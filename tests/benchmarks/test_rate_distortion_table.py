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

from bbmr.blocks import SCALES
from bbmr.evaluation.rivals import Jpeg, Samples, WebP
from bbmr.fileformat import decode

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "rate_distortion.py"
sys.path.insert(0, str(SCRIPT.parent))

from rate_distortion import (  # noqa: E402
    ANCHOR,
    BOX_BYTES,
    LOW_RATE,
    OWN,
    SINGLE_QUALITIES,
    Own,
    Point,
    alone,
    best_of,
    better,
    check_known,
    complete,
    curve,
    mean_points,
    measure,
    saved,
    table_against,
    table_of_parts,
    table_of_pictures,
)

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


def test_curves_are_fitted_to_all_their_points_and_then_cut() -> None:
    """One point of the anchor lies below the rate, and the share is told of what lies between it and the rate."""
    anchor = [replace(POINT, bpp=rate, psnr_y=40 + 10 * np.log10(rate)) for rate in (0.1, 0.4, 1.0, 3.0)]
    ours = [replace(point, bpp=0.5 * point.bpp) for point in anchor]
    assert saved(ours, anchor, "psnr_y", LOW_RATE) == pytest.approx(-50)
    assert np.isnan(saved(ours, anchor, "psnr_y", 0.105))  # 0.2 dB
    assert np.isnan(saved(ours, anchor, "psnr_y", 0.05))


def test_curves_rise() -> None:
    worse = replace(POINT, bpp=0.2, psnr_y=20.0)
    np.testing.assert_array_equal(curve([*points(), worse], "psnr_y"), curve(points(), "psnr_y"))


def test_of_files_of_one_size_the_better_counts() -> None:
    first, *others = points()
    lower = replace(first, psnr_y=first.psnr_y - 2)
    for found in (curve([lower, first, *others], "psnr_y"), curve([first, lower, *others], "psnr_y")):
        np.testing.assert_array_equal(found, curve(points(), "psnr_y"))
    assert better([lower, first, *others], points(), "psnr_y", LOW_RATE) == pytest.approx(0)


def test_curves_that_hardly_meet_say_nothing() -> None:
    above = [replace(point, psnr_y=point.psnr_y + 30) for point in points()]
    assert np.isnan(saved(above, points(), "psnr_y"))


def test_the_best_of_curves_takes_the_lower_rate_everywhere() -> None:
    """One curve is better below 28 dB, the other above; 28 dB is 0.063 bpp of both."""
    flat = [replace(POINT, bpp=0.063 * rate, psnr_y=28 + 5 * np.log10(rate)) for rate in (0.1, 0.5, 1, 2, 10)]
    rates, values = best_of([curve(points(), "psnr_y"), curve(flat, "psnr_y")])
    assert list(values) == sorted(values)
    of_both = [10 ** ((values - 40) / 10), 0.063 * 10 ** ((values - 28) / 5)]
    inside = (values > 24) & (values < 32)
    np.testing.assert_allclose(rates[inside], np.minimum(*of_both)[inside], rtol=0.01)


def test_gains_at_equal_rates_are_differences() -> None:
    above = [replace(point, psnr_rgb=point.psnr_y + 2) for point in points()]
    below = [replace(point, psnr_rgb=point.psnr_y) for point in points()]
    assert better(above, below, "psnr_rgb", 0.15) == pytest.approx(2)
    assert np.isnan(better(above, [replace(point, bpp=50 * point.bpp) for point in below], "psnr_rgb", 0.15))


def test_tables_say_what_each_part_brings() -> None:
    """Of a picture of a megapixel; x4 is the best single scale all over, and OWN saves a tenth of that."""
    shares = {1: 0.9, 2: 0.85, 4: 0.8, 8: 1.5, 16: 3.0}
    one = {alone(factor): points(shares[factor]) for factor in SINGLE_QUALITIES} | {ANCHOR: points(), OWN: points(0.72)}
    text = table_of_parts({"a.png": one}, {"a.png": 1_000_000})
    cells = {row.split(" | ")[0].strip("| "): row.split(" | ")[1:] for row in text.splitlines() if row.endswith("|")}
    boxes = float(cells["AVIF without its boxes"][1].split()[0])
    assert -100 * 8 * BOX_BYTES / 1_000_000 / 0.02 < boxes < 0
    assert cells["scale 1 and the network"][1].startswith("-10.0 %")
    assert cells["the best scale for each picture"][1].startswith("-20.0 %")
    assert cells["a scale for each block"][1].startswith("-28.0 %")
    assert "-10.0 % on average, -10.0 % at the worst, more than 0.1% more at 0" in text
    assert "| a.png | 0.398 | -28.0 % | -28.0 % |" in table_of_pictures({"a.png": one})


def test_what_people_use_is_compared_with_too() -> None:
    rgb = [replace(point, psnr_rgb=point.psnr_y) for point in points()]
    one = {ANCHOR: rgb, OWN: [replace(point, bpp=0.5 * point.bpp) for point in rgb], "WebP": points(2.0)}
    codec = Jpeg()
    codec.name = OWN
    row = table_against({"a.png": one}, [codec]).splitlines()[-1]
    assert row == f"| {OWN} | -50.0 % | -75.0 % | +3.0 dB |"


def test_means_of_a_setting_are_over_the_pictures() -> None:
    jpeg = Jpeg()
    one = [replace(POINT, setting=setting, bpp=0.1, psnr_y=30.0) for setting in jpeg.settings]
    other = [replace(point, bpp=0.4, psnr_y=34.0) for point in one]
    means = mean_points({"a.png": {"JPEG": one}, "b.png": {"JPEG": other}}, jpeg)
    assert [point.setting for point in means] == list(jpeg.settings)
    assert means[0].bpp == pytest.approx(0.2)
    assert means[0].psnr_y == pytest.approx(32)


def test_pictures_count_once_all_codecs_have_all_settings() -> None:
    jpeg = [replace(POINT, setting=setting) for setting in Jpeg.settings]
    webp = [replace(POINT, codec="WebP", setting=setting) for setting in WebP.settings]
    assert list(complete(jpeg + webp, [Jpeg(), WebP()])) == ["a.png"]
    assert not complete(jpeg + webp[1:], [Jpeg(), WebP()])


def test_a_run_is_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    Image.fromarray(textured(200, 240)).save(tmp_path / "set" / "a.png")
    command = [sys.executable, str(SCRIPT), "--data", str(tmp_path), "--sets", "set", "--out", str(tmp_path / "rd")]
    command += ["--only", "JPEG", "AVIF, psnr", "--jobs", "2"]
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
        point = _point(line)
        assert 0 < point.bpp < 24
        assert 10 < point.psnr_y < 60
    of_another_version = json.dumps({**json.loads(lines[1]), "version": "older"})
    log.write_text("\n".join([of_another_version, *lines[2:]]) + '\n{"set": "cut o')
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    kept = log.read_text().splitlines()
    assert of_another_version in kept
    measured = [_point(line) for line in kept if line.endswith("}")]
    known = [(point.codec, point.setting) for point in measured if point.version != "older"]
    assert sorted(known) == sorted((point.codec, point.setting) for point in map(_point, lines))
    assert (tmp_path / "rd" / "set.svg").stat().st_size > 5000


def _point(line: str) -> Point:
    return Point(**json.loads(line))


class Made(Own):
    """Files of so many bytes."""

    def __init__(self, size: int) -> None:
        self.name, self.version, self.size = OWN, "1", size

    def encode(self, colour: Samples, setting: float) -> bytes:
        return bytes(self.size)

    def decode(self, data: bytes) -> Samples:
        return np.zeros((200, 240, 3), np.uint8)


def test_a_run_does_not_go_on_where_files_have_become_others(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(textured(200, 240)).save(path)
    found = measure("test", path, "known", Made(600), POINT.setting)
    point = replace(found, codec=OWN, bpp=8 * 600 / (200 * 240))
    check_known([point], {"known": path}, [Made(600), Jpeg()])
    check_known([point], {"another": path}, [Made(601)])
    for other, made in ((point, Made(601)), (replace(point, psnr_y=point.psnr_y + 0.01), Made(600))):
        with pytest.raises(SystemExit, match=r"made 0\.10000 .* raise FILES"):
            check_known([other], {"known": path}, [made])


@pytest.mark.parametrize("codec", [Own("psnr"), Own("visual"), Own("psnr", (4,), alone(4))])
def test_bbmr_is_measured_by_its_files(codec: Own) -> None:
    """Larger ones of a higher quality, which are better; scales are those that were asked for."""
    colour = textured(200, 240)
    files = [codec.encode(colour, setting) for setting in (20, 40)]
    assert len(files[0]) < len(files[1])
    errors = [np.square(codec.decode(data) - colour.astype(float)).mean() for data in files]
    assert errors[1] < errors[0] < np.square(colour - colour.mean((0, 1))).mean()
    scales = {int(factor) for data in files for factor in np.unique(decode(data).scales)}
    assert scales <= ({4} if "alone" in codec.name else set(SCALES))
