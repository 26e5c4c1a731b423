"""How far a run over several files is, for people who look on."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as Bars


class Overview:
    """One bar for all files: how many are done and failed, how long one takes, and what is being worked on.

    names: of the files, by what they are spoken of.  bars: where to show it; None: nowhere.
    """

    def __init__(self, names: Mapping[int, str], bars: "Bars | None") -> None:
        self._names, self._bars = names, bars
        self._done = self._failed = 0
        self._stages: dict[int, str] = {}
        self._start = time.monotonic()
        self._task = None if bars is None else bars.add_task("", total=len(names))

    def working(self, index: int, stage: str) -> None:
        """A file is being worked on, and that is how far it is."""
        self._stages[index] = stage
        self._show()

    def put_off(self, index: int) -> None:
        """A file is not worked on any more, and will be again."""
        self._stages.pop(index, None)
        self._show()

    def ended(self, index: int, failed: bool) -> None:
        """Nothing more is to be done of a file."""
        self._stages.pop(index, None)
        self._failed += failed
        self._done += not failed
        self._show()

    def _show(self) -> None:
        if self._bars is None or self._task is None:
            return
        from rich.markup import escape

        ended = self._done + self._failed
        counts = f"{self._done} of {len(self._names)} done" + (f", {self._failed} failed" if self._failed else "")
        if ended:
            seconds = (time.monotonic() - self._start) / ended
            counts += f", {1 / seconds:.1f}/s" if seconds < 1 else f", {seconds:.1f} s each"
        stages = ", ".join(f"{self._names[index]}: {stage}" for index, stage in self._stages.items())
        text = f"{counts}; {stages}" if stages else counts
        self._bars.update(self._task, completed=ended, description=escape(text))
