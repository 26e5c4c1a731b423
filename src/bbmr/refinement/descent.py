"""The descent that refines LR samples: momentum, and a rate for each scale that it finds by itself.

A sample of scale k stands for k x k pixels, and how strongly a network answers to it differs from scale to scale, from
network to network.  A first, cautious step tells how the gradient changes along it (the secant of J. Barzilai,
J. Borwein, "Two-point step size gradient methods", IMA J. Numer. Anal. 1988); the rates that follow from that then fall
slowly.  Adam takes two to four times as many steps (docs/how-it-works.md).
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from bbmr.refinement.restoration import Restoration, Samples, total

_FIRST_RATE = 0.15  # of 1/(2 k^2), where one step would do if enlarging repeated samples; SR networks do more with them
_RATES = 0.01, 4.0  # within which the others lie: a few blocks of a scale tell little of it
_DECAY, _LEAST = 0.9, 0.3  # of the rates from step to step, down to this share
_MOMENTUM = 0.6
_WORTHWHILE = 2e-4  # share of the error that a step has to save for another to follow
_ROUNDING = 1 / 12  # grey levels squared per pixel, the error of rounding to 8 bit
_WEIGHT, _HEAVIEST = 1.5, 256.0  # what blocks that have become worse count more, after each step


class Descent:
    """samples: where it has come to.  best: where the error is least of what it has looked at, and that error is
    `least`; ahead: whether `samples` are a step further, and not looked at yet.  before: errors at the start.
    """

    def __init__(self, restoration: Restoration, start: Mapping[int, Tensor]) -> None:
        self._restoration = restoration
        self.samples: Samples = {k: own.clone() if k > 1 else own for k, own in start.items()}
        self._weights = np.ones(restoration.scales.shape)
        self._gradients, self.before = restoration.gradient(self.samples, self._weights)
        self.best, self.least = start, total(self.before)
        self._rates = {k: _FIRST_RATE / (2 * k * k) for k in self._gradients}
        self._velocity = {k: torch.zeros_like(gradient) for k, gradient in self._gradients.items()}
        self._steps = 1
        self.ahead = True
        self._move()

    def step(self) -> bool:
        """Take one more step; False where the last one has saved too little for that, or nothing is left to save."""
        if self.least == 0:
            return False
        gradients, errors = self._restoration.gradient(self.samples, self._weights)
        error = total(errors)
        if self._steps == 1:
            self._rates = {k: self._secant_rate(k, gradients[k]) for k in gradients}
        elif error > self.least:
            self._rates = {k: rate / 2 for k, rate in self._rates.items()}
        if error > self.least:  # too far: on from the best, more slowly
            self.samples = {k: own.clone() if k > 1 else own for k, own in self.best.items()}
            self._velocity = {k: torch.zeros_like(own) for k, own in self._velocity.items()}
        else:
            settled = self._steps > 1 and error > (1 - _WORTHWHILE) * self.least
            self.best = {k: own.clone() if k > 1 else own for k, own in self.samples.items()}
            self.least, self._gradients = error, gradients
            if settled:
                self.ahead = False
                return False
            worse = (errors > self.before + _ROUNDING * self._restoration.grid.costs(1)).any(0)
            self._weights[worse] = np.minimum(self._weights[worse] * _WEIGHT, _HEAVIEST)
        self._steps += 1
        self._move()
        return True

    def _move(self) -> None:
        share = max(_DECAY ** max(self._steps - 2, 0), _LEAST)
        for k, rate in self._rates.items():
            self._velocity[k].mul_(_MOMENTUM).sub_(self._gradients[k], alpha=share * rate)
            self.samples[k].add_(self._velocity[k]).clamp_(0, 1)
            self._restoration.fill(self.samples[k], k)

    def _secant_rate(self, factor: int, gradient: Tensor) -> float:
        """The rate that would have led to the least error along the first step, were that quadratic."""
        moved = self._restoration.without_repeated(self.samples[factor] - self.best[factor], factor)
        curvature = float((moved * (gradient - self._gradients[factor])).sum())
        if curvature <= 0:
            return self._rates[factor]
        low, high = (bound / (2 * factor * factor) for bound in _RATES)
        return min(max(float(moved.square().sum()) / curvature, low), high)
