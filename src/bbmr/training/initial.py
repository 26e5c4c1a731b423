"""What a run begins from, as `init_from`, `init_parts` and `init_downscalers` of its recipe say."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bbmr.blocks import PAPER_SCALES
from bbmr.downscaling.downnet import as_filters
from bbmr.networks import Family, NetworkDescriptor, is_end
from bbmr.networks.end_to_end import DOWNSCALERS, RESTORER, EndToEnd, part
from bbmr.networks.fast import LEVELS, as_coded, grown, is_smaller
from bbmr.networks.fine import COARSE, CodedFine
from bbmr.networks.joint import HALF
from bbmr.training.checkpoints import TrainingState, read_start
from bbmr.training.errors import RecipeError
from bbmr.training.recipe import Recipe
from bbmr.training.unfold import unfold

_KINDS = ("weight", "bias")
_LEFT = 1e-3  # share of what a filter has learned that may be missing where its Down-Net is found again


def read_initial(recipe: Recipe, descriptor: NetworkDescriptor) -> TrainingState | None:
    """The state to begin from, or None; RecipeError where files do not fit the network exactly as the recipe says."""
    if isinstance(descriptor.network, EndToEnd):
        start = _end_to_end(recipe, descriptor, descriptor.network) if recipe.init_from is not None else None
        return start if recipe.init_downscalers is None else _with_downscalers(recipe, start, descriptor.network)
    if recipe.init_from is None:
        return None
    if not isinstance(recipe.init_from, str):
        return _weights(_joined(recipe, _read_each(recipe.init_from), descriptor))
    start = read_start(Path(recipe.init_from))
    if recipe.init_parts == "body":
        return _weights(_with_body(recipe, start.averaged, descriptor))
    return _whole(recipe, start, descriptor)


def _end_to_end(recipe: Recipe, descriptor: NetworkDescriptor, network: EndToEnd) -> TrainingState:
    """From a run end to end all of it, or the parts that `init_parts` says; from weights the network, and Down-Nets
    that begin as bicubic.
    """
    assert recipe.init_from is not None
    restorer = replace(descriptor, network=network.restorer)
    if not isinstance(recipe.init_from, str):
        states = _read_each(recipe.init_from)
        own = _joined(recipe, {scale: part(state, RESTORER) or state for scale, state in states.items()}, restorer)
        learned = [part(state, DOWNSCALERS) for state in states.values()]
    else:
        start = read_start(Path(recipe.init_from))
        body = part(start.averaged, RESTORER)
        if body and recipe.init_parts == "all":
            return _whole(recipe, start, descriptor)
        if recipe.init_parts == "body":
            own = _with_body(recipe, body or start.averaged, restorer)
        else:
            own = dict(_whole(recipe, start, restorer).averaged)
        learned = [part(start.averaged, DOWNSCALERS)]
    state = dict(network.state_dict()) | {RESTORER + key: tensor for key, tensor in own.items()}
    for nets in learned:
        state |= {DOWNSCALERS + key: tensor for key, tensor in nets.items() if DOWNSCALERS + key in state}
    return _weights(state)


def _with_downscalers(recipe: Recipe, start: TrainingState | None, network: EndToEnd) -> TrainingState:
    """`start`, or the network's own first weights, with the Down-Nets of another run."""
    file = recipe.init_downscalers
    assert file is not None
    if start and start.optimiser:
        raise RecipeError(
            f"init_downscalers: {recipe.init_from} is a checkpoint, which goes on with its own Down-Nets; give weights "
            "(.safetensors) as init_from, or none"
        )
    state = dict(start.averaged) if start else dict(network.state_dict())
    given = read_start(Path(file), "init_downscalers").averaged
    nets = part(given, DOWNSCALERS)
    filters = {} if nets else _filters(given)
    for scale in network.downscalers:
        own = part(state, f"{DOWNSCALERS}{scale}.")
        if int(scale) in filters:
            nets |= {f"{scale}.{key}": tensor for key, tensor in _unfolded(file, filters, int(scale)).items()}
        if any(f"{scale}.{key}" not in nets or nets[f"{scale}.{key}"].shape != own[key].shape for key in own):
            raise RecipeError(f"init_downscalers: {file}: has no Down-Net for x{scale}")
    nets = {DOWNSCALERS + key: tensor for key, tensor in nets.items()}
    return _weights({key: nets.get(key, tensor) for key, tensor in state.items()})


def _filters(state: Mapping[str, Tensor]) -> dict[int, Tensor]:
    """By scale, where a file has folded Down-Nets (NAME.lr among the weights)."""
    try:
        return as_filters(state)
    except ValueError:
        return {}


def _unfolded(file: str, filters: Mapping[int, Tensor], scale: int) -> dict[str, Tensor]:
    """The layers of a Down-Net, of which a file has the filter."""
    downnet, left = unfold(filters[scale], scale)
    if left > _LEFT:
        raise RecipeError(f"init_downscalers: {file}: its filter for x{scale} is none of a Down-Net")
    return downnet.state_dict()


def _read_each(paths: Mapping[int, str]) -> dict[int, Mapping[str, Tensor]]:
    return {scale: read_start(Path(path)).averaged for scale, path in paths.items()}


def _whole(recipe: Recipe, start: TrainingState, descriptor: NetworkDescriptor) -> TrainingState:
    """All of a state, where it is that of the network and the optimiser; for `fast-coded` and its larger forms also of
    `fast`, or of a smaller one.
    """
    if descriptor.kind == "coded":
        start = _as_that_of(descriptor.network, start)
    try:
        descriptor.network.load_state_dict(start.network)
    except RuntimeError as error:
        raise RecipeError(
            f"init_from: {recipe.init_from}: these are no weights of {recipe.network} (init_parts: body takes those of "
            "a network with another head and tail)"
        ) from error
    if start.optimiser and ("momentum" in start.optimiser[0]) != (recipe.optimiser.name == "muon"):
        raise RecipeError(
            f"init_from: {recipe.init_from} was trained with another optimiser than {recipe.optimiser.name}"
        )
    return start


def _as_that_of(coded: nn.Module, start: TrainingState) -> TrainingState:
    """A state as that of a network for coded samples, which then restores as the network that it is of."""
    if len(start.averaged.get("head_bias", ())) == LEVELS:
        start = _weights(as_coded(start.averaged))
    own = coded.state_dict()
    if isinstance(coded, CodedFine) and "head_bias" in start.averaged:
        start = _weights(own | {COARSE + key: tensor for key, tensor in start.averaged.items()})
    return _weights(grown(start.averaged, own)) if is_smaller(start.averaged, own) else start


def _weights(state: Mapping[str, Tensor]) -> TrainingState:
    return TrainingState(0, state, state, {})


def _with_body(recipe: Recipe, body: Mapping[str, Tensor], descriptor: NetworkDescriptor) -> dict[str, Tensor]:
    """The network's own first weights, with the body's in place of all but the first and last layer.

    Of those, what fits is taken too: between two scales of an SR network the first layer does, and the last one is made
    to fit, so that the network begins by enlarging to the scale of the other, and shrinking or repeating pixels.
    """
    state = dict(descriptor.network.state_dict())
    if descriptor.scale is not None and descriptor.family:
        last = [f"{descriptor.family.last}.{kind}" for kind in _KINDS]
        body = {**body, **{key: _to_scale(body[key], descriptor.scale) for key in last if key in body}}
    fits = {key for key, own in state.items() if key in body and body[key].shape == own.shape}
    unlike = [key for key in sorted((state.keys() | body.keys()) - fits) if not is_end(key)]
    if unlike:
        raise RecipeError(f"init_from: {recipe.init_from}: has another body than {recipe.network}: {unlike[0]} differs")
    return state | {key: body[key] for key in fits}


def _to_scale(channels: Tensor, scale: int) -> Tensor:
    """Channels (3 l^2, ...) before a pixel shuffle by l -> (3 scale^2, ...): means of pixels, or pixels repeated."""
    side = math.isqrt(channels.shape[0] // 3)
    pixels = channels.view(3, side, side, -1).permute(3, 0, 1, 2)
    fitted = F.interpolate(pixels, (scale, scale), mode="area").permute(1, 2, 3, 0)
    return fitted.reshape(3 * scale * scale, *channels.shape[1:])


def _joined(
    recipe: Recipe, networks: Mapping[int, Mapping[str, Tensor]], descriptor: NetworkDescriptor
) -> dict[str, Tensor]:
    """Joint SR that at first restores each block as the SR network of its scale would."""
    if descriptor.kind != "joint" or descriptor.family is None:
        raise RecipeError(f"init_from: {recipe.network} has no branches, so it needs one file")
    if set(networks) != set(PAPER_SCALES):
        raise RecipeError(f"init_from: has a file for each of {', '.join(map(str, PAPER_SCALES))}")
    assert isinstance(recipe.init_from, Mapping)
    template = descriptor.network.state_dict()
    for scale, state in networks.items():
        branch = f"branches.{scale}."
        wanted = {key.removeprefix(branch): own.shape for key, own in template.items() if key.startswith(branch)}
        last = descriptor.family.last
        wanted |= {f"{last}.{kind}": template[f"tails.{scale}.0.{kind}"].shape for kind in _KINDS}
        if {key: tensor.shape for key, tensor in state.items()} != wanted:
            raise RecipeError(
                f"init_from: {recipe.init_from[scale]}: these are no weights of a x{scale} network like the branches "
                f"of {recipe.network}"
            )
    return join_branches(networks, template, descriptor.family)


def join_branches(
    networks: Mapping[int, Mapping[str, Tensor]], template: Mapping[str, Tensor], family: Family
) -> dict[str, Tensor]:
    """State of a JointSR that restores every block as the SR network of its scale would by itself.

    networks: states of SR networks of the family.  template: any state of the JointSR.  A tail of Joint SR has as many
    channels as the last convolution of its SR network, so it can begin as that: shuffling by k/2 and then by 2 is
    shuffling by k with the channels in another order.  All that follows begins as the identity.
    """
    state = dict(template)
    for scale, network in networks.items():
        body = {key: tensor for key, tensor in network.items() if not key.startswith(f"{family.last}.")}
        state |= {f"branches.{scale}.{key}": tensor for key, tensor in body.items()}
        bias = network[f"{family.last}.bias"]
        bias = bias + torch.tensor(family.mean).to(bias).repeat_interleave(scale * scale)
        state[f"tails.{scale}.0.weight"] = _shuffled_in_two_steps(network[f"{family.last}.weight"], scale)
        state[f"tails.{scale}.0.bias"] = _shuffled_in_two_steps(bias, scale)
    for layer in ("deblock.0", "deblock.2", "deblock.4", "up.0"):
        state[f"{layer}.weight"] = nn.init.dirac_(torch.empty_like(template[f"{layer}.weight"]))
        state[f"{layer}.bias"] = torch.zeros_like(template[f"{layer}.bias"])
    for layer in ("deblock.1", "deblock.3"):
        state[f"{layer}.weight"] = torch.ones_like(template[f"{layer}.weight"])
    # What passes here are pixels: with mid-grey at zero, where PReLU bends, both of its sides learn.
    state["deblock.0.bias"] -= 0.5
    state["deblock.4.bias"] += 0.5
    return state


def _shuffled_in_two_steps(channels: Tensor, scale: int) -> Tensor:
    """Channels (3 k^2, ...) meant for a pixel shuffle by k -> the same for one by k/2 and then one by 2."""
    coarse = scale // HALF
    split = channels.view(3, coarse, HALF, coarse, HALF, *channels.shape[1:])
    return split.movedim((2, 4), (1, 2)).flatten(0, 4)
