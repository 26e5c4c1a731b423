"""From a recipe to a run: its folder, where it goes on, and the Trainer that drives it."""

import logging
import math
import os
import sys
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.utilities import rank_zero_only

from bbmr.errors import BbmrError
from bbmr.networks import NetworkDescriptor, build_network
from bbmr.training.data import find_photos, load_photos
from bbmr.training.end_to_end import with_downscalers
from bbmr.training.errors import RecipeError
from bbmr.training.half_precision import bfloat16_is_slow
from bbmr.training.initial import read_initial
from bbmr.training.module import TrainingModule
from bbmr.training.recipe import Recipe, differences, recipe_values, to_yaml
from bbmr.training.record import Record
from bbmr.training.run_folder import LAST, RECIPE
from bbmr.training.tasks import find_task


def train(recipe: Recipe, out: Path, devices: int | Literal["auto"] = "auto", minutes: float | None = None) -> None:
    """Train by a recipe; log, checkpoints, weights and the recipe itself go to the folder `out`.

    Where `out` holds a checkpoint already, the run goes on from it, also with more steps or other settings.
    devices: processes, each with a GPU of its own where there are any; "auto" for all GPUs.
    minutes: stop so long after the call, to be gone on with later.

    Raises RecipeError for a recipe that cannot work, BbmrError for data or a folder that cannot, KeyboardInterrupt when
    Ctrl-C or SIGTERM has stopped the run, which then can be gone on with too.
    """
    deadline = math.inf if minutes is None else time.monotonic() + 60 * minutes
    if recipe.data.folder is None:
        raise RecipeError("data.folder: names the folder of the photographs; give it with --data DIR")
    torch.manual_seed(recipe.seed)
    descriptor = _build(recipe)
    checkpoint = out / LAST
    resumed = _read_checkpoint(checkpoint) if checkpoint.is_file() else None
    if resumed:
        _require_same(resumed["recipe"], recipe, out)
    start = None if resumed else read_initial(recipe, descriptor)
    step = resumed["first_step"] + resumed["global_step"] if resumed else start.step if start else 0
    first_step = resumed["first_step"] if resumed else step
    if start and step >= recipe.steps:
        raise RecipeError(
            f"init_from: {recipe.init_from} is at step {step}, and steps is {recipe.steps}; ask for more, or begin "
            "from weights (.safetensors), at step 0"
        )
    if step >= recipe.steps:
        _say(f"{out}: {step} steps are done, {recipe.steps} were asked for")
        return
    if resumed:
        changes = differences(resumed["recipe"], recipe_values(recipe))
        _say(f"{out}: goes on at step {step}" + (", changed: " + "; ".join(changes) if changes else ""))

    folder = Path(recipe.data.folder)
    shown = os.environ.get("LOCAL_RANK", "0") == "0" and sys.stderr.isatty()
    train_paths, validation_paths = find_photos(folder, recipe.validation.crop)
    photos = load_photos(train_paths, recipe.crop, "training", shown, recipe.maps.allocated > 0)
    wanted, maps = recipe.validation, find_task(descriptor, recipe).maps
    held_out = load_photos(validation_paths, wanted.crop, "validation", shown, maps.allocated > 0)
    _say(f"{folder}: {len(photos)} of {len(train_paths)} photographs to train on, {len(held_out)} held out")
    if recipe.precision != "32-true" and not torch.cuda.is_available() and bfloat16_is_slow():
        _say("bfloat16 is slower than float32 on this CPU: --set precision=32-true makes steps shorter")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice: on loaders, loggers and processes that we do without
        record = Record(out, held_out, deadline)
        trainer = _trainer(recipe, descriptor, recipe.steps - first_step, record, devices)
        _write_recipe(recipe, out)
        module = TrainingModule(recipe, descriptor, photos, start)
        try:
            trainer.fit(module, ckpt_path=checkpoint if resumed else None, weights_only=True if resumed else None)
        except SystemExit as left:  # Lightning's answer to Ctrl-C
            raise KeyboardInterrupt from left
    # Another process that left with an error would have Lightning kill this one.
    if record.interrupted and trainer.is_global_zero and module.step < recipe.steps:
        _say(f"{out}: stopped at step {module.step}; run again to go on")
        raise KeyboardInterrupt


def _require_same(old: Mapping[str, Any], recipe: Recipe, out: Path) -> None:
    """A run goes on with other options, but not with another network or optimiser, whose state would not fit, nor from
    another start, which it has behind it.
    """
    for key, before, now in (
        ("network", old["network"], recipe.network),
        ("downscaler", old.get("downscaler", Recipe.downscaler), recipe.downscaler),
        ("optimiser.name", old["optimiser"]["name"], recipe.optimiser.name),
    ):
        if before != now:
            raise RecipeError(f"{key}: {out} holds a run with {before}, not {now}; give --out another folder")
    new = recipe_values(recipe)
    for key, unsaid in (("init_from", None), ("init_parts", Recipe.init_parts), ("init_downscalers", None)):
        begun, asked = ("nothing" if start is None else start for start in (old.get(key, unsaid), new[key]))
        if begun != asked:
            raise RecipeError(f"{key}: {out} holds a run begun from {begun}, not {asked}; give --out another folder")


def _trainer(
    recipe: Recipe, descriptor: NetworkDescriptor, steps: int, record: Record, devices: int | Literal["auto"]
) -> Trainer:
    for name in ("pytorch_lightning", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.WARNING)
    on_gpu = torch.cuda.is_available()
    if on_gpu and recipe.precision != "32-true":
        torch.set_float32_matmul_precision("high")  # for Muon's products; torch's default is twice as slow
    if devices == "auto":
        devices = torch.cuda.device_count() if on_gpu else 1
    # A branch of Joint SR rests while its scale is missing in a process's maps.
    some_rest = devices > 1 and descriptor.kind == "joint"
    trainer = Trainer(
        accelerator="gpu" if on_gpu else "cpu",
        devices=devices,
        strategy="ddp_find_unused_parameters_true" if some_rest else "auto",
        precision=recipe.precision,
        max_steps=steps,
        max_epochs=-1,
        gradient_clip_val=recipe.optimiser.clip,
        # It pays where shapes stay: branches of Joint SR get other numbers of blocks at every step.
        benchmark=on_gpu and descriptor.kind != "joint",
        callbacks=[record],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    if recipe.batch % trainer.world_size:
        raise RecipeError(
            f"batch: {recipe.batch} crops cannot be shared evenly by {trainer.world_size} processes; take fewer "
            "(--devices) or another batch"
        )
    return trainer


def _build(recipe: Recipe) -> NetworkDescriptor:
    try:
        descriptor = build_network(recipe.network)
    except KeyError as error:
        raise RecipeError(f"network: {error.args[0]}") from error
    find_task(descriptor, recipe)
    return with_downscalers(descriptor, recipe.maps.scales) if recipe.downscaler == "downnet" else descriptor


def _read_checkpoint(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickles fail in many ways, and at length
        raise BbmrError(f"{path}: cannot be read; if it is damaged, remove it to begin anew") from error
    if not isinstance(content, dict) or not {"recipe", "first_step", "global_step"} <= content.keys():
        raise BbmrError(f"{path}: is no checkpoint of such a run; give --out another folder, or remove it")
    return content


@rank_zero_only
def _write_recipe(recipe: Recipe, out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / RECIPE).write_text(to_yaml(recipe), "utf-8")
    except OSError as error:
        raise BbmrError(f"{out}: cannot be written ({error.strerror}); choose another folder (--out)") from error


@rank_zero_only
def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
