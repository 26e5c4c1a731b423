"""Checkpoints of all the shapes that training programs save, and files that are none, or worse."""

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from bbmr.errors import BbmrError
from bbmr.weights import checkpoint
from bbmr.weights.checkpoint import read_checkpoint

State = dict[str, Tensor]


def alike(found: State, expected: State) -> None:
    assert found.keys() == expected.keys()
    for key, tensor in found.items():
        assert tensor.dtype == torch.float32
        torch.testing.assert_close(tensor, expected[key].float(), rtol=0, atol=0)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"params": state},
        lambda state: {"params": {key: tensor + 1 for key, tensor in state.items()}, "params_ema": state},
        lambda state: {"epoch": 3, "state_dict": {f"module.{key}": tensor for key, tensor in state.items()}},
        lambda state: {"model": {"state_dict": state}, "optimizer": {}},
        lambda state: {key: torch.nn.Parameter(tensor.double()) for key, tensor in state.items()},
    ],
)
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before torch 1.6"])
def test_weights_are_found_wherever_they_lie(
    wrap: Callable[[State], Any], zipped: bool, state: State, tmp_path: Path
) -> None:
    path = tmp_path / "model.pth"
    torch.save(wrap(state), path, _use_new_zipfile_serialization=zipped)
    alike(read_checkpoint(path), state)


def test_safetensors_in_half_precision(state: State, tmp_path: Path) -> None:
    halves = {f"module.{key}": tensor.half() for key, tensor in state.items()}
    save_file(halves, tmp_path / "model.safetensors")
    alike(read_checkpoint(tmp_path / "model.safetensors"), {key: state[key].half() for key in state})


def test_weights_that_share_memory_come_apart(tmp_path: Path) -> None:
    flat = torch.arange(6.0)
    parts = {"a": flat[:4], "b": flat[2:], "c": flat.view(2, 3).T, "d": flat[:1].expand(3)}
    torch.save(parts, tmp_path / "model.pth")
    found = read_checkpoint(tmp_path / "model.pth")
    alike(found, parts)
    save_file(found, tmp_path / "model.safetensors")


class Malice:
    """Makes a file at `path` when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (f"open({str(self.path)!r}, 'w').close()",)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("form", ["zip", "before torch 1.6", "pickle"])
def test_a_malicious_pickle_does_not_run(form: str, state: State, tmp_path: Path) -> None:
    path, mark = tmp_path / "model.pth", tmp_path / "ran"
    content = {"params": state, "extra": Malice(mark)}
    if form == "pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    told = "is damaged, or no checkpoint" if form == "pickle" else r"refused, as it holds [\w.]*\bexec, "
    with pytest.raises(BbmrError, match=f"model.pth: {told}"):
        read_checkpoint(path)
    assert not mark.exists()
    pickle.loads(pickle.dumps(Malice(mark)))
    assert mark.exists()  # so it would have shown


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("kept", [0.0, 0.001, 0.3, 0.9, 0.9999])
def test_truncated_files_are_refused(suffix: str, kept: float, state: State, tmp_path: Path) -> None:
    path = tmp_path / f"model{suffix}"
    (torch.save if suffix == ".pth" else save_file)(state, path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(BbmrError, match=rf"model{suffix}: is damaged, or no .*get it again"):
        read_checkpoint(path)


def in_itself() -> dict[str, Any]:
    content: dict[str, Any] = {}
    content["model"] = content
    return content


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({}, "no state dict"),
        (torch.zeros(3), r"no state dict \(Tensor\)"),
        ({"a": torch.zeros(3), "epoch": 3}, "'epoch' is no array of real"),
        ({3: torch.zeros(3)}, "3 is no array"),
        ({"a": torch.zeros(3, dtype=torch.complex64)}, "'a' is no array of real"),
        ({"a": torch.zeros(3).to_sparse()}, "'a' is no array of real"),
        ({"a": torch.zeros(3, device="meta")}, "'a' is no array of real"),
        ({"a": torch.zeros(1).expand(1 << 20, 1 << 20)}, "more than 64 million weights"),
        ({str(number): torch.zeros(()) for number in range(5000)}, "5000 entries, more than"),
        ({"a": torch.zeros(3), "b": torch.tensor([0, torch.nan])}, "'b' has values that are not finite"),
        ({"a": torch.tensor([torch.inf])}, "'a' has values that are not finite"),
        ({"a": torch.tensor([1e300], dtype=torch.float64)}, "'a' has values that are not finite"),
        (in_itself(), "'model' is no array"),
    ],
)
def test_what_is_no_state_dict_is_refused(content: Any, told: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(BbmrError, match=rf"model.pt: .*{told}"):
        read_checkpoint(tmp_path / "model.pt")


def test_files_of_other_kinds_are_named(tmp_path: Path) -> None:
    with pytest.raises(BbmrError, match=r"model.onnx: the suffix.*\.safetensors"):
        read_checkpoint(tmp_path / "model.onnx")
    with pytest.raises(BbmrError, match=r"none.pth: cannot be read \(No such file"):
        read_checkpoint(tmp_path / "none.pth")
    (tmp_path / "text.pth").write_text("no checkpoint")
    with pytest.raises(BbmrError, match=r"text.pth: is damaged, or no checkpoint"):
        read_checkpoint(tmp_path / "text.pth")


@pytest.mark.parametrize("packed", [False, True], ids=["large", "small, but large when unpacked"])
def test_large_files_are_not_read(packed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.pth"
    torch.save({"a": torch.zeros(1 << 20)}, path)
    if packed:
        repack(path)
        assert path.stat().st_size < 1 << 20
    monkeypatch.setattr(checkpoint, "LARGEST_FILE", 3 << 20)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was read"))
    with pytest.raises(BbmrError, match=r"model.pth: (has|unpacks to) 4 MiB; at most 3"):
        read_checkpoint(path)


def repack(path: Path) -> None:
    """Compress the parts of a checkpoint, as torch does not."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
