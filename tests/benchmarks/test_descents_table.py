"""The benchmark on descents: a run on one small picture."""

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "descents.py"


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_every_descent_has_its_row(tmp_path: Path) -> None:
    y, x = np.mgrid[:90, :120]
    waves = (120 + 80 * np.sin(x / 3) * np.cos(y / 4)).astype(np.uint8)
    Image.fromarray(waves).convert("RGB").save(tmp_path / "a.png")
    done = run(tmp_path / "a.png", "--side", "64", "--pipelines", "plain-x4")
    assert done.returncode == 0, done.stderr
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line.startswith("| ")]
    assert rows[0] == ["steps", "1", "2", "3", "5", "10", "20"]
    gains = {row[0]: [float(cell.split(" / ")[1]) for cell in row[1:]] for row in rows[2:]}
    assert set(gains) == {"`--effort`", "Adam, 2 grey levels", "Adam, 4 grey levels"}
    for by_step in gains.values():
        assert by_step[-1] > 0
    assert gains["`--effort`"][-1] > gains["`--effort`"][0]


def test_what_is_no_picture_is_named(tmp_path: Path) -> None:
    done = run(tmp_path / "none.png")
    assert done.returncode == 2
    assert "none.png" in done.stderr
    assert "Traceback" not in done.stderr
