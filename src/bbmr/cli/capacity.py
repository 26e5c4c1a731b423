"""How much of this machine a run over many files may take."""

from contextlib import suppress
from pathlib import Path

from bbmr.cores import CGROUP, cores

WORKER_MEMORY = 5 << 28
"""Bytes that one process is taken to need: it was 1.2 GiB for a picture of 24 megapixels, 0.4 for one of 0.5."""


def free_memory() -> int | None:
    """Bytes that can be taken without swapping, in the container too; None where the system does not say."""
    found = []
    with suppress(OSError, ValueError, IndexError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        (line,) = (line for line in lines if line.startswith("MemAvailable:"))
        found.append(int(line.split()[1]) * 1024)
    with suppress(OSError, ValueError):
        limit, used = (int((CGROUP / name).read_text()) for name in ("memory.max", "memory.current"))
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
