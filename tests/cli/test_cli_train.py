"""bbmr train and python -m bbmr.training: one line for what is wrong, and its exit code."""

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bbmr.cli import app
from bbmr.training.__main__ import main

WRONG = pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["fast-mosiac"], 2, "did you mean fast-mosaic"),
        (["fast-mosaic", "--set", "stpes=5"], 2, "error: fast-mosaic: stpes: unknown key (did you mean steps?)"),
        (["fast-mosaic"], 2, "give it with --data DIR"),
        (["fast-mosaic", "--data", "nowhere"], 1, "error: nowhere: no such folder"),
    ],
)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@WRONG
def test_what_is_wrong_is_one_line(arguments: list[str], code: int, told: str) -> None:
    done = CliRunner().invoke(app, ["train", *arguments])
    assert done.exit_code == code
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(Path().iterdir())


@WRONG
def test_so_it_is_without_the_libraries_of_the_command_line(
    arguments: list[str], code: int, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["training", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    stderr = capsys.readouterr().err
    assert left.value.code == code
    assert told in stderr
    assert stderr.count("\n") == 1


def test_help_has_examples_and_the_shipped_recipes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = CliRunner().invoke(app, ["train", "--help"]).output
    assert "bbmr train short-fast-mosaic --data" in shown
    assert "fast-x4" in shown
    monkeypatch.setattr(sys, "argv", ["training", "--help"])
    with pytest.raises(SystemExit):
        main()
    assert "python -m bbmr.training short-fast-mosaic --data" in capsys.readouterr().out


def test_without_lightning_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytorch_lightning", None)
    for name in [name for name in sys.modules if name.startswith("bbmr.training.")]:
        monkeypatch.delitem(sys.modules, name)
    done = CliRunner().invoke(app, ["train", "fast-mosaic", "--data", "."])
    assert done.exit_code == 1
    assert 'this needs pytorch_lightning, which is not installed: pip install "bbmr[train]"' in done.output
