"""First and last layer of a network on mosaics that has the body of an SR network between them."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bbmr.networks.fast import GAIN, LEVELS, PIXELS
from bbmr.networks.initial import set_to_zero


def first_layer(channels: int) -> nn.Conv2d:
    """Convolution of what `as_input` gives, 53 channels -> (N, channels, h, w)."""
    layer = nn.Conv2d(PIXELS + LEVELS, channels, 3, padding=1)
    # LayerNorm sees channels relative to one another: where they answer to the grey level, that drowns the detail, and
    # what follows is all but linear in it.  So to begin with they answer to differences only: 0.24 dB more at x4 after
    # 300 steps (Omni-SR with one OSAG).
    with torch.no_grad():
        by_colour = layer.weight[:, :PIXELS].view(channels, 3, -1, 3, 3)
        by_colour -= by_colour.mean((2, 3, 4), keepdim=True)
    return layer


def as_input(pixels: Tensor, levels: Tensor) -> Tensor:
    """Pixels (N, 48, h, w) of a mosaic after pixel-unshuffle by 4, in [0, 1], and levels (N, h, w) int64, base-2
    logarithms of scales -> (N, 53, h, w): the pixels amplified, the levels as one-hot vectors.
    """
    scales = F.one_hot(levels, LEVELS).permute(0, 3, 1, 2).to(pixels.dtype)
    return torch.cat([(pixels - 0.5) * GAIN, scales], 1)


def last_layer(channels: int) -> nn.Conv2d:
    """Convolution (N, channels, h, w) -> (N, 48, h, w), the correction times GAIN; zero before training."""
    layer = nn.Conv2d(channels, PIXELS, 3, padding=1)
    set_to_zero(layer)
    return layer
