"""A folder for imported weights, and the state of a small network to import."""

from pathlib import Path

import pytest
import torch
from networks.at_random import at_random
from torch import Tensor

from bbmr.networks import build_network


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where these tests import to; not the user's."""
    monkeypatch.setenv("BBMR_WEIGHTS", str(tmp_path / "own"))
    return tmp_path / "own"


@pytest.fixture
def state() -> dict[str, Tensor]:
    """Omni-SR x4 with one group, as its authors' program would save it."""
    torch.manual_seed(0)
    return dict(at_random(build_network("omnisr-light-x4").network).state_dict())
