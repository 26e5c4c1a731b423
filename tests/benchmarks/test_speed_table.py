"""The speed benchmark measures what it says: a whole run on a small picture."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "speed.py"


@pytest.mark.skipif(sys.platform == "win32", reason="wait4 is not there")
@pytest.mark.parametrize("given", [(), ("--lossless-lr",)])
def test_seconds_and_memory_are_those_of_whole_processes(tmp_path: Path, given: tuple[str, ...]) -> None:
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(tmp_path / "small.png")
    command = [sys.executable, str(SCRIPT), str(tmp_path / "small.png"), "--runs", "1", *given]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    row = next(line for line in done.stdout.splitlines() if "small.png" in line)
    _, pixels, *figures = (cell.strip() for cell in row.strip("│ ").split("│"))
    assert pixels == "60 x 40"
    compress, restore, *peaks = map(float, figures)
    assert min(compress, restore) > 0
    # An interpreter with torch takes more than 50 MiB; a unit mistaken would be far off.
    assert all(50 < peak < 4000 for peak in peaks)
