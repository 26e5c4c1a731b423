"""How much of this machine a run over many files may take."""

import os
from contextlib import suppress
from pathlib import Path

WORKER_MEMORY = 5 << 28
"""Bytes that one process is taken to need: it was 1.2 GiB for a picture of 24 megapixels, 0.4 for one of 0.5."""

_CGROUP = Path("/sys/fs/cgroup")  # of a container, its own


def cores() -> int:
    """Cores that this process may use: those it is bound to, and no more than its container is given the time of."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):  # "max 100000" where there is no limit
        quota, period = map(int, (_CGROUP / "cpu.max").read_text().split())
        bound = min(bound, -(-quota // period))
    return max(1, bound)


def free_memory() -> int | None:
    """Bytes that can be taken without swapping, in the container too; None where the system does not say."""
    found = []
    with suppress(OSError, ValueError, IndexError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        (line,) = (line for line in lines if line.startswith("MemAvailable:"))
        found.append(int(line.split()[1]) * 1024)
    with suppress(OSError, ValueError):
        limit, used = (int((_CGROUP / name).read_text()) for name in ("memory.max", "memory.current"))
        found.append(limit - used)
    return min(found, default=None)


def default_jobs(files: int, device: str) -> int:
    """Files at a time, where nobody says: one for each core, as far as memory goes and there are two for each, since
    processes take a while to start; one where a GPU does the work.
    """
    if device != "cpu":
        return 1
    memory = free_memory()
    fitting = files if memory is None else memory // WORKER_MEMORY
    return max(1, min(cores(), files // 2, fitting))


def threads_each(jobs: int) -> int:
    """Threads of torch in each of several processes, so that together they have the cores; no more than one alone."""
    import torch

    return max(1, min(torch.get_num_threads(), cores() // jobs))
