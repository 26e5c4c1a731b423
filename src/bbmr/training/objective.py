"""What a step minimises, and how large the step may be."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from bbmr.training.recipe import Loss, Schedule


def training_loss(restored: Tensor, hr: Tensor, loss: Loss) -> Tensor:
    """The loss of a batch, both (N, 3, H, W) RGB in [0, 1]; a mean over its crops."""
    if loss.name == "rgb_l1":
        return (restored - hr).abs().mean()
    return _LOSSES[loss.name](*_components(restored - hr), loss.chroma)


def rate_factor(step: int, steps: int, schedule: Schedule) -> float:
    """What the rates of step number `step` of `steps`, from 0, are multiplied by.

    wsd ("warm-up, stable, decay"; S. Hu et al., "MiniCPM", 2024) is constant until its last part.  A cosine has to know
    the number of steps from the start; wsd can be prolonged from the checkpoint that it leaves where the decay begins.
    step is what many papers on SR have.
    """
    warm = min(1.0, (step + 1) / schedule.warm_up)
    if schedule.name == "cosine":
        return warm * 0.5 * (1 + math.cos(math.pi * step / steps))
    if schedule.name == "step":
        return warm * 0.5 ** (step // schedule.halving_interval(steps))
    return min(warm, (steps - step) / (steps * schedule.decay))


def _components(error: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Errors in RGB (N, 3, H, W) -> errors in Y, Cb and Cr (full range BT.601), each (N, H, W): chroma is weighted
    down, as by eyes and PSNR-Y.
    """
    red, green, blue = error.unbind(1)
    y = 0.299 * red + 0.587 * green + 0.114 * blue
    return y, 0.564 * (blue - y), 0.713 * (red - y)


def _l1(y: Tensor, cb: Tensor, cr: Tensor, chroma: float) -> Tensor:
    return y.abs().mean() + chroma * (cb.abs().mean() + cr.abs().mean())


def _psnr(y: Tensor, cb: Tensor, cr: Tensor, chroma: float) -> Tensor:
    """Log of each crop's squared error, its PSNR but for a factor (L. Chen et al., "Simple Baselines for Image
    Restoration", ECCV 2022).
    """
    squared = (y.square() + chroma * (cb.square() + cr.square())).mean((1, 2))
    # Two grey levels squared: crops that are all but exact should not outweigh the others.
    return torch.log(squared + 2 / 255**2).mean()


_LOSSES: dict[str, Callable[[Tensor, Tensor, Tensor, float], Tensor]] = {"l1": _l1, "psnr": _psnr}
