"""The benchmark of sizes that are asked for tells files that come near from others."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import bbmr

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "target_size.py"
sys.path.insert(0, str(SCRIPT.parent))

from target_size import measure  # noqa: E402


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A set of two pictures: one with more noise from left to right, one of a single colour, which takes few bytes at
    any quality.
    """
    (tmp_path / "set").mkdir()
    noise = np.random.default_rng(0).normal(0, 1, (192, 256, 3)) * np.linspace(0, 30, 256)[:, None]
    Image.fromarray((128 + noise).clip(0, 255).astype(np.uint8)).save(tmp_path / "set" / "noise.png")
    Image.new("RGB", (256, 192), "teal").save(tmp_path / "set" / "plain.png")
    return tmp_path


def test_a_command_that_dies_is_one_row(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where memory runs out it is killed and says nothing."""
    killed = subprocess.CompletedProcess((), -9, "", "")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: killed)
    met = measure(data / "set" / "noise.png", "12kB")
    assert (met.size, met.said) == (None, "ended with exit code -9")


def test_files_are_held_against_the_target(data: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--data", str(data), "--sets", "set", "--size", "12kB"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines() if "png" in line]
    (noise, size, share, seconds), (plain, said, none, _) = rows
    assert (noise, plain, none) == ("noise.png", "plain.png", "")
    rescaled = bbmr.compress(data / "set" / "noise.png", target_size=12_000)
    bbmr.save(rescaled, data / "noise.bbmr")
    assert int(size) == (data / "noise.bbmr").stat().st_size
    assert float(share.rstrip("%")) == pytest.approx(100 * int(size) / 12_000 - 100, abs=0.01)
    assert float(seconds) > 0
    assert "plain.png" in said
    assert done.returncode == 1
    assert "1 of 2 within 3% below 12000 bytes." in done.stdout
