"""Wiener filters of the luma that the sender fits to its picture: what a network for all pictures leaves of the error.

    y'(p) = y(p) + sum_i c_i (y(p + d_i) + y(p - d_i) - 2 y(p)) + c_m (m(p) - y(p))

y: luma after the network, m: before it, d_i: the offsets of half of a 5x5 diamond and its corners.  Each scale has its
own coefficients, one set for all positions or one for each of four classes of activity, as adaptive loop filters have
(Tsai et al., "Adaptive Loop Filtering for Video Coding", IEEE JSTSP 2013).  What is added to the luma is added to red,
green and blue alike.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bbmr.blocks import SCALES
from bbmr.luma import BLACK, BLACK_TO_WHITE, luma
from bbmr.rescaled import WIENER_CLASSES, WIENER_TAPS, WienerFilter

_OFFSETS: Final = ((0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0))  # rows, columns; with m, WIENER_TAPS in all
STEP: Final = 1 / 128
"""What 1 of a stored coefficient counts."""
REACH: Final = 4
"""Pixels, in each direction, that a filtered one depends on: activity is that of 7x7 pixels, of their neighbours."""
_REGION: Final = 7
_LEVELS_OF_ACTIVITY: Final = (0.5 / 255, 1.5 / 255, 6 / 255)


def grey(image: Tensor) -> Tensor:
    """(N, 3, H, W) RGB in [0, 1] -> (N, 1, H, W) luma in [0, 1]."""
    return (luma(image) - BLACK) / BLACK_TO_WHITE


def regressors(restored: Tensor, mosaic: Tensor) -> Tensor:
    """What coefficients are factors of, (N, WIENER_TAPS, H, W).

    restored, mosaic: (N, 1, H, W), lumas after the network and before it.
    """
    height, width = restored.shape[2:]
    padded = F.pad(restored, (2, 2, 2, 2), mode="replicate")

    def moved(down: int, right: int) -> Tensor:
        return padded[:, :, 2 + down : 2 + down + height, 2 + right : 2 + right + width]

    pairs = [moved(down, right) + moved(-down, -right) - 2 * restored for down, right in _OFFSETS]
    return torch.cat([*pairs, mosaic - restored], 1)


def activity_classes(restored: Tensor) -> Tensor:
    """(N, 1, H, W) luma -> (N, H, W) int64, 0 where its surroundings are even to 3 where they are busiest."""
    padded = F.pad(restored, (1, 1, 1, 1), mode="replicate")
    inner, height, width = padded[:, :, 1:-1, 1:-1], *restored.shape[2:]
    across = (2 * inner - padded[:, :, 1:-1, :width] - padded[:, :, 1:-1, 2:]).abs()
    down = (2 * inner - padded[:, :, :height, 1:-1] - padded[:, :, 2:, 1:-1]).abs()
    around = F.avg_pool2d(F.pad(across + down, (_REGION // 2,) * 4, mode="replicate"), _REGION, stride=1)
    return torch.bucketize(around[:, 0].contiguous(), torch.tensor(_LEVELS_OF_ACTIVITY, device=restored.device))


def filtered(restored: Tensor, mosaic: Tensor, levels: Tensor, filters: Mapping[int, WienerFilter]) -> Tensor:
    """Restored pictures (N, 3, H, W) in [0, 1] with what the filters of their scales add.

    mosaic: what the network was given, alike.  levels: (N, H, W) int64, base-2 logarithm of each pixel's scale.
    filters: by scale, for some of those.
    """
    if not any(filters.values()):
        return restored
    lumas = grey(restored)
    table = _table(filters, restored)
    rows = levels * WIENER_CLASSES[-1] + activity_classes(lumas)
    coefficients = table[rows].permute(0, 3, 1, 2)
    return restored + (coefficients * regressors(lumas, grey(mosaic))).sum(1, keepdim=True)


def _table(filters: Mapping[int, WienerFilter], like: Tensor) -> Tensor:
    """(scales x classes, WIENER_TAPS); zero for scales without a filter."""
    table = np.zeros((len(SCALES), WIENER_CLASSES[-1], WIENER_TAPS), np.float32)
    for factor, own in filters.items():
        if own:
            table[SCALES.index(factor)] = np.reshape(own, (-1, WIENER_TAPS))  # of one class: the same for all
    return torch.from_numpy(table * np.float32(STEP)).view(-1, WIENER_TAPS).to(like)
