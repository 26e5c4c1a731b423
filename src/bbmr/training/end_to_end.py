"""A downscaler and the network that restores what it made, trained as one.

    HR crops --Down-Net of each scale--> LR planes, 8 bit --> what the network is given --> restored crops

Loss, eq. (6) of Li & Zhou (AAAI-25): L1(LR', LR) / 2k + the loss of the restored picture, where LR' is Down-Net's
picture before it is rounded and LR the bicubic one: LR pictures stay pictures.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from bbmr.blocks import CELL, SCALES
from bbmr.devices import full_float32
from bbmr.networks import NetworkDescriptor
from bbmr.networks.end_to_end import RESTORER, EndToEnd
from bbmr.samples import round_to_depth
from bbmr.training.data import Batch
from bbmr.training.objective import training_loss
from bbmr.training.recipe import Loss, Maps
from bbmr.training.tasks import Example, Task


def with_downscalers(descriptor: NetworkDescriptor, scales: Iterable[int]) -> NetworkDescriptor:
    """A network with Down-Nets for `scales` before it; nothing is to be learned at scale 1."""
    network = EndToEnd(descriptor.network, [factor for factor in scales if factor > 1])
    return replace(descriptor, network=network, last=tuple(RESTORER + name for name in descriptor.last))


@dataclass(frozen=True)
class EndToEndTask:
    """What another task does, on LR planes that Down-Nets make; a `Task`."""

    inner: Task

    @property
    def maps(self) -> Maps:
        """Those of the task behind it."""
        return self.inner.maps

    @property
    def uniform(self) -> tuple[int, ...]:
        """Those of the task behind it."""
        return self.inner.uniform

    def inputs(self, batch: Batch) -> tuple[Batch]:
        """The batch itself: its LR planes are still to be made."""
        return (batch,)

    def restore(self, network: nn.Module, inputs: tuple[Batch]) -> Tensor:
        """Pictures restored from LR planes of 8 bit."""
        (batch,) = inputs
        return self._restore(network, batch, _lr_planes(network, batch))

    def loss(self, network: nn.Module, example: Example, options: Loss) -> Tensor:
        """Eq. (6), of maps the mean over the scales by the area that they have."""
        (batch,) = example.inputs
        learned = _lr_planes(network, batch)
        restored = self._restore(network, batch, learned)
        loss = training_loss(restored, example.hr, options)
        for factor, plane in learned.items():
            stored = batch.levels == SCALES.index(factor)
            stored = stored.repeat_interleave(CELL // factor, 1).repeat_interleave(CELL // factor, 2)[:, None]
            distance = torch.where(stored, plane - batch.planes[factor], 0).abs().mean()
            loss = loss + options.lr * distance / (2 * factor)
        return loss

    def _restore(self, network: nn.Module, batch: Batch, learned: Mapping[int, Tensor]) -> Tensor:
        planes = batch.planes | {factor: store(plane) for factor, plane in learned.items()}
        inputs = self.inner.inputs(replace(batch, planes=planes))
        return self.inner.restore(_parts(network).restorer, inputs)


def store(plane: Tensor) -> Tensor:
    """Clip to [0, 1] and round to 8 bit; gradients go through the rounding as if it were not there."""
    clipped = plane.clamp(0, 1)
    return clipped + (round_to_depth(clipped) - clipped).detach()


def _lr_planes(network: nn.Module, batch: Batch) -> dict[int, Tensor]:
    """Of the scales that the batch has, in float32 whatever the precision of the step."""
    with full_float32():
        planes = _parts(network).lr_planes(batch.hr)
    return {factor: plane for factor, plane in planes.items() if factor in batch.planes}


def _parts(network: nn.Module) -> EndToEnd:
    assert isinstance(network, EndToEnd)
    return network
