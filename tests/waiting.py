"""Waiting for what other processes do."""

import time
from collections.abc import Callable


def until(true: Callable[[], bool], seconds: float) -> None:
    """Until a condition holds; it has to before so many seconds are over."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)
