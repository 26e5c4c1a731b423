"""A picture's LR planes through the codec, whole or with some of their blocks."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from bbmr.blocks import BlockGrid
from bbmr.codecs import avif
from bbmr.codecs.colour import fade, revive
from bbmr.codecs.planes import gather
from bbmr.depth import Samples, in_8_bit


class CodecPlanes:
    """Frames of whole planes are coded once for each quality and speed, in threads where they are begun ahead.

    planes: by scale, (h, w, C), LR samples of the whole picture.  grid: of its blocks.  colour: per cent of its colour
    that the codec is given.
    """

    def __init__(
        self,
        planes: dict[int, Samples],
        grid: BlockGrid,
        colour: int,
        chroma: Literal["4:2:0", "4:4:4"],
        tune: avif.Tune,
    ) -> None:
        self.samples = {factor: fade(in_8_bit(plane), colour) for factor, plane in planes.items()}
        self._grid, self._colour, self._chroma, self._tune = grid, colour, chroma, tune
        self._threads = ThreadPoolExecutor(torch.get_num_threads())
        self._whole: dict[tuple[int, int, int], Future[bytes]] = {}

    def close(self) -> None:
        """Begin nothing any more: what waits for a thread is not coded."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def begin(self, wanted: Sequence[tuple[int, int, int]]) -> None:
        """Begin to code whole planes, (scale, quality, speed) each, in threads: the encoder leaves Python to others."""
        for known in wanted:
            if known not in self._whole:
                factor, *_ = known
                self._whole[known] = self._threads.submit(self._encode, self.samples[factor], *known)

    def through_codec(
        self, factor: int, quality: int, speed: int, own: NDArray[np.bool_] | None = None
    ) -> tuple[bytes, NDArray[np.uint8]]:
        """The frame of a scale with these blocks, (rows, cols), or all of them, and the plane as it comes back, (h, w,
        C).
        """
        if own is None or own.all():
            plane = self.samples[factor]
            self.begin([(factor, quality, speed)])
            data = self._whole[factor, quality, speed].result()
        else:
            plane = gather(self.samples[factor], own, self._grid, factor)
            data = self._encode(plane, factor, quality, speed)
        return data, revive(avif.decode(data, plane.shape), self._colour)

    def _encode(self, plane: NDArray[np.uint8], factor: int, quality: int, speed: int) -> bytes:
        return avif.encode(plane, quality, self._chroma, self._tune, speed, avif.gains_by_cdef(factor))
