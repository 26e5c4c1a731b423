"""What a run leaves in its folder while it goes on: log, pictures, weights, checkpoints; and its progress bar."""

import csv
import math
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from safetensors.torch import save
from torch import Tensor
from tqdm import tqdm

from bbmr.atomic import replacing
from bbmr.errors import BbmrError
from bbmr.training.data import BatchSource, Photo
from bbmr.training.module import TrainingModule
from bbmr.training.objective import rate_factor
from bbmr.training.run_folder import AVERAGE, BEFORE_DECAY, LAST, LOG
from bbmr.training.validation import first_crops, measure, save_pictures

_SAVE_AFTER = 600  # seconds
_VALIDATION_SEED = 1  # the same crops in every run, so that figures compare


class Record(Callback):
    """Validates, logs and saves every `validation.every` steps and at the end; saves every ten minutes too, and when
    Ctrl-C or SIGTERM stops the run: after the step that is under way, or at once if they come again.

    deadline: when to stop, by `time.monotonic`, with a checkpoint to go on from.
    """

    interrupted = False  # by agreement of all processes

    def __init__(self, out: Path, validation_photos: list[Photo], deadline: float) -> None:
        self.out, self.photos, self.deadline = out, validation_photos, deadline
        self.bar: Any = None
        self._signalled = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Make the validation crops, and start counting."""
        module = _ours(pl_module)
        wanted = module.recipe.validation
        module.data_time.read()  # what came before, the first batch included
        self.losses = torch.zeros((), device=module.device)
        if trainer.is_global_zero:
            maps, coding = module.task.maps, module.recipe.coding
            coding = replace(coding, pool=wanted.crops) if coding else None  # no more than those it takes
            source = BatchSource(self.photos, wanted.crops, wanted.crop, maps, module.device, coding=coding)
            self.batch = source.draw(np.random.default_rng(_VALIDATION_SEED))
            self.bar = tqdm(
                total=module.recipe.steps,
                initial=module.step,
                unit="step",
                disable=not sys.stderr.isatty(),
                dynamic_ncols=True,
            )
            _drop_later_lines(self.out / LOG, module.step)
        self.mark, self.first = time.monotonic(), module.step
        self.saved = self.mark
        if threading.current_thread() is threading.main_thread():  # elsewhere signals cannot be caught
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, self._interrupt)  # Lightning puts back what was there when it leaves

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the step; report, save and stop when it is time."""
        module = _ours(pl_module)
        recipe, step = module.recipe, module.step
        loss: Tensor = outputs["loss"].detach()
        self.losses += loss
        if self.bar is not None:
            self.bar.update()
            if not self.bar.disable and step % 10 == 0:
                self.bar.set_postfix(loss=f"{float(loss):.4f}", refresh=False)
        if step == recipe.stable_steps:
            trainer.save_checkpoint(self.out / BEFORE_DECAY)
        # Several processes have to agree, which takes time.
        agreed = trainer.world_size == 1 or step % 10 == 0
        now = time.monotonic()
        self.interrupted, out_of_time, long_ago = (
            agreed and trainer.strategy.reduce_boolean_decision(wish, all=False)
            for wish in (self._signalled, now > self.deadline, now > self.saved + _SAVE_AFTER)
        )
        if step % recipe.validation.every == 0 or step == recipe.steps or (out_of_time and not self.interrupted):
            self._report(trainer, module)
            self._save(trainer)
            self.mark, self.first = time.monotonic(), step
        elif self.interrupted or long_ago:  # without the validation: who interrupts may not wait
            self._mean_loss(trainer, step)
            self._save(trainer)
        trainer.should_stop = self.interrupted or out_of_time

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Take the bar away, however the run ended."""
        if self.bar is not None:
            self.bar.close()

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._signalled:
            raise KeyboardInterrupt
        self._signalled = True

    def _save(self, trainer: Trainer) -> None:
        trainer.save_checkpoint(self.out / LAST)
        self.saved = time.monotonic()

    def _mean_loss(self, trainer: Trainer, step: int) -> float:
        """Since the last line of the log, over all processes.  What is no number any more is not worth saving."""
        loss = float(trainer.strategy.reduce(self.losses / max(step - self.first, 1), reduce_op="mean"))
        if not math.isfinite(loss):
            again = f"go on from {LAST}" if (self.out / LAST).exists() else "begin again"
            raise BbmrError(f"the loss is {loss} at step {step}; {again} with lower rates (optimiser.rate)")
        return loss

    def _report(self, trainer: Trainer, module: TrainingModule) -> None:
        step, recipe = module.step, module.recipe
        steps = step - self.first
        loss = self._mean_loss(trainer, step)
        self.losses.zero_()
        seconds, waited = time.monotonic() - self.mark, module.data_time.read()
        if not trainer.is_global_zero:
            return
        line = {
            "step": step,
            "loss": round(loss, 5),
            "rate": round(recipe.optimiser.rate * rate_factor(step - 1, recipe.steps, recipe.schedule), 7),
            "steps_per_second": round(steps / seconds, 3),
            "data_share": round(waited / seconds, 3),
        } | measure(module.averaged, module.task, self.batch)
        _append(self.out / LOG, line)
        tqdm.write("  ".join(f"{key} {value}" for key, value in line.items()), file=sys.stderr)
        if recipe.validation.pictures:
            folder = self.out / "samples"
            folder.mkdir(exist_ok=True)
            shown = first_crops(self.batch, recipe.validation.pictures)
            save_pictures(module.averaged, module.task, shown, folder / f"step-{step:07d}.png")
        weights = {key: tensor.contiguous() for key, tensor in module.averaged.state_dict().items()}
        with replacing(self.out / AVERAGE, overwrite=True) as file:
            file.write(save(weights))


def _ours(module: LightningModule) -> TrainingModule:
    assert isinstance(module, TrainingModule)
    return module


def _append(log: Path, line: dict[str, float]) -> None:
    new = not log.exists()
    with log.open("a", newline="") as file:
        writer = csv.DictWriter(file, line)
        if new:
            writer.writeheader()
        writer.writerow(line)


def _drop_later_lines(log: Path, step: int) -> None:
    """A run that was cut off goes on from its checkpoint, so what it logged after that is told once more.

    Lines that were torn are dropped too, and a log whose header was.
    """
    if not log.exists():
        return
    header, *lines = log.read_text(errors="replace").splitlines(keepends=True) or [""]
    if not header.endswith("\n"):
        log.unlink()
        return
    numbers = [line.split(",")[0] if line.endswith("\n") else "" for line in lines]
    kept = [line for line, number in zip(lines, numbers, strict=True) if number.isdecimal() and int(number) <= step]
    with replacing(log, overwrite=True) as file:
        file.write((header + "".join(kept)).encode())
