"""The cache of results: what outlives a run, and what is not taken for known."""

import json
from dataclasses import fields
from pathlib import Path

import pytest

from bbmr.atomic import OutputError
from bbmr.errors import BbmrError
from bbmr.evaluation import measurement, results
from bbmr.evaluation.measurement import BlockErrors, Measurement, Naturalness
from bbmr.evaluation.results import Cache, Result, Task, Value, writing_to
from bbmr.evaluation.systems import System
from bbmr.options import Options

OURS = Task(System("mosaic-fast", Options(pipeline="mosaic-fast")), fingerprint="weights 1")
ORIGINAL = Task(fingerprint="no model")
BLOCKS = Task(None, "mosaic-fast", (2, 4, 8), "weights 1")
MEASURED = Result(
    Measurement(0.06, 0.001, 0.7, 30.1, 29.2, 0.91, 0.89, None, 4.5, None, 1.02, 0.5, 1.5, 2.5, 10**9, 10**11),
    "2 at a time, 1 thread each, on cpu",
)
NATURAL = Result(Naturalness(3.25, 2.5), "1 at a time, 4 threads each, on cpu")
PICTURE = b"a picture"


def cache_in(folder: Path, content: bytes = PICTURE, device: str = "cpu") -> Cache:
    return Cache(folder, content, device)


def test_everything_outlives_a_run(tmp_path: Path) -> None:
    values: dict[Task, Value] = {
        OURS: MEASURED.value,
        ORIGINAL: Naturalness(3.25, None),
        BLOCKS: BlockErrors((2, 4, 8), ((0.1, 2.0), (1.0, 3.0), (2.0, 4.5))),
    }
    known = {task: Result(value, f"conditions of {task.key}") for task, value in values.items()}
    for task, result in known.items():
        cache_in(tmp_path / "new" / "folder").add(task, result)
    cache = cache_in(tmp_path / "new" / "folder")
    assert {task: cache.find(task) for task in known} == known


def test_how_an_entry_looks(tmp_path: Path) -> None:
    cache_in(tmp_path).add(ORIGINAL, NATURAL)
    (path,) = tmp_path.iterdir()
    assert json.loads(path.read_text()) == {
        "version": f"{measurement.VERSION}: niqe,pi",
        "key": "original",
        "fingerprint": "no model",
        "device": "cpu",
        "conditions": "1 at a time, 4 threads each, on cpu",
        "value": {"niqe": 3.25, "pi": 2.5},
    }


def test_what_decides_a_result_tells_it_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache_in(tmp_path).add(OURS, MEASURED)
    cache = cache_in(tmp_path)
    assert cache.find(OURS) == MEASURED
    assert cache.find(Task(OURS.system, fingerprint="weights 2")) is None
    assert cache.find(Task(System("mosaic-fast"), fingerprint="weights 1")) is None
    assert cache_in(tmp_path, b"another picture").find(OURS) is None
    assert cache_in(tmp_path, device="cuda").find(OURS) is None
    monkeypatch.setattr(results, "VERSION", measurement.VERSION + 1)
    assert cache_in(tmp_path).find(OURS) is None


def test_devices_share_a_file(tmp_path: Path) -> None:
    on_cuda = Result(MEASURED.value, "1 at a time, 4 threads each, on cuda")
    cache_in(tmp_path).add(OURS, MEASURED)
    cache_in(tmp_path, device="cuda").add(OURS, on_cuda)
    assert cache_in(tmp_path).find(OURS) == MEASURED
    assert cache_in(tmp_path, device="cuda").find(OURS) == on_cuda


def test_entries_of_another_shape_are_not_known(tmp_path: Path) -> None:
    cache_in(tmp_path).add(OURS, MEASURED)
    (path,) = tmp_path.iterdir()
    entry = json.loads(path.read_text())
    names = [one.name for one in fields(Measurement)]
    del entry["value"]["ssim_rgb"]
    entry["version"] = f"{measurement.VERSION}: {','.join(name for name in names if name != 'ssim_rgb')}"
    old = {"version": measurement.VERSION, **{name: entry[name] for name in ("key", "fingerprint", "value")}}
    path.write_text(f"{json.dumps(entry)}\n{json.dumps(old)}\n")
    cache = cache_in(tmp_path)
    assert cache.find(OURS) is None
    cache.add(OURS, MEASURED)
    assert cache_in(tmp_path).find(OURS) == MEASURED
    assert len(path.read_text().splitlines()) == 3


def test_a_line_that_was_cut_off_is_measured_again(tmp_path: Path) -> None:
    cache_in(tmp_path).add(ORIGINAL, NATURAL)
    (path,) = tmp_path.iterdir()
    first = path.read_bytes()
    cache_in(tmp_path).add(OURS, MEASURED)
    both = path.read_bytes()
    for length in range(len(first), len(both)):
        path.write_bytes(both[:length])
        cache = cache_in(tmp_path)
        assert cache.find(ORIGINAL) == NATURAL
        assert cache.find(OURS) is None
        assert path.read_bytes() == first
    cache.add(OURS, MEASURED)
    assert path.read_bytes() == both
    assert list(tmp_path.iterdir()) == [path]  # nothing is left of replacing it


@pytest.mark.parametrize(
    "content",
    [
        b"my poems\n",
        b"my poems",
        b"\x89PNG\r\n\x1a\n\x00\xff\xfe",
        bytes(range(128, 256)),
        b"5\n",
        b'{"version": []}\n',
        b'{"key": "original"}\n',
        b'{"version": "VERSION", "key": "original"}\n',
        b'{"version": "VERSION", "key": "a", "fingerprint": "", "device": "cpu", "conditions": "", "value": 5}\n',
        b'{"version": "VERSION", "key": "a", "fingerprint": "", "device": "cpu", "conditions": "", "value": {}}\n',
    ],
)
def test_a_file_that_is_no_cache(tmp_path: Path, content: bytes) -> None:
    cache_in(tmp_path).add(ORIGINAL, NATURAL)
    (path,) = tmp_path.iterdir()
    content = content.replace(b"VERSION", b"%d: niqe,pi" % measurement.VERSION)
    path.write_bytes(content)
    with pytest.raises(OutputError, match=rf"{path.name}: is no cache of results .* --cache"):
        cache_in(tmp_path)
    assert path.read_bytes() == content


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    cache_in(tmp_path).add(ORIGINAL, NATURAL)
    (path,) = tmp_path.iterdir()
    path.unlink()
    path.mkdir()
    with pytest.raises(OutputError, match=rf"{path.name}: cannot be read"):
        cache_in(tmp_path)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(OutputError, match="cannot be kept"):
        cache_in(tmp_path / "taken" / "cache").add(ORIGINAL, NATURAL)
    with pytest.raises(OutputError, match="taken: results cannot be kept"), writing_to(tmp_path / "taken"):
        pass


def test_one_run_writes_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "cache"
    with writing_to(folder):
        with writing_to(tmp_path / "other"):
            pass
        with pytest.raises(BbmrError, match=r"another evaluation is writing to .*cache; wait"), writing_to(folder):
            pass
    with writing_to(folder):
        pass
