"""Where networks run, and that they give nearly the same everywhere."""

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from operator import attrgetter
from threading import Lock
from typing import Any

import torch

from bbmr.errors import BbmrError

CPU = torch.device("cpu")


def find_device(name: str) -> torch.device:
    """A device by torch's name of it: cpu, cuda, cuda:1, mps, ...  Raises BbmrError where there is none such here."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of names that torch had once
            device = torch.device(name)
            torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError, TypeError, ImportError) as error:
        reason = str(error).partition("\n")[0]
        raise BbmrError(f"device {name!r} cannot be used here ({reason}); take cpu") from error
    return device


@contextmanager
def full_float32() -> Iterator[None]:
    """Products of float32 with all of its digits, also where GPUs would round them to TF32, CPUs to bfloat16, or the
    caller has autocast on: all too coarse for samples of 8 bit.

    Threads may be in it at once; the precision is the process's, and comes back when the last of them leaves.
    """
    _precision.enter()
    try:
        with ExitStack() as stack:
            for kind in ("cpu", "cuda", "mps"):
                if torch.is_autocast_enabled(kind):
                    stack.enter_context(torch.autocast(kind, enabled=False))
            yield
    finally:
        _precision.leave()


class _Precision:
    """What torch rounds factors of float32 to, full while anybody is in."""

    _PLACES = ("cuda.matmul", "cudnn.conv", "cudnn.rnn", "mkldnn.matmul", "mkldnn.conv", "mkldnn.rnn")

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0
        self._before: list[Any] = []

    def enter(self) -> None:
        with self._lock:
            if not self._inside:
                self._before = self._exchange(None)
            self._inside += 1

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._exchange(self._before)

    def _exchange(self, new: list[Any] | None) -> list[Any]:
        """Set the precisions, full ones where none are given; gives those that were set before."""
        if not hasattr(torch.backends.cudnn, "conv"):  # before torch 2.9, whose settings refuse to be mixed with these
            old = [torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32]
            matmul, torch.backends.cudnn.allow_tf32 = new or ("highest", False)
            torch.set_float32_matmul_precision(matmul)
            return old
        places = [attrgetter(name)(torch.backends) for name in self._PLACES]
        old = [place.fp32_precision for place in places]
        for place, precision in zip(places, new or ["ieee"] * len(places), strict=True):
            place.fp32_precision = precision
        return old


_precision = _Precision()
