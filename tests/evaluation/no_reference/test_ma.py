"""The metric of Ma et al. against what the authors' own code makes of a photograph, and on models made up here.

The trained model is in no package, so scores of the real one are not compared.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.io import savemat
from skimage import data

from bbmr.errors import BbmrError
from bbmr.evaluation.no_reference.ma import MaModel, features, perceptual_index

FEATURES = (18, 45, 75)
WEIGHTS = np.array([-0.3, 0.2, 0.4, 0.5])
TREES, NODES, ROOM = 20, 7, 11

# Of Y of skimage's cat without its border, by the authors' MATLAB code in GNU Octave, as published in
# reference/octave_reference.txt of github.com/mxzhuang/parallel-perceptual-index.
DCT = """
    0.255751895 0.543019926 3.5401949 1.92066468 1.05715466 0.273690415 0.249509642 0.589081908 3.6397024 1.88796414
    0.970852437 0.246327795 0.264150538 0.577407568 3.49900419 1.86018155 0.718924337 0.195242955
"""
WAVELETS = """
    1.503 1.717 1.944 1.788 1.939 1.857 1.463 1.871 2.172 1.944 1.963 1.806 0.546 0.606 0.655 0.607 0.587 0.572
    0.869434776 0.869234147 0.867929195 0.865084303 0.870631905 0.873853705 0.700846126 0.696471249 0.68179049
    0.656939464 0.672653145 0.696147979 0.98136625 0.948061798 0.929877528 0.929406149 0.912189859 0.976529305
    0.942356782 0.938379153 0.933428378 0.977789834 0.95123369 0.940238344 0.979132203 0.946598473 0.978629171
"""
SINGULAR_VALUES = """
    170.177278 13.8168373 11.6961005 3.92265445 3.71820705 3.45170908 2.50157227 2.33479235 2.28405715 2.07792821
    1.73084921 1.68181114 1.60904327 1.59689365 1.40931141 1.31716385 1.20150592 1.13429116 0.990384946 0.934751476
    0.893876462 0.794415698 0.752446968 0.669435779 0.553171321 84.6574641 7.35978018 6.69132177 3.37392293 3.29217325
    2.11428549 1.44509243 1.41625807 1.33249548 1.26553316 0.966969646 0.923936653 0.883733375 0.864469789 0.837051029
    0.796617819 0.772793981 0.705538894 0.696953159 0.644511021 0.603200719 0.554503542 0.525078488 0.493449906
    0.463619474 41.810737 6.21943977 2.92839938 1.61882585 1.46483948 1.31113955 1.01745556 0.954820287 0.902327446
    0.744887113 0.637812013 0.62612066 0.563042114 0.52912976 0.507024646 0.482862237 0.435634659 0.398543768
    0.376951236 0.349542474 0.311567569 0.291783503 0.272649555 0.259136962 0.247559017
"""


def numbers(text: str) -> NDArray[np.float64]:
    return np.array(text.split(), np.float64)


def cat() -> NDArray[np.uint8]:
    picture: NDArray[np.uint8] = data.chelsea()  # type: ignore[no-untyped-call]
    return picture


def photo(height: int, width: int, seed: int = 1) -> NDArray[np.uint8]:
    """A part of a photograph."""
    top, left = np.random.default_rng(seed).integers(0, 100, 2)
    return np.ascontiguousarray(cat()[top : top + height, left : left + width])


def whole_luma(picture: NDArray[np.uint8]) -> torch.Tensor:
    """What the PIRM challenge measures."""
    red, green, blue = np.moveaxis(picture[4:-4, 4:-4].astype(np.float64), -1, 0)
    return torch.from_numpy(np.floor(16.5 + (65.481 * red + 128.553 * green + 24.966 * blue) / 255))


def forest(features: int, rng: np.random.Generator) -> dict[str, Any]:
    """A forest in the arrays of randomforest-matlab, (nodes, trees).

    Every second tree is 1 -> 2 | 3, the others go on with 3 -> 4 | 5, 5 -> 6 | 7; beyond lies what nothing may look at.
    """
    left, right, feature = (np.full((ROOM, TREES), 99, np.int32) for _ in range(3))
    left[:NODES] = np.array([2, 0, 4, 0, 6, 0, 0])[:, None]
    right[:NODES] = np.array([3, 0, 5, 0, 7, 0, 0])[:, None]
    feature[:NODES] = np.where(left[:NODES] > 0, rng.integers(1, features + 1, (NODES, TREES)), 0)
    left[2, ::2] = right[2, ::2] = feature[2, ::2] = 0
    left[3:, ::2] = 99
    sizes = np.where(np.arange(TREES) % 2, NODES, 3).astype(np.int32)
    return {
        "lDau": left,
        "rDau": right,
        "nodestatus": np.full((ROOM, TREES), "\ufdfd"),
        "nrnodes": float(ROOM),
        "upper": rng.uniform(0, 2, (ROOM, TREES)),
        "avnode": rng.uniform(0, 10, (ROOM, TREES)),
        "mbest": feature,
        "ndtree": sizes[:, None],
        "ntree": float(TREES),
        "coef": np.zeros((2, 1)),
    }


def contents(seed: int = 1) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    cells = np.empty((3, 1), object)
    cells[:, 0] = [forest(count, rng) for count in FEATURES]
    return {"rf": cells, "linear": WEIGHTS[:, None]}


def saved(path: Path, model: dict[str, Any], compressed: bool = True) -> Path:
    savemat(path, {"model": model}, do_compression=compressed)
    return path


def by_hand(trees: dict[str, Any], values: NDArray[np.float64]) -> float:
    answers = []
    for tree in range(TREES):
        node = 1
        while trees["lDau"][node - 1, tree]:
            low = values[trees["mbest"][node - 1, tree] - 1] <= trees["upper"][node - 1, tree]
            node = trees["lDau" if low else "rDau"][node - 1, tree]
        answers.append(trees["avnode"][node - 1, tree])
    return float(np.mean(answers))


@pytest.fixture
def model(tmp_path: Path) -> MaModel:
    return MaModel.load(saved(tmp_path / "model.mat", contents()))


def test_features_as_the_authors_code_has_them() -> None:
    dct, wavelets, values = features(whole_luma(cat()))
    np.testing.assert_allclose(dct, numbers(DCT), rtol=1e-8)
    np.testing.assert_allclose(wavelets[:18], numbers(WAVELETS)[:18], atol=1e-9)
    # Its filters are interpolated in tables.
    np.testing.assert_allclose(wavelets[18:], numbers(WAVELETS)[18:], atol=3e-6)
    np.testing.assert_allclose(values, numbers(SINGULAR_VALUES), rtol=1e-8)


@pytest.mark.parametrize("compressed", [False, True])
def test_score_of_a_model_in_a_file(tmp_path: Path, compressed: bool) -> None:
    made_up = contents()
    model = MaModel.load(saved(tmp_path / "NRQM_model.mat", made_up, compressed))
    picture = photo(90, 120)
    described = features(whole_luma(picture))
    cells = zip(made_up["rf"][:, 0], described, strict=True)
    scores = [by_hand(trees, values.numpy()) for trees, values in cells]
    assert model.score(picture) == pytest.approx(float(WEIGHTS @ [1, *scores]))


def test_a_row_of_cells_is_as_good_as_a_column(tmp_path: Path, model: MaModel) -> None:
    made_up = contents()
    made_up["rf"] = made_up["rf"].T
    row = MaModel.load(str(saved(tmp_path / "row.mat", made_up)))
    assert row.score(photo(60, 60)) == model.score(photo(60, 60))


def test_gray_counts_as_rgb_and_the_border_does_not_count(model: MaModel) -> None:
    gray = photo(70, 64)[..., 1]
    score = model.score(gray)
    assert model.score(gray[..., None]) == score
    assert model.score(np.repeat(gray[..., None], 3, axis=2)) == pytest.approx(score)
    framed = np.pad(gray[4:-4, 4:-4], 4, constant_values=255)
    assert model.score(framed) == score


def test_what_whole_levels_of_luma_do_not_show_does_not_count(model: MaModel) -> None:
    flat = np.full((60, 60, 3), 101, np.uint8)  # luma 102.74
    colourful = flat.copy()
    colourful[..., 2] += np.random.default_rng(2).integers(0, 4, (60, 60), np.uint8)  # luma up to 103.04
    assert model.score(colourful) == model.score(flat)
    colourful[..., 1] += 2 * (colourful[..., 2] % 2)
    assert model.score(colourful) != model.score(flat)


def test_small_and_flat_pictures(model: MaModel) -> None:
    assert np.isfinite(model.score(photo(53, 53)))
    assert np.isfinite(model.score(np.full((53, 54, 3), 200, np.uint8)))
    letterboxed = photo(120, 90)
    letterboxed[:40] = letterboxed[-40:] = 0
    assert np.isfinite(model.score(letterboxed))
    with pytest.raises(ValueError, match="at least 53 x 53 pixels, not 200 x 52"):
        model.score(photo(52, 200))


@pytest.mark.parametrize("shape", [(60,), (60, 60, 2), (1, 60, 60, 3)])
def test_other_shapes(model: MaModel, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="pictures are"):
        model.score(np.zeros(shape, np.uint8))


def test_other_types(model: MaModel) -> None:
    with pytest.raises(TypeError, match="uint8"):
        model.score(np.zeros((60, 60)))  # type: ignore[arg-type]


def test_perceptual_index() -> None:
    assert perceptual_index(ma=8.0, niqe_pirm=3.0) == 2.5


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.mat", tmp_path):
        with pytest.raises(BbmrError, match="cannot be read") as caught:
            MaModel.load(path)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not MATLAB", bytes(300), b"\x89HDF\r\n\x1a\n" + bytes(600)])
def test_files_of_other_kinds(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.mat"
    path.write_bytes(content)
    with pytest.raises(BbmrError, match=r"model\.mat: (is damaged|has no variable)"):
        MaModel.load(path)


def test_files_cut_short(tmp_path: Path) -> None:
    path = saved(tmp_path / "model.mat", contents())
    whole = path.read_bytes()
    for length in (60, 127, 128, 140, len(whole) // 2, len(whole) - 10):
        path.write_bytes(whole[:length])
        with pytest.raises(BbmrError, match=r"model\.mat: "):
            MaModel.load(path)


def test_bytes_gone_wrong(tmp_path: Path) -> None:
    path = saved(tmp_path / "model.mat", contents())  # compressed, as MATLAB does it, which includes a checksum
    whole = path.read_bytes()
    rng = np.random.default_rng(4)
    for _ in range(40):
        changed = bytearray(whole)
        changed[int(rng.integers(124, len(whole)))] ^= int(rng.integers(1, 256))  # before that, it is a comment
        path.write_bytes(changed)
        with pytest.raises(BbmrError, match=r"model\.mat: "):
            MaModel.load(path)


def test_another_matlab_file(tmp_path: Path) -> None:
    path = tmp_path / "niqe.mat"
    savemat(path, {"mu_prisparam": np.zeros(36)})
    with pytest.raises(BbmrError, match=r"niqe\.mat: has no variable 'model'"):
        MaModel.load(path)


def change(model: dict[str, Any], name: str, value: Any, at: Any = ...) -> None:
    model["rf"][1, 0][name][at] = value


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda model: model.pop("linear"), "there is no linear"),
        (lambda model: model.pop("rf"), "there is no rf"),
        (lambda model: model.update(linear=np.ones((3, 1))), "linear is"),
        (lambda model: model.update(linear=np.full((4, 1), np.nan)), "linear is"),
        (lambda model: model.update(rf=model["rf"][:2]), "argument"),
        (lambda model: model["rf"][2, 0].pop("upper"), "there is no upper"),
        (lambda model: change(model, "mbest", 46, (0, 3)), "the 45 there are"),
        (lambda model: change(model, "lDau", 1, (2, 3)), "one successor"),
        (lambda model: change(model, "rDau", 3, (2, 3)), "does not come after"),
        (lambda model: change(model, "rDau", 50, (0, 3)), "does not come after"),
        (lambda model: change(model, "rDau", -2, (0, 3)), "does not come after"),
        (lambda model: change(model, "upper", np.nan, (0, 3)), "not finite"),
        (lambda model: model["rf"][0, 0].update(avnode=np.zeros((5, 5))), ""),
        (lambda model: model["rf"][0, 0].update(lDau="text"), ""),
        (lambda model: model["rf"][0, 0].update(ndtree=np.zeros((TREES, 1))), "its arrays are"),
    ],
)
def test_other_models(tmp_path: Path, spoil: Any, message: str) -> None:
    made_up = contents()
    spoil(made_up)
    path = saved(tmp_path / "other.mat", made_up)
    with pytest.raises(BbmrError, match=rf"other\.mat: is not the model of Ma et al\. \(.*{message}"):
        MaModel.load(path)


def test_without_scipy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "model.mat", contents())
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(BbmrError, match=r'needs scipy.*pip install "bbmr\[evaluate\]"'):
        MaModel.load(path)
