"""What pipelines cost: parameters, and multiply-accumulates (MACs) of a whole picture, counted without computing them.

    the code that restores, its samples without data -> torch's counter of operations, two for each MAC -> MACs

Counted are convolutions, products of matrices and both products of every attention; not counted are additions,
activations, normalisations, poolings, gathers and bilinear enlargement.  The ratios between the FLOPs of Li & Zhou
(AAAI-25) are those of convolutions and linear layers alone; the products of attention, 12 % of Omni-SR's MACs, change
them by less than 3 %.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from bbmr.allocation.corrected import LIGHT
from bbmr.blocks import SCALES, BlockGrid
from bbmr.catalogue import Pipeline
from bbmr.devices import CPU
from bbmr.errors import BbmrError
from bbmr.lr_blocks import LRBlocks
from bbmr.picture import Picture
from bbmr.pipeline import measure_distortion
from bbmr.weights import load_weights

_META = torch.device("meta")


@dataclass(frozen=True)
class Complexity:
    """parameters: trained numbers of all networks that take part.  macs: multiply-accumulates for the whole picture."""

    parameters: int
    macs: int


def count_macs(run: Callable[[], object]) -> int:
    """Multiply-accumulates of everything that torch runs in `run`, which is really called.

    Tensors on the meta device stay without data, as does all that is computed of them, and so do 8-bit samples as soon
    as they become floating-point: convolutions and products of them take no time and no memory, and numpy is given
    zeros.  Whole numbers and masks, which sizes depend on, are real.
    """
    counter = FlopCounterMode(display=False)
    with ExitStack() as modes:
        for mode in (_AsOnCPU(), _WithoutData(), counter):
            modes.enter_context(mode)
        run()
    return counter.get_total_flops() // 2


def count_upscaling(pipeline: Pipeline, scales: NDArray[np.uint8], grid: BlockGrid) -> Complexity:
    """What the receiver's side costs as it runs, tiles with their halos, the mosaic and bicubic included.

    scales: (rows, cols) uint8, the factor of each block of an RGB picture.  Raises BbmrError for blocks and scales that
    the pipeline does not restore, ValueError for a map that is not the grid's and for an upscaler of one's own.
    """
    _check_networks(pipeline)
    if scales.shape != (grid.rows, grid.cols):
        raise ValueError(f"scales are {scales.shape}, the grid {grid.rows} x {grid.cols}")
    counts = {int(factor): int((scales == factor).sum()) for factor in np.unique(scales)}
    pipeline.check(grid.side, counts)
    upscaler = pipeline.upscaler()  # before anything is counted: some networks compute their initial values
    samples = {
        factor: torch.empty(count, 3, grid.side // factor, grid.side // factor, device=_META)
        for factor, count in counts.items()
    }

    @torch.no_grad()
    def restore() -> None:
        for _ in upscaler.restored_tiles(LRBlocks(grid, scales, samples)):
            pass

    return Complexity(count_parameters(pipeline.networks), count_macs(restore))


def count_distortion(
    pipeline: Pipeline, distortion: str, grid: BlockGrid, scales: Sequence[int] = SCALES
) -> Complexity:
    """What the sender's estimate of distortions costs as it runs, its LR planes given.

    distortion: one of DISTORTIONS.  scales: those that the blocks of an RGB picture may have, as in
    `bbmr.pipeline.measure_distortion`.  The fitted model of "corrected" is no network and counts nothing.  Raises
    KeyError for another distortion, BbmrError for scales that the pipeline, or its helper, does not restore, and where
    the helper or its weights are missing, ValueError as `count_upscaling`.
    """
    parameters = count_parameters(networks_of(pipeline, distortion))
    if distortion == "network":
        _check_networks(pipeline)
        pipeline.check(max(pipeline.upscaler().sides), scales)
    elif distortion == "helper":
        if not pipeline.helper:
            raise BbmrError(f"{pipeline.name} has no helper; choose another distortion")
        pipeline.check_helper(scales)

    def blank(factor: int) -> NDArray[np.uint8]:
        return np.broadcast_to(np.uint8(0), (*grid.lr_size(factor), 3))

    planes = {factor: blank(factor) for factor in SCALES}

    def measure() -> None:
        measure_distortion(Picture(blank(1)), planes, grid, distortion, pipeline, scales)

    return Complexity(parameters, count_macs(measure))


def networks_of(pipeline: Pipeline, distortion: str) -> tuple[str, ...]:
    """The names of the weights that a sender foresees distortions by.  Raises KeyError for none of DISTORTIONS."""
    networks = {"corrected": (LIGHT,), "bicubic": (), "network": pipeline.networks, "helper": pipeline.helper}
    return networks[distortion]


def _check_networks(pipeline: Pipeline) -> None:
    if not pipeline.networks:
        raise ValueError(f"{pipeline.name} restores with no network of this package, so what it costs is not known")


def count_parameters(networks: Iterable[str]) -> int:
    """Trained numbers of weights, by name."""
    return sum(_count_parameters(load_weights(name).network) for name in networks)


def _count_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


class _WithoutData(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """What is computed of tensors on the meta device is there too, whatever other tensors take part; and so is what
    8-bit samples are converted to.

    Nothing that a function keeps for later calls is made of samples, so nothing without data outlives this.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._known: dict[Any, Any] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not (_any_on_meta(args) or _become_numbers(func, args, kwargs)):
            return func(*args, **kwargs)
        kwargs = {name: _META if name == "device" else _on_meta(value) for name, value in kwargs.items()}
        if func in _INDEXING:  # the size of what is found depends on the indices, where they are masks
            tensor, indices, *others = args
            return func(_on_meta(tensor), indices, *_on_meta(others), **kwargs)
        args = _on_meta(args)
        if func.is_view or func._schema.is_mutable:
            return func(*args, **kwargs)
        # To find out the shapes of results takes torch half of the time, and pictures have many tiles and blocks alike.
        key = func, _described((args, tuple(kwargs.items())))
        if key not in self._known:
            self._known[key] = func(*args, **kwargs)
        return _another(self._known[key])


class _AsOnCPU(TorchFunctionMode):
    """Tensors without data pass for tensors on the CPU, as there is no autocast for others, and for zeros in numpy."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func == _DEVICE and args[0].is_meta:
            return CPU
        if func is Tensor.numpy and args[0].is_meta:
            return np.zeros(args[0].shape, torch.empty(0, dtype=args[0].dtype).numpy().dtype)
        return func(*args, **(kwargs or {}))


_DEVICE = Tensor.device.__get__
_INDEXING = (torch.ops.aten.index.Tensor, torch.ops.aten.index_put.default, torch.ops.aten.index_put_.default)


def _become_numbers(func: Any, args: Any, kwargs: Any) -> bool:
    return (
        func is torch.ops.aten._to_copy.default
        and args[0].dtype == torch.uint8
        and kwargs.get("dtype", torch.uint8).is_floating_point
    )


# Arguments and results of operators: tensors, lists of tensors, numbers and other plain things.


def _any_on_meta(values: Any) -> bool:
    if isinstance(values, Tensor):
        return values.is_meta
    return isinstance(values, list | tuple) and any(map(_any_on_meta, values))


def _on_meta(values: Any) -> Any:
    if isinstance(values, Tensor):
        return values if values.is_meta else values.to(_META)
    return type(values)(map(_on_meta, values)) if isinstance(values, list | tuple) else values


def _another(values: Any) -> Any:
    if isinstance(values, Tensor):
        return torch.empty_strided(values.shape, values.stride(), dtype=values.dtype, device=_META)
    return type(values)(map(_another, values)) if isinstance(values, list | tuple) else values


def _described(values: Any) -> Any:
    """All that the shapes and types of results depend on, to look them up by."""
    if isinstance(values, Tensor):
        return values.shape, values.stride(), values.dtype
    return tuple(map(_described, values)) if isinstance(values, list | tuple) else (type(values), values)
