"""Random forests for regression: what they predict.  L. Breiman, "Random forests", Machine Learning 2001."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class RandomForest:
    """Trees of binary decisions; all arrays are (trees, nodes), node 0 is the root.

    left, right: int32, the nodes that follow where the feature is at most, or above, the threshold; both 0 at a leaf.
    Every node comes before those that follow it.  feature: int32, index of the feature to look at.  threshold, value:
    float64; a leaf predicts its value.  Nodes that no path leads to are leaves.

    Raises ValueError for arrays that are no such forest over `features` features.
    """

    features: int
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    feature: NDArray[np.int32]
    threshold: NDArray[np.float64]
    value: NDArray[np.float64]

    def __post_init__(self) -> None:
        arrays = (self.left, self.right, self.feature, self.threshold, self.value)
        if self.left.ndim != 2 or 0 in self.left.shape or any(array.shape != self.left.shape for array in arrays):
            raise ValueError(f"its arrays are {', '.join(str(array.shape) for array in arrays)}")
        inner = self.left != 0
        if (inner != (self.right != 0)).any():
            raise ValueError("a node has one successor")
        nodes = np.broadcast_to(np.arange(self.left.shape[1]), self.left.shape)[inner]
        for child in (self.left[inner], self.right[inner]):
            if (child <= nodes).any() or (child >= self.left.shape[1]).any():
                raise ValueError("a node's successor does not come after it")
        if (self.feature[inner] < 0).any() or (self.feature[inner] >= self.features).any():
            raise ValueError(f"a node looks at another feature than the {self.features} there are")
        if not np.isfinite(self.threshold[inner]).all() or not np.isfinite(self.value[~inner]).all():
            raise ValueError("a threshold or value is not finite")

    def predict(self, features: NDArray[np.float64]) -> float:
        """(features,) -> the mean over the trees."""
        trees = np.arange(len(self.left))
        nodes = np.zeros_like(trees)
        while (inner := self.left[trees, nodes] != 0).any():
            at = trees[inner], nodes[inner]
            below = features[self.feature[at]] <= self.threshold[at]
            nodes[inner] = np.where(below, self.left[at], self.right[at])
        return float(self.value[trees, nodes].mean())
