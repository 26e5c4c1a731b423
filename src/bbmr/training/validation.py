"""How well a network restores crops of photographs that it has not seen: PSNR-Y, and pictures to look at."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from bbmr.luma import luma
from bbmr.training.data import Batch
from bbmr.upscaling.mosaic import build_mosaic, correct_mosaic


def restore_batch(network: nn.Module, scale: int | None, batch: Batch) -> Tensor:
    """The batch's pictures restored, (N, 3, H, W), not clamped.

    scale: of a network that enlarges whole LR pictures, None for one that corrects mosaics.
    """
    if scale is None:
        return correct_mosaic(batch.mosaic, batch.levels, network)
    restored: Tensor = network(batch.planes[scale])
    return restored.to(batch.hr.dtype)


@torch.inference_mode()
def measure(network: nn.Module, scale: int | None, batch: Batch) -> dict[str, float]:
    """PSNR-Y in dB over the crops, with the network and without (`_bicubic`).

    A network for mosaics is measured on the allocator's maps and on the uniform maps x2, x4, x8; one that enlarges
    whole LR pictures at its own scale.
    """
    views = {f"x{factor}": _uniform(batch, factor) for factor in ((2, 4, 8) if scale is None else (scale,))}
    if scale is None:
        views = {"maps": batch} | views
    figures = {}
    for name, view in views.items():
        figures[name] = round(_mean_psnr_y(restore_batch(network, scale, view).clamp(0, 1), batch.hr), 3)
        figures[f"{name}_bicubic"] = round(_mean_psnr_y(view.mosaic.clamp(0, 1), batch.hr), 3)
    return figures


@torch.inference_mode()
def save_pictures(network: nn.Module, scale: int | None, batch: Batch, path: Path) -> None:
    """Write one picture with a row for each crop of the batch: HR | bicubic | restored."""
    view = batch if scale is None else _uniform(batch, scale)
    columns = torch.cat([batch.hr, view.mosaic, restore_batch(network, scale, view)], 3)
    rows = torch.cat(list(columns), 1).clamp(0, 1).mul(255).round().byte()
    Image.fromarray(rows.permute(1, 2, 0).cpu().numpy().astype(np.uint8)).save(path)


def first_crops(batch: Batch, count: int) -> Batch:
    """Only the first `count` crops of a batch."""
    planes = {scale: plane[:count] for scale, plane in batch.planes.items()}
    return Batch(batch.hr[:count], planes, batch.levels[:count], batch.mosaic[:count])


def _uniform(batch: Batch, factor: int) -> Batch:
    """The same pictures with one scale all over."""
    planes, levels = {factor: batch.planes[factor]}, torch.full_like(batch.levels, factor.bit_length() - 1)
    return Batch(batch.hr, planes, levels, build_mosaic(planes, levels))


def _mean_psnr_y(restored: Tensor, hr: Tensor) -> float:
    mse = (luma(restored) - luma(hr)).square().mean((1, 2, 3))
    # A crop of even sky can be all but exact; it should not outweigh the others.
    return float((10 * torch.log10(255**2 / mse.clamp_min(0.5))).mean())
