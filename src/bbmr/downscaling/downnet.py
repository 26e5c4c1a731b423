"""Down-Net: a learned downscaler, linear, that adds to MATLAB bicubic what its SR network can make use of.

    HR picture -3x3-> 32 channels -[3x3 of stride 2, + means of 2 x 2] x log2(k)-> -1x1-> + bicubic LR -> LR picture

The sensing network of Z. Fan, S. Lian, Y. Quan, "Global Sensing and Measurements Reuse for Image Compressed Sensing",
CVPR 2022, as Li & Zhou (AAAI-25) take it: no bias, no activation.  So it is one filter with a stride of k, bicubic
included, which `fold` finds and the sender uses.
"""

from collections.abc import Iterable, Mapping
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bbmr.depth import Samples
from bbmr.downscaling import shrink_in_tiles
from bbmr.downscaling.bicubic import downscale, extend

COLOURS = 3
CHANNELS = 32
_MARGIN = 2  # LR samples


class DownNet(nn.Module):
    """(N, 3, H, W) in [0, 1] -> (N, 3, ceil(H/k), ceil(W/k)), neither clipped nor rounded; k a power of two.

    Beyond its border the picture is mirrored, edge pixel included, as for bicubic; before training it is bicubic.
    """

    def __init__(self, factor: int) -> None:
        super().__init__()
        if factor < 2 or factor & (factor - 1):
            raise ValueError(f"Down-Net shrinks by powers of two, not by {factor}")
        self.factor = factor
        self.first = nn.Conv2d(3, CHANNELS, 3, padding=1, bias=False)
        self.halvings = nn.ModuleList(
            nn.Conv2d(CHANNELS, CHANNELS, 3, stride=2, padding=1, bias=False) for _ in range(factor.bit_length() - 1)
        )
        self.last = nn.Conv2d(CHANNELS, 3, 1, bias=False)
        nn.init.zeros_(self.last.weight)

    def forward(self, picture: Tensor) -> Tensor:
        rows, cols = (-(-length // self.factor) for length in picture.shape[2:])
        # An LR sample depends on k pixels to either side of the first one that it stands for.  So the zeros that the
        # convolutions take beyond their input do not reach what is left of it.
        features = picture
        for dim in (2, 3):
            features = extend(features, _MARGIN * self.factor, self.factor, dim)
        features = self.first(features)
        for halve in self.halvings:
            features = halve(features) + F.avg_pool2d(features, 2)
        learned = self.last(features)[:, :, _MARGIN : _MARGIN + rows, _MARGIN : _MARGIN + cols]
        lr: Tensor = downscale(picture, self.factor) + learned
        return lr


def fold(network: DownNet) -> Tensor:
    """The filter that a DownNet is, bicubic included: (3, 3, 4k, 4k), for each colour of the LR picture the weights of
    the pixels from 3k/2 before the k x k that a sample stands for to 3k/2 after them.

    Differentiable, and much cheaper than the layers themselves: training goes through it too.
    """
    factor = network.factor
    # From an LR sample back to the pixels: each layer, transposed, spreads what follows it over what it looks at.
    taps = network.last.weight
    for halve in reversed(network.halvings):
        means = taps.repeat_interleave(2, 2).repeat_interleave(2, 3) / 4
        convolved = F.conv_transpose2d(taps, halve.get_parameter("weight"), stride=2)
        taps = convolved + F.pad(means, (1, 0, 1, 0))  # the 2 x 2 begin one after the 3 x 3
    taps = F.conv_transpose2d(taps, network.first.weight)
    # They begin k before the first pixel that the sample stands for, and end k after it.
    before = _reach(factor) - factor
    after = 4 * factor - before - taps.shape[-1]
    return F.pad(taps, (before, after, before, after)) + _bicubic_taps(factor).to(taps)


@cache
def _bicubic_taps(factor: int) -> Tensor:
    """MATLAB bicubic as `fold` gives filters."""
    span = 9 * factor
    impulses = torch.eye(span, dtype=torch.float64, device="cpu").view(span, 1, span, 1).expand(-1, -1, -1, factor)
    begin = 4 * factor - _reach(factor)
    taps = downscale(impulses, factor)[begin : begin + 4 * factor, 0, 4, 0]
    return torch.einsum("ab,y,x->abyx", torch.eye(3, dtype=torch.float64, device="cpu"), taps, taps)


def as_filters(state: Mapping[str, Tensor]) -> dict[int, Tensor]:
    """Filters by scale, from a state that names them so ("2", "4", ...), as they are kept.  Raises ValueError for what
    is none.
    """
    shapes = {key: (COLOURS, COLOURS, 4 * int(key), 4 * int(key)) for key in state if key.isdecimal()}
    if not state or shapes != {key: tuple(taps.shape) for key, taps in state.items()}:
        raise ValueError("holds no filters of Down-Net")
    return {int(key): taps for key, taps in state.items()}


def shrink(picture: Tensor, taps: Tensor, factor: int) -> Tensor:
    """What the DownNet that `taps` were folded from makes of a picture (N, 3, H, W)."""
    for dim in (2, 3):
        picture = extend(picture, _reach(factor), factor, dim)
    return F.conv2d(picture, taps.to(picture), stride=factor)


class LearnedPlanes:
    """A `Downscaler` by folded Down-Nets; factor 1 is the picture itself.

    filters: by factor, as `fold` gives them.  The planes of all factors come from one pass over the picture.
    """

    def __init__(self, filters: Mapping[int, Tensor]) -> None:
        self._filters = dict(filters)

    @property
    def factors(self) -> tuple[int, ...]:
        """Those that there are filters for, in rising order."""
        return tuple(sorted(self._filters))

    def __call__(self, colour: Samples, factors: Iterable[int]) -> dict[int, Samples]:
        """As in `Downscaler`; KeyError for a factor without a filter.  Gray pictures go through as colour ones."""
        return shrink_in_tiles(colour, factors, self._shrink)

    @torch.no_grad()
    def _shrink(self, picture: Tensor, factor: int) -> Tensor:
        channels = picture.shape[1]
        shrunk = shrink(picture.expand(-1, 3, -1, -1), self._filters[factor], factor)
        return shrunk if channels == 3 else shrunk.mean(1, keepdim=True)


def _reach(factor: int) -> int:
    return 3 * factor // 2
