import errno
import os
import shutil
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from bbmr import weights
from bbmr.errors import BbmrError
from bbmr.networks import build_network
from bbmr.weights import WeightsEntry, index, load_filters, load_weights, weights_index
from bbmr.weights.index import DOWNNET, own_folder, read_index, shipped_index, write_index

LEDGER = Path(__file__).parents[2].joinpath("docs", "training.md").read_text("utf-8")
FOLDER = Path(weights.__file__).parent


@pytest.mark.parametrize("name", sorted(shipped_index()))
def test_shipped_weights_load_and_are_in_the_ledger(name: str) -> None:
    entry = shipped_index()[name]
    assert sha256((FOLDER / entry.file).read_bytes()).hexdigest() == entry.sha256
    learned = load_filters(name).values() if entry.network == DOWNNET else load_weights(name).network.parameters()
    assert all(torch.isfinite(parameter).all() for parameter in learned)
    (line,) = [line for line in LEDGER.splitlines() if f"`{name}`" in line and entry.sha256[:8] in line]
    cells = [cell.strip() for cell in line.strip("| ").split("|")]
    assert f"{entry.steps:,}" in cells
    assert entry.psnr_y or entry.network == DOWNNET
    for view, psnr in entry.psnr_y.items():
        assert f"{psnr:.2f} ({psnr - entry.psnr_y_bicubic[view]:+.2f})" in cells, view


def test_no_weights_ship_unlisted() -> None:
    assert {path.name for path in FOLDER.glob("*.safetensors")} == {entry.file for entry in shipped_index().values()}


def test_unknown_weights_are_refused() -> None:
    with pytest.raises(BbmrError, match=r"there are: .*mosaic-fast"):
        load_weights("heavy")


def test_damaged_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "package"
    shutil.copytree(FOLDER, package)
    monkeypatch.setattr(index, "PACKAGE", package)
    index._load.cache_clear()
    file = package / "mosaic-fast.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    with pytest.raises(BbmrError, match=r"mosaic-fast.safetensors: .* damaged.*install bbmr again"):
        load_weights("mosaic-fast")
    file.unlink()
    with pytest.raises(BbmrError, match=r"mosaic-fast.safetensors: .* cannot be read.*install bbmr again"):
        load_weights("mosaic-fast")


def test_names_that_ship_cannot_be_shadowed(own: Path) -> None:
    own.mkdir()
    data = save({key: part.contiguous() for key, part in build_network("fast").network.state_dict().items()})
    (own / "other.safetensors").write_bytes(data)
    other = WeightsEntry("other.safetensors", "fast", sha256(data).hexdigest())
    write_index(own, {"mosaic-fast": other, "other": other})
    assert weights_index()["mosaic-fast"] == shipped_index()["mosaic-fast"]
    assert weights_index()["other"] == other
    assert load_weights("mosaic-fast").network.get_parameter("tail.weight").any()
    assert not load_weights("other").network.get_parameter("tail.weight").any()  # untrained: zeros


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"mine": {}}',
        '{"mine": {"file": "../mine", "network": "fast", "sha256": ""}}',
        '{"mine": {"file": "mine", "network": "fast", "sha256": "", "psnr_y": {"x4": 30}}}',
    ],
)
def test_a_damaged_index_of_imports_leaves_what_ships(own: Path, text: str) -> None:
    own.mkdir()
    (own / "index.json").write_text(text)
    with pytest.raises(BbmrError, match=r"index.json: cannot be read as an index"):
        read_index(own)
    with pytest.warns(UserWarning, match=r"index.json: cannot be read") as said:
        found = [weights_index() for _ in range(3)]
    assert found == [shipped_index()] * 3
    assert len(said) == 1
    load_weights("mosaic-fast")


def test_an_index_that_one_may_not_read_is_not_to_be_removed(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, encoding: str) -> str:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(type(own), "read_text", refuse)
    with pytest.raises(BbmrError) as told:
        read_index(own)
    assert str(told.value).startswith(f"{own / 'index.json'}: you may not read this index of weights; ")
    assert "remove" not in str(told.value)


def test_the_folder_of_imports_is_the_users(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert own_folder() == own
    monkeypatch.delenv("BBMR_WEIGHTS")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert own_folder().is_absolute()
    assert "bbmr" in own_folder().parts
    assert not own_folder().is_relative_to(FOLDER)
