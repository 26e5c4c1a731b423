"""Each block's scale by rate and distortion: least error + lambda x bits.

Two things keep blocks from being independent.  Every scale that occurs has a frame of its own.  And where neighbours
differ, each lies beside a place in its frame that is filled: prediction ends there, and the edge takes bits.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from bbmr.allocation.visual import VARIANCE_FLOOR

_FRAME_BYTES = 15.0
_SIDE_BYTES = 0.75
"""Times the cube root of the bytes of a block of that scale, on average.  docs/rate-distortion.md has both measured."""
_SECTION_BYTES = 20.0
"""Of a frame's place in the file: head, checksum, filter."""
_SWEEPS = 8


@dataclass(frozen=True)
class Overhead:
    """What a map of scales takes beyond the bits of its blocks.

    frame: bits of a scale that occurs.  sides: (scales,), bits that its frame takes for each side on which one of its
    blocks borders on one of another scale.
    """

    frame: float
    sides: NDArray[np.float64]

    @classmethod
    def foreseen(cls, bits: NDArray[np.float64]) -> "Overhead":
        """bits: (scales, rows, cols), of every block at every scale."""
        return cls(8 * (_FRAME_BYTES + _SECTION_BYTES), _side_bits(bits.mean((1, 2))))

    def of(self, rows: NDArray[np.int64]) -> float:
        """Bits; rows: (rows, cols), of the scale of each block."""
        edges = sum(self.sides[one].sum() + self.sides[other].sum() for one, other in _differing(rows))
        return float(self.frame * len(np.unique(rows)) + edges)


def least_cost(
    errors: NDArray[np.float64], bits: NDArray[np.float64], multiplier: float, overhead: Overhead
) -> NDArray[np.int64]:
    """The row of the scale chosen for each block, (rows, cols), such that error + multiplier x bits is least, frames
    included; of edges a local minimum, no worse than where they were not looked at.

    errors, bits: (scales, rows, cols).
    """
    costs = errors + multiplier * bits
    scales = range(len(costs))
    # They are few, and given a set blocks are independent but for edges.
    sets = [list(chosen) for count in scales for chosen in combinations(scales, count + 1)]
    candidates = [_settle(costs, chosen, multiplier * overhead.sides) for chosen in sets]

    def total(rows: NDArray[np.int64]) -> float:
        return float(of_blocks(costs, rows).sum() + multiplier * overhead.of(rows))

    return min(candidates, key=total)


def frame_bits(own: NDArray[np.bool_], bits: NDArray[np.float64]) -> float:
    """What the frame of a scale takes, foreseen.  own: (rows, cols), which blocks it has.  bits: of every block."""
    sides = sum(len(one) for one, _ in _differing(own))
    return float(bits[own].sum() + 8 * _FRAME_BYTES + sides * _side_bits(bits.mean()))


def _side_bits(mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of a side at which a frame is filled.  mean: bits of a block of its scale."""
    found: NDArray[np.float64] = 8 * _SIDE_BYTES * np.cbrt(mean / 8)
    return found


def of_blocks(values: NDArray[np.float64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """(scales, rows, cols) -> (rows, cols), each block's at the scale in its row."""
    found: NDArray[np.float64] = np.take_along_axis(values, rows[None], 0)[0]
    return found


def _settle(costs: NDArray[np.float64], allowed: list[int], sides: NDArray[np.float64]) -> NDArray[np.int64]:
    """Scales out of those allowed, each block's the best beside its neighbours' (J. Besag, "On the statistical analysis
    of dirty pictures", 1986: iterated conditional modes).  sides: (scales,), as in `Overhead`, in units of costs.
    """
    own, own_sides = costs[allowed], sides[allowed][:, None, None]
    rows: NDArray[np.int64] = own.argmin(0)
    if len(allowed) == 1:
        return np.array(allowed)[rows]
    neighbours = _around(np.ones(rows.shape))
    # Neighbours are of the other colour, so that those of one may change together.
    colours = np.indices(rows.shape).sum(0) % 2
    for _ in range(_SWEEPS):
        before = rows.copy()
        for colour in (0, 1):
            equal = np.stack([_around((rows == row).astype(float)) for row in range(len(allowed))])
            # Of neighbours that differ theirs too; of all neighbours it is the same whatever is chosen.
            edges = own_sides * (neighbours - 2 * equal)
            rows = np.where(colours == colour, (own + edges).argmin(0), rows)
        if np.array_equal(rows, before):
            break
    return np.array(allowed)[rows]


def _around(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sum of the neighbours on four sides, (rows, cols)."""
    padded = np.pad(values, 1)
    around: NDArray[np.float64] = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
    return around


def _differing(values: NDArray[np.generic]) -> list[tuple[NDArray[np.generic], NDArray[np.generic]]]:
    """Neighbours that differ, one beside or above the other."""
    pairs = ((values[1:], values[:-1]), (values[:, 1:], values[:, :-1]))
    return [(one[one != other], other[one != other]) for one, other in pairs]


def visibility(variance: NDArray[np.float64], errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """What a squared error counts in each block for `--tune visual`, (rows, cols): less in busy blocks, which hide it.

    variance: (rows, cols), of each block's luma.  errors: (rows, cols), such that their weighted sum is their sum, so
    that lambda keeps its meaning.
    """
    weights = 1 / np.sqrt(variance + VARIANCE_FLOOR)
    shares = errors if errors.any() else np.ones_like(errors)
    scaled: NDArray[np.float64] = weights * (shares.sum() / (weights * shares).sum())
    return scaled
