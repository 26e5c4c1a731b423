"""The sender's side of the Wiener filters: coefficients by least squares, where they are worth their bytes."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from bbmr.blocks import SCALES
from bbmr.depth import Samples
from bbmr.luma import BLACK_TO_WHITE
from bbmr.rescaled import WIENER_CLASSES, WIENER_TAPS, WienerFilter
from bbmr.samples import to_tensor
from bbmr.upscaling.mosaic import Restored
from bbmr.upscaling.wiener import STEP, activity_classes, grey, regressors

_LOWEST, _HIGHEST = -128, 127
_RIDGE = 1e-4
"""Share by which the diagonal of the normal equations is raised: regressors of even places are all but zero."""


class WienerFit:
    """Normal equations of the coefficients of every scale and class, from part after part of a picture.

    Errors are of luma in grey levels.  side: of a block, in pixels.
    """

    def __init__(self, side: int) -> None:
        self._side = side
        shape = len(SCALES), WIENER_CLASSES[-1]
        self._auto, self._cross = np.zeros((*shape, WIENER_TAPS, WIENER_TAPS)), np.zeros((*shape, WIENER_TAPS))

    def add(self, part: Restored, colour: Samples, weights: NDArray[np.float64]) -> None:
        """Take in a tile.

        colour: (h, w, C) uint8 or uint16, what its core should be.  weights: (rows, cols), what a squared error
        counts in its blocks.
        """
        lumas, core = grey(part.restored), part.core
        inputs = regressors(lumas, grey(part.mosaic))[0, :, *core] * BLACK_TO_WHITE
        error = (grey(to_tensor(colour, lumas.device)) - lumas[:, :, *core])[0, 0] * BLACK_TO_WHITE
        groups = part.pixel_levels[0, *core] * WIENER_CLASSES[-1] + activity_classes(lumas)[0, *core]
        height, width = error.shape
        counts = torch.from_numpy(weights.repeat(self._side, 0).repeat(self._side, 1)[:height, :width]).to(inputs)
        for group in np.unique(groups.cpu().numpy()).tolist():
            own, where = groups == group, divmod(group, WIENER_CLASSES[-1])
            of_group, share = inputs[:, own], counts[own]
            # On the CPU first: not every device has float64.
            self._auto[where] += (of_group * share @ of_group.T).cpu().double().numpy()
            self._cross[where] += (of_group @ (error[own] * share)).cpu().double().numpy()

    def filters(self, multiplier: float) -> dict[int, WienerFilter]:
        """The filters that save most, by scale; multiplier: squared error that a bit has to save.  Scales for which
        none is worth its bytes are left out.
        """
        found = {}
        for row, factor in enumerate(SCALES):
            options = {(): 0.0} | dict(self._options(row, multiplier))
            best = max(options, key=lambda coefficients: options[coefficients])
            if best:
                found[factor] = best
        return found

    def _options(self, row: int, multiplier: float) -> Iterator[tuple[WienerFilter, float]]:
        """Filters of a scale, and what each saves."""
        for classes in WIENER_CLASSES:
            auto, cross = self._auto[row], self._cross[row]
            if classes == 1:
                auto, cross = auto.sum(0, keepdims=True), cross.sum(0, keepdims=True)
            fitted = [_least_squares(*equations) for equations in zip(auto, cross, strict=True)]
            coefficients = tuple(int(value) for own, _ in fitted for value in own)
            yield coefficients, sum(saved for _, saved in fitted) - multiplier * 8 * len(coefficients)


def _least_squares(auto: NDArray[np.float64], cross: NDArray[np.float64]) -> tuple[NDArray[np.int64], float]:
    """Coefficients in whole steps, and the squared error that they save; zeros where that is none."""
    diagonal = np.diag(auto)
    if diagonal.min() <= 0:
        return np.zeros(WIENER_TAPS, np.int64), 0.0
    exact = np.linalg.solve(auto + _RIDGE * np.diag(diagonal), cross)
    steps = (exact / STEP).round().clip(_LOWEST, _HIGHEST).astype(np.int64)
    taken = steps * STEP
    saved = float(2 * taken @ cross - taken @ auto @ taken)
    return (steps, saved) if saved > 0 else (np.zeros(WIENER_TAPS, np.int64), 0.0)
