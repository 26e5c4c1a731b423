"""What a process is set up with that works for another one."""

import os
import signal
import threading
import warnings
from collections.abc import Callable
from multiprocessing import connection, parent_process
from typing import TextIO

import torch


def set_up(threads: int, warned: Callable[[str, type[Warning]], None]) -> None:
    """To be called first in a process that multiprocessing has started.

    It ends with the process that started it, which also is the one to heed Ctrl-C.  threads: of torch.  warned: is
    given the warnings of this package; those of others are about their insides.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(threads)

    def hand_on(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        warned(str(message), category)

    warnings.simplefilter("ignore")
    warnings.filterwarnings("always", category=UserWarning, module=r"bbmr\b")
    warnings.showwarning = hand_on


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever."""
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)  # whatever the main thread does: files are written whole or not at all
