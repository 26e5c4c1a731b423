"""How many cores there are to work on."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

CGROUP: Final = Path("/sys/fs/cgroup")
"""Where Linux says what a container is given: of one, its own."""


def cores() -> int:
    """Cores that this process may use: those it is bound to, and no more than its container is given the time of."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):  # "max 100000" where there is no limit
        quota, period = map(int, (CGROUP / "cpu.max").read_text().split())
        bound = min(bound, -(-quota // period))
    return max(1, bound)
