"""Interrupts that Python ignores are not lost."""

import signal
import sys
from collections.abc import Iterator

import pytest

from bbmr.interrupts import Terminated, interrupts_kept, sigterm_interrupts


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
