"""LR planes of training crops that have been through the lossy codec, at random qualities."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bbmr.blocks import SCALES
from bbmr.codecs import avif
from bbmr.codecs.avif import QUALITIES
from bbmr.samples import to_samples
from bbmr.training.recipe import Coding


def draw_qualities(coding: Coding, count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Qualities for the planes of `count` crops, (count, scales): the coarser, the better."""
    at_full_size = random.uniform(coding.lowest, coding.highest, (count, 1))
    step = random.uniform(coding.smallest_step, coding.largest_step, (count, 1))
    qualities = at_full_size + step * np.arange(len(SCALES))
    return qualities.round().clip(QUALITIES[0], QUALITIES[-1]).astype(np.int64)


@dataclass(frozen=True)
class Coder:
    """Codes the planes of crops, several at a time: Pillow's encoder leaves Python to others."""

    pool: ThreadPoolExecutor
    speed: int

    def code(
        self, planes: Mapping[int, Tensor], qualities: NDArray[np.int64], wanted: NDArray[np.bool_]
    ) -> dict[int, Tensor]:
        """Planes {k: (N, 3, H/k, W/k)} of 8 bit in [0, 1] -> the same as they come back from the codec.

        qualities: (N, scales).  wanted: (N, scales); where a crop has no use for a plane it stays as it is.
        """
        return {factor: self._code(plane, factor, qualities, wanted) for factor, plane in planes.items()}

    def _code(self, plane: Tensor, factor: int, qualities: NDArray[np.int64], wanted: NDArray[np.bool_]) -> Tensor:
        level = SCALES.index(factor)
        crops = np.flatnonzero(wanted[:, level])
        if not len(crops):
            return plane
        samples = [to_samples(plane[crop : crop + 1]) for crop in crops]
        there_and_back = partial(_there_and_back, speed=self.speed)
        coded = list(self.pool.map(there_and_back, samples, qualities[crops, level].tolist()))
        found = torch.from_numpy(np.stack(coded)).permute(0, 3, 1, 2).to(plane.device).float() / 255
        whole = plane.clone()
        whole[torch.from_numpy(crops).to(plane.device)] = found
        return whole


def _there_and_back(samples: NDArray[np.uint8], quality: int, speed: int) -> NDArray[np.uint8]:
    return avif.decode(avif.encode(samples, quality, speed=speed), samples.shape)
