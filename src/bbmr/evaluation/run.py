"""A whole evaluation: all pictures of all sets, by several processes, going on where a run before it was stopped."""

import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from multiprocessing import active_children, get_context
from multiprocessing.queues import SimpleQueue
from pathlib import Path

import torch

from bbmr import worker_process
from bbmr.atomic import OutputError
from bbmr.cores import cores
from bbmr.errors import BbmrError
from bbmr.evaluation.measurement import Bench, BlockErrors, Measurement, Naturalness
from bbmr.evaluation.no_reference.ma import MaModel
from bbmr.evaluation.results import Cache, PictureResults, Result, Task, Value, writing_to
from bbmr.imageio import MAX_PIXELS, PictureError, read_picture
from bbmr.interrupts import sigterm_interrupts


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

    @property
    def threads(self) -> int:
        """Of each process: all that torch takes for one alone, a share of the cores for one of several."""
        alone = torch.get_num_threads()
        return alone if self.jobs <= 1 else min(alone, max(1, cores() // self.jobs))

    @property
    def conditions(self) -> str:
        """What seconds depend on besides the machine, as people are told it."""
        threads = f"{self.threads} thread{'s' * (self.threads != 1)}"
        return f"{self.jobs} at a time, {threads} each, on {self.device}"


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
    terminated: type[KeyboardInterrupt] = KeyboardInterrupt,
) -> Outcome:
    """Measure everything on every picture; those that cannot be read are named in the outcome and left out.

    SIGTERM ends it as Ctrl-C does, with `terminated`.  Raises BbmrError where nothing can be kept in the cache, where
    another evaluation writes to it, and where a worker process dies.
    """
    paths = list(dict.fromkeys(path for group in sets.values() for path in group))
    settings = replace(settings, jobs=max(1, min(settings.jobs, len(paths))))
    jobs = [(path, tuple(tasks), settings) for path in paths]
    total = len(jobs) * len(tasks)
    done = 0

    def count(step: Step) -> None:
        nonlocal done
        done += step.more
        told(News(step.picture, step.doing, done, total))

    found: dict[Path, PictureResults | str] = {}
    with (
        sigterm_interrupts(terminated),
        writing_to(settings.cache),
        closing(_in_parallel(jobs, settings, count)) as results,
    ):
        for path, result in results:
            found[path] = result
            told(News(path.name, "failed" if isinstance(result, str) else "complete", done, total, complete=True))
    by_set = {name: [found[path] for path in group] for name, group in sets.items()}
    return Outcome(
        {name: [one for one in group if isinstance(one, PictureResults)] for name, group in by_set.items()},
        {name: [one for one in group if isinstance(one, str)] for name, group in by_set.items()},
    )


Job = tuple[Path, tuple[Task, ...], Settings]


@dataclass(frozen=True)
class Step:
    """Of a picture: what is measured on it from now on, and how many results more are known."""

    picture: str
    doing: str
    more: int


@dataclass(frozen=True)
class Warned:
    """A warning of this package in a worker."""

    text: str
    category: type[Warning]


Told = Callable[[Step], None]
Found = Generator[tuple[Path, PictureResults | str], None, None]


def _in_parallel(jobs: Sequence[Job], settings: Settings, told: Told) -> Found:
    if settings.jobs <= 1:
        for job in jobs:
            yield job[0], _evaluate_picture(job, told)
        return
    context = get_context("spawn")  # a fork would copy torch's threads in whatever state they are
    messages: SimpleQueue[Step | Warned] = context.SimpleQueue()
    with _ended_on_error(ProcessPoolExecutor(settings.jobs, context, _begin, (messages, settings.threads))) as pool:
        of_picture = {pool.submit(_in_worker, job): job[0] for job in jobs}
        running = set(of_picture)
        while running:
            done, running = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
            while not messages.empty():  # a worker's messages come before its result
                match messages.get():
                    case Step() as step:
                        told(step)
                    case Warned(text, category):
                        warnings.warn(text, category, stacklevel=1)  # the filters here see it as this package's
            for future in done:
                yield of_picture[future], future.result()


@contextmanager
def _ended_on_error(pool: ProcessPoolExecutor) -> Iterator[ProcessPoolExecutor]:
    """Pictures take minutes, so workers are not waited for where the run is over: everything whole is in the cache."""
    others = set(active_children())
    try:
        yield pool
    except BaseException as error:
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in set(active_children()) - others:
            worker.terminate()
        if isinstance(error, BrokenProcessPool):
            raise BbmrError(
                "a worker process was killed, perhaps for want of memory; start again with fewer --jobs: "
                "what is done is kept"
            ) from error
        raise
    pool.shutdown()


_messages: "SimpleQueue[Step | Warned]"
"""Of a worker process: to the one that started it."""


def _begin(messages: "SimpleQueue[Step | Warned]", threads: int) -> None:
    global _messages  # noqa: PLW0603  # a worker's initialiser has no other way to hand it on
    _messages = messages
    worker_process.set_up(threads, lambda text, category: messages.put(Warned(text, category)))


def _in_worker(job: Job) -> PictureResults | str:
    return _evaluate_picture(job, _messages.put)


def _evaluate_picture(job: Job, told: Told) -> PictureResults | str:
    """What is known of it in the end, or a line about what went wrong."""
    path, tasks, settings = job
    left = len(tasks)
    try:
        cache = Cache(settings.cache, _content(path), settings.device)
        results = {task: result for task in tasks if (result := cache.find(task)) is not None}
        missing = [task for task in dict.fromkeys(tasks) if task not in results]
        left = len(missing)
        told(Step(path.name, "", len(tasks) - left))
        bench = _bench(path, settings) if missing else None
        for task in missing:
            assert bench is not None
            told(Step(path.name, task.key, 0))
            results[task] = result = Result(_measure(bench, task), settings.conditions)
            cache.add(task, result)
            left -= 1
            told(Step(path.name, task.key, 1))
    except OutputError:  # the run is in vain
        raise
    except BbmrError as error:
        told(Step(path.name, "", left))
        return str(error) if str(path) in str(error) else f"{path}: {error}"
    except Exception as error:  # one picture does not stop the others
        told(Step(path.name, "", left))
        return f"{path}: {type(error).__name__}: {error} (unexpected)"
    return _gather(path, {task: results[task] for task in tasks})


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PictureError(f"{path}: cannot be read ({error.strerror})") from error


def _bench(path: Path, settings: Settings) -> Bench:
    ma = MaModel.load(settings.ma_model) if settings.ma_model else None
    return Bench(read_picture(path, settings.max_pixels).in_8_bit(), settings.device, ma)


def _measure(bench: Bench, task: Task) -> Value:
    if task.system is not None:
        return bench.measure(task.system)
    return bench.block_errors(task.blocks_of, task.scales) if task.blocks_of else bench.original()


def _gather(path: Path, results: Mapping[Task, Result]) -> PictureResults:
    systems, blocks, original = {}, {}, None
    for task, result in results.items():
        match result.value:
            case Measurement() as value if task.system is not None:
                systems[task.system] = value
            case BlockErrors() as value:
                blocks[task.blocks_of] = value
            case Naturalness() as value:
                original = value
    return PictureResults(path, systems, blocks, original, frozenset(one.conditions for one in results.values()))
