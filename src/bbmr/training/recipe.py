"""Recipes: everything a training run depends on, read strictly from a YAML file.

A key that does not exist, a value of the wrong type or one that cannot work is an error that names the key.
"""

import difflib
import math
import types
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from bbmr.blocks import BLOCK_SIDES, CELL, SCALES
from bbmr.training.errors import RecipeError
from bbmr.training.recipes import shipped_recipes


def _require(condition: bool, key: str, wants: str) -> None:
    if not condition:
        raise RecipeError(f"{key}: {wants}")


@dataclass(frozen=True)
class Data:
    """Where the photographs lie, and where they stay once decoded."""

    folder: str | None = None  # searched with all its folders; --data says it too
    keep_on: Literal["device", "host"] = "device"  # host: main memory, for sets that the GPU cannot hold


@dataclass(frozen=True)
class Maps:
    """How scale maps are drawn: uniform ones, and the rest as the allocator makes them (least D + lambda R)."""

    uniform: float = 0.4  # share of the crops that have one scale all over
    uniform_scales: Mapping[int, float] = field(default_factory=lambda: {2: 0.13, 4: 0.65, 8: 0.13, 16: 0.09})
    blocks: Mapping[int, float] = field(default_factory=lambda: {16: 0.6, 32: 0.25, 64: 0.1, 128: 0.05})
    all_scales: float = 0.8  # share of the allocated maps that may use every scale; the others have 2, 4 and 8
    penalty_spread: float = 1.0  # lambda lies within a factor of e to this of the one that leaves 1/16 of the pixels

    def __post_init__(self) -> None:
        for key in ("uniform", "all_scales"):
            _require(0 <= getattr(self, key) <= 1, f"maps.{key}", "is a share, from 0 to 1")
        for key, possible in (("uniform_scales", SCALES), ("blocks", BLOCK_SIDES)):
            shares = getattr(self, key)
            _require(set(shares) <= set(possible), f"maps.{key}", f"has shares of {', '.join(map(str, possible))} only")
            _require(
                min(shares.values(), default=-1) >= 0 and math.isclose(sum(shares.values()), 1, abs_tol=1e-6),
                f"maps.{key}",
                "has shares from 0 to 1 that sum to 1",
            )
        _require(self.penalty_spread >= 0, "maps.penalty_spread", "is at least 0")

    @property
    def scales(self) -> tuple[int, ...]:
        """The scales that a map may have, ascending."""
        if self.uniform < 1:
            return SCALES
        return tuple(scale for scale in SCALES if self.uniform_scales.get(scale, 0) > 0)


@dataclass(frozen=True)
class Loss:
    """l1: mean absolute error; psnr: log of each crop's squared error, to finish with.  In YCbCr, luma weighs 1."""

    name: Literal["l1", "psnr"] = "l1"
    chroma: float = 0.5  # weight of Cb and Cr

    def __post_init__(self) -> None:
        _require(self.chroma >= 0, "loss.chroma", "is at least 0")


@dataclass(frozen=True)
class Optimiser:
    """muon: Muon for convolutions, AdamW for biases, gains and tables; adamw: AdamW for all."""

    name: Literal["muon", "adamw"] = "muon"
    rate: float = 2e-3  # of the convolutions
    rate_rest: float = 1e-2  # of all else; 1e-3 takes more than twice the steps on mosaics
    weight_decay: float = 0.0  # AdamW's
    clip: float = 1.0  # largest norm of all gradients together

    def __post_init__(self) -> None:
        for key in ("rate", "rate_rest", "clip"):
            _require(getattr(self, key) > 0, f"optimiser.{key}", "is above 0")
        _require(self.weight_decay >= 0, "optimiser.weight_decay", "is at least 0")


@dataclass(frozen=True)
class Schedule:
    """wsd: warm-up, constant, linear to zero; cosine: warm-up, then half a cosine to zero."""

    name: Literal["wsd", "cosine"] = "wsd"
    warm_up: int = 200  # steps over which the rate rises
    decay: float = 0.4  # share of the steps over which wsd falls

    def __post_init__(self) -> None:
        _require(self.warm_up >= 1, "schedule.warm_up", "is at least 1")
        _require(0 < self.decay <= 1, "schedule.decay", "is a share of the steps, above 0 and at most 1")


@dataclass(frozen=True)
class Average:
    """Exponential moving average of the weights: what is validated and exported."""

    decay: float = 0.998

    def __post_init__(self) -> None:
        _require(0 <= self.decay < 1, "ema.decay", "is at least 0 and below 1")


@dataclass(frozen=True)
class Validation:
    """PSNR on crops of photographs that are held out; each time the log and the checkpoint are written too."""

    every: int = 500  # steps
    crops: int = 32
    crop: int = 256  # pixels per side
    pictures: int = 4  # crops shown as HR | input | restored

    def __post_init__(self) -> None:
        _require(min(self.every, self.crops) >= 1, "validation.every, validation.crops", "are at least 1")
        _require(0 <= self.pictures <= self.crops, "validation.pictures", "is from 0 to validation.crops")
        _require_crop(self.crop, "validation.crop")


@dataclass(frozen=True)
class Recipe:
    """Everything a run depends on; kept beside its checkpoints."""

    network: str = "fast"  # a name registered in bbmr.networks
    init_from: str | None = None  # checkpoint to continue (.ckpt, .pt), or weights to start from (.safetensors)
    steps: int = 20000
    batch: int = 8  # crops a step, over all processes together
    crop: int = 192  # pixels per side of an HR crop
    seed: int = 0
    precision: Literal["bf16-mixed", "32-true"] = "bf16-mixed"
    compile: bool = False
    data: Data = field(default_factory=Data)
    maps: Maps = field(default_factory=Maps)
    loss: Loss = field(default_factory=Loss)
    optimiser: Optimiser = field(default_factory=Optimiser)
    schedule: Schedule = field(default_factory=Schedule)
    ema: Average = field(default_factory=Average)
    validation: Validation = field(default_factory=Validation)

    def __post_init__(self) -> None:
        for key in ("steps", "batch"):
            _require(getattr(self, key) >= 1, key, "is at least 1")
        _require(self.seed >= 0, "seed", "is at least 0")
        _require_crop(self.crop, "crop")

    @property
    def stable_steps(self) -> int:
        """Steps before the rate begins to fall for good."""
        return round(self.steps * (1 - self.schedule.decay)) if self.schedule.name == "wsd" else self.schedule.warm_up


def _require_crop(side: int, key: str) -> None:
    _require(side >= CELL and side % CELL == 0, key, f"{side} is no multiple of {CELL} pixels")


def load_recipe(name: str, overrides: Iterable[str] = ()) -> Recipe:
    """Read a shipped recipe by its name or a YAML file by its path, then apply overrides `section.key=value`.

    Raises RecipeError, one line that names file and key.
    """
    path = shipped_recipes().get(name) or Path(name)
    if not path.is_file():
        near = _near(name, shipped_recipes())
        raise RecipeError(f"{name}: no such recipe{near}; shipped: {', '.join(shipped_recipes())}; or a YAML file")
    try:
        values = yaml.load(path.read_text("utf-8"), _StrictLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"{path}: cannot be read as YAML ({' '.join(str(error).split())})") from error
    values = {} if values is None else values
    for override in overrides:
        _override(values, override)
    try:
        return recipe_from(values)
    except RecipeError as error:
        raise RecipeError(f"{name}: {error}") from error


def recipe_from(values: Any) -> Recipe:
    """Build a recipe from nested mappings, with defaults for what they lack; RecipeError names what is wrong."""
    recipe: Recipe = _convert(values, Recipe, "")
    return recipe


def recipe_values(recipe: Recipe) -> dict[str, Any]:
    """Nested mappings of plain values, as in YAML; the inverse of `recipe_from`."""
    return asdict(recipe)


def to_yaml(recipe: Recipe) -> str:
    """Write every option down, defaults included."""
    text: str = yaml.safe_dump(recipe_values(recipe), sort_keys=False)
    return text


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Name what changed between two `recipe_values`, as `schedule.decay: 0.4 -> 0.2`."""
    changes: list[str] = []
    for key in [*old, *(key for key in new if key not in old)]:
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            changes += differences(before, after, f"{prefix}{key}.")
        elif before != after:
            changes.append(f"{prefix}{key}: {before} -> {after}")
    return changes


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader takes the last of keys that are given twice, without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} is given twice", node.start_mark)
        return dict(super().construct_mapping(node, deep))


def _override(values: Any, override: str) -> None:
    name, equals, text = override.partition("=")
    *sections, last = name.strip().split(".")
    if not equals or not last:
        raise RecipeError(f"--set {override}: write it as key=value or section.key=value")
    inner = values
    for section in sections:
        inner = inner.setdefault(section, {}) if isinstance(inner, dict) else None
    if not isinstance(inner, dict):
        raise RecipeError(f"--set {override}: {'.'.join(sections) or 'the recipe'} is no section")
    try:
        inner[last] = yaml.load(text, _StrictLoader)
    except yaml.YAMLError as error:
        raise RecipeError(f"--set {override}: the value is no YAML") from error


def _convert(value: Any, wanted: Any, key: str) -> Any:
    """Check `value` against a type as the recipe's fields have it, and convert where nothing is lost."""
    if is_dataclass(wanted):
        return _section(value, wanted, key)
    origin = get_origin(wanted)
    if origin in (Union, types.UnionType):
        options = [part for part in get_args(wanted) if part is not types.NoneType]
        return None if value is None else _convert(value, options[0], key)
    if origin is Literal:
        choices = get_args(wanted)
        _require(value in choices, key, f"{value!r} is unknown{_near(value, choices)}; one of {', '.join(choices)}")
        return value
    if wanted is float:
        return _number(value, key)
    if origin is not None:  # Mapping[int, float]
        _require(isinstance(value, dict), key, f"{value!r} is no mapping of whole numbers to shares")
        number, share = get_args(wanted)
        return {_convert(k, number, key): _convert(v, share, f"{key}.{k}") for k, v in value.items()}
    described = {int: "whole number", str: "text", bool: "true or false"}[wanted]
    _require(
        isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool)),
        key,
        f"{value!r} is no {described}" if wanted is not bool else f"{value!r} is neither true nor false",
    )
    return value


def _section(values: Any, wanted: Any, key: str) -> Any:
    _require(isinstance(values, dict), key or "recipe", f"{values!r} is no section of keys and values")
    known = {part.name for part in fields(wanted)}
    full = partial("{}.{}".format, key) if key else str
    for name in values:
        _require(
            name in known, full(name), f"unknown key{_near(name, known) or '; known: ' + ', '.join(sorted(known))}"
        )
    hints = get_type_hints(wanted)
    return wanted(**{name: _convert(value, hints[name], full(name)) for name, value in values.items()})


def _number(value: Any, key: str) -> float:
    # YAML 1.1 takes 2e-3, without a point, for text.
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    _require(math.isfinite(number), key, f"{value!r} is no number")
    return number


def _near(name: Any, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(str(name), list(known), n=3)
    return f" (did you mean {' or '.join(close)}?)" if close else ""
