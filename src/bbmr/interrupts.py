"""SIGTERM as an interrupt, so that there is time to tidy up: workers ended, drafts removed; and interrupts not lost."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(KeyboardInterrupt):
    """SIGTERM came, not Ctrl-C."""


@contextmanager
def sigterm_interrupts(raised: type[KeyboardInterrupt] = KeyboardInterrupt) -> Iterator[None]:
    """SIGTERM raises `raised`.  In the main thread alone: others have no signals."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise raised

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


@contextmanager
def interrupts_kept() -> Iterator[Callable[[], None]]:
    """What raises an interrupt that came while this lasts, again.

    Python ignores one that comes while a finaliser or a callback of a weak reference runs, after a line on stderr, and
    the work goes on.  To be called between its parts.  In the main thread alone, inside `sigterm_interrupts`.
    """
    came: list[type[KeyboardInterrupt]] = []

    def heed() -> None:
        if came:
            raise came[0]

    if threading.current_thread() is not threading.main_thread():
        yield heed
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def keep(number: int, frame: FrameType | None) -> None:
        handler = before[signal.Signals(number)]
        assert callable(handler)  # else it would not have been replaced
        try:
            handler(number, frame)
        except KeyboardInterrupt as error:
            came.append(type(error))
            raise

    replaced = [number for number, handler in before.items() if callable(handler)]
    for number in replaced:
        signal.signal(number, keep)
    try:
        yield heed
    finally:
        for number in replaced:
            signal.signal(number, before[number])
