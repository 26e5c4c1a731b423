"""Joint SR, the paper's Upscaling Module: one branch for each scale, one picture out, the seams removed.

    blocks of scale k --branch k-- convolution, pixel shuffle k/2 -+
    blocks of scale l --branch l-- convolution, pixel shuffle l/2 -+- stitched: F_r (12 x H/2 x W/2)
    F_r - three 3x3 convolutions, PReLU -> F_d, which replaces F_r in a band along inner block edges: F_b
    F_b - 3x3 convolution, pixel shuffle 2 -> picture

Li & Zhou, "Block-Based Multi-Scale Image Rescaling", AAAI-25, section "Joint Super-Resolution"; where its text is
silent, the sizes are those that its table 5 implies (12 channels at half the size of the picture).
"""

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from bbmr.networks.initial import exactly

STITCHED_CHANNELS = 12
BAND = 4  # samples of the stitched map on each side of an inner block edge that come from the deblocking branch
CONTEXT = 4  # LR samples of its neighbours around a block; more does not help, see docs/how-it-works.md
HALF = 2  # the stitched map has half the picture's resolution


class Branch(Protocol):
    """An SR network as a branch: what it makes of LR blocks before it enlarges them."""

    def features(self, picture: Tensor) -> Tensor:
        """(N, 3, h, w) in [0, 1] -> (N, C, h, w)."""
        ...


class JointSR(nn.Module):
    """Restores pictures from blocks of mixed scales.

    branches: the SR network of every scale, from 2 up, each with a `features` of `channels` channels.  band: samples of
    the stitched map, on each side of an inner block edge, that come from the deblocking branch; 0 leaves it out.
    context: LR samples of its neighbours that the network was trained to see around a block.  Both are part of the
    state: weights restore with what they were trained with.
    """

    def __init__(
        self, branches: Mapping[int, nn.Module], channels: int, band: int = BAND, context: int = CONTEXT
    ) -> None:
        super().__init__()
        if any(scale < HALF or scale % HALF for scale in branches):
            raise ValueError(f"Joint SR restores scales from {HALF} up, not {sorted(branches)}")
        self.band, self.context = band, context
        self.branches = nn.ModuleDict({str(scale): branch for scale, branch in branches.items()})
        self.tails = nn.ModuleDict({str(scale): _tail(channels, scale) for scale in branches})
        self.deblock = nn.Sequential(
            _convolution(STITCHED_CHANNELS),
            nn.PReLU(STITCHED_CHANNELS),
            _convolution(STITCHED_CHANNELS),
            nn.PReLU(STITCHED_CHANNELS),
            _convolution(STITCHED_CHANNELS),
        )
        self.up = nn.Sequential(_convolution(STITCHED_CHANNELS), nn.PixelShuffle(HALF))

    def get_extra_state(self) -> Tensor:
        """band and context."""
        return torch.tensor([self.band, self.context])

    def set_extra_state(self, state: Tensor) -> None:
        """The inverse.  Raises ValueError for what cannot be."""
        if state.is_meta:  # only sizes are looked at
            return
        if state.shape != (2,) or min(state.tolist()) < 0:
            raise ValueError(f"Joint SR has a band and a context from 0 up, not {state.tolist()}")
        self.band, self.context = map(int, state.tolist())

    def forward(self, blocks: Mapping[int, Tensor], scales: Tensor, context: int = 0) -> Tensor:
        """Blocks {k: (N_k, 3, s/k + 2 context, s/k + 2 context)} in [0, 1] and their map -> pictures
        (N, 3, rows s, cols s), not clamped.

        scales: (N, rows, cols) int64, the factor of each block; `blocks` holds those of a factor in raster order,
        picture after picture.  context: LR samples of its neighbours on every side of a block; the paper has none.
        """
        features = {scale: self.block_features(scale, own, context) for scale, own in blocks.items()}
        stitched = self.stitch(features, scales)
        return self.finish(stitched, stitched.shape[2] // scales.shape[1])

    def block_features(self, scale: int, blocks: Tensor, context: int = 0) -> Tensor:
        """LR blocks of one scale with their context -> their parts of the stitched map, (N, 12, s/2, s/2)."""
        branch: Branch = self.branches[str(scale)]  # type: ignore[assignment]
        features = exactly(self.tails[str(scale)], branch.features(blocks))
        edge = context * scale // HALF
        return features[:, :, edge : features.shape[2] - edge, edge : features.shape[3] - edge]

    @staticmethod
    def stitch(features: Mapping[int, Tensor], scales: Tensor) -> Tensor:
        """F_r: {k: (N_k, 12, s/2, s/2)} -> (N, 12, rows s/2, cols s/2)."""
        some = next(iter(features.values()))
        channels, side = some.shape[1:3]
        n, rows, cols = scales.shape
        stitched = some.new_empty(n, rows, cols, channels, side, side)
        for scale, own in features.items():
            stitched[scales == scale] = own
        return stitched.permute(0, 3, 1, 4, 2, 5).reshape(n, channels, rows * side, cols * side)

    def finish(self, stitched: Tensor, side: int) -> Tensor:
        """F_r (N, 12, h, w) of blocks with `side` samples a side -> pictures (N, 3, 2 h, 2 w)."""
        if self.band:
            near_edge = _near_inner_edge(stitched.shape[2], side, self.band)[:, None] | _near_inner_edge(
                stitched.shape[3], side, self.band
            )
            stitched = torch.where(near_edge.to(stitched.device), exactly(self.deblock, stitched), stitched)
        return exactly(self.up, stitched)


def _convolution(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, padding=1)


def _tail(channels: int, scale: int) -> nn.Sequential:
    """Convolution and pixel shuffle from an LR block to half the picture's resolution."""
    enlarge = scale // HALF
    return nn.Sequential(nn.Conv2d(channels, STITCHED_CHANNELS * enlarge**2, 3, padding=1), nn.PixelShuffle(enlarge))


def _near_inner_edge(length: int, side: int, band: int) -> Tensor:
    """(length,) bool: samples less than `band` away from an edge between two blocks."""
    position = torch.arange(length)
    edges = torch.arange(side, length, side)
    distance = torch.where(position[:, None] < edges, edges - 1 - position[:, None], position[:, None] - edges)
    return (distance < band).any(1)
