"""Rows that come in strips of any heights, put together to strips of one height."""

from collections.abc import Iterator

import numpy as np

from bbmr.depth import Samples


class Regrouping:
    """height: of the strips that come out.  total: of the picture; its last strip may be lower."""

    def __init__(self, height: int, total: int) -> None:
        self._height, self._left = height, total
        self._rows: list[Samples] = []
        self._missing = min(height, total)

    def add(self, samples: Samples) -> Iterator[Samples]:
        """The strips, copies, that further rows, (h, W, C), complete."""
        while len(samples):
            part, samples = samples[: self._missing], samples[self._missing :]
            self._rows.append(part)
            self._missing -= len(part)
            self._left -= len(part)
            if not self._missing:
                yield np.concatenate(self._rows)
                self._rows, self._missing = [], min(self._height, self._left)
