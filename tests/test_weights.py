import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
import torch

from bbmr import weights
from bbmr.errors import BbmrError
from bbmr.weights import load_weights, weights_index

LEDGER = Path(__file__).parents[1].joinpath("docs", "training.md").read_text("utf-8")
FOLDER = Path(weights.__file__).parent


@pytest.mark.parametrize("name", sorted(weights_index()))
def test_shipped_weights_load_and_are_in_the_ledger(name: str) -> None:
    entry = weights_index()[name]
    assert sha256((FOLDER / entry.file).read_bytes()).hexdigest() == entry.sha256
    assert all(torch.isfinite(parameter).all() for parameter in load_weights(name).network.parameters())
    lines = [line for line in LEDGER.splitlines() if f"`{name}`" in line and entry.sha256[:8] in line]
    assert len(lines) == 1


def test_no_weights_ship_unlisted() -> None:
    assert {path.name for path in FOLDER.glob("*.safetensors")} == {entry.file for entry in weights_index().values()}


def test_unknown_and_damaged_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BbmrError, match="there are: mosaic-fast"):
        load_weights.__wrapped__("heavy")
    damaged = {name: replace(entry, sha256="0" * 64) for name, entry in weights_index().items()}
    monkeypatch.setattr(weights, "weights_index", lambda: damaged)
    with pytest.raises(BbmrError, match="damaged"):
        load_weights.__wrapped__("mosaic-fast")


def test_the_correction_was_fitted_to_the_shipped_weights() -> None:
    fitted_to = json.loads((FOLDER / "correction.json").read_text("utf-8"))["weights_sha256"]
    assert fitted_to == weights_index()["mosaic-fast"].sha256
