"""`fast`: plain 3x3 convolutions on the H/4 grid, told the scale of every position.

    pixels (48) --head--+-> [conv, + bias of the scale, SiLU, conv, x gain of the scale, + ] x pairs -+-> tail -> 48
                        +---------------------------------------------------------------------------+

The neighbourhood of an output position is bounded (`reach`), so a tile with that halo gives the samples of the whole
picture.  The scale enters as one learned bias and one learned gain per channel in every pair: one set of weights
serves every map, and each scale still gets a response of its own.  `CodedFast` is told the quality too that the LR
samples of each scale were coded at.
"""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bbmr.networks.initial import set_to_zero

LEVELS = 5  # scales 1, 2, 4, 8, 16 as their base-2 logarithm
POSITION = 4  # pixels per side of one position of the grid
PIXELS = 3 * POSITION**2  # RGB
# Detail is a few hundredths of the value range.  Without a gain SiLU sees it around zero, where it is all but linear,
# and training stops at the best linear filter (0.5 dB over bicubic); with 100 it is past that after 250 steps.
GAIN = 100.0
KNOTS = 6
"""Qualities, evenly spaced from 0 to 1, that `CodedFast` has responses of its own for; between them it interpolates."""
HIGHEST_TRAINED = 80
"""Quality of the codec up to which it is trained at full size.  It is told no more than that: what it makes of a
quality that it has never seen is arbitrary (docs/rate-distortion.md).
"""
_TABLES = ("bias", "gain", "head_bias")
_LUMA = (65.481 / 219, 128.553 / 219, 24.966 / 219)  # BT.601, as `bbmr.luma`


Lookup = Callable[[Tensor, torch.dtype], Tensor]
"""A table with a row for every condition, (conditions, C) -> what holds at each position, (N, C, h, w); or
(N, C, 1, 1), where that is the same at all.
"""


class ConditionedPair(nn.Module):
    """Residual pair of 3x3 convolutions that answers to the condition of each position, (N, C, h, w) -> the same."""

    def __init__(self, channels: int, conditions: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.bias = nn.Parameter(torch.zeros(conditions, channels))
        self.gain = nn.Parameter(torch.ones(conditions, channels))

    def forward(self, features: Tensor, look_up: Lookup) -> Tensor:
        # Half of the time goes to what is not convolutions: as few new tensors as autograd allows.
        inner = self.first(features)
        inner = F.silu(inner.add_(look_up(self.bias, inner.dtype)), inplace=not torch.is_grad_enabled())
        inner = self.second(inner)
        return torch.addcmul(features, inner, look_up(self.gain, inner.dtype))


class Fast(nn.Module):
    """The network `fast`: 0.25 million multiply-accumulates per position of the H/4 grid at its default size.

    Input: pixels (N, 48, h, w), the picture after pixel-unshuffle by 4, nominally in [0, 1]; levels (N, h, w) int64,
    base-2 logarithm of the scale at each position.  Output: (N, 48, h, w), the correction before pixel shuffle.
    With `pixels` other than 48, pictures of other than three channels.
    """

    def __init__(self, channels: int = 48, pairs: int = 5, pixels: int = PIXELS, conditions: int = LEVELS) -> None:
        super().__init__()
        self.head = nn.Conv2d(pixels, channels, 3, padding=1)
        self.head_bias = nn.Parameter(torch.zeros(conditions, channels))
        self.body = nn.ModuleList(ConditionedPair(channels, conditions) for _ in range(pairs))
        self.tail = nn.Conv2d(channels, pixels, 3, padding=1)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        # An untrained network leaves the mosaic as it is.
        set_to_zero(self.tail)

    @property
    def reach(self) -> int:
        """Positions of the H/4 grid, in each direction, that an output position depends on."""
        return 2 + 2 * len(self.body)

    def forward(self, pixels: Tensor, levels: Tensor) -> Tensor:
        rows = _once_where_alike(levels)
        return self._correction(pixels, lambda table, dtype: _per_position(table.to(dtype), rows))

    def _correction(self, pixels: Tensor, look_up: Lookup) -> Tensor:
        shallow = self.head((pixels - 0.5) * GAIN)
        shallow = shallow.add_(look_up(self.head_bias, shallow.dtype))
        features = shallow
        for pair in self.body:
            features = pair(features, look_up)
        correction: Tensor = self.tail(features + shallow) / GAIN
        return correction


class CodedFast(Fast):
    """`Fast` for LR samples that a lossy codec has been through.

    Takes and gives what `Fast` does, and qualities (N, LEVELS) in [0, 1] besides: that of the samples of each scale.
    Every scale has a bias and a gain at each of KNOTS qualities; what holds between two of them is interpolated.
    """

    def __init__(self, channels: int = 48, pairs: int = 5, pixels: int = PIXELS) -> None:
        super().__init__(channels, pairs, pixels, conditions=LEVELS * KNOTS)

    def forward(self, pixels: Tensor, levels: Tensor, qualities: Tensor) -> Tensor:  # type: ignore[override]
        shares = _shares_of_knots(qualities)
        rows = _once_where_alike(levels) + LEVELS * torch.arange(len(levels), device=levels.device).view(-1, 1, 1)

        def look_up(table: Tensor, dtype: torch.dtype) -> Tensor:
            own = torch.einsum("nlk,lkc->nlc", shares, table.view(LEVELS, KNOTS, -1))
            return _per_position(own.flatten(0, 1).to(dtype), rows)

        return self._correction(pixels, look_up)


def as_coded(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State of a `Fast` -> that of a `CodedFast` which corrects as it does, whatever the quality."""
    return {
        key: part.repeat_interleave(KNOTS, 0) if key.rsplit(".", 1)[-1] in _TABLES and part.dim() == 2 else part
        for key, part in state.items()
    }


def is_smaller(state: Mapping[str, Tensor], larger: Mapping[str, Tensor]) -> bool:
    """Whether a state is of a network like another that has more channels or pairs."""
    sizes = {key: part.shape for key, part in state.items()}
    limits = {key: part.shape for key, part in larger.items()}
    fits = sizes.keys() <= limits.keys() and all(
        len(size) == len(limits[key]) and all(own <= limit for own, limit in zip(size, limits[key], strict=True))
        for key, size in sizes.items()
    )
    return fits and sizes != limits


def grown(state: Mapping[str, Tensor], larger: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State of a `CodedFast` -> that of one of more channels or pairs, which gives the same until it is trained.

    larger: a state of that, with random weights, which the new channels take; the old ones do not hear them yet, and
    new pairs add nothing.
    """
    whole = {key: part.clone() for key, part in larger.items()}
    for key, part in whole.items():
        old = state.get(key)
        if old is None:
            if ".second." in key:
                part.zero_()
        elif part.dim() == 2:  # a table
            part[:, : old.shape[1]] = old
        else:
            rows = part[: old.shape[0]]
            if part.dim() > 1:
                rows[:, old.shape[1] :] = 0
                rows = rows[:, : old.shape[1]]
            rows.copy_(old)
    return whole


def _shares_of_knots(qualities: Tensor) -> Tensor:
    """(N, LEVELS) in [0, 1] -> shares (N, LEVELS, KNOTS) of the two knots around each; they sum to 1."""
    knots = torch.arange(KNOTS, device=qualities.device)
    return (1 - (qualities.unsqueeze(2) * (KNOTS - 1) - knots).abs()).clamp_min(0)


class FastLuma(nn.Module):
    """`fast` in small, for the luma alone: it tells what a network would repair, for a ninth of the cost.

    Takes and gives what `Fast` does; the correction of the luma is the same for all three colours.  `on_luma` is the
    network for pictures that are luma already, pixels (N, 16, h, w).
    """

    luma: Tensor

    def __init__(self, channels: int = 24, pairs: int = 2) -> None:
        super().__init__()
        self.on_luma = Fast(channels, pairs, PIXELS // 3)
        self.register_buffer("luma", torch.tensor(_LUMA), persistent=False)

    @property
    def reach(self) -> int:
        """As `Fast.reach`."""
        return self.on_luma.reach

    def forward(self, pixels: Tensor, levels: Tensor) -> Tensor:
        n, _, height, width = pixels.shape
        luma = (pixels.reshape(n, 3, -1, height, width) * self.luma.view(3, 1, 1, 1)).sum(1)
        correction: Tensor = self.on_luma(luma, levels).repeat(1, 3, 1, 1)
        return correction


def _once_where_alike(levels: Tensor) -> Tensor:
    """(N, h, w); or (N, 1, 1), where each picture has one level all over."""
    first = levels[:, :1, :1]
    return first if bool((levels == first).all()) else levels


def _per_position(table: Tensor, rows: Tensor) -> Tensor:
    """(conditions, C) looked up at (N, h, w) -> (N, C, h, w) in channels-last memory; a gather, no multiplications."""
    found = table.index_select(0, rows.flatten())
    return found.view(*rows.shape, -1).permute(0, 3, 1, 2)
