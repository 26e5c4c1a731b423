"""Omni-SR: spatial and channel attention in turn, in windows and on a grid that spans the whole picture.

H. Wang, X. Chen, B. Ni, Y. Liu, J. Liu, "Omni Aggregation Networks for Lightweight Image Super-Resolution", CVPR 2023.
State-dict keys are those of the authors' release, so its checkpoints load with strict=True.

    LR picture --input--+-> OSAG x n -> output -+-> up: convolution, pixel shuffle -> HR picture
                        +----------------------+
    OSAG:  x -> OSA block -> 1x1 -> + x -> ESA
    OSA:   MBConv, then twice (windows, then grid): spatial attention, feed-forward, channel attention, feed-forward

Squeeze-and-excitation and the grid look at the whole input: the result for a crop is not the crop of the result.
"""

from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bbmr.networks.fast import GAIN
from bbmr.networks.initial import exactly, set_to_zero, start_as_bicubic
from bbmr.networks.layers import Depthwise, GatedFeedForward, Pointwise, channels_last, in_turn
from bbmr.networks.mosaic_ends import as_input, first_layer, last_layer

CHANNELS = 64
GROUPS = 5
WINDOW = 8  # samples per side of a window, and windows' worth of samples per side of a grid group
HEADS = 4
SMALLEST = 16  # samples per side: what the poolings of the ESA need

Grouping = Literal["window", "grid"]


def count_groups(state: Mapping[str, Tensor]) -> int:
    """Number of OSAGs in a state dict: 5 in the paper, 1 in its smallest network and in the helper."""
    return len({key.split(".")[1] for key in state if key.startswith("residual_layer.")})


class OmniSRBody(nn.Module):
    """Omni-SR without its upscaling tail: a branch of Joint SR."""

    def __init__(self, groups: int = GROUPS) -> None:
        super().__init__()
        self.input = nn.Conv2d(3, CHANNELS, 3, padding=1)
        self.residual_layer = nn.Sequential(*(OSAG() for _ in range(groups)))
        self.output = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)

    def features(self, picture: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1] -> (N, 64, H, W).  Any size: padded inside, cropped again."""
        return self._padded_features(picture)[:, :, : picture.shape[2], : picture.shape[3]]

    def _padded_features(self, picture: Tensor) -> Tensor:
        shallow = channels_last(exactly(self.input, pad(picture)))
        deep: Tensor = self.output(in_turn(self.residual_layer, shallow)) + shallow
        return deep


class OmniSR(OmniSRBody):
    """(N, 3, H, W) in [0, 1] -> (N, 3, scale H, scale W), not clamped.  Any size."""

    def __init__(self, scale: int, groups: int = GROUPS) -> None:
        super().__init__(groups)
        self.scale = scale
        last = nn.Conv2d(CHANNELS, 3 * scale * scale, 3, padding=1)
        self.up = nn.Sequential(last, nn.PixelShuffle(scale))
        # The body begins with nothing to add to its bicubic skip.
        start_as_bicubic(self.input, last, scale)
        set_to_zero(self.output)

    def forward(self, picture: Tensor) -> Tensor:
        height, width = picture.shape[2:]
        restored = exactly(self.up, self._padded_features(picture))
        return restored[:, :, : self.scale * height, : self.scale * width]


class OmniSRMosaic(nn.Module):
    """Omni-SR's body between the head and the tail of a mosaic network.

    Input: pixels (N, 48, h, w), the mosaic after pixel-unshuffle by 4; levels (N, h, w) int64, base-2 logarithm of the
    scale at each position, which enters as a one-hot vector.  Output: (N, 48, h, w), the correction before pixel
    shuffle; zero before training.
    """

    def __init__(self, groups: int = GROUPS) -> None:
        super().__init__()
        self.input = first_layer(CHANNELS)
        self.residual_layer = nn.Sequential(*(OSAG() for _ in range(groups)))
        self.output = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
        self.tail = last_layer(CHANNELS)

    def forward(self, pixels: Tensor, levels: Tensor) -> Tensor:
        height, width = pixels.shape[2:]
        features = channels_last(self.input(pad(as_input(pixels, levels))))
        features = self.output(in_turn(self.residual_layer, features)) + features
        correction: Tensor = self.tail(features) / GAIN
        return correction[:, :, :height, :width]


def pad(features: Tensor) -> Tensor:
    """Add zeros at the right and bottom of (N, C, H, W) up to multiples of 8, and at least 16: the release does the
    same and has no answer for smaller inputs.
    """
    missing = [max(-length % WINDOW, SMALLEST - length) for length in features.shape[2:]]
    return F.pad(features, (0, missing[1], 0, missing[0]))


class OSAG(nn.Module):
    """Omni-scale aggregation group (section 3.3): one OSA block and enhanced spatial attention; (N, 64, H, W)."""

    def __init__(self) -> None:
        super().__init__()
        self.residual_layer = nn.Sequential(OSABlock(), Pointwise(CHANNELS, CHANNELS))
        self.esa = EnhancedSpatialAttention()

    def forward(self, features: Tensor) -> Tensor:
        gathered: Tensor = self.esa(self.residual_layer(features) + features)
        return gathered


class OSABlock(nn.Module):
    """Omni self-attention block; (N, 64, H, W), sides multiples of 8.  Keys are the positions in the release's list,
    which counts re-arrangements too."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.ModuleDict(
            {
                "0": MBConv(),
                "2": SpatialAttentionLayer("window"),
                "4": ChannelFirst(GatedFeedForward(CHANNELS, CHANNELS)),
                "5": ChannelFirst(ChannelAttention("window")),
                "6": ChannelFirst(GatedFeedForward(CHANNELS, CHANNELS)),
                "8": SpatialAttentionLayer("grid"),
                "10": ChannelFirst(GatedFeedForward(CHANNELS, CHANNELS)),
                "11": ChannelFirst(ChannelAttention("grid")),
                "12": ChannelFirst(GatedFeedForward(CHANNELS, CHANNELS)),
            }
        )

    def forward(self, features: Tensor) -> Tensor:
        for layer in self.layer.values():
            features = layer(features)
        return features


class MBConv(nn.Module):
    """Inverted bottleneck with squeeze-and-excitation and a skip, expansion 1."""

    def __init__(self) -> None:
        super().__init__()
        self.fn = nn.Sequential(
            Pointwise(CHANNELS, CHANNELS),
            nn.GELU(),
            Depthwise(CHANNELS),
            nn.GELU(),
            SqueezeExcitation(),
            Pointwise(CHANNELS, CHANNELS),
        )

    def forward(self, features: Tensor) -> Tensor:
        refined: Tensor = features + self.fn(features)
        return refined


class SqueezeExcitation(nn.Module):
    """A gain for every channel from the means of all channels over the whole input."""

    def __init__(self, reduction: int = 4) -> None:
        super().__init__()
        self.gate = nn.ModuleDict(
            {
                "1": nn.Linear(CHANNELS, CHANNELS // reduction, bias=False),
                "3": nn.Linear(CHANNELS // reduction, CHANNELS, bias=False),
            }
        )

    def forward(self, features: Tensor) -> Tensor:
        gain: Tensor = self.gate["3"](F.silu(self.gate["1"](features.mean((2, 3)))))
        return features * gain.sigmoid()[:, :, None, None]


class SpatialAttentionLayer(nn.Module):
    """LayerNorm and attention between the 64 samples of each group, with a skip; (N, 64, H, W)."""

    def __init__(self, grouping: Grouping) -> None:
        super().__init__()
        self.grouping = grouping
        self.norm = nn.LayerNorm(CHANNELS, eps=1e-5)
        self.fn = SpatialAttention()

    def forward(self, features: Tensor) -> Tensor:
        n, channels, height, width = features.shape
        rows, cols = height // WINDOW, width // WINDOW
        # A window is a patch of 8 x 8 neighbours; a grid group takes every (H/8)th row and (W/8)th column.
        if self.grouping == "window":
            split, order, back = (rows, WINDOW, cols, WINDOW), (0, 1, 3, 2, 4, 5), (0, 1, 3, 2, 4, 5)
        else:
            split, order, back = (WINDOW, rows, WINDOW, cols), (0, 2, 4, 1, 3, 5), (0, 3, 1, 4, 2, 5)
        tokens = features.permute(0, 2, 3, 1).reshape(n, *split, channels).permute(order)
        tokens = tokens.reshape(-1, WINDOW * WINDOW, channels)
        attended: Tensor = self.fn(self.norm(tokens)) + tokens
        grouped = attended.view(n, rows, cols, WINDOW, WINDOW, channels)
        return grouped.permute(back).reshape(n, height, width, channels).permute(0, 3, 1, 2)


class SpatialAttention(nn.Module):
    """Multi-head attention with a learned bias for every relative position; tokens (groups, 64, 64 channels)."""

    relative: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.to_qkv = nn.Linear(CHANNELS, 3 * CHANNELS, bias=False)
        self.to_out = nn.Sequential(nn.Linear(CHANNELS, CHANNELS, bias=False))
        self.rel_pos_bias = nn.Embedding((2 * WINDOW - 1) ** 2, HEADS)
        y, x = torch.meshgrid(torch.arange(WINDOW), torch.arange(WINDOW), indexing="ij")
        y, x = y.flatten(), x.flatten()
        relative = (y[:, None] - y + WINDOW - 1) * (2 * WINDOW - 1) + (x[:, None] - x + WINDOW - 1)
        self.register_buffer("relative", relative, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        groups, count, _ = tokens.shape
        query, key, value = self.to_qkv(tokens).view(groups, count, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        bias = self.rel_pos_bias(self.relative).permute(2, 0, 1)[None].to(query.dtype)
        attended = attend(query, key, value, bias)
        out: Tensor = self.to_out(attended.transpose(1, 2).reshape(groups, count, CHANNELS))
        return out


def attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """softmax(query key^T / sqrt(C) + bias) value, each (groups, heads, tokens, C), bias (1, heads, tokens, tokens)."""
    if query.device.type == "cpu" and bias.requires_grad:
        # Torch has no fused kernel for this, and what it does instead looks for rows that are masked all over: a tenth
        # of the time of a step.
        similarity = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5 + bias
        attended: Tensor = similarity.softmax(-1).to(value.dtype) @ value
        return attended
    # Only with a bias of four dimensions is there a fused kernel for CPUs: half the time of this attention.
    return F.scaled_dot_product_attention(query, key, value, attn_mask=bias)


class ChannelFirst(nn.Module):
    """LayerNorm over the channels of each sample, then `fn`, with a skip; (N, 64, H, W)."""

    def __init__(self, fn: nn.Module) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(CHANNELS, eps=1e-6)
        self.fn = fn

    def forward(self, features: Tensor) -> Tensor:
        normed = self.norm(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        refined: Tensor = self.fn(normed) + features
        return refined


class ChannelAttention(nn.Module):
    """Attention between the 16 channels of each head, inside a window or over the same place of all windows."""

    def __init__(self, grouping: Grouping) -> None:
        super().__init__()
        self.grouping = grouping
        self.temperature = nn.Parameter(torch.ones(HEADS, 1, 1))
        self.qkv = Pointwise(CHANNELS, 3 * CHANNELS, bias=False)
        self.qkv_dwconv = Depthwise(3 * CHANNELS, bias=False)
        self.project_out = Pointwise(CHANNELS, CHANNELS, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        n, channels, height, width = features.shape
        rows, cols, width_of_head = height // WINDOW, width // WINDOW, channels // HEADS
        qkv = self.qkv_dwconv(self.qkv(features)).permute(0, 2, 3, 1)
        split = qkv.reshape(n, rows, WINDOW, cols, WINDOW, 3, HEADS, width_of_head)
        # -> (3, N, groups, heads, tokens, channels of a head): tokens are what the channels are compared over.
        if self.grouping == "window":
            order, back = (5, 0, 1, 3, 6, 2, 4, 7), (0, 1, 4, 2, 5, 3, 6)
            inner, outer = (WINDOW, WINDOW), (rows, cols)
        else:
            order, back = (5, 0, 2, 4, 6, 1, 3, 7), (0, 4, 1, 5, 2, 3, 6)
            inner, outer = (rows, cols), (WINDOW, WINDOW)
        query, key, value = split.permute(order).reshape(3, n, -1, HEADS, inner[0] * inner[1], width_of_head)
        # Cosines: the few products are divided by lengths, not the many samples.
        lengths = _lengths(query).transpose(-2, -1) * _lengths(key)
        similarity = query.transpose(-2, -1) @ key / lengths * self.temperature
        mixed = value @ similarity.softmax(-1).transpose(-2, -1)
        mixed = mixed.reshape(n, *outer, HEADS, *inner, width_of_head).permute(back)
        out: Tensor = self.project_out(mixed.reshape(n, height, width, channels).permute(0, 3, 1, 2))
        return out


def _lengths(vectors: Tensor) -> Tensor:
    """Euclidean lengths over the tokens of (..., tokens, channels), at least 1e-12 -> (..., 1, channels); float32 where
    the vectors are narrower.
    """
    vectors = vectors.to(torch.promote_types(vectors.dtype, torch.float32))
    squared: Tensor = vectors.square().sum(-2, keepdim=True)
    return squared.clamp_min(1e-24).sqrt()


class EnhancedSpatialAttention(nn.Module):
    """A gain for every sample from a coarse look at its surroundings (ESA; J. Liu et al., RFANet, CVPR 2020)."""

    def __init__(self, channels: int = 16) -> None:
        super().__init__()
        self.conv1 = Pointwise(CHANNELS, channels)
        self.conv_f = Pointwise(channels, channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride=2)
        self.conv3 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv4 = Pointwise(channels, CHANNELS)

    def forward(self, features: Tensor) -> Tensor:
        narrow = self.conv1(features)
        coarse = self.conv3(F.max_pool2d(self.conv2(narrow), kernel_size=7, stride=3))
        coarse = F.interpolate(coarse, features.shape[2:], mode="bilinear", align_corners=False)
        gain: Tensor = self.conv4(coarse + self.conv_f(narrow))
        return features * gain.sigmoid()
