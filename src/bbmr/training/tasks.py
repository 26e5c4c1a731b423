"""What each kind of network is given of a batch, and how it restores pictures from that."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor, nn

from bbmr.blocks import CELL, PAPER_SCALES
from bbmr.networks import NetworkDescriptor
from bbmr.training.data import Batch
from bbmr.training.errors import RecipeError
from bbmr.training.recipe import Maps, Recipe
from bbmr.training.resampling import full_float32
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


def find_task(descriptor: NetworkDescriptor, recipe: Recipe) -> Task:
    """The task of a network; RecipeError where the recipe's maps or crops are not for it."""
    maps, name = recipe.maps, recipe.network
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
    return JointTask(sides[0])


@dataclass(frozen=True)
class MosaicTask:
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
class SRTask:
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
class JointTask:
    """Joint SR: LR blocks of `side`/k samples a side, and the map of their scales."""

    side: int
    uniform: tuple[int, ...] = PAPER_SCALES

    @property
    def maps(self) -> Maps:
        """As the allocator makes them of the paper's scales."""
        return Maps(uniform=0, blocks={self.side: 1}, all_scales=0)

    def inputs(self, batch: Batch) -> tuple[Mapping[int, Tensor], Tensor]:
        """Blocks {k: (N_k, 3, side/k, side/k)} of the scales k that occur, and scales (N, rows, cols)."""
        step = self.side // CELL
        scales = 2 ** batch.levels[:, ::step, ::step]
        blocks = {scale: cut_blocks(batch.planes[scale], scales == scale) for scale in PAPER_SCALES if scale in scales}
        return blocks, scales

    def restore(self, network: nn.Module, inputs: tuple[Mapping[int, Tensor], Tensor]) -> Tensor:
        """Pictures stitched from their blocks."""
        restored: Tensor = network(*inputs)
        return restored.float()


def cut_blocks(plane: Tensor, wanted: Tensor) -> Tensor:
    """Blocks of a plane (N, C, H, W) where `wanted` (N, rows, cols) is true, in raster order, picture after picture:
    (M, C, H/rows, W/cols).
    """
    n, channels, height, width = plane.shape
    rows, cols = wanted.shape[1:]
    return plane.view(n, channels, rows, height // rows, cols, width // cols).permute(0, 2, 4, 1, 3, 5)[wanted]
