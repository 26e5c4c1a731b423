"""The benchmark on whole pictures: a run on one small picture, its figures against those of the pipelines."""

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from upscaling.tiny_networks import textured

from bbmr.evaluation.metrics import psnr_rgb, psnr_y
from bbmr.picture import Picture
from bbmr.pipeline import compress_uniform, restore

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "whole_pictures.py"


def test_the_figures_are_those_of_the_pipelines(tmp_path: Path) -> None:
    colour = textured(96, 128)
    (tmp_path / "set").mkdir()
    Image.fromarray(colour).save(tmp_path / "set" / "a.png")
    command = [sys.executable, str(SCRIPT), "--data", str(tmp_path), "--sets", "set"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "## set, pictures: 1" in done.stdout
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line.startswith("| ")]
    table = {row[0]: row[1:] for row in rows[2:]}
    for column, factor in enumerate((2, 4, 8)):
        for name in ("mosaic-fast", "downnet-mosaic-fast"):
            restored = restore(compress_uniform(Picture(colour), factor, name)).colour
            expected = [f"{psnr_y(restored, colour):.2f}", f"{psnr_rgb(restored, colour):.2f}"]
            assert table[name][2 * column : 2 * column + 2] == expected
        assert np.float64(table["bicubic"][2 * column]) > 0
    # Weights for x4 alone have no other figures.
    assert [bool(cell.strip()) for cell in table["plain-fast-x4"]] == [False, False, True, True]


def test_a_missing_set_is_named(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--data", str(tmp_path), "--sets", "none"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "none: no such folder" in done.stderr
