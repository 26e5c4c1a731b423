"""Rows that come in strips of any heights, put together to strips of one height."""

from collections.abc import Iterator

import numpy as np

from bbmr.depth import Samples


class Regrouping:
    """height: of the strips that come out.  total: of the picture; its last strip may be lower."""

    def __init__(self, height: int, total: int) -> None:
        self._height, self._left = height, total
        self._strip: Samples | None = None
        self._filled = 0  # rows of it

    def add(self, samples: Samples) -> Iterator[Samples]:
        """The strips that further rows, (h, W, C), complete.  Rows are copied, lest a few of them keep all of theirs in
        memory.
        """
        while len(samples):
            if self._strip is None:
                height = min(self._height, self._left)
                self._strip, self._filled = np.empty((height, *samples.shape[1:]), samples.dtype), 0
            count = min(len(self._strip) - self._filled, len(samples))
            self._strip[self._filled : self._filled + count] = samples[:count]
            self._filled += count
            samples = samples[count:]
            if self._filled == len(self._strip):
                strip, self._strip = self._strip, None
                self._left -= len(strip)
                yield strip
