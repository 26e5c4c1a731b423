"""The step of training, as Lightning drives it: network, average of its weights, optimiser, data.

All that is random in a step follows from the recipe's seed and the number of the step.  So there is no random state to
keep: a resumed run draws what the unbroken one would have drawn, on whatever number of processes.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning import LightningModule, seed_everything
from torch import Tensor, nn
from torch.optim import Optimizer

from bbmr.networks import NetworkDescriptor
from bbmr.networks.end_to_end import EndToEnd
from bbmr.networks.joint import JointSR
from bbmr.training.checkpoints import TrainingState
from bbmr.training.data import BatchSource, Photo
from bbmr.training.end_to_end import EndToEndTask
from bbmr.training.muon import MuonWithAdamW, split_parameters
from bbmr.training.objective import rate_factor
from bbmr.training.recipe import Recipe, recipe_values
from bbmr.training.stopwatch import Stopwatch
from bbmr.training.tasks import Example, Task, find_task


class TrainingModule(LightningModule):
    """Trains a registered network by a recipe, from `start` on where there is one.

    `network` is what is trained, `averaged` the moving average of its weights.
    """

    def __init__(
        self, recipe: Recipe, descriptor: NetworkDescriptor, photos: list[Photo], start: TrainingState | None = None
    ) -> None:
        super().__init__()
        self.recipe, self.task, self.photos, self.start = recipe, _task(descriptor, recipe), photos, start
        self.first_step = start.step if start else 0
        self.network = descriptor.network
        if start:
            self.network.load_state_dict(start.network)
        self.last: list[Tensor] = [
            parameter for name, parameter in self.network.named_parameters() if name.startswith(descriptor.last)
        ]
        self.averaged = deepcopy(self.network).eval().requires_grad_(False)
        if start:
            self.averaged.load_state_dict(start.averaged)
        for network in (self.network, self.averaged):
            _set_borders(network, recipe)
        if recipe.compile:
            self.network.compile()
        self.data_time = Stopwatch()

    @property
    def step(self) -> int:
        """Steps taken, those of the checkpoint that the run was begun from included."""
        return self.first_step + self.trainer.global_step

    def configure_optimizers(self) -> Optimizer:
        """Muon for what it is of use to where the recipe says so, AdamW for all else."""
        options = self.recipe.optimiser
        matrices, rest = (
            split_parameters(self.network) if options.name == "muon" else ([], list(self.network.parameters()))
        )
        shares = dict.fromkeys(self.last, options.last)
        if isinstance(self.network, EndToEnd):
            shares |= dict.fromkeys(self.network.downscalers.parameters(), options.downscaler)
        betas = (0.9, 0.99 if options.name == "muon" else 0.999)  # alone as torch has them, for the papers' recipes
        optimiser = MuonWithAdamW(matrices, rest, betas=betas, weight_decay=options.weight_decay, shares=shares)
        if self.start and self.start.optimiser:
            optimiser.load_state_dict({"state": self.start.optimiser})
        return optimiser

    def train_dataloader(self) -> "_Batches":
        """Batches from the present step on; called when the checkpoint is restored already."""
        options = self.recipe.data
        return _Batches(
            self,
            BatchSource(
                self.photos,
                self.recipe.batch,
                self.recipe.crop,
                self.recipe.maps,
                self.device,
                options.keep_on,
                self.recipe.coding,
                self.recipe.seed,
                Path(options.coded) if options.coded else None,
            ),
        )

    def transfer_batch_to_device(self, batch: Example, device: torch.device, dataloader_idx: int) -> Example:
        """Batches are made where they are needed."""
        return batch

    def on_train_batch_start(self, batch: Example, batch_idx: int) -> None:
        """For networks with randomness of their own (dropout), which differs between processes."""
        entropy = np.random.SeedSequence([self.recipe.seed, self.step, self.global_rank])
        seed_everything(int(entropy.generate_state(1)[0]), verbose=False)

    def training_step(self, batch: Example, batch_idx: int) -> Tensor:
        """The loss of this process's share of the batch."""
        return self.task.loss(self.network, batch, self.recipe.loss)

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: Any,
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        """Set the rates, take the step, then move the average of the weights."""
        options, step = self.recipe.optimiser, self.step
        factor = rate_factor(step, self.recipe.steps, self.recipe.schedule)
        for group in optimizer.param_groups:
            by_muon_or_alone = "momentum" in group or options.name == "adamw"
            group["lr"] = factor * (options.rate if by_muon_or_alone else options.rate_rest)
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        keep = min(self.recipe.ema.decay, (step + 1) / (step + 11))  # young averages forget faster
        with torch.no_grad():
            torch._foreach_lerp_(list(self.averaged.parameters()), list(self.network.parameters()), 1 - keep)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the recipe, and where the run began."""
        checkpoint["recipe"] = recipe_values(self.recipe)
        checkpoint["first_step"] = self.first_step

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Count from where the run began."""
        self.first_step = checkpoint["first_step"]

    def on_train_start(self) -> None:
        """A checkpoint may have been trained with other borders than the run goes on with."""
        for network in (self.network, self.averaged):
            _set_borders(network, self.recipe)


def _set_borders(network: nn.Module, recipe: Recipe) -> None:
    """What Joint SR takes from the recipe, and keeps with its weights."""
    for part in network.modules():
        if isinstance(part, JointSR):
            part.band, part.context = recipe.band, recipe.context


def _task(descriptor: NetworkDescriptor, recipe: Recipe) -> Task:
    task = find_task(descriptor, recipe)
    return EndToEndTask(task) if isinstance(descriptor.network, EndToEnd) else task


class _Batches:
    """Endless batches from the module's present step on; every process makes its own share of each.

    On a CPU a thread makes the next batch while the network learns from one, which fills what the step leaves idle; a
    GPU has its own queue of work.
    """

    def __init__(self, module: TrainingModule, source: BatchSource) -> None:
        self.module, self.source = module, source
        each = module.recipe.batch // module.trainer.world_size
        self.share = slice(module.global_rank * each, (module.global_rank + 1) * each)

    def __iter__(self) -> Iterator[Example]:
        module = self.module
        step = module.step
        if module.device.type != "cpu":
            while True:
                with module.data_time:
                    example = self._make(step)
                yield example
                step += 1
        with ThreadPoolExecutor(1) as thread:
            coming = thread.submit(self._make, step)
            while True:
                with module.data_time:
                    example = coming.result()
                step += 1
                coming = thread.submit(self._make, step)
                yield example

    @torch.no_grad()
    def _make(self, step: int) -> Example:
        batch = self.source.draw(np.random.default_rng([self.module.recipe.seed, step]), self.share, step)
        return Example(batch.hr, self.module.task.inputs(batch))
