"""Interrupts that Python ignores are not lost."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from bbmr.interrupts import Terminated, interrupts_delayed, interrupts_kept, sigint_held, sigterm_interrupts


class Unlucky:
    """A signal comes while this is finalised."""

    def __init__(self, number: signal.Signals) -> None:
        self.number = number

    def __del__(self) -> None:
        signal.raise_signal(self.number)


@pytest.fixture(autouse=True)
def ignored(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[type[BaseException]]]:
    """What Python ignores."""
    found: list[type[BaseException]] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: found.append(unraisable.exc_type))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield found
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_one_that_a_finaliser_swallows_is_raised_at_the_next_part(
    number: signal.Signals, raised: type[BaseException], ignored: list[type[BaseException]]
) -> None:
    before = signal.getsignal(number)
    with sigterm_interrupts(Terminated), interrupts_kept() as heed:
        heed()
        Unlucky(number)
        assert ignored == [raised]
        with pytest.raises(raised):
            heed()
    assert signal.getsignal(number) == before


def test_others_are_raised_at_once() -> None:
    with interrupts_kept(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_what_was_ignored_stays_so() -> None:
    """In the background of a shell Ctrl-C is for others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interrupts_kept() as heed:
        signal.raise_signal(signal.SIGINT)
        heed()
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN


@pytest.mark.parametrize("other_threads", [False, True])
def test_one_that_is_held_is_raised_afterwards(other_threads: bool) -> None:
    over = threading.Event()
    if other_threads:  # which have not blocked it
        threading.Thread(target=over.wait).start()
    went_on = []

    def interrupted() -> None:
        with sigint_held():
            os.kill(os.getpid(), signal.SIGINT)
            went_on.append(True)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    over.set()
    assert went_on
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_processes_that_are_started_meanwhile_leave_it_alone() -> None:
    interrupted = "import os, signal; os.kill(os.getpid(), signal.SIGINT); print('on')"
    with sigint_held():
        done = subprocess.run([sys.executable, "-c", interrupted], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("on\n", "", 0)


def test_one_that_is_delayed_comes_afterwards() -> None:
    before = signal.getsignal(signal.SIGINT)
    done: list[str] = []

    def work() -> None:
        with interrupts_delayed():
            signal.raise_signal(signal.SIGINT)
            done.append("all")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["all"]
    assert signal.getsignal(signal.SIGINT) == before
