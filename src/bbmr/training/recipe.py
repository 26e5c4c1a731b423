"""Recipes: everything a training run depends on, read strictly from a YAML file.

A key that does not exist, a value of the wrong type or one that cannot work is an error that names the key.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from bbmr.blocks import BLOCK_SIDES, CELL, PAPER_SCALES, SCALES
from bbmr.networks.fast import HIGHEST_TRAINED
from bbmr.networks.joint import BAND, CONTEXT
from bbmr.training.errors import RecipeError
from bbmr.training.recipes import shipped_recipes
from bbmr.training.strict import convert, near, require


@dataclass(frozen=True)
class Data:
    """Where the photographs lie, and where they stay once decoded."""

    folder: str | None = None  # searched with all its folders; --data says it too
    keep_on: Literal["device", "host"] = "device"  # host: main memory, for sets that the GPU cannot hold
    coded: str | None = None  # folder where what the codec made is kept, for when it is wanted again and for other runs


@dataclass(frozen=True)
class Maps:
    """How scale maps are drawn: uniform ones, shuffled ones, and the rest as the allocator makes them (least D +
    lambda R).
    """

    uniform: float = 0.4  # share of the crops that have one scale all over
    shuffled: float = 0.0  # share of those whose blocks have 2, 4 and 8 equally often, wherever that falls
    uniform_scales: Mapping[int, float] = field(default_factory=lambda: {2: 0.13, 4: 0.65, 8: 0.13, 16: 0.09})
    blocks: Mapping[int, float] = field(default_factory=lambda: {16: 0.6, 32: 0.25, 64: 0.1, 128: 0.05})
    all_scales: float = 0.8  # share of the allocated maps that may use every scale; the others have 2, 4 and 8
    penalty_spread: float = 1.0  # lambda lies within a factor of e to this of the one that leaves 1/16 of the pixels

    def __post_init__(self) -> None:
        for key in ("uniform", "shuffled", "all_scales"):
            require(0 <= getattr(self, key) <= 1, f"maps.{key}", "is a share, from 0 to 1")
        require(self.uniform + self.shuffled <= 1, "maps.uniform, maps.shuffled", "are at most 1 together")
        for key, possible in (("uniform_scales", SCALES), ("blocks", BLOCK_SIDES)):
            shares = getattr(self, key)
            require(set(shares) <= set(possible), f"maps.{key}", f"has shares of {', '.join(map(str, possible))} only")
            require(
                min(shares.values(), default=-1) >= 0 and math.isclose(sum(shares.values()), 1, abs_tol=1e-6),
                f"maps.{key}",
                "has shares from 0 to 1 that sum to 1",
            )
        require(self.penalty_spread >= 0, "maps.penalty_spread", "is at least 0")

    @property
    def allocated(self) -> float:
        """Share of the crops with maps as the allocator makes them."""
        return max(0.0, 1 - self.uniform - self.shuffled)

    @property
    def scales(self) -> tuple[int, ...]:
        """The scales that a map may have, ascending."""
        possible = {scale for scale, share in self.uniform_scales.items() if share and self.uniform}
        if self.shuffled or self.allocated:
            possible |= set(PAPER_SCALES)
        if self.allocated and self.all_scales:
            possible |= set(SCALES)
        return tuple(sorted(possible))


@dataclass(frozen=True)
class Coding:
    """LR planes go through AVIF, at a quality drawn for each photograph (0 to 100, of libavif): that of samples at full
    size lies between `lowest` and `highest`, and each doubling of the scale adds `smallest_step` to `largest_step`;
    what then is beyond the codec's own is that.
    """

    lowest: float = -30  # where only coarse scales are of use
    highest: float = HIGHEST_TRAINED
    smallest_step: float = 13
    largest_step: float = 23
    speed: int = 4  # of libavif, from 0 to 10; other ones than that of use make other artefacts
    part: int = 768  # pixels per side of the parts of photographs that are coded
    pool: int = 96  # parts that crops are cut from
    renew_every: int = 6  # steps after which one of them is replaced
    distinct: int = 0  # parts after which the first come again; 0: never

    def __post_init__(self) -> None:
        bounds = "coding.lowest, coding.highest"
        in_order = -100 <= self.lowest <= self.highest <= HIGHEST_TRAINED
        require(in_order, bounds, f"are in order, from -100 to {HIGHEST_TRAINED}: of more networks are not told")
        steps = "coding.smallest_step, coding.largest_step"
        require(0 <= self.smallest_step <= self.largest_step, steps, "are in order, from 0")
        require(0 <= self.speed <= 10, "coding.speed", "is from 0 to 10")
        for key in ("part", "pool", "renew_every"):
            require(getattr(self, key) >= 1, f"coding.{key}", "is at least 1")
        require(self.distinct == 0 or self.distinct > self.pool, "coding.distinct", "is 0 or above coding.pool")

    @property
    def made_of(self) -> tuple[float, ...]:
        """What decides which part a number stands for, and what the codec makes of it."""
        return self.lowest, self.highest, self.smallest_step, self.largest_step, self.speed, self.part


@dataclass(frozen=True)
class Loss:
    """l1: mean absolute error; psnr: log of each crop's squared error, to finish with; both in YCbCr, luma weighs 1.
    rgb_l1: mean absolute error of R, G and B, as in most papers.
    """

    name: Literal["l1", "psnr", "rgb_l1"] = "l1"
    chroma: float = 0.5  # weight of Cb and Cr; rgb_l1 has none
    lr: float = 1.0  # weight of learned LR pictures' distance to the bicubic ones, eq. (6) of the paper

    def __post_init__(self) -> None:
        require(self.chroma >= 0, "loss.chroma", "is at least 0")
        require(self.lr >= 0, "loss.lr", "is at least 0")


@dataclass(frozen=True)
class Optimiser:
    """muon: Muon for what mixes channels (convolutions that are not depth-wise, linear layers), AdamW for the rest;
    adamw: AdamW for all, with torch's betas.
    """

    name: Literal["muon", "adamw"] = "muon"
    rate: float = 2e-3  # of Muon; of AdamW where it is alone
    rate_rest: float = 1e-2  # of AdamW beside Muon; with 1e-3 `fast` takes more than twice the steps on mosaics
    # Share of both rates for the layers that put out pixels.  Those of an SR network read features of the size of 1 and
    # have to add some hundredths; mosaic networks have a gain for that.
    last: float = 1.0
    downscaler: float = 1.0  # factor of both rates for Down-Nets
    weight_decay: float = 0.0  # AdamW's
    clip: float = 1.0  # largest norm of all gradients together

    def __post_init__(self) -> None:
        for key in ("rate", "rate_rest", "clip", "downscaler"):
            require(getattr(self, key) > 0, f"optimiser.{key}", "is above 0")
        require(0 < self.last <= 1, "optimiser.last", "is a share of the rates, above 0 and at most 1")
        require(self.weight_decay >= 0, "optimiser.weight_decay", "is at least 0")


@dataclass(frozen=True)
class Schedule:
    """Warm-up, and then.  wsd: constant, linear to zero; cosine: half a cosine to zero; step: halved at intervals."""

    name: Literal["wsd", "cosine", "step"] = "wsd"
    warm_up: int = 200  # steps over which the rate rises
    decay: float = 0.4  # share of the steps over which wsd falls
    halve_every: float = 0.25  # share of the steps after which step halves the rate, again and again

    def __post_init__(self) -> None:
        require(self.warm_up >= 1, "schedule.warm_up", "is at least 1")
        for key in ("decay", "halve_every"):
            require(0 < getattr(self, key) <= 1, f"schedule.{key}", "is a share of the steps, above 0 and at most 1")

    def halving_interval(self, steps: int) -> int:
        """Steps, of a run of `steps`, after which `step` halves the rate."""
        return max(1, round(steps * self.halve_every))


@dataclass(frozen=True)
class Average:
    """Exponential moving average of the weights: what is validated and exported."""

    decay: float = 0.998

    def __post_init__(self) -> None:
        require(0 <= self.decay < 1, "ema.decay", "is at least 0 and below 1")


@dataclass(frozen=True)
class Validation:
    """PSNR on crops of photographs that are held out; each time the log and the checkpoint are written too."""

    every: int = 500  # steps
    crops: int = 32
    crop: int = 256  # pixels per side
    pictures: int = 4  # crops shown as HR | input | restored

    def __post_init__(self) -> None:
        require(min(self.every, self.crops) >= 1, "validation.every, validation.crops", "are at least 1")
        require(0 <= self.pictures <= self.crops, "validation.pictures", "is from 0 to validation.crops")
        _require_crop(self.crop, "validation.crop")


@dataclass(frozen=True)
class Recipe:
    """Everything a run depends on; kept beside its checkpoints."""

    network: str = "fast"  # a name registered in bbmr.networks
    downscaler: Literal["bicubic", "downnet"] = "bicubic"  # downnet: learned with the network, one for each scale
    # Checkpoint to continue (.ckpt, .pt), or weights to start from (.safetensors); for Joint SR also {2: ..., 4: ...,
    # 8: ...}: the SR networks that its branches start from.
    init_from: str | Mapping[int, str] | None = None
    init_parts: Literal["all", "body"] = "all"  # body: first and last layer may differ
    # Weights (.safetensors) whose Down-Nets the run begins with, also where they were trained with another network; or
    # the filters of some (NAME.lr.safetensors).
    init_downscalers: str | None = None
    steps: int = 20000
    batch: int = 8  # crops a step, over all processes together
    crop: int = 192  # pixels per side of an HR crop
    band: int = BAND  # samples on each side of a block edge that Joint SR's deblocking branch makes; 0 leaves it out
    context: int = CONTEXT  # LR samples of its neighbours that Joint SR is given around each block; in the paper 0
    seed: int = 0
    precision: Literal["bf16-mixed", "32-true"] = "bf16-mixed"
    compile: bool = False
    data: Data = field(default_factory=Data)
    maps: Maps = field(default_factory=Maps)
    coding: Coding | None = None  # for networks that restore lossy files
    loss: Loss = field(default_factory=Loss)
    optimiser: Optimiser = field(default_factory=Optimiser)
    schedule: Schedule = field(default_factory=Schedule)
    ema: Average = field(default_factory=Average)
    validation: Validation = field(default_factory=Validation)

    def __post_init__(self) -> None:
        for key in ("steps", "batch"):
            require(getattr(self, key) >= 1, key, "is at least 1")
        require(0 <= self.seed < 2**63, "seed", "is from 0 to 2**63 - 1")
        require(self.band >= 0, "band", "is at least 0")
        require(self.context >= 0, "context", "is at least 0")
        require(
            self.init_parts == "all" or isinstance(self.init_from, str),
            "init_parts",
            "body needs init_from with one file",
        )
        require(
            self.init_downscalers is None or self.downscaler == "downnet",
            "init_downscalers",
            "needs downscaler: downnet",
        )
        _require_crop(self.crop, "crop")

    @property
    def stable_steps(self) -> int:
        """Steps before the rate begins to fall for good."""
        stable = {
            "wsd": round(self.steps * (1 - self.schedule.decay)),
            "cosine": self.schedule.warm_up,
            "step": self.schedule.halving_interval(self.steps),
        }
        return stable[self.schedule.name]


def _require_crop(side: int, key: str) -> None:
    require(side >= CELL and side % CELL == 0, key, f"{side} is no multiple of {CELL} pixels")


def load_recipe(name: str, overrides: Iterable[str] = ()) -> Recipe:
    """Read a shipped recipe by its name or a YAML file by its path, then apply overrides `section.key=value`.

    A recipe with the key `base` is another one, named likewise (paths from the folder that it lies in), with the keys
    that it has itself changed.  Raises RecipeError, one line that names file and key.
    """
    values = _read(name, Path(), ())
    for override in overrides:
        _override(values, override)
    return _recipe_called(name, values)


def _read(name: str, folder: Path, above: tuple[Path, ...]) -> Any:
    """Keys and values of a recipe's file; `above`: the files that it is a base of."""
    path = shipped_recipes().get(name) or folder / name
    if not path.is_file():
        like = near(name, shipped_recipes())
        raise RecipeError(f"{name}: no such recipe{like}; shipped: {', '.join(shipped_recipes())}; or a YAML file")
    if path.resolve() in above:
        raise RecipeError(f"{path}: base: is based on itself")
    try:
        values = yaml.load(path.read_text("utf-8"), _StrictLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"{path}: cannot be read as YAML ({' '.join(str(error).split())})") from error
    values = {} if values is None else values
    if not isinstance(values, dict) or "base" not in values:
        return values
    base = values.pop("base")
    require(isinstance(base, str), f"{path}: base", f"{base!r} is no recipe's name or path")
    inherited = _read(base, path.parent, (*above, path.resolve()))
    _recipe_called(base, inherited)
    for key, value in values.items():
        _change(inherited, key, value)
    return inherited


def _change(values: dict[Any, Any], key: Any, value: Any) -> None:
    """Give a recipe's key another value; sections are changed key by key, other mappings (shares) as a whole."""
    sections = {part.name for part in fields(Recipe) if is_dataclass(part.default_factory)}
    old = values.get(key)
    if key in sections and isinstance(old, dict) and isinstance(value, dict):
        value = old | value
    values[key] = value


def _recipe_called(name: str, values: Any) -> Recipe:
    try:
        return recipe_from(values)
    except RecipeError as error:
        raise RecipeError(f"{name}: {error}") from error


def recipe_from(values: Any) -> Recipe:
    """Build a recipe from nested mappings, with defaults for what they lack; RecipeError names what is wrong."""
    recipe: Recipe = convert(values, Recipe, "")
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
    parts = name.strip().split(".")
    if not equals or not parts[-1]:
        raise RecipeError(f"--set {override}: write it as key=value or section.key=value")
    *sections, last = (int(part) if part.isdecimal() else part for part in parts)  # scales and sides are numbers
    inner = values
    for section in sections:
        inner = inner.setdefault(section, {}) if isinstance(inner, dict) else None
    if not isinstance(inner, dict):
        raise RecipeError(f"--set {override}: {'.'.join(parts[:-1]) or 'the recipe'} is no section")
    try:
        value = yaml.load(text, _StrictLoader)
    except yaml.YAMLError as error:
        raise RecipeError(f"--set {override}: the value is no YAML") from error
    if inner is values:
        _change(inner, last, value)
    else:
        inner[last] = value
