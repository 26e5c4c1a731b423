"""Layers that several networks have.

Features are (N, C, H, W), and fastest where memory holds the channels of a sample together (channels-last): then 1x1
convolutions, LayerNorm and attention read them as they lie.
"""

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class Pointwise(nn.Conv2d):
    """1x1 convolution, as a product of matrices over the channels of each sample; (N, C, H, W).

    On one thread torch's own takes two to four times as long (`aten::_slow_conv2d_forward`).
    """

    def __init__(self, channels: int, out: int, bias: bool = True) -> None:
        super().__init__(channels, out, 1, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)


class Depthwise(nn.Conv2d):
    """3x3 convolution of each channel by itself; (N, C, H, W)."""

    def __init__(self, channels: int, bias: bool = True) -> None:
        super().__init__(channels, channels, 3, padding=1, groups=channels, bias=bias)


class GatedFeedForward(nn.Module):
    """Two branches of a depth-wise convolution, one gating the other; (N, channels, H, W)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.project_in = Pointwise(channels, 2 * hidden, bias=False)
        self.dwconv = Depthwise(2 * hidden, bias=False)
        self.project_out = Pointwise(hidden, channels, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        gate, value = self.dwconv(self.project_in(features)).chunk(2, dim=1)
        out: Tensor = self.project_out(F.gelu(gate) * value)
        return out


def channels_last(features: Tensor) -> Tensor:
    """The same (N, C, H, W), the channels of each sample together in memory."""
    return features.contiguous(memory_format=torch.channels_last)


def in_turn(groups: Iterable[nn.Module], features: Tensor, *others: Any) -> Tensor:
    """Features (N, C, H, W) through one group of layers after another, each given `others` too.

    Where the weights are fixed and only the gradients of what goes in are wanted, nothing inside a group is kept for
    them: it is made again, for half as much time more, and of all groups' memory one group's is needed.
    """
    for group in groups:
        if torch.is_grad_enabled() and features.requires_grad and not next(group.parameters()).requires_grad:
            features = checkpoint(group, features, *others, use_reentrant=False)
        else:
            features = group(features, *others)
    return features
