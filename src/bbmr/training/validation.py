"""How well a network restores crops of photographs that it has not seen: PSNR-Y, and pictures to look at."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from bbmr.blocks import SCALES
from bbmr.luma import luma
from bbmr.training.data import Batch
from bbmr.training.tasks import Task
from bbmr.upscaling.mosaic import build_mosaic


@torch.inference_mode()
def measure(network: nn.Module, task: Task, batch: Batch) -> dict[str, float]:
    """PSNR-Y in dB over the crops, with the network and without (`_bicubic`).

    A network for maps of mixed scales is measured on those of the batch and on uniform ones; one that enlarges whole LR
    pictures at its own scale.
    """
    views = {f"x{factor}": _uniform(batch, factor) for factor in task.uniform}
    if task.maps.uniform < 1:
        views = {"maps": batch} | views
    figures = {}
    for name, view in views.items():
        figures[name] = round(_mean_psnr_y(task.restore(network, task.inputs(view)).clamp(0, 1), batch.hr), 3)
        mosaic = build_mosaic(view.planes, view.levels)
        figures[f"{name}_bicubic"] = round(_mean_psnr_y(mosaic.clamp(0, 1), batch.hr), 3)
    return figures


@torch.inference_mode()
def save_pictures(network: nn.Module, task: Task, batch: Batch, path: Path) -> None:
    """Write one picture with a row for each crop of the batch: HR | bicubic | restored."""
    mosaic = build_mosaic(batch.planes, batch.levels)
    columns = torch.cat([batch.hr, mosaic, task.restore(network, task.inputs(batch))], 3)
    rows = torch.cat(list(columns), 1).clamp(0, 1).mul(255).round().byte()
    Image.fromarray(rows.permute(1, 2, 0).cpu().numpy().astype(np.uint8)).save(path)


def first_crops(batch: Batch, count: int) -> Batch:
    """Only the first `count` crops of a batch."""
    planes = {scale: plane[:count] for scale, plane in batch.planes.items()}
    qualities = None if batch.qualities is None else batch.qualities[:count]
    return Batch(batch.hr[:count], planes, batch.levels[:count], qualities)


def _uniform(batch: Batch, factor: int) -> Batch:
    """The same pictures with one scale all over."""
    levels = torch.full_like(batch.levels, SCALES.index(factor))
    return Batch(batch.hr, {factor: batch.planes[factor]}, levels, batch.qualities)


def _mean_psnr_y(restored: Tensor, hr: Tensor) -> float:
    mse = (luma(restored) - luma(hr)).square().mean((1, 2, 3))
    # A crop of even sky can be all but exact; it should not outweigh the others.
    return float((10 * torch.log10(255**2 / mse.clamp_min(0.5))).mean())
