"""The benchmark on the LR pictures of Down-Nets: a run on one small picture, its figures against independent ones."""

import subprocess
import sys
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from reference.matlab import imresize
from upscaling.tiny_networks import textured

from bbmr.picture import Picture
from bbmr.pipeline import compress_uniform

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "lr_pictures.py"


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_the_figures_are_those_of_the_planes(tmp_path: Path) -> None:
    colour = textured(256, 384)
    (tmp_path / "set").mkdir()
    Image.fromarray(colour).save(tmp_path / "set" / "a.png")
    done = run(
        "--data", tmp_path, "--sets", "set", "--photo", tmp_path / "set" / "a.png", "--figure", tmp_path / "f.png"
    )
    assert done.returncode == 0, done.stderr
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line.startswith("| downnet-plain")]
    ((name, scale, _, rgb, before, after, ratio),) = rows
    assert (name, scale) == ("downnet-plain-fast-x4", "x4")
    stored = compress_uniform(Picture(colour), 4, "downnet-plain-x4").blocks[4]
    plane = np.concatenate([np.concatenate(list(row), axis=1) for row in stored.reshape(2, 3, 32, 32, 3)])
    bicubic = imresize(colour.astype(float), 1 / 4).round().clip(0, 255)
    assert float(rgb) == pytest.approx(10 * np.log10(255**2 / np.square(plane - bicubic).mean()), abs=0.01)
    assert float(after) == pytest.approx(8 * len(imagecodecs.jpegxl_encode(plane, lossless=True)) / 256 / 384, rel=0.02)
    assert float(ratio) == pytest.approx(float(after) / float(before), abs=0.01)
    with Image.open(tmp_path / "f.png") as drawn:
        assert drawn.width > 2 * 256


def test_what_is_missing_is_said() -> None:
    done = run("--figure", "f.png")
    assert done.returncode == 2
    assert "give --data, or --photo and --figure" in done.stderr
    done = run("--photo", "none.png", "--figure", "f.png")
    assert done.returncode == 2
    assert "none.png" in done.stderr.splitlines()[-1]
