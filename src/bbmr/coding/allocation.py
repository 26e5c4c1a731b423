"""Each block's scale by rate and distortion: least error + lambda x bits.

Two things keep blocks from being independent.  Every scale that occurs has a frame of its own.  And where neighbours
differ, each lies beside a place in its frame that is filled: prediction ends there, and the edge takes bits.
"""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from bbmr.allocation.visual import VARIANCE_FLOOR

FRAME_BITS = 8 * 110
"""Of a scale that occurs, whatever its blocks hold: headers, and statistics that its codec has to learn anew."""
EDGE_BITS = 8 * 7
"""Of a side that two blocks of different scales share, in both frames.  docs/rate-distortion.md has both measured."""
_SWEEPS = 8


def least_cost(
    errors: NDArray[np.float64],
    bits: NDArray[np.float64],
    multiplier: float,
    frame_bits: float = FRAME_BITS,
    edge_bits: float = EDGE_BITS,
) -> NDArray[np.int64]:
    """The row of the scale chosen for each block, (rows, cols), such that error + multiplier x bits is least, frames
    included; of edges a local minimum, no worse than where they were not looked at.

    errors, bits: (scales, rows, cols).
    """
    costs = errors + multiplier * bits
    scales = range(len(costs))
    # They are few, and given a set blocks are independent but for edges.
    sets = [list(chosen) for count in scales for chosen in combinations(scales, count + 1)]
    candidates = [_settle(costs, chosen, multiplier * edge_bits) for chosen in sets]

    def total(rows: NDArray[np.int64]) -> float:
        return float(of_blocks(costs, rows).sum() + multiplier * overhead(rows, frame_bits, edge_bits))

    return min(candidates, key=total)


def of_blocks(values: NDArray[np.float64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """(scales, rows, cols) -> (rows, cols), each block's at the scale in its row."""
    found: NDArray[np.float64] = np.take_along_axis(values, rows[None], 0)[0]
    return found


def _settle(costs: NDArray[np.float64], allowed: list[int], edge: float) -> NDArray[np.int64]:
    """Scales out of those allowed, each block's the best beside its neighbours' (J. Besag, "On the statistical analysis
    of dirty pictures", 1986: iterated conditional modes).
    """
    own = costs[allowed]
    rows: NDArray[np.int64] = own.argmin(0)
    if len(allowed) == 1:
        return np.array(allowed)[rows]
    # Neighbours are of the other colour, so that those of one may change together.
    colours = np.indices(rows.shape).sum(0) % 2
    for _ in range(_SWEEPS):
        before = rows.copy()
        for colour in (0, 1):
            alike = np.pad(np.arange(len(allowed))[:, None, None] == rows, ((0, 0), (1, 1), (1, 1))).astype(float)
            equal = alike[:, :-2, 1:-1] + alike[:, 2:, 1:-1] + alike[:, 1:-1, :-2] + alike[:, 1:-1, 2:]
            rows = np.where(colours == colour, (own - edge * equal).argmin(0), rows)
        if np.array_equal(rows, before):
            break
    return np.array(allowed)[rows]


def overhead(rows: NDArray[np.int64], frame_bits: float = FRAME_BITS, edge_bits: float = EDGE_BITS) -> float:
    """Bits that a map of scales takes beyond those of its blocks: its frames and edges."""
    edges = np.count_nonzero(rows[1:] != rows[:-1]) + np.count_nonzero(rows[:, 1:] != rows[:, :-1])
    return frame_bits * len(np.unique(rows)) + edge_bits * edges


def visibility(variance: NDArray[np.float64], errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """What a squared error counts in each block for `--tune visual`, (rows, cols): less in busy blocks, which hide it.

    variance: (rows, cols), of each block's luma.  errors: (rows, cols), such that their weighted sum is their sum, so
    that lambda keeps its meaning.
    """
    weights = 1 / np.sqrt(variance + VARIANCE_FLOOR)
    shares = errors if errors.any() else np.ones_like(errors)
    scaled: NDArray[np.float64] = weights * (shares.sum() / (weights * shares).sum())
    return scaled
