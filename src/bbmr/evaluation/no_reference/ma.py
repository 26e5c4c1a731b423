"""How good a super-resolved picture looks, judged without its original: the score of Ma et al., 0 to 10, higher is
better; and the perceptual index of the PIRM challenge, lower is better.

C. Ma, C.-Y. Yang, X. Yang, M.-H. Yang, "Learning a no-reference quality metric for single-image super-resolution", CVIU
2017.  Three sets of numbers describe the picture, a random forest that was trained on people's ratings makes a score of
each set, and a weighted sum of the three scores is the result.

    picture -> Y without its border -> at full, half and quarter size: 3 x 6 of `block_statistics.dct_statistics`
                                    -> 45 of `wavelet_statistics`
                                    -> at full, half and quarter size: 3 x 25 of `block_statistics.singular_values`

The trained model is not part of this package: its authors publish it with their code (github.com/chaoma99/sr-metric) as
`model.mat`, IQA-PyTorch as `NRQM_model.mat`.  All sums are in float64.
"""

import math
from dataclasses import dataclass
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from bbmr.errors import BbmrError
from bbmr.evaluation.metrics import BORDER
from bbmr.evaluation.no_reference.block_statistics import dct_statistics, singular_values
from bbmr.evaluation.no_reference.random_forest import RandomForest
from bbmr.evaluation.no_reference.wavelet_statistics import MIN_SIDE, wavelet_statistics
from bbmr.evaluation.planes import TooSmallError, weighed_plane, whole_levels
from bbmr.extras import from_extra
from bbmr.luma import luma

_FEATURES = (18, 45, 75)
_EDGE = math.exp(-2)  # the outer taps of MATLAB's fspecial("gaussian", 3), sigma 1/2, where the middle one is 1


def perceptual_index(ma: float, niqe_pirm: float) -> float:
    """((10 - Ma) + NIQE) / 2, lower is better; both of Y without its border, as the PIRM challenge takes them.

    Y. Blau, R. Mechrez, R. Timofte, T. Michaeli, L. Zelnik-Manor, "The 2018 PIRM challenge on perceptual image
    super-resolution", ECCV workshops 2018.
    """
    return ((10 - ma) + niqe_pirm) / 2


@dataclass(frozen=True, eq=False)
class MaModel:
    """weights: (4,) float64, of 1 and of the scores that the three forests make of 18, 45 and 75 numbers."""

    weights: NDArray[np.float64]
    forests: tuple[RandomForest, ...]

    @classmethod
    def load(cls, path: str | PathLike[str]) -> "MaModel":
        """Read the model from a MATLAB file (of version 5 to 7.2).

        Its struct `model` has the 4 weights in `linear` and a cell of 3 structs in `rf`, each of them a forest as
        `regRF_train` of randomforest-matlab returns it.  Raises BbmrError for files that cannot be read, are damaged or
        hold something else, and where scipy is missing.
        """
        model = _read(path)
        try:
            weights = np.asarray(_field(model, "linear"), np.float64).ravel()
            if weights.shape != (1 + len(_FEATURES),) or not np.isfinite(weights).all():
                raise ValueError(f"linear is {weights}")
            cells = zip(np.ravel(_field(model, "rf")), _FEATURES, strict=True)
            forests = tuple(_forest(cell, features) for cell, features in cells)
        except (ValueError, TypeError, IndexError) as error:
            raise BbmrError(
                f"{path}: is not the model of Ma et al. ({error}); give their model.mat as it is"
            ) from error
        return cls(weights, forests)

    def score(self, picture: NDArray[np.uint8]) -> float:
        """About 0 to 10, higher is better, of (H, W), (H, W, 1) or (H, W, 3) uint8, gray or RGB.

        As the PIRM challenge takes it, of whole levels of Y (MATLAB's rgb2ycbcr) with 4 pixels cut off at each side;
        gray counts as RGB with three equal channels.  Raises TypeError for other types, ValueError for other shapes and
        for pictures of less than 53 x 53 pixels.
        """
        described = features(_plane(picture))
        scores = [forest.predict(part.numpy()) for forest, part in zip(self.forests, described, strict=True)]
        return float(self.weights @ np.array([1.0, *scores]))


def features(plane: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(H, W) float64 in grey levels, 0 to 255 -> (18,), (45,), (75,) float64: what the three forests look at."""
    planes = [plane / 255]
    for _ in range(2):
        planes.append(_halved(planes[-1]))
    return (
        torch.cat([dct_statistics(scale) for scale in planes]),
        wavelet_statistics(plane),
        torch.cat([singular_values(scale) for scale in planes]),
    )


def _plane(picture: NDArray[np.uint8]) -> Tensor:
    """Y without its border in whole grey levels, (H - 8, W - 8) float64."""
    plane = whole_levels(weighed_plane(picture, luma))
    smallest = MIN_SIDE + 2 * BORDER
    if min(plane.shape) < smallest:
        raise TooSmallError(
            f"the score of Ma needs pictures of at least {smallest} x {smallest} pixels, "
            f"not {picture.shape[1]} x {picture.shape[0]}"
        )
    return plane[BORDER:-BORDER, BORDER:-BORDER]


def _halved(plane: Tensor) -> Tensor:
    """Every second row and column, from the second, of (H, W) blurred with zeros beyond the border."""
    for _ in range(2):
        count = plane.shape[0] // 2
        above, at, below = (F.pad(plane, (0, 0, 0, 1))[first::2][:count] for first in range(3))
        plane = ((at + _EDGE * (above + below)) / (1 + 2 * _EDGE)).T
    return plane


def _read(path: str | PathLike[str]) -> Any:
    """The variable `model` of a MATLAB file."""
    with from_extra("evaluate"):
        from scipy.io import loadmat  # noqa: PLC0415  # here, so that it can be said what is missing
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise BbmrError(f"{path}: cannot be read ({error.strerror}); check its name and rights") from error
    try:
        # The forests' field nodestatus is bytes stored as characters: of no use as strings.
        content = loadmat(BytesIO(data), variable_names=["model"], chars_as_strings=False)
    except Exception as error:  # damaged files fail in many ways
        raise BbmrError(f"{path}: is damaged, or no MATLAB file that scipy reads ({error}); get it again") from error
    if "model" not in content:
        raise BbmrError(f"{path}: has no variable 'model', so it is not the model of Ma et al.; give their model.mat")
    return content["model"]


def _field(struct: Any, name: str) -> Any:
    """What a MATLAB struct of one element has in a field."""
    if not isinstance(struct, np.ndarray) or name not in (struct.dtype.names or ()):
        raise ValueError(f"there is no {name}")
    return struct[name].flat[0]


def _forest(struct: Any, features: int) -> RandomForest:
    """A forest of randomforest-matlab: arrays (nodes, trees), nodes and features counted from 1, 0 for none."""
    sizes = np.asarray(_field(struct, "ndtree"), np.int64).reshape(-1, 1)
    largest = int(sizes.max())

    def trees(name: str) -> NDArray[Any]:
        # There is room for the largest tree that could have grown; what a tree does not use says nothing.
        array = np.asarray(_field(struct, name)).T[:, :largest]
        return np.where(np.arange(array.shape[1]) < sizes, array, 0)

    def from_zero(name: str) -> NDArray[np.int32]:
        from_one = trees(name).astype(np.int32)
        from_one[from_one != 0] -= 1
        return from_one

    links = from_zero("lDau"), from_zero("rDau"), from_zero("mbest")
    return RandomForest(features, *links, trees("upper").astype(np.float64), trees("avnode").astype(np.float64))
