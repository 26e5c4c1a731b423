"""Where two restored pictures differ most, in both directions: what an honest comparison shows."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Region:
    """A rectangle of pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Its rows and columns."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)

    def cut_out(self, array: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W, ...) -> (height, width, ...)."""
        return array[self.slices]

    def overlaps(self, other: "Region") -> bool:
        """Whether any pixel lies in both."""
        return (
            self.top < other.top + other.height
            and other.top < self.top + self.height
            and self.left < other.left + other.width
            and other.left < self.left + self.width
        )


def telling_regions(
    truth: NDArray[np.uint8], one: NDArray[np.uint8], other: NDArray[np.uint8], side: int = 256, count: int = 3
) -> list[Region]:
    """Find at most `count` regions, not overlapping, where the squared errors of two pictures differ most.

    All (H, W, C) uint8; regions are `side` pixels high and wide, or as much as there is.  First those where `one`
    is better, best first; the last is where `other` is better by most, if it is anywhere and `count` is at least 2.
    """
    height, width = min(side, truth.shape[0]), min(side, truth.shape[1])
    tops, lefts = (_starts(length, part) for length, part in zip(truth.shape, (height, width), strict=False))
    rows, cols = np.union1d(tops, tops + height), np.union1d(lefts, lefts + width)
    # Sums over the picture's part above and left of each crossing, worked out in strips between the rows.
    sums = np.zeros((rows.size, cols.size), np.int64)
    for index, (top, bottom) in enumerate(pairwise(rows), 1):
        gain = _squared(other[top:bottom], truth[top:bottom]) - _squared(one[top:bottom], truth[top:bottom])
        sums[index, 1:] = np.add.reduceat(gain, cols[:-1]).cumsum()
    sums = sums.cumsum(axis=0)

    def at(down: int, right: int) -> NDArray[np.int64]:
        return sums[np.ix_(np.searchsorted(rows, tops + down), np.searchsorted(cols, lefts + right))]

    windows = at(0, 0) - at(height, 0) - at(0, width) + at(height, width)
    order = [
        (windows[row, col], Region(int(tops[row]), int(lefts[col]), height, width))
        for row, col in zip(
            *np.unravel_index(np.argsort(-windows, axis=None, kind="stable"), windows.shape), strict=True
        )
    ]
    worst = [region for gained, region in order[-1:] if gained < 0 and count >= 2]
    chosen: list[Region] = []
    for _, region in order:
        if len(chosen) + len(worst) < count and not any(region.overlaps(taken) for taken in chosen + worst):
            chosen.append(region)
    return chosen + worst


def _starts(length: int, part: int) -> NDArray[np.int64]:
    """First pixels of windows of `part` out of `length` pixels, an eighth of a window apart, the last one flush."""
    return np.unique(np.append(np.arange(0, length - part + 1, max(1, part // 8)), length - part))


def _squared(picture: NDArray[np.uint8], truth: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Squared errors of (H, W, C) summed over rows and channels, (W,)."""
    sums: NDArray[np.int64] = np.square(np.subtract(picture, truth, dtype=np.int32)).sum(axis=(0, 2), dtype=np.int64)
    return sums
