"""Networks small enough for tests, with random weights, and pictures compressed for them."""

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
import torch
from networks.at_random import at_random
from numpy.typing import NDArray
from torch import nn

from bbmr import catalogue
from bbmr.blocks import SCALES, BlockGrid, split
from bbmr.downscaling import bicubic_planes
from bbmr.downscaling.downnet import DownNet, fold
from bbmr.networks import FAMILIES, Family, NetworkDescriptor, build_network
from bbmr.networks.joint import BAND, CONTEXT, JointSR
from bbmr.options import LEARNED
from bbmr.rescaled import Recipe, RescaledImage
from bbmr.weights import WeightsEntry, load_weights, weights_index
from bbmr.weights.index import LR

OMNISR = FAMILIES[0]
RECIPE = Recipe("none", "none", "", "psnr")


def tiny_sr(scale: int, family: Family = OMNISR) -> NetworkDescriptor:
    torch.manual_seed(scale)
    descriptor = build_network(f"{family.name}-light-x{scale}")
    at_random(descriptor.network)
    _around_mid_grey(descriptor.network.get_submodule(family.last), family.mean[0])
    return replace(descriptor, name=f"tiny-x{scale}")


def tiny_joint(band: int = BAND, family: Family = OMNISR, context: int = CONTEXT) -> NetworkDescriptor:
    torch.manual_seed(0)
    network = JointSR({scale: family.body(1) for scale in (2, 4, 8)}, family.channels, band, context)
    _around_mid_grey(network.up[0])
    return NetworkDescriptor("tiny-joint", network, "joint", None, None)


def _around_mid_grey(last: nn.Module, mean: float = 0.0) -> None:
    """So that nothing of what a random network makes is clipped."""
    assert isinstance(last, nn.Conv2d)
    assert last.bias is not None
    nn.init.constant_(last.bias, 0.5 - mean)
    last.weight.data *= 0.3


def tiny_mosaic(family: Family = OMNISR) -> NetworkDescriptor:
    torch.manual_seed(1)
    network = family.mosaic(1)
    nn.init.normal_(network.get_parameter("tail.weight"), std=0.003)  # an untrained one ends in zeros
    return NetworkDescriptor("tiny-mosaic", network, "mosaic", None, None)


def textured(height: int, width: int, channels: int = 3) -> NDArray[np.uint8]:
    """Waves and some noise."""
    y, x = np.mgrid[:height, :width]
    noise = np.random.default_rng(0).normal(0, 6, (height, width, channels))
    waves = 128 + 60 * np.sin(x / 19) * np.cos(y / 15)
    colour: NDArray[np.uint8] = np.clip(waves[:, :, None] + noise, 0, 255).astype(np.uint8)
    return colour


def rescale(colour: NDArray[np.uint8], scales: NDArray[np.uint8], side: int) -> RescaledImage:
    grid = BlockGrid(colour.shape[0], colour.shape[1], side)
    planes = bicubic_planes(colour, SCALES)
    blocks = {int(k): split(planes[k], grid, k)[scales == k] for k in np.unique(scales).tolist()}
    return RescaledImage(grid, scales, blocks, RECIPE)


def random_map(rows: int, cols: int) -> NDArray[np.uint8]:
    """A map of 2, 4 and 8 that has all three."""
    factors = np.resize(np.array([2, 4, 8, 8], np.uint8), rows * cols)
    return np.random.default_rng(rows + cols).permutation(factors).reshape(rows, cols)


def float_blocks(rescaled: RescaledImage) -> dict[int, torch.Tensor]:
    """The LR blocks as a network takes them, (N, 3, s/k, s/k) in [0, 1]."""
    return {
        factor: torch.tensor(own.transpose(0, 3, 1, 2) / 255, dtype=torch.float32).expand(-1, 3, -1, -1)
        for factor, own in rescaled.blocks.items()
    }


def ship(monkeypatch: pytest.MonkeyPatch, networks: Mapping[str, NetworkDescriptor]) -> dict[str, WeightsEntry]:
    """Make pipelines find `networks`, by the names of weights, and of those that ship `fast` alone; each with Down-Nets
    too.  Returns their index.
    """
    fast = {name: weights_index()[name] for name in ("mosaic-fast", "plain-fast-x4")}
    index: dict[str, WeightsEntry] = dict(fast)
    for name in networks:
        index[name] = replace(index["mosaic-fast"], sha256=sha256(name.encode()).hexdigest())
    for name in (*fast, *networks):
        index[LEARNED + name] = index[LEARNED + name + LR] = index[name]
    filters = {factor: fold(DownNet(factor)).detach() for factor in (2, 4, 8, 16)}

    def load_tiny(name: str) -> NetworkDescriptor:
        known = name.removeprefix(LEARNED)
        return networks.get(known) or load_weights(known)

    monkeypatch.setattr(catalogue, "weights_index", lambda: index)
    monkeypatch.setattr(catalogue, "load_weights", load_tiny)
    monkeypatch.setattr(catalogue, "load_filters", lambda name: filters)
    monkeypatch.setattr(catalogue, "_build", catalogue._build.__wrapped__)  # nothing is kept beyond the test
    return index


def tiny_families() -> dict[str, NetworkDescriptor]:
    """All weights that the pipelines of SR networks need, made up."""
    networks: dict[str, NetworkDescriptor] = {}
    for family in FAMILIES:
        networks |= {f"mosaic-{family.name}": tiny_mosaic(family), f"joint-{family.name}": tiny_joint(family=family)}
        for factor in (2, 4, 8):
            networks[f"{family.name}-x{factor}"] = tiny_sr(factor, family)
            networks[f"{family.name}-light-x{factor}"] = tiny_sr(factor, family)
    return networks
