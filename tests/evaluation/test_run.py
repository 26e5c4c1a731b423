"""Whole evaluations of small pictures: what goes on after a stop, and what is skipped."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from upscaling.tiny_networks import textured

from bbmr.atomic import OutputError
from bbmr.evaluation.families import peers
from bbmr.evaluation.measurement import Bench, BlockErrors
from bbmr.evaluation.metrics import psnr_rgb
from bbmr.evaluation.results import Task
from bbmr.evaluation.run import News, Settings, evaluate
from bbmr.evaluation.systems import System
from bbmr.imageio import read_picture

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
