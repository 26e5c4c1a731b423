"""What people read beside the bar."""

from typing import Any

import pytest
from rich.progress import Progress as Bars

from bbmr.cli.overview import Overview


def test_counts_pace_and_what_is_being_worked_on(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("bbmr.cli.overview.time.monotonic", lambda: now)
    bars = Bars(disable=True)
    shown = Overview({3: "a.png", 5: "[b].png", 7: "c.png"}, bars)
    (task,) = bars.tasks

    def state() -> tuple[Any, ...]:
        return task.completed, task.total, task.description

    shown.working(3, "read")
    shown.working(5, "code")
    assert state() == (0, 3, r"0 of 3 done; a.png: read, \[b].png: code")
    now += 10
    shown.ended(5, failed=False)
    assert state() == (1, 3, "1 of 3 done, 10.0 s each; a.png: read")
    shown.put_off(3)
    assert state() == (1, 3, "1 of 3 done, 10.0 s each")
    now -= 9
    shown.ended(7, failed=True)
    assert state() == (2, 3, "1 of 3 done, 1 failed, 2.0/s")
