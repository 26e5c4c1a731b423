"""What each kind of network is given of a batch, and how it restores pictures from that."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from bbmr.blocks import CELL, PAPER_SCALES
from bbmr.devices import full_float32
from bbmr.downscaling.bicubic import extend
from bbmr.networks import NetworkDescriptor
from bbmr.training.data import Batch
from bbmr.training.errors import RecipeError
from bbmr.training.objective import training_loss
from bbmr.training.recipe import Loss, Maps, Recipe
from bbmr.training.resampling import enlarge, shrink
from bbmr.upscaling.context import cut_windows
from bbmr.upscaling.mosaic import build_mosaic, correct_mosaic


@dataclass(frozen=True)
class Example:
    """hr (N, 3, H, W) in [0, 1], and what the network is given to restore it, as its `Task` has it."""

    hr: Tensor
    inputs: tuple[Any, ...]


class Task(Protocol):
    """A kind of network, in training and in validation."""

    @property
    def maps(self) -> Maps:
        """Maps of the validation crops."""
        ...

    @property
    def uniform(self) -> tuple[int, ...]:
        """Scales that it is measured at on uniform maps."""
        ...

    def inputs(self, batch: Batch) -> tuple[Any, ...]:
        """What the network is called with."""
        ...

    def restore(self, network: nn.Module, inputs: tuple[Any, ...]) -> Tensor:
        """Pictures (N, 3, H, W) in float32, not clamped."""
        ...

    def loss(self, network: nn.Module, example: Example, options: Loss) -> Tensor:
        """What a step minimises, a mean over the crops."""
        ...


class _LossOfRestored:
    """The loss of a task that learns nothing but to restore."""

    def loss(self: Task, network: nn.Module, example: Example, options: Loss) -> Tensor:
        """That of the restored pictures."""
        return training_loss(self.restore(network, example.inputs), example.hr, options)


def find_task(descriptor: NetworkDescriptor, recipe: Recipe) -> Task:
    """The task of a network; RecipeError where the recipe's maps or crops are not for it."""
    maps, name = recipe.maps, recipe.network
    if descriptor.kind == "coded" and recipe.coding is None:
        raise RecipeError(f"coding: {name} restores LR samples that were coded; a section is needed, such as {{}}")
    if descriptor.kind != "coded" and recipe.coding is not None:
        raise RecipeError(f"coding: {name} is for LR samples that no codec has been at; leave it out")
    if descriptor.kind == "coded":
        return CodedTask()
    if descriptor.scale is not None:
        if maps.scales != (descriptor.scale,):
            raise RecipeError(
                f"maps: {name} enlarges whole pictures, so it needs uniform: 1 and "
                f"uniform_scales: {{{descriptor.scale}: 1}}"
            )
        return SRTask(descriptor.scale)
    if descriptor.kind == "mosaic":
        return MosaicTask()
    sides = [side for side, share in maps.blocks.items() if share]
    if len(sides) != 1:
        raise RecipeError(f"maps.blocks: {name} needs blocks of one size, such as {{128: 1}}")
    if not set(maps.scales) <= set(PAPER_SCALES):
        raise RecipeError(
            f"maps: {name} restores scales {', '.join(map(str, PAPER_SCALES))} only, so it needs all_scales: 0 and "
            "uniform_scales of these"
        )
    for key, crop in (("crop", recipe.crop), ("validation.crop", recipe.validation.crop)):
        if crop % sides[0]:
            raise RecipeError(f"{key}: {crop} is no multiple of {sides[0]}, the side of a block")
    if recipe.context > sides[0] // max(PAPER_SCALES):
        raise RecipeError(f"context: {recipe.context} is more than a block of {sides[0]} pixels has at x8")
    return JointTask(sides[0], recipe.context)


@dataclass(frozen=True)
class MosaicTask(_LossOfRestored):
    """A network that corrects mosaics: (pixels of the mosaic, levels)."""

    maps: Maps = field(default_factory=Maps)
    uniform: tuple[int, ...] = PAPER_SCALES

    def inputs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The mosaic (N, 3, H, W), and the levels."""
        with full_float32():
            return build_mosaic(batch.planes, batch.levels), batch.levels

    def restore(self, network: nn.Module, inputs: tuple[Tensor, Tensor]) -> Tensor:
        """Mosaics with their correction added."""
        return correct_mosaic(*inputs, network)


@dataclass(frozen=True)
class CodedTask(_LossOfRestored):
    """A network that corrects mosaics of coded LR samples: (the mosaic, levels, qualities)."""

    maps: Maps = field(default_factory=lambda: Maps(blocks={64: 1}))
    uniform: tuple[int, ...] = (1, 2, 4)

    def inputs(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """The mosaic (N, 3, H, W), the levels, and the qualities."""
        assert batch.qualities is not None
        with full_float32():
            return build_mosaic(batch.planes, batch.levels), batch.levels, batch.qualities

    def restore(self, network: nn.Module, inputs: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """Mosaics with their correction added."""
        mosaic, levels, qualities = inputs
        return correct_mosaic(mosaic, levels, network, qualities)


@dataclass(frozen=True)
class SRTask(_LossOfRestored):
    """A network that enlarges whole LR pictures by `scale`."""

    scale: int

    @property
    def maps(self) -> Maps:
        """One scale all over."""
        return Maps(uniform=1, uniform_scales={self.scale: 1})

    @property
    def uniform(self) -> tuple[int, ...]:
        """Its own scale."""
        return (self.scale,)

    def inputs(self, batch: Batch) -> tuple[Tensor]:
        """The LR plane (N, 3, H/scale, W/scale)."""
        return (batch.planes[self.scale],)

    def restore(self, network: nn.Module, inputs: tuple[Tensor]) -> Tensor:
        """Enlarged pictures."""
        restored: Tensor = network(*inputs)
        return restored.float()


@dataclass(frozen=True)
class JointTask(_LossOfRestored):
    """Joint SR: LR blocks of `side`/k samples a side with their context, and the map of their scales."""

    side: int
    context: int
    uniform: tuple[int, ...] = PAPER_SCALES

    @property
    def maps(self) -> Maps:
        """As the allocator makes them of the paper's scales."""
        return Maps(uniform=0, blocks={self.side: 1}, all_scales=0)

    def inputs(self, batch: Batch) -> tuple[Mapping[int, Tensor], Tensor, int]:
        """Blocks {k: (N_k, 3, side/k + 2 context, ...)} of the scales k that occur, scales (N, rows, cols), context."""
        step = self.side // CELL
        scales = 2 ** batch.levels[:, ::step, ::step]
        with full_float32():
            blocks = {k: self._blocks(batch.planes, scales, k) for k in PAPER_SCALES if k in scales}
        return blocks, scales, self.context

    def _blocks(self, planes: Mapping[int, Tensor], scales: Tensor, factor: int) -> Tensor:
        picture = lr_picture(planes, scales, factor) if self.context else planes[factor]
        for dim in (2, 3):
            picture = extend(picture, self.context, 1, dim)
        return cut_windows(picture, self.side // factor, self.context, scales == factor)

    def restore(self, network: nn.Module, inputs: tuple[Mapping[int, Tensor], Tensor, int]) -> Tensor:
        """Pictures stitched from their blocks."""
        restored: Tensor = network(*inputs)
        return restored.float()


def lr_picture(planes: Mapping[int, Tensor], scales: Tensor, factor: int) -> Tensor:
    """The LR plane of one scale, as the receiver of blocks of other scales can have it: finer ones shrunk, coarser ones
    enlarged.

    planes: {k: (N, 3, H/k, W/k)}; scales: (N, rows, cols).  Here planes are resampled as wholes, at the receiver block
    by block: samples along edges between scales differ a little.
    """
    picture = planes[factor]
    cell = picture.shape[2] // scales.shape[1]
    for scale, plane in planes.items():
        where = scales == scale
        if scale != factor and where.any():
            resampled = shrink(plane, factor // scale) if scale < factor else enlarge(plane, scale // factor)
            where = where.repeat_interleave(cell, 1).repeat_interleave(cell, 2)[:, None]
            picture = torch.where(where, resampled.clamp(0, 1), picture)
    return picture
