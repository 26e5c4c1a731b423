"""Weights of the user's own: import from a checkpoint, export to one, removal."""

import io
import math
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from bbmr.atomic import OutputError, check_free, replacing
from bbmr.downscaling.downnet import as_filters
from bbmr.errors import BbmrError
from bbmr.networks import FAMILIES, Family, NetworkDescriptor, build_network, network_names
from bbmr.networks.end_to_end import take_apart
from bbmr.networks.inputs import random_inputs
from bbmr.options import LEARNED
from bbmr.weights.checkpoint import SUFFIXES, read_checkpoint
from bbmr.weights.index import (
    DOWNNET,
    LR,
    WeightsEntry,
    changing_index,
    load_filters,
    load_weights,
    own_folder,
    read_index,
    shipped_index,
    weights_index,
)
from bbmr.weights.precision import in_half

HALF_BOUND = 0.25 / 255
"""Half precision may move no output of a random input by more than this: a quarter of a grey level of 8 bit."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_PICTURES, _SIDE = 3, 128  # of the random input, in HR pixels; enough for a block of every scale of Joint SR


@dataclass(frozen=True)
class Imported:
    """What an import stored, and where.  moved: the most that half precision moved an output; half: whether that is
    how the weights are stored, else in float32.
    """

    entry: WeightsEntry
    path: Path
    half: bool
    moved: float


def import_weights(checkpoint: Path, name: str, network: str | None = None) -> Imported:
    """Store the weights in `checkpoint` in the user's folder, under `name`.

    network: one registered in bbmr.networks.  Unless it is given, keys and shapes tell, and where these are of a size
    of their own, `name`, if a network is called that.  The keys are those of the network, for Omni-SR those of its
    authors' release.  Weights are stored in half precision unless that moves an output by more than HALF_BOUND.

    Of the averaged weights in a run's folder the index also has what its recipe and log tell.  Of a run with Down-Nets
    these are stored too, folded, under `name` with LR behind it; filters that were exported come back under a name of
    that form.

    Raises BbmrError for a name that is taken, that stands for weights of another kind or scale, or that is no name, and
    for a file that is no checkpoint of the network; nothing is stored then.
    """
    _check_name(name, read_index(own_folder()))
    filters, state = _apart(checkpoint, read_checkpoint(checkpoint))
    parts: dict[str, tuple[WeightsEntry, bytes]] = {}
    if not state:
        _check_of_filters(name, checkpoint)
        parts[name] = _entry(name, DOWNNET, None, filters)
        half, moved = False, 0.0
    else:
        descriptor = _fit(checkpoint, network or _recognise(checkpoint, state, name), state)
        _check_stands_for(name, checkpoint, descriptor)
        moved = _moved_by_half(checkpoint, descriptor, state)
        half = moved <= HALF_BOUND
        stored = in_half(state, descriptor.kind) if half else state
        entry, data = _entry(name, descriptor.name, descriptor.scale, stored)
        parts[name] = _with_facts(entry, checkpoint), data
        if filters:
            parts[name + LR] = _entry(name + LR, DOWNNET, descriptor.scale, filters)
    _store(parts)
    entry, _ = parts[name]
    return Imported(entry, own_folder() / entry.file, half, moved)


def _apart(path: Path, state: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Filters of Down-Net, by scale, and the state of a network; one of them may be missing."""
    try:
        return (state, {}) if as_filters(state) else ({}, state)
    except ValueError:
        pass
    try:
        return take_apart(state)
    except (ValueError, RuntimeError) as error:
        raise BbmrError(f"{path}: its Down-Nets are damaged ({type(error).__name__}); get it again") from error


def _entry(name: str, network: str, scale: int | None, state: Mapping[str, Tensor]) -> tuple[WeightsEntry, bytes]:
    data = save(dict(state))
    return WeightsEntry(f"{name}.safetensors", network, sha256(data).hexdigest(), scale), data


def _with_facts(entry: WeightsEntry, checkpoint: Path) -> WeightsEntry:
    """With what the folder of a run tells, where the checkpoint lies in one and what reads recipes is installed."""
    if find_spec("yaml") is None:
        return entry
    folder = import_module("bbmr.training.run_folder")
    if checkpoint.name != folder.AVERAGE or not (checkpoint.parent / folder.RECIPE).is_file():
        return entry
    facts = folder.facts_of(checkpoint.parent)
    scale = entry.scale or facts.scale
    return replace(entry, scale=scale, steps=facts.steps, psnr_y=facts.psnr_y, psnr_y_bicubic=facts.psnr_y_bicubic)


def _store(parts: Mapping[str, tuple[WeightsEntry, bytes]]) -> None:
    """Put weights into the user's folder, all of them or none."""
    folder = own_folder()
    with changing_index(folder) as index:
        for name in parts:
            _check_name(name, index)  # another import may have taken it meanwhile
        # The index comes last: until then the files, which may be left from an import that was cut off, are nobody's.
        for name, (entry, data) in parts.items():
            with replacing(folder / entry.file, overwrite=True) as file:
                file.write(data)
            index[name] = entry


def export_weights(name: str, path: Path, overwrite: bool = False) -> None:
    """Write the weights `name` in float32 to `path`, as safetensors or for torch by its suffix, under the keys of the
    network: for Omni-SR those of its authors' release.  Raises BbmrError for unknown weights and where `path` cannot be
    written.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise BbmrError(f"{path}: the suffix says nothing of the format; end the name in {', '.join(SUFFIXES)}")
    check_free(path, overwrite)
    state = {key: tensor.contiguous() for key, tensor in _state_of(name).items()}
    if path.suffix.lower() == ".safetensors":
        data = save(state)
    else:
        buffer = io.BytesIO()
        torch.save(state, buffer)
        data = buffer.getvalue()
    with replacing(path, overwrite) as file:
        file.write(data)


def _state_of(name: str) -> Mapping[str, Tensor]:
    entry = weights_index().get(name)
    if entry and entry.network == DOWNNET:
        return {str(scale): taps for scale, taps in load_filters(name).items()}
    return load_weights(name).network.state_dict()


def remove_weights(name: str) -> None:
    """Take imported weights away.  Raises BbmrError for those that ship and for unknown ones."""
    folder = own_folder()
    if name in shipped_index():
        raise BbmrError(f"the weights {name!r} come with bbmr and stay; only imported ones can be removed")
    _check_there(name, read_index(folder))
    with changing_index(folder) as index:
        _check_there(name, index)
        entry = index.pop(name)
    try:
        (folder / entry.file).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{folder / entry.file}: cannot be removed ({error.strerror}); remove it by hand") from error


def _check_there(name: str, imported: Mapping[str, WeightsEntry]) -> None:
    if name not in imported:
        known = ", ".join(sorted(imported)) or "none"
        raise BbmrError(f"no imported weights are called {name!r}; there are: {known}")


def _check_name(name: str, imported: Mapping[str, WeightsEntry]) -> None:
    if not _NAME.fullmatch(name):
        raise BbmrError(
            f"{name!r} is no name for weights: take up to 64 small letters, digits, dots, dashes and underscores, "
            "and begin with a letter or a digit"
        )
    if name in shipped_index():
        raise BbmrError(f"the name {name!r} belongs to weights that come with bbmr; choose another")
    if name in imported:
        raise BbmrError(f"the name {name!r} is taken; choose another, or run `bbmr weights remove {name}` first")


def _check_of_filters(name: str, path: Path) -> None:
    if not name.endswith(LR):
        raise BbmrError(
            f"{path}: holds filters of Down-Net; call them like the weights that they belong to, with {LR} behind it "
            f"(--name {name}{LR})"
        )


def _check_stands_for(name: str, path: Path, descriptor: NetworkDescriptor) -> None:
    """Pipelines find the weights of their networks, and of their helpers, under the names of these networks."""
    known = name.removeprefix(LEARNED)
    if known not in network_names():
        return
    with torch.device("meta"):
        needed = build_network(known)
    if (descriptor.kind, descriptor.scale) != (needed.kind, needed.scale):
        raise BbmrError(
            f"{path}: the name {name!r} stands for weights of the network {name} ({_purpose(needed)}), and these are "
            f"of {descriptor.name} ({_purpose(descriptor)}); choose another name"
        )


def _purpose(descriptor: NetworkDescriptor) -> str:
    return f"kind {descriptor.kind}" + ("" if descriptor.scale is None else f", scale {descriptor.scale}")


def _recognise(path: Path, state: Mapping[str, Tensor], name: str) -> str:
    """The registered name of the network that `state` belongs to; `name`, where keys and shapes do not tell."""
    shapes = _shapes(state)
    for network in network_names():
        with torch.device("meta"):
            if _shapes(build_network(network).network.state_dict()) == shapes:  # no two are alike
                return network
    for family in FAMILIES:
        if f"{family.last}.weight" in state and family.count_groups(state):
            return _recognise_sr(path, state, family)
    if name in network_names():
        return name
    raise BbmrError(
        f"{path}: the keys are not those of {' or '.join(family.title for family in FAMILIES)} ({_some(state)}); if it "
        "is another network of bbmr, name it with --network"
    )


def _shapes(state: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {key: tensor.shape for key, tensor in state.items()}


def _recognise_sr(path: Path, state: Mapping[str, Tensor], family: Family) -> str:
    """As `_recognise`, for SR networks of any depth, by this and the channels of the last convolution."""
    last, groups = state[f"{family.last}.weight"], family.count_groups(state)
    scale = math.isqrt(last.shape[0] // 3) if last.ndim else 0
    name = f"{family.name}-{'light-' if groups == 1 else ''}x{scale}"
    if name not in network_names():
        raise BbmrError(
            f"{path}: its last convolution ({tuple(last.shape)}) enlarges by {scale}; bbmr has {family.title} for 2, 4 "
            "and 8"
        )
    return name


def _fit(path: Path, name: str, state: Mapping[str, Tensor]) -> NetworkDescriptor:
    """Build the network with all of `state` and nothing else."""
    if name not in network_names():
        raise BbmrError(f"no network is called {name!r}; there are: {', '.join(network_names())}")
    try:
        with torch.device("meta"):  # without memory: the sizes are the file's, and may be anything
            build_network(name, {key: tensor.to("meta") for key, tensor in state.items()})
        descriptor = build_network(name, state)
    except (KeyError, IndexError, ValueError, RuntimeError) as error:
        found = textwrap.shorten(f"{type(error).__name__}: {error}", 300, placeholder=" ...")
        raise BbmrError(
            f"{path}: does not fit {name}; is it a checkpoint of another network, or a part of one? ({found})"
        ) from error
    descriptor.network.eval()
    return descriptor


@torch.inference_mode()
def _moved_by_half(path: Path, descriptor: NetworkDescriptor, state: Mapping[str, Tensor]) -> float:
    """The largest difference in the output for a random input when the weights are rounded to half precision; infinite
    where they overflow it.
    """
    inputs = random_inputs(descriptor, _PICTURES, _SIDE)
    exact = descriptor.network(*inputs)
    if not exact.isfinite().all():
        raise BbmrError(
            f"{path}: with these weights {descriptor.name} gives values that are not finite; get another checkpoint"
        )
    halved = in_half(state, descriptor.kind)
    rounded = build_network(descriptor.name, {key: part.float() for key, part in halved.items()})
    moved = float((rounded.network.eval()(*inputs) - exact).abs().max())
    return moved if math.isfinite(moved) else math.inf


def _some(state: Mapping[str, Tensor]) -> str:
    return textwrap.shorten(", ".join(state), 60, placeholder=" ...")
