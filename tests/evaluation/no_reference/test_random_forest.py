"""Random forests against a recursion over trees of dictionaries."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bbmr.evaluation.no_reference.random_forest import RandomForest

Tree = dict[str, Any]


def grow(rng: np.random.Generator, features: int, depth: int) -> Tree:
    if depth == 0 or rng.random() < 0.2:
        return {"value": rng.normal()}
    left, right = (grow(rng, features, depth - 1) for _ in range(2))
    return {"feature": int(rng.integers(features)), "threshold": rng.normal(), "left": left, "right": right}


def ask(tree: Tree, sample: NDArray[np.float64]) -> float:
    if "value" in tree:
        return float(tree["value"])
    return ask(tree["left" if sample[tree["feature"]] <= tree["threshold"] else "right"], sample)


def as_forest(trees: list[Tree], features: int) -> RandomForest:
    """Nodes one generation after another, as the algorithm of Breiman and Cutler numbers them."""
    rows = []
    for tree in trees:
        nodes, arrays = [tree], []
        for node in nodes:  # grows meanwhile
            first = len(nodes)
            if "value" in node:
                arrays.append((0, 0, 0, 0.0, node["value"]))
            else:
                nodes += [node["left"], node["right"]]
                arrays.append((first, first + 1, node["feature"], node["threshold"], 0.0))
        rows.append(arrays)
    most = max(map(len, rows))
    table = np.array([row + [(0, 0, 0, 0.0, 0.0)] * (most - len(row)) for row in rows])
    left, right, feature = (table[..., field].astype(np.int32) for field in range(3))
    return RandomForest(features, left, right, feature, table[..., 3], table[..., 4])


def test_prediction() -> None:
    rng = np.random.default_rng(1)
    trees = [grow(rng, 5, 8) for _ in range(30)]
    forest = as_forest(trees, 5)
    for _ in range(20):
        sample = rng.normal(size=5)
        assert forest.predict(sample) == pytest.approx(float(np.mean([ask(tree, sample) for tree in trees])))


def test_equal_to_the_threshold_goes_left() -> None:
    tree = {"feature": 1, "threshold": 0.5, "left": {"value": 1.0}, "right": {"value": 2.0}}
    forest = as_forest([tree], 2)
    assert forest.predict(np.array([9, 0.5])) == 1
    assert forest.predict(np.array([0, np.nextafter(0.5, 1)])) == 2


def test_trees_of_one_leaf() -> None:
    assert as_forest([{"value": 3.0}, {"value": 5.0}], 4).predict(np.zeros(4)) == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"left": np.array([[0, 0, 0]], np.int32)}, "one successor"),
        ({"left": np.array([[3, 0, 0]], np.int32)}, "does not come after"),
        ({"right": np.array([[-1, 0, 0]], np.int32)}, "does not come after"),
        ({"left": np.array([[1, 1, 0]], np.int32), "right": np.array([[2, 2, 0]], np.int32)}, "does not come after"),
        ({"feature": np.array([[2, 0, 0]], np.int32)}, "the 2 there are"),
        ({"feature": np.array([[-1, 0, 0]], np.int32)}, "the 2 there are"),
        ({"threshold": np.array([[np.nan, 0, 0]])}, "not finite"),
        ({"value": np.array([[0, np.inf, 0]])}, "not finite"),
        ({"value": np.array([[0.0, 0.0]])}, "its arrays are"),
        ({name: np.zeros((0, 3)) for name in ("left", "right", "feature", "threshold", "value")}, "its arrays are"),
    ],
)
def test_no_forest(change: dict[str, Any], message: str) -> None:
    tree = {"feature": 1, "threshold": 0.5, "left": {"value": 1.0}, "right": {"value": 2.0}}
    with pytest.raises(ValueError, match=message):
        replace(as_forest([tree], 2), **change)
