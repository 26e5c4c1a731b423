"""Initial values with which networks leave a picture as it is, or enlarge it by bicubic, before they are trained."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bbmr.downscaling import bicubic

COLOURS = 3
TAPS = 9  # of a 3x3 convolution
GAIN = 30.0  # of the channels of differences: detail of some hundredths becomes as large as the grey levels


def set_to_zero(layer: nn.Conv2d) -> None:
    """Make the convolution's output zero; it still learns, as its input is not."""
    assert layer.bias is not None
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)


def exactly(layer: nn.Module, features: Tensor) -> Tensor:
    """Apply a layer that whole pixels go through, in the precision of its weights, autocast or not.

    bfloat16 rounds pixels to steps of about a grey level: a network trained so learns to undo the rounding, which then
    is missing where it restores in float32.
    """
    with torch.autocast(features.device.type, enabled=False):
        out: Tensor = layer(features.to(next(layer.parameters()).dtype))
    return out


@torch.no_grad()
def start_as_bicubic(first: nn.Conv2d, last: nn.Conv2d, scale: int, grey: float = 0.5) -> None:
    """Set the first and last 3x3 convolution of an SR network, 3 -> C and C -> 3 scale^2 before pixel shuffle, C above
    27, such that last(first(x)) is the bicubic enlargement of x in [0, 1], but for a border of two samples: there the
    zeros around x count.

    Networks of published architecture have no bicubic skip.  From random weights they spend their first hundreds of
    steps on finding the picture itself, in features whose grey level drowns all detail.  Here the first convolution
    hands the samples around each position to 27 channels as they are, and differences between them to the rest; the
    last enlarges the 27 and leaves the rest out.  grey: the middle of the values that `first` is given, which the
    features have as zero.
    """
    copies = COLOURS * TAPS
    weight, bias = first.weight, first.bias
    assert bias is not None
    assert last.bias is not None
    weight -= weight.mean((2, 3), keepdim=True)
    weight *= GAIN
    bias.zero_()
    weight[:copies] = torch.eye(copies).view(copies, COLOURS, 3, 3)
    bias[:copies] = -grey
    last.bias.fill_(grey)
    last.weight.zero_()
    # Two 3x3 convolutions reach as far as bicubic does, two samples: one from the first, the rest from the last.
    enlarging = _stencils(scale)
    by_colour = last.weight.view(COLOURS, scale * scale, -1, 3, 3)
    for row in range(-2, 3):
        for col in range(-2, 3):
            near_row, near_col = (max(-1, min(step, 1)) for step in (row, col))
            tap = 3 * (near_row + 1) + near_col + 1
            for colour in range(COLOURS):
                by_colour[colour, :, TAPS * colour + tap, row - near_row + 1, col - near_col + 1] = enlarging[
                    :, row + 2, col + 2
                ]


def _stencils(scale: int) -> Tensor:
    """(scale^2, 5, 5): what each output sample around an input sample takes from its 5 x 5 neighbours."""
    # Far enough from the border that its mirror images do not matter.
    impulses = torch.eye(25).view(25, 1, 5, 5)
    enlarged = bicubic.upscale(F.pad(impulses, (2, 2, 2, 2)), scale)
    middle = slice(4 * scale, 5 * scale)
    return enlarged[:, 0, middle, middle].reshape(5, 5, scale * scale).permute(2, 0, 1)
