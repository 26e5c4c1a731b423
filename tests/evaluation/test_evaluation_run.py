"""Whole evaluations of small pictures: what goes on after a stop, and what is skipped."""

import json
import os
import signal
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from upscaling.tiny_networks import textured
from waiting import until

from bbmr.atomic import OutputError
from bbmr.errors import BbmrError
from bbmr.evaluation import run
from bbmr.evaluation.families import peers
from bbmr.evaluation.measurement import Bench, BlockErrors, Measurement
from bbmr.evaluation.metrics import psnr_rgb
from bbmr.evaluation.results import Task, writing_to
from bbmr.evaluation.run import News, Settings, evaluate
from bbmr.evaluation.systems import Own, System
from bbmr.imageio import PictureWarning, read_picture

PLAIN = System("plain-x4")
TASKS = [Task(), Task(PLAIN), *(Task(row.system) for row in peers()), Task(None, "mosaic-fast", (2, 4, 8))]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for index, size in enumerate([(200, 290), (150, 170), (40, 50)]):
        Image.fromarray(np.roll(textured(*size), index, 2)).save(folder / f"{index}.png")
    return folder


def sets_of(folder: Path) -> dict[str, list[Path]]:
    return {"photos": sorted(folder.iterdir())}


def test_what_is_measured(photos: Path, tmp_path: Path) -> None:
    news: list[News] = []
    outcome = evaluate(sets_of(photos), TASKS, Settings(tmp_path / "cache"), news.append)
    large, middle, small = outcome.sets["photos"]
    assert not outcome.failures["photos"]
    assert [one.picture for one in news if one.complete] == ["0.png", "1.png", "2.png"]
    assert (news[-1].done, news[-1].total) == (15, 15)

    original = read_picture(photos / "0.png").colour
    _, restored = Bench(read_picture(photos / "0.png")).restored(PLAIN)
    assert large.systems[PLAIN].psnr_rgb == psnr_rgb(restored, original)
    assert large.original is not None
    assert large.original.niqe is not None  # two blocks of 96 pixels in a row
    assert isinstance(large.blocks["mosaic-fast"], BlockErrors)
    assert [len(row) for row in large.blocks["mosaic-fast"].squared_error] == [2, 2, 2]  # whole blocks alone
    # Too small for MS-SSIM, and for NIQE's statistics of several blocks.
    assert middle.systems[PLAIN].ms_ssim is None
    assert middle.systems[PLAIN].ssim_rgb is not None
    assert small.systems[PLAIN].niqe is None
    assert small.blocks["mosaic-fast"].squared_error == ((), (), ())


def test_goes_on_where_it_was_stopped(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(tmp_path / "cache")
    measure = Bench.measure
    measured: list[tuple[str, str]] = []

    def counting(bench: Bench, system: System) -> object:
        if len(measured) == 4:
            raise KeyboardInterrupt
        measured.append((str(bench.picture.width), system.key))
        return measure(bench, system)

    monkeypatch.setattr(Bench, "measure", counting)
    with pytest.raises(KeyboardInterrupt):
        evaluate(sets_of(photos), TASKS, settings)
    first = measured.copy()
    assert len(first) == 4
    measured[:] = [("", "")] * 5  # which do not count up to the four that stop it
    outcome = evaluate(sets_of(photos), TASKS, settings)
    assert len(measured) == 5 + 9 - 4
    assert not set(first) & set(measured)
    monkeypatch.setattr(Bench, "measure", lambda *_: pytest.fail("measured again"))
    assert evaluate(sets_of(photos), TASKS, settings) == outcome
    assert evaluate(sets_of(photos), TASKS, replace(settings, jobs=2)) == outcome


def test_by_two_processes(photos: Path, tmp_path: Path) -> None:
    news: list[News] = []
    (photos / "broken.png").write_bytes((photos / "0.png").read_bytes()[:2000])
    outcome = evaluate(sets_of(photos), TASKS, Settings(tmp_path / "cache", jobs=2), news.append)
    alone = evaluate(sets_of(photos), TASKS, Settings(tmp_path / "other"))
    assert len(outcome.failures["photos"]) == 1
    assert outcome.failures == alone.failures
    assert [one.path for one in outcome.sets["photos"]] == [one.path for one in alone.sets["photos"]]
    for ours, theirs in zip(outcome.sets["photos"], alone.sets["photos"], strict=True):
        assert ours.blocks == theirs.blocks
        assert [one.psnr_y for one in ours.systems.values()] == [one.psnr_y for one in theirs.systems.values()]
    assert news[-1].done == news[-1].total == 20


def test_pictures_that_cannot_be_measured(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (photos / "broken.png").write_bytes(b"\x89PNG no more")
    sets = sets_of(photos)
    sets["photos"].insert(0, photos / "missing.png")

    def without_memory(bench: Bench, system: System) -> None:
        if bench.picture.width == 170:
            raise MemoryError("no more")
        return measure(bench, system)  # type: ignore[return-value]

    measure = Bench.measure
    monkeypatch.setattr(Bench, "measure", without_memory)
    outcome = evaluate(sets, TASKS, Settings(tmp_path / "cache"))
    assert [one.name for one in outcome.sets["photos"]] == ["0.png", "2.png"]
    missing, second, broken = outcome.failures["photos"]
    assert "missing.png: cannot be read" in missing
    assert second.endswith("1.png: MemoryError: no more (unexpected)")
    assert "broken.png" in broken


def test_nothing_is_kept_where_the_cache_cannot_be_written(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(OutputError, match="results cannot be kept"):
        evaluate(sets_of(photos), TASKS, Settings(tmp_path / "taken"))


def test_seconds_come_with_their_conditions(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 6)
    monkeypatch.setattr(run, "cores", lambda: 8)
    settings = Settings(tmp_path / "cache")
    conditions = [replace(settings, jobs=jobs).conditions for jobs in (1, 2, 4, 99)]
    assert conditions == [
        "1 at a time, 6 threads each, on cpu",
        "2 at a time, 4 threads each, on cpu",
        "4 at a time, 2 threads each, on cpu",
        "99 at a time, 1 thread each, on cpu",
    ]
    monkeypatch.undo()

    sets = sets_of(photos)
    first = evaluate(sets, [Task(PLAIN)], replace(settings, jobs=2))
    (at_first,) = {found.conditions for found in first.sets["photos"]}
    assert at_first == {replace(settings, jobs=2).conditions}
    again = evaluate(sets, [Task(PLAIN)], settings)
    assert again == first  # those that were measured by two remain so
    more = evaluate(sets, [Task(PLAIN), Task()], settings)
    assert {found.conditions for found in more.sets["photos"]} == {at_first | {settings.conditions}}


def test_one_picture_is_measured_alone(photos: Path, tmp_path: Path) -> None:
    settings = Settings(tmp_path / "cache", jobs=2)
    (found,) = evaluate({"photos": [photos / "2.png"] * 2}, [Task()], settings).sets["photos"][:1]
    assert found.conditions == {replace(settings, jobs=1).conditions}


def test_another_device_measures_again(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {device: Measurement(*[float(index)] * 16) for index, device in enumerate(("cpu", "cuda"))}  # type: ignore[arg-type]
    monkeypatch.setattr(Bench, "measure", lambda bench, system: values[bench._device])
    sets = {"photos": [photos / "2.png"]}
    for device in ("cpu", "cuda", "cpu"):
        (found,) = evaluate(sets, [Task(PLAIN)], Settings(tmp_path / "cache", device=device)).sets["photos"]
        assert found.systems == {PLAIN: values[device]}
        (conditions,) = found.conditions
        assert conditions.endswith(f"on {device}")


def test_one_evaluation_at_a_time(photos: Path, tmp_path: Path) -> None:
    settings = Settings(tmp_path / "cache")
    sets = {"photos": [photos / "2.png"]}
    with writing_to(settings.cache), pytest.raises(BbmrError, match="another evaluation is writing"):
        evaluate(sets, [Task()], settings)

    def told(news: News) -> None:
        with pytest.raises(BbmrError, match="another evaluation is writing"), writing_to(settings.cache):
            pass

    assert not evaluate(sets, [Task()], settings, told).failures["photos"]
    with writing_to(settings.cache):
        pass


def test_warnings_of_workers(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "noisy_enlargement.py").write_text(
        "import warnings\n"
        "from bbmr.downscaling.bicubic import upscale\n"
        "def enlarge(lr, scale):\n"
        "    warnings.warn('nothing of ours')\n"
        "    return upscale(lr, scale)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    noisy = Task(System("plain-x4", own=Own(upscaler="noisy_enlargement:enlarge")))
    (photos / "0.png").unlink()
    for path in photos.iterdir():
        with Image.open(path) as image:
            image.quantize(16).save(path)  # a palette, which reading warns of
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("ignore")  # as the command line does
        warnings.filterwarnings("always", category=UserWarning, module=r"bbmr\b")
        outcome = evaluate(sets_of(photos), [noisy], Settings(tmp_path / "cache", jobs=2))
    assert not outcome.failures["photos"]
    assert [one.category for one in told] == [PictureWarning] * 2
    first, second = sorted(str(one.message) for one in told)
    assert "1.png" in first
    assert "2.png" in second
    assert capfd.readouterr().err == ""


def test_sigterm_interrupts(photos: Path, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        evaluate(sets_of(photos), TASKS, Settings(tmp_path / "cache"), lambda news: signal.raise_signal(signal.SIGTERM))
    assert signal.getsignal(signal.SIGTERM) is before
    with ThreadPoolExecutor(1) as threads:  # where no handler can be set
        outcome = threads.submit(evaluate, sets_of(photos), [Task()], Settings(tmp_path / "cache")).result()
    assert len(outcome.sets["photos"]) == 3


EVALUATION = """
import sys
from pathlib import Path
from evaluation.test_evaluation_run import TASKS, sets_of
from bbmr.evaluation.run import Settings, evaluate
evaluate(sets_of(Path(sys.argv[1])), TASKS, Settings(Path(sys.argv[2]), jobs=2))
"""


@contextmanager
def evaluation_with_results(photos: Path, cache: Path) -> Iterator[tuple["subprocess.Popen[bytes]", set[int]]]:
    """One in a process of its own, by two workers, once it has the first result; and the processes it has started."""
    path = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-c", EVALUATION, str(photos), str(cache)]
    with subprocess.Popen(command, env=os.environ | {"PYTHONPATH": path}, stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: any(file.stat().st_size for file in cache.glob("*.jsonl")), seconds=60)
            yield process, {number for number, parent in alive().items() if parent == process.pid}
        finally:
            process.kill()


def alive() -> dict[int, int]:
    """The parent of each process."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text(errors="replace").rpartition(")")[2].split()[:2]
        except OSError:  # it has just ended
            continue
        if state not in "ZX":
            found[int(stat.parent.name)] = int(parent)
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system does not list its processes in files")
@pytest.mark.parametrize("number", [9, signal.SIGTERM])
def test_workers_end_with_what_started_them(photos: Path, tmp_path: Path, number: int) -> None:
    settings = Settings(tmp_path / "cache")
    with evaluation_with_results(photos, settings.cache) as (process, children):
        assert len(children) >= 2
        with pytest.raises(BbmrError, match="another evaluation is writing"):
            evaluate(sets_of(photos), TASKS, settings)
        assert process.poll() is None
        process.send_signal(number)
        assert process.wait(10) == -(signal.SIGINT if number == signal.SIGTERM else number)
        until(lambda: not children & alive().keys(), seconds=5)
    outcome = evaluate(sets_of(photos), TASKS, settings)
    assert len(outcome.sets["photos"]) == 3
    for file in settings.cache.glob("*.jsonl"):
        keys = Counter(json.loads(line)["key"] for line in file.read_text().splitlines())
        assert keys == Counter(task.key for task in TASKS)
