"""The door between numpy outside (HWC, 8 or 16 bit) and torch inside (NCHW, float in [0, 1])."""

import numpy as np
import torch
from torch import Tensor

from bbmr.depth import Samples, white_of


def to_tensor(samples: Samples, device: torch.device | None = None) -> Tensor:
    """(H, W, C) uint8 or uint16 -> (1, C, H, W) float32 in [0, 1]."""
    return to_unit(to_integers(samples.transpose(2, 0, 1)).to(device).unsqueeze(0))


def to_samples(image: Tensor, depth: int = 8) -> Samples:
    """(1, C, H, W) float -> (H, W, C) of 8 or 16 bits, clipped to [0, 1] and rounded."""
    levels = image[0].clamp(0, 1).mul(white_of(depth)).round()
    return from_integers(levels.to(torch.uint8 if depth == 8 else torch.int32).permute(1, 2, 0))


def to_integers(samples: Samples) -> Tensor:
    """uint8 as it is, uint16 as int32: torch can do little with uint16."""
    wider = samples if samples.dtype == np.uint8 else samples.astype(np.int32)
    return torch.from_numpy(np.ascontiguousarray(wider))


def from_integers(levels: Tensor) -> Samples:
    """The inverse of `to_integers`, from wherever the tensor is."""
    found = np.ascontiguousarray(levels.cpu().numpy())
    return found if found.dtype == np.uint8 else found.astype(np.uint16)


def to_unit(levels: Tensor) -> Tensor:
    """What `to_integers` gives -> float32 in [0, 1]."""
    return levels.float().div_(white_of(8 if levels.dtype == torch.uint8 else 16))


def round_to_depth(image: Tensor, depth: int = 8) -> Tensor:
    """Clip to [0, 1] and round to the nearest level that a sample of 8 or 16 bits can store; still float in [0, 1]."""
    white = white_of(depth)
    return image.clamp(0, 1).mul(white).round().div(white)
