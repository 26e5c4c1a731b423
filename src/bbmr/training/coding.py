"""Photographs that have been through the lossy codec, for training: whole, as in use, each at qualities of its own.

The codec at the speed of use takes longer than a step of a small network does.  So crops come from a pool of coded
parts of photographs, of which one is replaced every few steps.  Which parts those are, and at what qualities, follows
from the seed and the step: a run that goes on draws what the unbroken one would have drawn.  Where there are so many
distinct parts and no more, their frames can be kept, and later rounds only decode.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bbmr.blocks import CELL, SCALES
from bbmr.codecs import avif
from bbmr.codecs.avif import QUALITIES
from bbmr.cores import cores
from bbmr.devices import full_float32
from bbmr.downscaling import bicubic_planes
from bbmr.training.frame_store import Frames, FrameStore
from bbmr.training.recipe import Coding


def draw_qualities(coding: Coding, random: np.random.Generator) -> NDArray[np.int64]:
    """Qualities for the planes of a picture, (scales,): the coarser, the better."""
    at_full_size = random.uniform(coding.lowest, coding.highest)
    step = random.uniform(coding.smallest_step, coding.largest_step)
    qualities = at_full_size + step * np.arange(len(SCALES))
    return qualities.round().clip(QUALITIES[0], QUALITIES[-1]).astype(np.int64)


@dataclass(frozen=True)
class CodedPart:
    """Part of a photograph with its LR planes as they come back from the codec.

    photo: its number.  top, left: where the part lies in it, and height, width; these two are multiples of 16.
    planes: {k: (3, height/k, width/k) uint8}.  qualities: (scales,).
    """

    photo: int
    top: int
    left: int
    height: int
    width: int
    planes: Mapping[int, Tensor]
    qualities: NDArray[np.int64]


class CodedPool:
    """A pool of coded parts, none smaller than `side` pixels, of photographs (3, H, W) uint8 drawn by `shares`; of as
    many as `coding` says, or a batch has.  store: where their frames are kept.

    Parts are coded by threads, some of them ahead: the encoder leaves Python to others.
    """

    def __init__(
        self,
        photos: Sequence[Tensor],
        shares: NDArray[np.float64],
        side: int,
        batch: int,
        coding: Coding,
        seed: int,
        store: FrameStore | None = None,
    ) -> None:
        self.size = max(coding.pool, batch)
        self._photos, self._shares, self._coding, self._seed, self._store = photos, shares, coding, seed, store
        self._side = max(side, coding.part)
        self._ahead = 2 * cores()
        self._threads = ThreadPoolExecutor(cores())
        self._parts: dict[int, Future[CodedPart]] = {}

    def at(self, step: int, places: Sequence[int]) -> list[CodedPart]:
        """The parts at some places, from 0 to `size` - 1, of the pool as it is at a step."""
        oldest = step // self._coding.renew_every
        for number in [number for number in self._parts if number < oldest]:
            self._parts.pop(number).cancel()
        for place in places:
            self._begin(oldest + place)
        # Of the others few at a time: a run that stops waits for what is begun.
        for number in range(oldest, oldest + self.size + 1):
            if sum(not part.done() for part in self._parts.values()) >= self._ahead:
                break
            self._begin(number)
        return [self._parts[oldest + place].result() for place in places]

    def _begin(self, number: int) -> None:
        if number not in self._parts:
            again = number % self._coding.distinct if self._coding.distinct else number
            self._parts[number] = self._threads.submit(self._make, again)

    def _make(self, number: int) -> CodedPart:
        random = np.random.default_rng([self._seed, number])
        index = int(random.choice(len(self._photos), p=self._shares))
        pixels = self._photos[index]
        height, width = (min(length, self._side) // CELL * CELL for length in pixels.shape[1:])
        top = int(random.integers(pixels.shape[1] - height + 1))
        left = int(random.integers(pixels.shape[2] - width + 1))
        part = pixels[:, top : top + height, left : left + width].permute(1, 2, 0).cpu().numpy()
        qualities = draw_qualities(self._coding, random)

        def code() -> Frames:
            with full_float32():
                planes = bicubic_planes(part, SCALES)
            settings = zip(SCALES, qualities.tolist(), strict=True)
            speed = self._coding.speed
            return {k: avif.encode(planes[k], own, speed=speed, cdef=avif.gains_by_cdef(k)) for k, own in settings}

        frames = self._store.get(number, code) if self._store else code()
        coded = {}
        for factor, frame in frames.items():
            plane = avif.decode(frame, (height // factor, width // factor, 3))
            coded[factor] = torch.from_numpy(plane).permute(2, 0, 1)
        return CodedPart(index, top, left, height, width, coded, qualities)
