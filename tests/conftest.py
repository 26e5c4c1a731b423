"""For tests of every room."""

import shutil
from pathlib import Path

import pytest
from hypothesis import settings

from bbmr.weights import index
from bbmr.weights.index import read_index, write_index

# Machines under load are slow, not wrong.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


@pytest.fixture
def fast_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that ships no weights but those of `fast`, whatever this one has come to ship."""
    package = tmp_path / "package"
    shutil.copytree(Path(index.__file__).parent, package)
    kept = {name: entry for name, entry in read_index(package).items() if entry.network.startswith("fast")}
    write_index(package, kept)
    monkeypatch.setattr(index, "PACKAGE", package)
