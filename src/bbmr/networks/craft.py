"""CRAFT: attention in rectangles and convolutions that see high frequencies, fused by attention between channels.

A. Li, L. Zhang, Y. Liu, C. Zhu, "Feature Modulation Transformer: Cross-Refinement of Global Representation via
High-Frequency Prior for Image Super-Resolution", ICCV 2023.  State-dict keys are those of the authors' release, so its
checkpoints load with strict=True.

    LR picture - mean --conv_first-+-> group x n -> norm -> conv_after_body -+-> upsample: convolution, pixel shuffle
                                   +-----------------------------------------+   + mean -> HR picture
    group:  x -> twice: fusion of low (rectangle attention, the same shifted) and high (high-frequency block)
              -> conv -> + x

Shifted windows reach round the edges, and fusion compares channels over the whole input: the result for a crop is not
the crop of the result.
"""

from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bbmr.networks.fast import GAIN
from bbmr.networks.initial import exactly, set_to_zero, start_as_bicubic
from bbmr.networks.layers import GatedFeedForward, in_turn
from bbmr.networks.mosaic_ends import as_input, first_layer, last_layer

CHANNELS = 48
GROUPS = 4
DEPTH = 2  # fusions in a group
HEADS = 6
SIDES = (4, 16)  # samples: the short and the long side of a window
MEAN = (0.4488, 0.4371, 0.4040)  # of R, G and B over the authors' photographs
FEED_FORWARD = 2.66  # hidden channels of the gated feed-forward, per channel

Direction = Literal["h", "v"]
WINDOWS: Mapping[Direction, tuple[int, int]] = {"h": SIDES, "v": SIDES[::-1]}
"""Height and width; lying windows attend for the first half of the channels, upright ones for the second."""


def count_groups(state: Mapping[str, Tensor]) -> int:
    """Number of groups in a state dict: 4 in the paper, 1 in the helper."""
    return len({key.split(".")[1] for key in state if key.startswith("layers.")})


class CRAFTTrunk(nn.Module):
    """What lies between the first layer and the tail, whatever these are; (N, C, H, W), sides multiples of 16."""

    biases_h: Tensor
    biases_v: Tensor
    relative_position_index_h: Tensor
    relative_position_index_v: Tensor

    def __init__(self, groups: int, channels: int, depth: int) -> None:
        super().__init__()
        # Constants, which the release keeps in its checkpoints.  Its indices are integers; as floating-point numbers,
        # which hold them exactly, they go wherever weights go.
        for direction, size in WINDOWS.items():
            offsets, index = relative_positions(size)
            self.register_buffer(f"relative_position_index_{direction}", index.float())
            self.register_buffer(f"biases_{direction}", offsets)
        self.layers = nn.ModuleList(Group(channels, depth) for _ in range(groups))
        self.norm = ChannelNorm(channels)
        self.conv_after_body = nn.Conv2d(channels, channels, 3, padding=1)

    def refine(self, shallow: Tensor) -> Tensor:
        """Features of the first layer -> features for the tail."""
        positions: Positions = {
            "h": (self.biases_h, self.relative_position_index_h.long()),
            "v": (self.biases_v, self.relative_position_index_v.long()),
        }
        features = in_turn(self.layers, shallow, positions)
        deep: Tensor = self.conv_after_body(self.norm(features)) + shallow
        return deep


class CRAFTBody(CRAFTTrunk):
    """CRAFT without its upscaling tail: a branch of Joint SR."""

    mean: Tensor

    def __init__(self, groups: int = GROUPS, channels: int = CHANNELS, depth: int = DEPTH) -> None:
        super().__init__(groups, channels, depth)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.conv_first = nn.Conv2d(3, channels, 3, padding=1)

    def features(self, picture: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1] -> (N, C, H, W).  Any size: padded inside, cropped again."""
        return self._padded_features(picture)[:, :, : picture.shape[2], : picture.shape[3]]

    def _padded_features(self, picture: Tensor) -> Tensor:
        return self.refine(exactly(self.conv_first, pad(picture) - self.mean))


class CRAFT(CRAFTBody):
    """(N, 3, H, W) in [0, 1] -> (N, 3, scale H, scale W), not clamped.  Any size."""

    def __init__(self, scale: int, groups: int = GROUPS, channels: int = CHANNELS, depth: int = DEPTH) -> None:
        super().__init__(groups, channels, depth)
        self.scale = scale
        last = nn.Conv2d(channels, 3 * scale * scale, 3, padding=1)
        self.upsample = nn.Sequential(last, nn.PixelShuffle(scale))
        # The body begins with nothing to add to its bicubic skip.
        start_as_bicubic(self.conv_first, last, scale, grey=0)
        set_to_zero(self.conv_after_body)

    def forward(self, picture: Tensor) -> Tensor:
        height, width = picture.shape[2:]
        restored = exactly(self.upsample, self._padded_features(picture)) + self.mean
        return restored[:, :, : self.scale * height, : self.scale * width]


class CRAFTMosaic(CRAFTTrunk):
    """CRAFT's body between the head and the tail of a mosaic network.

    Input: pixels (N, 48, h, w), the mosaic after pixel-unshuffle by 4; levels (N, h, w) int64, base-2 logarithm of the
    scale at each position, which enters as a one-hot vector.  Output: (N, 48, h, w), the correction before pixel
    shuffle; zero before training.
    """

    def __init__(self, groups: int = GROUPS) -> None:
        super().__init__(groups, CHANNELS, DEPTH)
        self.head = first_layer(CHANNELS)
        self.tail = last_layer(CHANNELS)

    def forward(self, pixels: Tensor, levels: Tensor) -> Tensor:
        height, width = pixels.shape[2:]
        correction: Tensor = self.tail(self.refine(self.head(pad(as_input(pixels, levels))))) / GAIN
        return correction[:, :, :height, :width]


def pad(features: Tensor) -> Tensor:
    """Mirror (N, C, H, W) at the right and bottom, the last sample not repeated, up to multiples of 16.

    As the authors do in validation.  What is too small to be mirrored so far is mirrored again and again.
    """
    longest = max(SIDES)
    height, width = features.shape[2:]
    if height % longest == 0 and width % longest == 0:
        return features
    rows, cols = (_mirrored(length, length + -length % longest, features.device) for length in (height, width))
    return features[:, :, rows][:, :, :, cols]


def _mirrored(length: int, padded: int, device: torch.device) -> Tensor:
    """(padded,) int64: which of `length` samples lies at each place."""
    period = max(1, 2 * length - 2)
    place = torch.arange(padded, device=device) % period
    return torch.minimum(place, period - place) if length > 1 else torch.zeros_like(place)


def relative_positions(window: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Of a window of h x w: all offsets between two samples, ((2h - 1)(2w - 1), 2) float32 rows of dy and dx, and which
    of them lies between query i and key j, (h w, h w) int64.
    """
    height, width = window
    dy, dx = torch.meshgrid(torch.arange(1 - height, height), torch.arange(1 - width, width), indexing="ij")
    offsets = torch.stack([dy, dx], -1).flatten(0, 1).float()
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    y, x = y.flatten(), x.flatten()
    index = (y[:, None] - y + height - 1) * (2 * width - 1) + (x[:, None] - x + width - 1)
    return offsets, index


Positions = Mapping[Direction, tuple[Tensor, Tensor]]
"""What `relative_positions` gives for the windows of each direction."""


class Group(nn.Module):
    """Residual cross-refinement fusion group, RCRFG; (N, C, H, W)."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.residual_group = CrossRefinement(channels, depth)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, features: Tensor, positions: Positions) -> Tensor:
        refined: Tensor = self.conv(self.residual_group(features, positions)) + features
        return refined


class CrossRefinement(nn.Module):
    """Low and high frequencies apart, then fused, `depth` times; (N, C, H, W)."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.srwa_blocks = nn.ModuleList(
            RectangleAttentionBlock(channels, shifted=bool(number % 2)) for number in range(2 * depth)
        )
        self.hfer_blocks = nn.ModuleList(HighFrequencyBlock(channels) for _ in range(depth))
        self.hf_blocks = nn.ModuleList(FusionBlock(channels) for _ in range(depth))

    def forward(self, features: Tensor, positions: Positions) -> Tensor:
        for number, (sharpen, fuse) in enumerate(zip(self.hfer_blocks, self.hf_blocks, strict=True)):
            tokens = features.permute(0, 2, 3, 1)
            for attend in self.srwa_blocks[2 * number : 2 * number + 2]:
                tokens = attend(tokens, positions)
            features = fuse(tokens.permute(0, 3, 1, 2), sharpen(features))
        return features


class RectangleAttentionBlock(nn.Module):
    """Shift rectangle window attention, SRWAB: attention and feed-forward, each after LayerNorm and with a skip.

    (N, H, W, C), sides multiples of 16.
    """

    def __init__(self, channels: int, shifted: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.get_v = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.attns = nn.ModuleList(RectangleAttention(channels // 2, direction, shifted) for direction in WINDOWS)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(channels, 2 * channels), "fc2": nn.Linear(2 * channels, channels)})

    def forward(self, tokens: Tensor, positions: Positions) -> Tensor:
        n, height, width, channels = tokens.shape
        qkv: Tensor = self.qkv(self.norm1(tokens))
        local = self.get_v(qkv[..., 2 * channels :].permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        halves = qkv.view(n, height, width, 3, 2, channels // 2).unbind(4)
        attended = [attend(half, positions) for attend, half in zip(self.attns, halves, strict=True)]
        tokens = tokens + self.proj(torch.cat(attended, -1) + local)
        refined: Tensor = tokens + self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.norm2(tokens))))
        return refined


class RectangleAttention(nn.Module):
    """Multi-head attention between the 64 samples of each window; (N, H, W, 3, C) queries, keys and values -> (N, H,
    W, C).  Shifted, the windows lie half a window further, and those at the edges go on at the opposite ones.
    """

    def __init__(self, channels: int, direction: Direction, shifted: bool) -> None:
        super().__init__()
        self.direction, self.shifted = direction, shifted
        self.heads = HEADS // len(WINDOWS)
        self.pos = PositionBias(channels // 4, self.heads)

    def forward(self, qkv: Tensor, positions: Positions) -> Tensor:
        n, height, width, _, channels = qkv.shape
        window = WINDOWS[self.direction]
        shift = (window[0] // 2, window[1] // 2) if self.shifted else (0, 0)
        if self.shifted:
            qkv = qkv.roll((-shift[0], -shift[1]), (1, 2))
        rows, cols = height // window[0], width // window[1]
        split = qkv.reshape(n, rows, window[0], cols, window[1], 3, self.heads, channels // self.heads)
        query, key, value = split.permute(5, 0, 1, 3, 6, 2, 4, 7).reshape(
            3, n * rows * cols, self.heads, window[0] * window[1], -1
        )
        offsets, index = positions[self.direction]
        # Only with a bias of four dimensions does torch take its fused kernel.
        bias = self.pos(offsets)[index].permute(2, 0, 1)[None].to(query.dtype)
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        windows = attended.view(n, rows, cols, self.heads, *window, -1).permute(0, 1, 4, 2, 5, 3, 6)
        tokens = windows.reshape(n, height, width, channels)
        return tokens.roll(shift, (1, 2)) if self.shifted else tokens


class PositionBias(nn.Module):
    """A bias for every head from the offset between two samples, (offsets, 2) -> (offsets, heads).

    At CRAFT's own width its layers have one channel, which LayerNorm makes constant: then all offsets have the same
    bias, which softmax does not see.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        inner = channels // 4
        self.pos_proj = nn.Linear(2, inner)
        self.pos1, self.pos2, self.pos3 = (
            nn.Sequential(nn.LayerNorm(inner), nn.ReLU(), nn.Linear(inner, out)) for out in (inner, inner, heads)
        )

    def forward(self, offsets: Tensor) -> Tensor:
        bias: Tensor = self.pos3(self.pos2(self.pos1(self.pos_proj(offsets))))
        return bias


class HighFrequencyBlock(nn.Module):
    """High-frequency enhancement residual block, HFERB: a convolution of one half of the channels, maxima of the
    neighbours of the other; (N, C, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.last_fc = nn.Conv2d(channels, channels, 1)
        self.fc = nn.Conv2d(half, half, 1)
        self.conv = nn.Conv2d(half, half, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        filtered, greatest = features.chunk(2, dim=1)
        filtered = F.gelu(self.conv(filtered))
        greatest = F.gelu(self.fc(F.max_pool2d(greatest, 3, stride=1, padding=1)))
        sharpened: Tensor = features + self.last_fc(torch.cat([filtered, greatest], 1))
        return sharpened


class ChannelNorm(nn.Module):
    """LayerNorm over the channels of each sample; (N, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.LayerNorm(channels)

    def forward(self, features: Tensor) -> Tensor:
        normed: Tensor = self.body(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return normed


class FusionBlock(nn.Module):
    """High-frequency fusion block, HFB: low frequencies, refined by attention that high ones ask for, and a gated
    feed-forward, each with a skip; (N, C, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = ChannelNorm(channels)
        self.attn = FusionAttention(channels)
        self.norm2 = ChannelNorm(channels)
        self.ffn = GatedFeedForward(channels, int(FEED_FORWARD * channels))

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        fused = low + self.attn(self.norm1(low), high)
        refined: Tensor = fused + self.ffn(self.norm2(fused))
        return refined


class FusionAttention(nn.Module):
    """Attention between the channels of each head over the whole input: queries from high, keys and values from low
    frequencies; (N, C, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(HEADS, 1, 1))
        self.q = nn.Conv2d(channels, channels, 1, bias=False)
        self.q_dwconv = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.kv = nn.Conv2d(channels, 2 * channels, 1, bias=False)
        self.kv_dwconv = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels, bias=False)
        self.project_out = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        n, channels, height, width = low.shape
        query = self.q_dwconv(self.q(high)).reshape(n, HEADS, channels // HEADS, -1)
        key, value = self.kv_dwconv(self.kv(low)).reshape(n, 2, HEADS, channels // HEADS, -1).unbind(1)
        similarity = F.normalize(query, dim=-1) @ F.normalize(key, dim=-1).transpose(-2, -1) * self.temperature
        mixed = (similarity.softmax(-1) @ value).view(n, channels, height, width)
        out: Tensor = self.project_out(mixed)
        return out
