"""Work on many files by several processes.

Each worker has a pipe of its own to the process that started it, and no lock or queue with the others: one that dies
in the midst of a file takes nothing along but this file, and it is known which.
"""

import signal
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import connection, get_context, resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

from bbmr.cli.capacity import threads_each
from bbmr.cli.outcome import Done, Failed, Item, Outcome, Work, attempt
from bbmr.errors import BbmrError
from bbmr.interrupts import sigint_held
from bbmr.progress import Progress

_OFTEN = 0.2  # seconds between two news of a file
_SIGKILL = -9  # as the exit code of a process; not every system has the name


@dataclass(frozen=True)
class Stage:
    """How far the file `index` is."""

    index: int
    name: str


@dataclass(frozen=True)
class PutOff:
    """The worker on the file `index` died; it will be tried again when no other is at work."""

    index: int


Told = Callable[[Stage | PutOff], None]


@dataclass(frozen=True)
class _Ready:
    pass


@dataclass(frozen=True)
class _Warned:
    """text: names the file."""

    text: str
    category: type[Warning]


@dataclass(frozen=True)
class _Died:
    exitcode: int | None

    def __str__(self) -> str:
        if self.exitcode is None or self.exitcode >= 0:
            return f"ended with exit code {self.exitcode}"
        with suppress(ValueError):
            return f"was killed by {signal.Signals(-self.exitcode).name}"
        return f"was killed by signal {-self.exitcode}"


def stages_of(index: int, told: Callable[[Stage], None]) -> Progress:
    """What the work on a file reports to: tells of its stages, but not all the time."""
    last = -_OFTEN

    def progress(stage: str, done: float) -> None:
        nonlocal last
        if time.monotonic() >= last + _OFTEN:
            last = time.monotonic()
            told(Stage(index, stage))

    return progress


def by_workers(
    items: Sequence[tuple[Path, Item]], wanted: Sequence[int], work: Work[Item], jobs: int, told: Told
) -> Generator[tuple[int, Outcome], None, None]:
    """Do `work` on the items `wanted`, by `jobs` processes that share the cores: (index, outcome) as they end.

    A file whose worker dies is tried once more in the end, with no other beside it: with the memory of all, and so that
    it is known which file it was.  Warnings of the workers become warnings here, and name the file.  Nothing of the
    processes is left when the generator is closed.  Raises BbmrError where no worker can be started.
    """
    threads = threads_each(jobs)
    died = []
    with closing(_run(items, wanted, work, jobs, threads, told)) as found:
        for index, outcome in found:
            if isinstance(outcome, _Died):
                told(PutOff(index))
                died.append(index)
            else:
                yield index, outcome
    for index in sorted(died):
        with closing(_run(items, [index], work, 1, threads, told)) as found:
            for _, outcome in found:
                yield index, _failed(items[index][0], outcome) if isinstance(outcome, _Died) else outcome


def _failed(path: Path, death: _Died) -> Failed:
    reason = f"the process that worked on it {death}, and so when it was tried again alone"
    if death.exitcode == _SIGKILL:
        reason += "; systems do that where memory runs out"
    return Failed(f"{path}: {reason}", reason)


def _run(
    items: Sequence[tuple[Path, Item]], wanted: Sequence[int], work: Work[Item], jobs: int, threads: int, told: Told
) -> Generator[tuple[int, Outcome | _Died], None, None]:
    waiting = deque(wanted)
    with _Crew(work, jobs, threads) as crew:
        while waiting or crew.busy:
            crew.suit(len(waiting))
            for worker in crew.ready[: len(waiting)]:
                index = waiting.popleft()
                worker.begin(index, *items[index])
            for worker in crew.with_news():
                match worker.hear():
                    case Stage() as stage:
                        told(stage)
                    case _Died() as death:
                        crew.lose(worker, death)
                        if worker.index is not None:
                            yield worker.index, death
                    case Done() | Failed() as outcome:
                        yield worker.finish(), outcome


class _Crew:
    """Worker processes, `size` at most; all are gone at the end of a `with` block."""

    def __init__(self, work: Work[Any], size: int, threads: int) -> None:
        self._new = partial(_Worker, work, threads)
        self._size = size
        self._workers: list[_Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.end()

    @property
    def busy(self) -> bool:
        """Whether any file is being worked on."""
        return any(worker.index is not None for worker in self._workers)

    @property
    def ready(self) -> list["_Worker"]:
        """Those that can begin with a file."""
        return [worker for worker in self._workers if worker.ready and worker.index is None]

    def suit(self, waiting: int) -> None:
        """Start as many as there is work for; end the others, whose memory is for those at work."""
        idle = [worker for worker in self._workers if worker.index is None]
        for worker in idle[waiting:]:
            self._workers.remove(worker)
            worker.end()
        for _ in range(min(waiting - len(idle), self._size - len(self._workers))):
            self._workers.append(self._new())

    def with_news(self) -> list["_Worker"]:
        """Those that have any; waits for them."""
        pipes = connection.wait([worker.pipe for worker in self._workers])
        return [worker for worker in self._workers if worker.pipe in pipes]

    def lose(self, worker: "_Worker", death: _Died) -> None:
        """Go on without one that died.  Raises BbmrError where there is none left to go on with."""
        self._workers.remove(worker)
        worker.end()
        if not worker.ready and not self._workers:
            raise BbmrError(f"a worker process {death} before it had begun; try --jobs 1")
        if not worker.ready or death.exitcode == _SIGKILL:
            self._size = max(1, self._size - 1)  # there was no memory for so many, most likely


class _Worker:
    """A worker process, seen from the one that started it.

    pipe: has news of it.  ready: whether it has begun to take files.  index: of the file that it works on, if any.
    """

    def __init__(self, work: Work[Any], threads: int) -> None:
        context = get_context("spawn")  # a fork would copy torch's threads in whatever state they are
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, work, threads), daemon=True)
        resource_tracker.ensure_running()  # else started along with the process, after which SIGINT is not blocked
        with sigint_held():
            self.process.start()
        theirs.close()  # so that the pipe ends with the worker
        self.ready = False
        self.index: int | None = None

    def begin(self, index: int, path: Path, item: Any) -> None:
        """Hand it a file."""
        self.index = index
        with suppress(OSError):  # it has just died, as its pipe will say
            self.pipe.send((index, path, item))

    def hear(self) -> Stage | Outcome | _Died | None:
        """Its next news, if they concern others."""
        try:
            news = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            return _Died(self.process.exitcode)
        match news:
            case _Ready():
                self.ready = True
            case _Warned(text, category):
                warnings.warn(text, category, stacklevel=1)  # the filters here see it as this package's
            case Stage() | Done() | Failed():
                return news
        return None

    def finish(self) -> int:
        """The file that it has done; it can begin with another."""
        index, self.index = self.index, None
        assert index is not None
        return index

    def end(self) -> None:
        """Wherever it is, if anywhere: files are written whole or not at all."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _serve(pipe: Connection, work: Work[Any], threads: int) -> None:
    """What a worker process does: files come in, news of them go out."""
    from bbmr import worker_process

    one_at_a_time = threading.Lock()
    path: Path | None = None

    def send(news: object) -> None:
        with one_at_a_time:  # warnings come from any thread
            pipe.send(news)

    def warned(text: str, category: type[Warning]) -> None:
        send(_Warned(text if path is None or str(path) in text else f"{path}: {text}", category))

    worker_process.set_up(threads, warned)
    with suppress(EOFError, OSError):  # the other process is gone
        send(_Ready())
        while True:
            index, path, item = pipe.recv()
            send(attempt(path, item, work, stages_of(index, send)))
