"""Random inputs for a network of any kind: to compare two copies of it, or to measure what it costs."""

from collections.abc import Mapping

import torch
from torch import Tensor

from bbmr.blocks import PAPER_SCALES, PAPER_SIDE
from bbmr.networks import NetworkDescriptor
from bbmr.networks.fast import LEVELS, PIXELS, POSITION


def random_inputs(
    descriptor: NetworkDescriptor, pictures: int, side: int, seed: int = 0
) -> tuple[Tensor | Mapping[int, Tensor], ...]:
    """Arguments of the network's forward for `pictures` random pictures of side x side HR pixels, on the CPU.

    sr: the LR pictures.  mosaic: pixels and levels, a level drawn for each position.  coded: qualities too.  joint: the
    blocks, of which PAPER_SCALES have equal numbers as near as may be, and the map of scales; `side` is a multiple of
    128 then.
    """
    random = torch.Generator().manual_seed(seed)

    def samples(*shape: int) -> Tensor:
        return torch.rand(shape, generator=random)

    if descriptor.kind == "sr":
        assert descriptor.scale is not None
        return (samples(pictures, 3, side // descriptor.scale, side // descriptor.scale),)
    if descriptor.kind in ("mosaic", "coded"):
        size = (pictures, side // POSITION, side // POSITION)
        mosaic = samples(pictures, PIXELS, *size[1:]), torch.randint(LEVELS, size, generator=random)
        return mosaic if descriptor.kind == "mosaic" else (*mosaic, samples(pictures, LEVELS))
    rows = side // PAPER_SIDE
    scales = torch.tensor(PAPER_SCALES).repeat(pictures * rows * rows)[: pictures * rows * rows]
    counts = {scale: int((scales == scale).sum()) for scale in PAPER_SCALES}
    blocks = {
        scale: samples(count, 3, PAPER_SIDE // scale, PAPER_SIDE // scale) for scale, count in counts.items() if count
    }
    return blocks, scales.view(pictures, rows, rows)
