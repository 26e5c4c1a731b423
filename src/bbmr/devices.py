"""Where networks run, and that they give nearly the same everywhere."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

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
    """Products of float32 with all of its digits, also on GPUs that would round them to TF32: too coarse for samples of
    8 bit.
    """
    precision, convolutions = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(precision)
        torch.backends.cudnn.allow_tf32 = convolutions
