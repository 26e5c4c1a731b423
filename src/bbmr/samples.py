"""The door between numpy outside (HWC, uint8) and torch inside (NCHW, float in [0, 1])."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def to_tensor(samples: NDArray[np.uint8], device: torch.device | None = None) -> Tensor:
    """(H, W, C) uint8 -> (1, C, H, W) float32 in [0, 1]."""
    planes = torch.from_numpy(np.ascontiguousarray(samples.transpose(2, 0, 1)))
    return planes.to(device).unsqueeze(0).float().div_(255)


def to_samples(image: Tensor) -> NDArray[np.uint8]:
    """(1, C, H, W) float -> (H, W, C) uint8, clipped to [0, 1] and rounded."""
    rounded = image[0].clamp(0, 1).mul(255).round().to(torch.uint8)
    return np.ascontiguousarray(rounded.permute(1, 2, 0).cpu().numpy())
