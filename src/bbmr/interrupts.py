"""SIGTERM as an interrupt, so that there is time to tidy up: workers ended, drafts removed."""

import signal
import threading
from collections.abc import Iterator
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
