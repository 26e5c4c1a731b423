"""SIGTERM as an interrupt, so that there is time to tidy up: workers ended, drafts removed; and those that come at a
bad time kept."""

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


@contextmanager
def interrupts_delayed() -> Iterator[None]:
    """Ctrl-C and SIGTERM count after this, not during it, which has to be short: what they raise in a function that a
    library of C calls goes nowhere, and its work fails.  In the main thread alone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    known = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    before = {number: handler for number, handler in known.items() if callable(handler)}
    for number in before:
        signal.signal(number, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


@contextmanager
def sigint_held() -> Iterator[None]:
    """Ctrl-C counts after this, not during it; processes that are started here leave it alone until they say what they
    do with it.

    It goes to them too, and those that are just starting would print a trace.  In the main thread alone, and where
    signals can be blocked.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "pthread_sigmask"):
        yield
        return
    came: list[int] = []
    # Another thread may hear it for this one, where it is blocked; its effect is of this one all the same.
    before = signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        if came:
            signal.raise_signal(signal.SIGINT)
