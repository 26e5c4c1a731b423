"""bbmr weights from outside."""

import json
import re
import shlex
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from bbmr.catalogue import PIPELINES, pipeline_for
from bbmr.cli import app
from bbmr.errors import BbmrError
from bbmr.networks import build_network
from bbmr.options import Options
from bbmr.training.recipe import load_recipe
from bbmr.weights.index import LR, shipped_index


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BBMR_WEIGHTS", "own")
    torch.save(build_network("omnisr-light-x2").network.state_dict(), "model.pth")


def weights(*arguments: str, code: int = 0) -> tuple[str, str]:
    """(stdout, stderr) of a run that has to end with `code`."""
    result = CliRunner().invoke(app, ["weights", *arguments])
    assert result.exit_code == code, (result.output, result.stderr)
    return result.stdout, result.stderr


def test_the_whole_life_of_imported_weights() -> None:
    assert "mine: omnisr-light-x2, half precision, in own" in weights("import", "model.pth", "--name", "mine")[0]
    listed = weights("list")[0]
    assert "omnisr-light-x2" in listed
    assert "Imported, in own: mine" in listed
    weights("export", "mine", "-o", "out.safetensors", "-q")
    assert Path("out.safetensors").stat().st_size > 500_000
    assert weights("remove", "mine") == ("mine: removed\n", "")
    assert "mine" not in weights("list")[0]


def test_the_list_says_what_ships() -> None:
    listed = weights("list")[0]
    for name, entry in shipped_index().items():
        (line,) = [line for line in listed.splitlines() if line.startswith(name.removesuffix(LR) + " ")]
        assert (" * " in line) == name.startswith("downnet-")
        assert (entry.sha256[:8] in line) != name.endswith(LR)
        for psnr in entry.psnr_y.values():
            assert f"{psnr:.2f}" in listed
    weights("import", "model.pth", "--name", "mine", "-q")
    document = {entry["name"]: entry for entry in json.loads(weights("list", "--json")[0])}
    assert document.keys() == {"mine", *shipped_index()}
    assert document["mosaic-fast"]["psnr_y"] == shipped_index()["mosaic-fast"].psnr_y
    assert [name for name, entry in document.items() if entry["imported"]] == ["mine"]
    assert (document["mine"]["scale"], document["mine"]["steps"]) == (2, None)


def test_what_is_wrong_is_one_line_on_stderr() -> None:
    Path("text.pth").write_text("no checkpoint")
    for arguments in (
        ("import", "none.pth", "--name", "mine"),
        ("import", "text.pth", "--name", "mine"),
        ("import", "model.pth", "--name", "mine", "--network", "omnisr-x4"),
        ("export", "mine", "-o", "out.pth"),
        ("remove", "mosaic-fast"),
    ):
        out, err = weights(*arguments, code=1)
        assert not out
        assert err.startswith("error: ")
        assert err.count("\n") == 1


def test_the_commands_of_the_documentation() -> None:
    text = Path(__file__).parents[2].joinpath("docs", "weights.md").read_text("utf-8")
    torch.save(build_network("omnisr-light-x4").network.state_dict(), "omnisr_x4.pth")
    Path("runs/mine").mkdir(parents=True)
    weights("export", "plain-fast-x4", "-o", "runs/mine/ema.safetensors")
    commands = re.findall(r"^bbmr weights (.+?)(?:\s+#.*)?$", text, re.MULTILINE)
    assert len(commands) == 5
    for command in commands:
        weights(*shlex.split(command))
    assert Path("authors-x4.safetensors").exists()


@pytest.mark.usefixtures("fast_alone")
@pytest.mark.parametrize("name", ["mosaic-omnisr", "separate-omnisr", "joint-omnisr"])
def test_following_the_advice_for_missing_weights_ends_with_a_pipeline(name: str) -> None:
    """As printed, but for the training: an untrained network lies where its run would have put its average."""
    options = Options(pipeline=name, distortion="helper")
    for _ in PIPELINES[name].networks + PIPELINES[name].helper:
        with pytest.raises(BbmrError, match="not there") as missing:
            pipeline_for(options)
        train, advised = map(shlex.split, re.findall(r"`bbmr (.+?)`", str(missing.value)))
        network = build_network(load_recipe(train[1]).network).network
        path = Path("runs", train[1], "ema.safetensors")
        path.parent.mkdir(parents=True)
        save_file({key: part.contiguous() for key, part in network.state_dict().items()}, path)
        weights(*advised[1:])
    pipeline_for(options)


@pytest.mark.parametrize("verb", ["list", "import", "export", "remove"])
def test_help_has_examples(verb: str) -> None:
    assert f"bbmr weights {verb}" in weights(verb, "--help")[0].split("Examples")[1]
