"""How weights are stored: in half precision, but for what whole pixels go through."""

from collections.abc import Mapping

import torch
from torch import Tensor

from bbmr.networks import Kind, is_end


def in_half(state: Mapping[str, Tensor], kind: Kind) -> dict[str, Tensor]:
    """A state in half precision, whole numbers as they are.

    First and last layers stay exact, but for networks on mosaics: these put out what is to be added to pixels, the
    others the pixels themselves, which half precision moves by up to 0.017 dB (docs/training.md).
    """
    return {key: part if _stays(key, part, kind) else part.to(torch.float16) for key, part in state.items()}


def _stays(key: str, part: Tensor, kind: Kind) -> bool:
    return not part.is_floating_point() or (kind not in ("mosaic", "coded") and is_end(key))
