"""Imported weights restore as their authors' do, come out as they went in, and leave when told to."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from bbmr.catalogue import PIPELINES
from bbmr.downscaling.downnet import DownNet, fold
from bbmr.errors import BbmrError
from bbmr.networks import NetworkDescriptor, build_network, network_names
from bbmr.networks.end_to_end import EndToEnd
from bbmr.networks.fast import Fast
from bbmr.options import LEARNED
from bbmr.weights import WeightsEntry, imported, index, load_filters, load_weights, weights_index
from bbmr.weights.imported import HALF_BOUND, export_weights, import_weights, remove_weights
from bbmr.weights.index import changing_index, read_index, shipped_index

GOLDEN = Path(__file__).parents[3] / "shared" / "golden"
State = dict[str, Tensor]


@pytest.fixture
def file(state: State, tmp_path: Path) -> Path:
    path = tmp_path / "model.pth"
    torch.save({"params": state}, path)
    return path


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="the golden vectors are not beside the project")
@pytest.mark.parametrize("half", [True, False], ids=["half", "float32"])
@pytest.mark.parametrize("name", ["omnisr-x2", "omnisr-x4", "omnisr-x8", "omnisr-light-x4", "craft-x2", "craft-x4"])
def test_imported_weights_give_the_outputs_of_the_authors(
    name: str, half: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors = load_file(GOLDEN / f"{name.replace('-', '_')}.safetensors")
    parts = {key.removeprefix("state."): part for key, part in tensors.items() if key.startswith("state.")}
    torch.save({"params": parts}, tmp_path / "authors.pth")
    if not half:
        monkeypatch.setattr(imported, "HALF_BOUND", 0.0)
    done = import_weights(tmp_path / "authors.pth", "theirs")
    assert (done.entry.network, done.entry.scale) == (name, build_network(name).scale)
    # Half precision moves the outputs of this CRAFT too far: its random attention is made sharp on purpose.
    assert done.half == (half and name != "craft-x2")
    with torch.no_grad():
        restored = load_weights("theirs").network(tensors["input.30x50"])
    tolerance = HALF_BOUND if done.half else 1e-5
    torch.testing.assert_close(restored, tensors["output.30x50"], rtol=0, atol=tolerance)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_there_and_back(suffix: str, file: Path, state: State, own: Path, tmp_path: Path) -> None:
    done = import_weights(file, "mine")
    assert done.half
    assert 0 < done.moved <= HALF_BOUND
    assert done.path == own / "mine.safetensors"
    assert {path.name for path in own.glob("[!.]*")} == {"mine.safetensors", "index.json"}
    ends = ("input.", "up.")  # whole pixels go through these
    for key, tensor in load_file(done.path).items():
        assert tensor.dtype == (torch.float32 if key.startswith(ends) else torch.float16), key
    assert weights_index()["mine"] == done.entry
    assert done.entry.sha256 == sha256(done.path.read_bytes()).hexdigest()

    out = tmp_path / f"out{suffix}"
    export_weights("mine", out)
    written = torch.load(out, weights_only=True) if suffix == ".pth" else load_file(out)
    assert written.keys() == state.keys()
    for key, tensor in state.items():
        stored = tensor if key.startswith(ends) else tensor.half().float()
        torch.testing.assert_close(written[key], stored, rtol=0, atol=0)
    build_network("omnisr-light-x4").network.load_state_dict(written, strict=True)
    with pytest.raises(BbmrError, match="exists already"):
        export_weights("mine", out)
    export_weights("mine", out, overwrite=True)

    again = import_weights(out, "again")
    assert (again.entry.sha256, again.moved) == (done.entry.sha256, 0)
    remove_weights("mine")
    assert {path.name for path in own.glob("[!.]*")} == {"again.safetensors", "index.json"}
    assert "mine" not in weights_index()
    with pytest.raises(BbmrError, match=r"'mine'; there are: again"):
        remove_weights("mine")


def test_what_half_precision_would_lose_is_kept(state: State, tmp_path: Path) -> None:
    state["up.0.bias"][0] = 1e5  # float16 ends at 65504
    save_file(state, tmp_path / "model.safetensors")
    done = import_weights(tmp_path / "model.safetensors", "mine")
    assert not done.half
    parts = load_weights("mine").network.state_dict()
    assert all(torch.equal(parts[key], tensor) for key, tensor in state.items())


def test_a_removed_name_can_be_used_anew(file: Path, state: State, tmp_path: Path) -> None:
    import_weights(file, "mine")
    before = load_weights("mine").network.get_parameter("up.0.bias").clone()
    remove_weights("mine")
    state["up.0.bias"] += 1
    torch.save(state, tmp_path / "other.pt")
    import_weights(tmp_path / "other.pt", "mine")
    after = load_weights("mine").network.get_parameter("up.0.bias")
    torch.testing.assert_close(after, before + 1, rtol=0, atol=1e-3)


def save_network(descriptor: NetworkDescriptor, path: Path) -> Path:
    save_file({key: part.contiguous() for key, part in descriptor.network.state_dict().items()}, path)
    return path


@pytest.mark.parametrize("network", network_names())
def test_any_network_is_recognised(network: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    descriptor = build_network(network)
    done = import_weights(save_network(descriptor, tmp_path / "ema.safetensors"), "mine")
    assert (done.entry.network, done.entry.scale) == (network, descriptor.scale)
    assert load_weights("mine").name == network


@pytest.mark.usefixtures("fast_alone")
def test_networks_of_another_size_are_named(tmp_path: Path) -> None:
    path = save_network(NetworkDescriptor("fast", Fast(32, 2), "mosaic", None, None), tmp_path / "ema.safetensors")
    with pytest.raises(BbmrError, match=r"keys are not those of Omni-SR.*--network"):
        import_weights(path, "mine")
    assert import_weights(path, "mine", "fast").entry.network == "fast"
    assert import_weights(path, "fast").entry.network == "fast"
    with pytest.raises(BbmrError, match="does not fit mosaic-omnisr"):
        import_weights(path, "mosaic-omnisr")


@pytest.mark.usefixtures("fast_alone")
@pytest.mark.parametrize(
    ("network", "name", "needed"),
    [
        ("fast", "joint-omnisr", r"joint-omnisr \(kind joint\), and these are of fast \(kind mosaic\)"),
        ("omnisr-light-x4", "omnisr-x2", r"omnisr-x2 \(kind sr, scale 2\), .* omnisr-light-x4 \(kind sr, scale 4\)"),
        ("omnisr-light-x4", "omnisr-light-x8", r"omnisr-light-x8 \(kind sr, scale 8\)"),
        ("omnisr-light-x2", "mosaic-omnisr", r"mosaic-omnisr \(kind mosaic\)"),
        ("joint-omnisr-light", "fast", r"fast \(kind mosaic\)"),
    ],
)
def test_names_stand_for_networks(network: str, name: str, needed: str, tmp_path: Path, own: Path) -> None:
    path = save_network(build_network(network), tmp_path / "ema.safetensors")
    for given in (None, network):
        with pytest.raises(BbmrError, match=f"ema.safetensors: the name '{name}' stands for .* network {needed}"):
            import_weights(path, name, given)
    assert not own.exists()


def test_all_names_that_pipelines_use_stand_for_networks() -> None:
    for pipeline in PIPELINES.values():
        for name in pipeline.networks + pipeline.helper:
            known = name.removeprefix(LEARNED)
            assert known in shipped_index() or known in network_names()


def without(key: str) -> Callable[[State], object]:
    return lambda state: state.pop(key)


def with_part(key: str, *shape: int) -> Callable[[State], object]:
    return lambda state: state.update({key: torch.zeros(shape)})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (without("input.bias"), r"does not fit omnisr-light-x4.*Missing key.*input\.bias"),
        (with_part("esa.extra", 3), r"does not fit omnisr-light-x4.*Unexpected key.*esa\.extra"),
        (with_part("input.weight", 32, 3, 3, 3), r"does not fit omnisr-light-x4.*size mismatch for input\.weight"),
        (with_part("up.0.weight", 27, 64, 3, 3), r"\(27, 64, 3, 3\)\) enlarges by 3; bbmr has Omni-SR for 2, 4 and 8"),
        (with_part("up.0.weight", 12, 64, 3, 3), r"does not fit omnisr-light-x2.*size mismatch for up\.0\.bias"),
        (with_part("up.0.weight"), "enlarges by 0"),
        (with_part("residual_layer.7.esa.conv1.bias", 16), r"does not fit omnisr-x4.*Missing key"),
        (without("up.0.weight"), r"keys are not those of Omni-SR or CRAFT \(input\.weight"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_stored(
    change: Callable[[State], object], told: str, state: State, tmp_path: Path, own: Path
) -> None:
    change(state)
    torch.save(state, tmp_path / "model.pth")
    with pytest.raises(BbmrError, match=rf"model.pth: .*{told}") as refusal:
        import_weights(tmp_path / "model.pth", "mine")
    assert "\n" not in str(refusal.value)
    assert not own.exists()


def test_sizes_that_a_file_claims_take_no_memory(tmp_path: Path) -> None:
    """A `fast` network of as many channels would have 10^12 weights."""
    torch.save({"head.weight": torch.zeros(100_000, 1, 3, 3)}, tmp_path / "wide.pt")
    with pytest.raises(BbmrError, match=r"wide.pt: does not fit fast"):
        import_weights(tmp_path / "wide.pt", "mine", "fast")


def test_weights_that_compute_nonsense_are_refused(state: State, tmp_path: Path, own: Path) -> None:
    state["output.weight"].fill_(3e38)
    torch.save(state, tmp_path / "model.pth")
    with pytest.raises(BbmrError, match=r"model.pth: .*gives values that are not finite"):
        import_weights(tmp_path / "model.pth", "mine")
    assert not own.exists()


@pytest.mark.parametrize("name", ["", "../mine", "a/b", "Mine", ".mine", "a" * 65, "mine\n"])
def test_names_that_are_no_file_names_are_refused(name: str, file: Path, own: Path) -> None:
    with pytest.raises(BbmrError, match="no name for weights"):
        import_weights(file, name)
    assert not own.exists()


def test_names_that_are_taken_are_refused(file: Path, own: Path) -> None:
    with pytest.raises(BbmrError, match="'mosaic-fast' belongs to weights that come with bbmr"):
        import_weights(file, "mosaic-fast")
    import_weights(file, "mine")
    before = (own / "index.json").read_bytes()
    with pytest.raises(BbmrError, match=r"'mine' is taken; .* `bbmr weights remove mine`"):
        import_weights(file, "mine")
    assert (own / "index.json").read_bytes() == before
    with pytest.raises(BbmrError, match="'mosaic-fast' come with bbmr and stay"):
        remove_weights("mosaic-fast")


def test_changes_at_the_same_time_lose_nothing(own: Path) -> None:
    """Two processes may import at once: each reads the index only when the other has written it."""

    def enter(name: str) -> None:
        with changing_index(own) as index:
            time.sleep(0.02)
            index[name] = WeightsEntry(name, "fast", "")

    names = {f"w{number}" for number in range(8)}
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(enter, names))
    assert set(read_index(own)) == names


def test_who_waits_too_long_is_told(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "_PATIENCE", 0.05)
    with (
        changing_index(own),
        ThreadPoolExecutor(1) as thread,
        pytest.raises(BbmrError, match="another bbmr has been changing the weights"),
    ):
        thread.submit(lambda: changing_index(own).__enter__()).result()


def test_a_damaged_index_is_not_replaced(file: Path, own: Path) -> None:
    own.mkdir()
    (own / "index.json").write_text("{")
    with pytest.raises(BbmrError, match=r"index.json: cannot be read"):
        import_weights(file, "mine")
    assert [path.name for path in own.iterdir()] == ["index.json"]


def test_imports_of_another_version_say_so(file: Path, own: Path) -> None:
    import_weights(file, "mine")
    index = json.loads((own / "index.json").read_text())
    index["mine"]["network"] = "of-tomorrow"
    (own / "index.json").write_text(json.dumps(index))
    with pytest.raises(BbmrError, match=r"no such network as 'of-tomorrow'; run `bbmr weights remove mine`"):
        load_weights("mine")


def test_exports_need_a_format_and_weights(tmp_path: Path) -> None:
    with pytest.raises(BbmrError, match=r"out.bin: the suffix says nothing.*\.safetensors"):
        export_weights("mosaic-fast", tmp_path / "out.bin")
    with pytest.raises(BbmrError, match="no weights are called 'mine'"):
        export_weights("mine", tmp_path / "out.pth")
    with pytest.raises(BbmrError, match="no network is called 'omni'"):
        import_weights(*saved(tmp_path), "omni")
    assert [path.name for path in tmp_path.iterdir()] == ["any.pt"]


def saved(folder: Path) -> tuple[Path, str]:
    torch.save({"a": torch.zeros(1)}, folder / "any.pt")
    return folder / "any.pt", "mine"


@pytest.fixture
def learned(tmp_path: Path) -> Path:
    """What a run end to end leaves."""
    descriptor = build_network("omnisr-light-x4")
    whole = replace(descriptor, network=EndToEnd(descriptor.network, [4]))
    return save_network(whole, tmp_path / "learned.safetensors")


def test_down_nets_come_apart(learned: Path, own: Path, tmp_path: Path) -> None:
    """The network under the name, its filter beside it; both leave and come back."""
    done = import_weights(learned, "mine")
    assert (done.entry.network, done.entry.scale) == ("omnisr-light-x4", 4)
    assert weights_index()["mine.lr"].network == "downnet"
    (taps,) = load_filters("mine.lr").values()
    torch.testing.assert_close(taps, fold(DownNet(4)).detach())  # untrained: bicubic
    with pytest.raises(BbmrError, match="make LR pictures and restore nothing"):
        load_weights("mine.lr")
    with pytest.raises(BbmrError, match="not filters of Down-Net"):
        load_filters("mine")
    export_weights("mine.lr", tmp_path / "filters.safetensors")
    remove_weights("mine.lr")
    with pytest.raises(BbmrError, match=r"--name other\.lr"):
        import_weights(tmp_path / "filters.safetensors", "other")
    import_weights(tmp_path / "filters.safetensors", "other.lr")
    assert torch.equal(load_filters("other.lr")[4], taps)
    assert {path.name for path in own.glob("*.safetensors")} == {"mine.safetensors", "other.lr.safetensors"}


def test_neither_part_is_stored_where_one_cannot_be(learned: Path, own: Path) -> None:
    import_weights(learned, "mine")
    remove_weights("mine")
    with pytest.raises(BbmrError, match=r"'mine\.lr' is taken"):
        import_weights(learned, "mine")
    assert "mine" not in weights_index()


def test_damaged_down_nets_are_refused(learned: Path, own: Path) -> None:
    state = load_file(learned)
    del state["downscalers.4.halvings.1.weight"]
    save_file(state, learned)
    with pytest.raises(BbmrError, match="its Down-Nets are damaged"):
        import_weights(learned, "mine")
    assert not own.exists()
