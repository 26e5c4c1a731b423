"""The throughput benchmark: a whole run on small crops, its figures against those counted by hand."""

import subprocess
import sys
from pathlib import Path

import pytest

from bbmr.networks import build_network

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "throughput.py"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), "--steps", "1", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_table_agrees_with_counts_by_hand() -> None:
    done = run("--networks", "fast", "omnisr-light-x4", "--batch", "3", "--crop", "64")
    assert done.returncode == 0, done.stderr
    assert "matrix product" in done.stdout
    lines = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    assert len(lines) == 4
    header, _, *rows = ([cell.strip() for cell in line.strip("| ").split("|")] for line in lines)
    table = {cells[0]: dict(zip(header, cells, strict=True)) for cells in rows}
    for figures in table.values():
        assert int(figures["parameters"].replace(",", "")) > 200_000
        assert (figures["HR crop"], figures["batch"]) == ("64 x 64", "3")
        seconds = float(figures["s/step"])
        lr_pixels = float(figures["LR pixels/s"].replace(",", "")) * seconds
        assert lr_pixels == pytest.approx(3 * 16 * 16, rel=0.01)
        assert 0 <= float(figures["batches"].rstrip("%")) <= 100
        assert 0 < float(figures["of peak"].rstrip("%")) < 150
    # Every gradient takes as much as forward, and there are two, of weights and of inputs.
    for name, forward in {"fast": 248_832, "omnisr-light-x4": omnisr_light_x4()}.items():
        assert float(table[name]["MACs/HR pixel"].replace(",", "")) == pytest.approx(forward / 16, rel=0.01), name
        macs = 1e9 * float(table[name]["GMACs/s"]) * float(table[name]["s/step"])
        assert macs == pytest.approx(3 * 16 * 16 * 3 * forward, rel=0.02), name


def omnisr_light_x4() -> int:
    """Multiply-accumulates of a position, forward: weights that work on every one, and attention."""
    elsewhere = ("rel_pos_bias", "gate", "conv2", "conv3")  # tables, means of the picture, and what is strided
    parameters = build_network("omnisr-light-x4").network.named_parameters()
    weights = [part for name, part in parameters if not any(word in name for word in elsewhere)]
    between_samples, between_channels = 2 * 64 * 64, 2 * 16 * 64
    return sum(part.numel() for part in weights if part.ndim in {2, 4}) + 2 * (between_samples + between_channels)


def test_what_cannot_be_trained_is_told_and_the_others_measured() -> None:
    done = run("--networks", "joint-omnisr-light", "fast", "--crop", "64", "--batch", "1")  # its blocks have 128
    assert done.returncode == 1
    assert "joint-omnisr-light: " in done.stderr
    assert "| joint-omnisr-light |" not in done.stdout
    assert "| fast |" in done.stdout
