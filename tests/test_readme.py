"""The commands and the Python of the README, and the Python of docs/python.md, work as they stand there."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from bbmr.cli import app

README = Path(__file__).parents[1].joinpath("README.md").read_text("utf-8")


@pytest.fixture
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    y, x = np.mgrid[:280, :320]
    array = (128 + 60 * np.sin(x / 5) * (y > 140))[:, :, None] * np.ones(3)
    for name in ("photo.jpg", "photos/first.jpg", "photos/second.jpg"):
        Path(name).parent.mkdir(exist_ok=True)
        Image.fromarray(array.astype(np.uint8)).save(name)
    return Path("photo.jpg")


def test_commands(photo: Path) -> None:
    commands = re.findall(r"^bbmr (.+?)(?:\s+#.*)?$", README, re.MULTILINE)
    assert len(commands) >= 5
    for command in commands:
        result = CliRunner().invoke(app, shlex.split(command))
        assert result.exit_code == 0, (command, result.stderr)
    assert Path("restored.png").exists()
    assert {path.name for path in Path("archive").iterdir()} == {"first.bbmr", "second.bbmr"}


def test_python(photo: Path) -> None:
    (snippet,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names: dict[str, object] = {}
    exec(snippet, names)
    array = names["array"]
    assert isinstance(array, np.ndarray)
    assert array.shape == (280, 320, 3)
    with Image.open("restored.png") as written:
        np.testing.assert_array_equal(np.array(written), array)


def test_python_page(photo: Path) -> None:
    page = Path(__file__).parents[1].joinpath("docs", "python.md").read_text("utf-8")
    names: dict[str, object] = {}
    for snippet in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(snippet, names)
    with Image.open("part.png") as part, Image.open("map.png") as drawn:
        assert part.size == (96, 64)
        assert drawn.height > 280  # the picture, and a legend below
