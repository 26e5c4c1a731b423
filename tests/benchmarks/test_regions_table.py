"""The benchmark of regions compares them with the right parts of the whole."""

import sys
from pathlib import Path

import numpy as np
import pytest
from upscaling.tiny_networks import textured

import bbmr

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "regions.py"
sys.path.insert(0, str(SCRIPT.parent))

import regions  # noqa: E402


def test_parts_of_the_whole_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "photo.bbmr"
    bbmr.save(bbmr.compress(textured(200, 300), quality=30), file)
    lines = regions.measure(file, 64, 1)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    assert [row[0] for row in rows] == ["whole", "64 x 64, middle", "64 x 64, first corner", "64 x 64, last corner"]
    assert all(float(row[2]) > 0 and int(row[3]) <= 1 for row in rows[1:])

    honest = bbmr.restore

    def wrong(path: Path, region: tuple[int, int, int, int] | None = None) -> bbmr.Picture:
        picture = honest(path, region=region)
        if region and region[0]:
            np.asarray(picture.colour)[5, 7, 1] ^= 128
        return picture

    monkeypatch.setattr(bbmr, "restore", wrong)
    found = [int(line.strip("|").split("|")[3]) for line in regions.measure(file, 64, 1)[3:]]
    assert found[1] <= 1
    assert min(found[0], found[2]) >= 127
