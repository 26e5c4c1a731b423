"""Whether half precision pays on the CPU at hand."""

import time

import torch
import torch.nn.functional as F

_RUNS = 5


def bfloat16_is_slow() -> bool:
    """Whether a CPU convolves in bfloat16 slower than in float32, as one does that has to emulate it.

    Timed, since what such instructions are called differs by architecture; takes a tenth of a second.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # several would wait for each other where cores are busy
    try:
        return _seconds(torch.bfloat16) > _seconds(torch.float32)
    finally:
        torch.set_num_threads(threads)


def _seconds(dtype: torch.dtype) -> float:
    """Of the fastest of some convolutions, so that what else the machine does matters less."""
    features = torch.ones(1, 64, 64, 64, dtype=dtype, device="cpu")
    taps = torch.ones(64, 64, 3, 3, dtype=dtype, device="cpu")
    times = []
    for _ in range(_RUNS):
        begun = time.perf_counter()
        F.conv2d(features, taps, padding=1)
        times.append(time.perf_counter() - begun)
    return min(times)
