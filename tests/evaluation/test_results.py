"""The cache of results: what outlives a run, and what is not taken for known."""

from pathlib import Path

import pytest

from bbmr.atomic import OutputError
from bbmr.evaluation import measurement, results
from bbmr.evaluation.measurement import BlockErrors, Measurement, Naturalness
from bbmr.evaluation.results import Cache, Task, Value
from bbmr.evaluation.systems import System
from bbmr.options import Options

OURS = Task(System("mosaic-fast", Options(pipeline="mosaic-fast")), fingerprint="weights 1")
ORIGINAL = Task(fingerprint="no model")
BLOCKS = Task(None, "mosaic-fast", (2, 4, 8), "weights 1")
MEASURED = Measurement(0.06, 0.001, 0.7, 30.1, 29.2, 0.91, 0.89, None, 4.5, None, 1.02, 0.5, 1.5, 2.5, 10**9, 10**11)


def test_everything_outlives_a_run(tmp_path: Path) -> None:
    known: dict[Task, Value] = {
        OURS: MEASURED,
        ORIGINAL: Naturalness(3.25, None),
        BLOCKS: BlockErrors((2, 4, 8), ((0.1, 2.0), (1.0, 3.0), (2.0, 4.5))),
    }
    for task, value in known.items():
        Cache(tmp_path / "new" / "folder", b"a picture").add(task, value)
    cache = Cache(tmp_path / "new" / "folder", b"a picture")
    assert {task: cache.find(task) for task in known} == known


def test_what_decides_a_result_tells_it_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Cache(tmp_path, b"a picture").add(OURS, MEASURED)
    cache = Cache(tmp_path, b"a picture")
    assert cache.find(OURS) == MEASURED
    assert cache.find(Task(OURS.system, fingerprint="weights 2")) is None
    assert cache.find(Task(System("mosaic-fast"), fingerprint="weights 1")) is None
    assert Cache(tmp_path, b"another picture").find(OURS) is None
    monkeypatch.setattr(results, "VERSION", measurement.VERSION + 1)
    assert Cache(tmp_path, b"a picture").find(OURS) is None


def test_a_line_that_was_cut_off_is_measured_again(tmp_path: Path) -> None:
    Cache(tmp_path, b"a picture").add(ORIGINAL, Naturalness(3.25, 2.5))
    (path,) = tmp_path.iterdir()
    path.write_text(path.read_text() + '{"version": 1, "key": "orig')
    cache = Cache(tmp_path, b"a picture")
    assert cache.find(ORIGINAL) == Naturalness(3.25, 2.5)
    assert cache.find(OURS) is None
    cache.add(OURS, MEASURED)
    assert Cache(tmp_path, b"a picture").find(OURS) == MEASURED


def test_a_file_that_is_no_cache(tmp_path: Path) -> None:
    Cache(tmp_path, b"a picture").add(ORIGINAL, Naturalness(3.25, 2.5))
    (path,) = tmp_path.iterdir()
    path.write_text("my poems\n")
    with pytest.raises(OutputError, match=rf"{path.name}: is no cache of results .* --cache"):
        Cache(tmp_path, b"a picture")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(OutputError, match="cannot be kept"):
        Cache(tmp_path / "taken" / "cache", b"a picture").add(ORIGINAL, Naturalness(3.25, 2.5))
