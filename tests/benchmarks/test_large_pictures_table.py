"""The benchmark of large pictures makes what it says, and measures whole processes."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bbmr.picture import Picture

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "large_pictures.py"
sys.path.insert(0, str(SCRIPT.parent))

from large_pictures import mirrored, strips  # noqa: E402


def test_pictures_are_mirrored_photographs() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    whole = np.concatenate([strip.colour for strip in strips(Picture(photo), 600, 100)])
    np.testing.assert_array_equal(whole, np.pad(photo, ((0, 570), (0, 60), (0, 0)), mode="symmetric"))
    assert mirrored(7, 3).tolist() == [0, 1, 2, 2, 1, 0, 0]


@pytest.mark.skipif(sys.platform == "win32", reason="wait4 is not there")
def test_costs_are_those_of_whole_processes(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(tmp_path / "photo.png")
    command = [sys.executable, str(SCRIPT), "--photo", str(tmp_path / "photo.png"), "--megapixels", "0.01"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    *_, row = done.stdout.splitlines()
    megapixels, pixels, size, *costs = (cell.strip() for cell in row.strip("| ").split("|"))
    assert megapixels == "0.01"
    assert pixels == "122 x 82"
    assert 50 < int(size) < 1000
    assert all(50 < float(peak) < 4000 for peak in costs[2:])
