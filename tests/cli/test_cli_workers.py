"""Work by several processes, and what becomes of it when one dies."""

import os
import signal
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import active_children
from pathlib import Path

import pytest

from bbmr.cli.outcome import Done, Failed, Outcome
from bbmr.cli.workers import PutOff, Stage, by_workers
from bbmr.errors import BbmrError
from bbmr.progress import Progress


@dataclass(frozen=True)
class Fragile:
    """Work that does what its item says.  folder: where it leaves word of what it has begun."""

    folder: Path

    def __call__(self, item: str, progress: Progress) -> tuple[dict[str, object], str]:
        progress("begin", 0.0)
        tries = len(list(self.folder.glob(f"{item}.*")))
        (self.folder / f"{item}.{tries}").touch()
        match item.split("-"):
            case ["dies", number]:
                os.kill(os.getpid(), int(number))
            case ["once", number] if not tries:
                os.kill(os.getpid(), int(number))
            case ["leaves"]:
                os._exit(5)
            case ["wrong"]:
                raise BbmrError("wrong: is wrong")
            case ["warns"]:
                warnings.warn_explicit("take care", UserWarning, "any.py", 1, module="bbmr.any")
                warnings.warn_explicit("of no concern", UserWarning, "any.py", 1, module="other.any")
        return {"item": item, "process": os.getpid()}, item


def run(
    folder: Path, names: list[str], jobs: int = 2, told: Callable[[Stage | PutOff], None] = lambda news: None
) -> dict[str, Outcome]:
    items = [(Path(name), name) for name in names]
    found = [
        (names[index], outcome) for index, outcome in by_workers(items, range(len(items)), Fragile(folder), jobs, told)
    ]
    assert len(found) == len(names)
    assert not active_children()
    return dict(found)


def test_a_file_that_ends_its_process_takes_no_other_along(tmp_path: Path) -> None:
    news: list[Stage | PutOff] = []
    names = ["a", "dies-9", "b", "once-11", "c", "wrong", "leaves", "d"]
    with pytest.warns(UserWarning, match="take care") as told:
        outcomes = run(tmp_path, [*names, "warns"], told=news.append)
    assert [str(one.message) for one in told] == ["warns: take care"]
    for name in ("a", "b", "c", "d", "once-11"):
        assert isinstance(outcomes[name], Done), name
    failed = {name: outcome.message for name, outcome in outcomes.items() if isinstance(outcome, Failed)}
    alone = "and so when it was tried again alone"
    assert failed == {
        "dies-9": f"dies-9: the process that worked on it was killed by SIGKILL, {alone}; systems do that where memory "
        "runs out",
        "leaves": f"leaves: the process that worked on it ended with exit code 5, {alone}",
        "wrong": "wrong: is wrong",
    }
    assert sorted(one.index for one in news if isinstance(one, PutOff)) == [1, 3, 6]
    tries = {name: len(list(tmp_path.glob(f"{name}.*"))) for name in names}
    assert tries == {"a": 1, "dies-9": 2, "b": 1, "once-11": 2, "c": 1, "wrong": 1, "leaves": 2, "d": 1}
    assert Stage(0, "begin") in news


def test_workers_share_the_files_and_are_gone_when_they_are_not_wanted_any_more(tmp_path: Path) -> None:
    names = [f"{index:03}" for index in range(40)]
    items = [(Path(name), name) for name in names]
    found = by_workers(items, range(2, 40), Fragile(tmp_path), 2, lambda news: None)
    index, first = next(found)
    assert index in {2, 3}
    assert isinstance(first, Done)
    (worker, *_) = workers = active_children()
    assert first.record["process"] in {one.pid for one in workers}
    assert len(workers) == 2
    found.close()
    assert not active_children()
    assert not worker.is_alive()
    assert not list(tmp_path.glob("00[01].*"))  # nobody asked for them


class Unreadable:
    """Ends the process that is sent it."""

    def __call__(self, item: str, progress: Progress) -> tuple[dict[str, object], str]:
        raise AssertionError

    def __reduce__(self) -> tuple[object, ...]:
        return os._exit, (3,)


def test_workers_that_cannot_start_are_one_error() -> None:
    items = [(Path(name), name) for name in "abcdef"]
    with pytest.raises(BbmrError, match="a worker process ended with exit code 3 before it had begun; try --jobs 1"):
        list(by_workers(items, range(6), Unreadable(), 2, lambda news: None))
    assert not active_children()


def test_ctrl_c_is_for_the_process_that_started_them(tmp_path: Path) -> None:
    items = [(Path(name), name) for name in (f"{index}" for index in range(30))]
    found = by_workers(items, range(30), Fragile(tmp_path), 1, lambda news: None)
    next(found)
    (worker,) = active_children()
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGINT)
    assert all(isinstance(outcome, Done) for _, outcome in found)
