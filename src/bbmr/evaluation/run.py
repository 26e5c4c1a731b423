"""A whole evaluation: all pictures of all sets, by several processes, going on where a run before it was stopped."""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.queues import Queue
from pathlib import Path
from queue import Empty
from typing import Any

import torch

from bbmr.atomic import OutputError
from bbmr.errors import BbmrError
from bbmr.evaluation.measurement import Bench, BlockErrors, Measurement, Naturalness
from bbmr.evaluation.no_reference.ma import MaModel
from bbmr.evaluation.results import Cache, PictureResults, Task, Value
from bbmr.imageio import MAX_PIXELS, PictureError, read_picture


@dataclass(frozen=True)
class News:
    """How far a run is.  doing: what is measured on the picture.  done: results that are known, out of `total`.
    complete: this was the picture's last news.
    """

    picture: str
    doing: str
    done: int
    total: int
    complete: bool = False


@dataclass(frozen=True)
class Settings:
    """cache: folder of the results.  ma_model: path of the Ma model, or empty.  device: of the networks.  jobs:
    processes; with more than one each works on a picture of its own.  max_pixels: larger pictures are refused.
    """

    cache: Path
    ma_model: str = ""
    device: str = "cpu"
    jobs: int = 1
    max_pixels: int = MAX_PIXELS


@dataclass(frozen=True)
class Outcome:
    """sets: of each set, what is known of its pictures.  failures: of each set, a line for every picture that could not
    be measured.
    """

    sets: Mapping[str, Sequence[PictureResults]]
    failures: Mapping[str, Sequence[str]]


def evaluate(
    sets: Mapping[str, Sequence[Path]],
    tasks: Sequence[Task],
    settings: Settings,
    told: Callable[[News], None] = lambda news: None,
) -> Outcome:
    """Measure everything on every picture; those that cannot be read are named in the outcome and left out.

    Raises BbmrError where nothing can be kept in the cache, and where a worker process dies.
    """
    jobs = [(path, tuple(tasks), settings) for path in dict.fromkeys(path for paths in sets.values() for path in paths)]
    total = len(jobs) * len(tasks)
    done = 0

    def count(picture: str, doing: str, more: int) -> None:
        nonlocal done
        done += more
        told(News(picture, doing, done, total))

    found: dict[Path, PictureResults | str] = {}
    for path, result in _in_parallel(jobs, settings.jobs, count):
        found[path] = result
        told(News(path.name, "failed" if isinstance(result, str) else "complete", done, total, complete=True))
    by_set = {name: [found[path] for path in paths] for name, paths in sets.items()}
    return Outcome(
        {name: [one for one in results if isinstance(one, PictureResults)] for name, results in by_set.items()},
        {name: [one for one in results if isinstance(one, str)] for name, results in by_set.items()},
    )


Job = tuple[Path, tuple[Task, ...], Settings]
Told = Callable[[str, str, int], None]
"""Called with a picture's name, what is measured on it, and how many results more are known."""


def _in_parallel(jobs: Sequence[Job], processes: int, told: Told) -> Iterator[tuple[Path, PictureResults | str]]:
    if min(processes, len(jobs)) <= 1:
        for job in jobs:
            yield job[0], _evaluate_picture(job, told)
        return
    context = get_context("spawn")  # a fork would copy torch's threads in whatever state they are
    messages = context.Queue()
    threads = max(1, (os.cpu_count() or 1) // processes)
    with _ended_on_error(ProcessPoolExecutor(processes, context, _begin, (messages, threads))) as pool:
        of_picture = {pool.submit(_in_worker, job): job[0] for job in jobs}
        running = set(of_picture)
        while running:
            done, running = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
            with suppress(Empty):  # a worker's messages come before its result
                while True:
                    told(*messages.get_nowait())
            for future in done:
                yield of_picture[future], future.result()


@contextmanager
def _ended_on_error(pool: ProcessPoolExecutor) -> Iterator[ProcessPoolExecutor]:
    """Pictures take minutes, so workers are not waited for where the run is over: everything whole is in the cache."""
    try:
        yield pool
    except BaseException as error:
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in active_children():
            worker.terminate()
        if isinstance(error, BrokenProcessPool):
            raise BbmrError(
                "a worker process was killed, perhaps for want of memory; start again with fewer --jobs: "
                "what is done is kept"
            ) from error
        raise
    pool.shutdown()


_messages: "Queue[tuple[str, str, int]]"
"""Of a worker process: to the one that started it."""


def _begin(messages: "Queue[tuple[str, str, int]]", threads: int) -> None:
    global _messages  # noqa: PLW0603  # a worker's initialiser has no other way to hand it on
    _messages = messages
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started it ends it
    torch.set_num_threads(threads)


def _in_worker(job: Job) -> PictureResults | str:
    parent = parent_process()

    def tell(*message: Any) -> None:
        if parent is None or not parent.is_alive():
            sys.exit("the process that wants these results is gone")
        _messages.put(message)

    return _evaluate_picture(job, tell)


def _evaluate_picture(job: Job, told: Told) -> PictureResults | str:
    """What is known of it in the end, or a line about what went wrong."""
    path, tasks, settings = job
    left = len(tasks)
    try:
        cache = Cache(settings.cache, _content(path))
        results = {task: cache.find(task) for task in tasks}
        missing = [task for task, known in results.items() if known is None]
        left = len(missing)
        told(path.name, "", len(tasks) - left)
        bench = _bench(path, settings) if missing else None
        for task in missing:
            assert bench is not None
            told(path.name, task.key, 0)
            results[task] = value = _measure(bench, task)
            cache.add(task, value)
            left -= 1
            told(path.name, task.key, 1)
    except OutputError:  # the run is in vain
        raise
    except BbmrError as error:
        told(path.name, "", left)
        return str(error)
    except Exception as error:  # one picture does not stop the others
        told(path.name, "", left)
        return f"{path}: {type(error).__name__}: {error} (unexpected)"
    return _gather(path, results)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PictureError(f"{path}: cannot be read ({error.strerror})") from error


def _bench(path: Path, settings: Settings) -> Bench:
    ma = MaModel.load(settings.ma_model) if settings.ma_model else None
    return Bench(read_picture(path, settings.max_pixels), settings.device, ma)


def _measure(bench: Bench, task: Task) -> Value:
    if task.system is not None:
        return bench.measure(task.system)
    return bench.block_errors(task.blocks_of, task.scales) if task.blocks_of else bench.original()


def _gather(path: Path, results: Mapping[Task, Value | None]) -> PictureResults:
    systems, blocks, original = {}, {}, None
    for task, value in results.items():
        match value:
            case Measurement() if task.system is not None:
                systems[task.system] = value
            case BlockErrors():
                blocks[task.blocks_of] = value
            case Naturalness():
                original = value
    return PictureResults(path, systems, blocks, original)
