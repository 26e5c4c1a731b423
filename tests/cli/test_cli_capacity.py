"""How many files at the same time."""

import sys
from pathlib import Path

import pytest
import torch

from bbmr.cli import capacity
from bbmr.cli.capacity import WORKER_MEMORY, default_jobs, free_memory, threads_each
from bbmr.cores import cores


@pytest.fixture
def container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for module in (capacity, sys.modules[cores.__module__]):
        monkeypatch.setattr(module, "CGROUP", tmp_path)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    return tmp_path


def test_a_container_has_the_cores_that_it_is_given_the_time_of(container: Path) -> None:
    assert cores() == 8
    for quota, expected in (("max 100000", 8), ("150000 100000", 2), ("1000 100000", 1), ("9000000 100000", 8)):
        (container / "cpu.max").write_text(f"{quota}\n")
        assert cores() == expected


def test_memory_is_that_of_the_container_if_it_has_less(container: Path) -> None:
    machine = free_memory()
    (container / "memory.max").write_text("max\n")
    (container / "memory.current").write_text("1000000\n")
    assert (free_memory() is None) == (machine is None)
    (container / "memory.max").write_text("3000000\n")
    assert free_memory() == 2_000_000


def test_as_many_as_cores_memory_and_files_are_there_for(container: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "free_memory", lambda: None)
    assert [default_jobs(files, "cpu") for files in (0, 1, 2, 3, 4, 9, 100)] == [1, 1, 1, 1, 2, 4, 8]
    assert default_jobs(100, "cuda:0") == 1
    for memory, expected in ((0, 1), (2.9, 2), (50, 8)):
        monkeypatch.setattr(capacity, "free_memory", lambda memory=memory: int(memory * WORKER_MEMORY))
        assert default_jobs(100, "cpu") == expected


def test_processes_times_threads_are_the_cores(container: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 6)
    assert [threads_each(jobs) for jobs in (1, 2, 3, 8, 20)] == [6, 4, 2, 1, 1]
