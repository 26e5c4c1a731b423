"""Time spent in a part of the code: by the clock, on a GPU by what its queue takes."""

import time

import torch


class Stopwatch:
    """A context that adds up the seconds spent in it; `read` gives them and starts again."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._begun = 0.0
        self._marks: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    def __enter__(self) -> None:
        if torch.cuda.is_available():  # the clock would show how long the work takes to enter the queue
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
            self._marks.append((begin, end))
            self._marks[-1][0].record()
        else:
            self._begun = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        if self._marks:
            self._marks[-1][1].record()
        else:
            self._seconds += time.perf_counter() - self._begun

    def read(self) -> float:
        """Seconds since the last reading."""
        if self._marks:
            torch.cuda.synchronize()
            self._seconds = sum(begin.elapsed_time(end) for begin, end in self._marks) / 1000
        seconds, self._seconds, self._marks = self._seconds, 0.0, []
        return seconds
