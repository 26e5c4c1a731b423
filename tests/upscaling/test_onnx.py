import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from upscaling.tiny_networks import rescale, textured

from bbmr.errors import BbmrError
from bbmr.upscaling import onnx as onnx_room
from bbmr.upscaling.onnx import OnnxFunction
from bbmr.upscaling.own import OwnUpscaler

Shape = Sequence[int | str | None]
FREE: Shape = (1, 3, "height", "width")


def save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    shape: Shape = FREE,
    weights: dict[str, NDArray[np.float32]] | None = None,
    dtype: int = TensorProto.FLOAT,
    inputs: Sequence[str] = ("lr",),
    outputs: Sequence[str] = ("hr",),
) -> Path:
    graph = helper.make_graph(
        list(nodes),
        "sr",
        [helper.make_tensor_value_info(name, dtype, shape) for name in inputs],
        [helper.make_tensor_value_info(name, dtype, None) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()],
    )
    # A format that older runtimes read too.
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def nearest(path: Path, scale: float = 2, shape: Shape = FREE) -> Path:
    """Every sample `scale` times as wide and as high."""
    node = helper.make_node(
        "Resize",
        ["lr", "", "scales"],
        ["hr"],
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    return save(path, [node], shape, {"scales": np.array([1, 1, scale, scale], np.float32)})


def pixel_shuffle(path: Path, shape: Shape, scale: int = 2, side: int = 5) -> tuple[Path, NDArray[np.float32]]:
    """A random convolution, then PixelShuffle: DepthToSpace of ONNX in its CRD order; and the convolution."""
    channels = shape[1]
    assert isinstance(channels, int)
    random = np.random.default_rng(0)
    kernel = random.uniform(0, 2 / (channels * side**2), (channels * scale**2, channels, side, side))
    nodes = [
        helper.make_node("Conv", ["lr", "kernel"], ["features"], pads=[side // 2] * 4),
        helper.make_node("DepthToSpace", ["features"], ["hr"], blocksize=scale, mode="CRD"),
    ]
    weights = kernel.astype(np.float32)
    return save(path, nodes, shape, {"kernel": weights}), weights


def save_with_external_data(path: Path, seed: int, location: str | None = "conv.onnx.data") -> None:
    """A random convolution by 2, its tensors in another file; in one for each where there is no location."""
    random = np.random.default_rng(seed)
    weights = {"kernel": random.random((12, 3, 3, 3)), "bias": random.random(12)}
    nodes = [
        helper.make_node("Conv", ["lr", "kernel", "bias"], ["features"], pads=[1] * 4),
        helper.make_node("DepthToSpace", ["features"], ["hr"], blocksize=2, mode="CRD"),
    ]
    save(path, nodes, weights={name: array.astype(np.float32) for name, array in weights.items()})
    if location is not None:  # onnx appends
        (path.parent / location).unlink(missing_ok=True)
    onnx.save_model(
        onnx.load(path),
        path,
        save_as_external_data=True,
        all_tensors_to_one_file=location is not None,
        location=location,
        size_threshold=0,
    )


def by_torch(lr: torch.Tensor, kernel: NDArray[np.float32], scale: int = 2) -> torch.Tensor:
    """The same, by torch, for as many channels as the kernel has."""
    weights = torch.from_numpy(kernel)
    planes = lr.reshape(-1, weights.shape[1], *lr.shape[2:])
    restored = F.pixel_shuffle(F.conv2d(planes, weights, padding=weights.shape[-1] // 2), scale)
    return restored.reshape(1, 3, *restored.shape[2:])


def random_lr(height: int, width: int) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(height))


@pytest.mark.parametrize("scale", [2, 4, 8, 16])
def test_the_scale_is_found_and_samples_come_out_where_they_belong(scale: int, tmp_path: Path) -> None:
    function = OnnxFunction(nearest(tmp_path / "nearest.onnx", scale))
    assert function.scales == (scale,)
    lr = random_lr(13, 7)
    expected = lr.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    torch.testing.assert_close(function(lr, scale), expected, rtol=0, atol=0)


@pytest.mark.parametrize("shape", [FREE, ("batch", 3, None, None), (1, 1, "height", "width")])
def test_convolutions_are_those_of_torch(shape: Shape, tmp_path: Path) -> None:
    """Models for luma restore each channel by itself."""
    path, kernel = pixel_shuffle(tmp_path / "conv.onnx", shape)
    lr = random_lr(21, 34)
    torch.testing.assert_close(OnnxFunction(path)(lr, 2), by_torch(lr, kernel), rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 3, 48, 48), (1, 1, 40, 64), (1, 3, "height", 40), (1, 3, 40, "width")])
@pytest.mark.parametrize("size", [(130, 95), (48, 48), (20, 11)])
def test_fixed_sizes_are_windows(shape: Shape, size: tuple[int, int], tmp_path: Path) -> None:
    """Within the margin that is left out, the windows give what the model gives for the whole; at the picture's edges
    they see its mirror image in place of the model's own padding.
    """
    path, kernel = pixel_shuffle(tmp_path / "fixed.onnx", shape)
    lr = random_lr(*size)
    restored = OnnxFunction(path)(lr, 2)
    assert restored.shape == (1, 3, 2 * size[0], 2 * size[1])
    whole = by_torch(lr, kernel)
    torch.testing.assert_close(restored[:, :, 4:-4, 4:-4], whole[:, :, 4:-4, 4:-4], rtol=0, atol=1e-6)
    for fixed, ours, theirs in ((shape[2], restored, whole), (shape[3], restored.mT, whole.mT)):
        same = torch.allclose(ours[:, :, :2, 4:-4], theirs[:, :, :2, 4:-4], atol=1e-6)
        assert same == (not isinstance(fixed, int))


def test_a_picture_goes_through_the_model(tmp_path: Path) -> None:
    picture = textured(150, 170)
    rescaled = rescale(picture, np.full((2, 2), 4, np.uint8), 128)
    restored = OwnUpscaler(OnnxFunction(nearest(tmp_path / "nearest.onnx", 4))).restore(rescaled)
    plane = np.concatenate([np.concatenate(list(rescaled.blocks[4][row : row + 2]), 1) for row in (0, 2)])
    np.testing.assert_array_equal(restored, plane.repeat(4, 0).repeat(4, 1)[:150, :170])


@pytest.mark.parametrize(
    ("location", "names"),
    [
        ("conv.onnx.data", ["conv.onnx.data"]),
        ("data/weights.bin", ["data/weights.bin"]),
        ("w" * 200, ["w" * 200]),  # whose length takes two bytes
        (None, ["bias", "kernel"]),  # a file for each tensor
    ],
)
def test_files_with_external_data_are_found(location: str | None, names: list[str], tmp_path: Path) -> None:
    """As the package onnx writes them; and nothing else that lies there."""
    (tmp_path / "data").mkdir()
    (tmp_path / "conv.onnx.txt").write_text("notes")
    save_with_external_data(tmp_path / "conv.onnx", 0, location)
    function = OnnxFunction(tmp_path / "conv.onnx")
    assert function.files == (tmp_path / "conv.onnx", *(tmp_path / name for name in names))


def test_metadata_called_location_name_no_file(tmp_path: Path) -> None:
    path = nearest(tmp_path / "nearest.onnx")
    model = onnx.load(path)
    helper.set_model_props(model, {"location": "Paris"})
    onnx.save(model, path)
    assert OnnxFunction(path).files == (path,)


def test_paths_of_files_hold_in_other_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_with_external_data(tmp_path / "conv.onnx", 0)
    monkeypatch.chdir(tmp_path)
    assert OnnxFunction("conv.onnx").files == (tmp_path / "conv.onnx", tmp_path / "conv.onnx.data")


def test_another_scale_than_the_models_is_refused(tmp_path: Path) -> None:
    function = OnnxFunction(nearest(tmp_path / "nearest.onnx", 4))
    with pytest.raises(BbmrError, match=r"nearest\.onnx: enlarges by 4, not by 2"):
        function(random_lr(8, 8), 2)
    assert OwnUpscaler(function).scales == (1, 4)


def test_damaged_and_missing_files_are_refused(tmp_path: Path) -> None:
    whole = pixel_shuffle(tmp_path / "whole.onnx", FREE)[0].read_bytes()
    for name, content in (("half", whole[: len(whole) // 2]), ("text", b"no model at all"), ("empty", b"")):
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(content)
        with pytest.raises(BbmrError, match=rf"{name}\.onnx: cannot be read as an ONNX model: "):
            OnnxFunction(path)
    with pytest.raises(BbmrError, match=r"away\.onnx: there is no such file"):
        OnnxFunction(tmp_path / "away.onnx")


SAME = helper.make_node("Identity", ["lr"], ["hr"])
NEGATIVE = helper.make_node("Neg", ["lr"], ["hr2"])
SUM = helper.make_node("Add", ["lr", "noise"], ["hr"])


@pytest.mark.parametrize(
    ("told", "write"),
    [
        ("has 2 inputs and 1 outputs", lambda path: save(path, [SUM], inputs=("lr", "noise"))),
        ("has 1 inputs and 2 outputs", lambda path: save(path, [SAME, NEGATIVE], outputs=("hr", "hr2"))),
        (r"takes tensor\(float16\) .*of float32", lambda path: save(path, [SAME], dtype=TensorProto.FLOAT16)),
        (r"takes tensor\(uint8\) .*of float32", lambda path: save(path, [SAME], dtype=TensorProto.UINT8)),
        ("takes .* of 3 dimensions; only .*NCHW", lambda path: save(path, [SAME], (3, "height", "width"))),
        (r"takes inputs \(1, 64, 64, 3\); only .*NCHW", lambda path: save(path, [SAME], (1, 64, 64, 3))),
        (r"takes inputs \(4, 3, 64, 64\); only .*one picture", lambda path: save(path, [SAME], (4, 3, 64, 64))),
        (r"makes \(1, 3, 64, 64\) of \(1, 3, 64, 64\); only .* by 2, 4, 8, 16 ", lambda path: save(path, [SAME])),
        (r"makes \(1, 3, 192, 192\) of", lambda path: nearest(path, 3)),
        (r"makes \(1, 3, 96, 96\) of", lambda path: nearest(path, 1.5)),
    ],
)
def test_models_of_another_kind_are_refused(told: str, write: Callable[[Path], object], tmp_path: Path) -> None:
    write(tmp_path / "other.onnx")
    with pytest.raises(BbmrError, match=rf"other\.onnx: {told}"):
        OnnxFunction(tmp_path / "other.onnx")


def test_a_model_that_fails_on_some_input_says_so(tmp_path: Path) -> None:
    """One that takes even sides alone: it sorts samples into squares of 2 x 2 first."""
    nodes = [
        helper.make_node("SpaceToDepth", ["lr"], ["squares"], blocksize=2),
        helper.make_node("DepthToSpace", ["squares"], ["again"], blocksize=2),
        helper.make_node("Resize", ["again", "", "scales"], ["hr"], mode="nearest"),
    ]
    path = save(tmp_path / "even.onnx", nodes, weights={"scales": np.array([1, 1, 2, 2], np.float32)})
    function = OnnxFunction(path)
    assert function(random_lr(8, 6), 2).shape == (1, 3, 16, 12)
    with pytest.raises(BbmrError, match=r"even\.onnx: the model fails on an input \(1, 3, 7, 6\): "):
        function(random_lr(7, 6), 2)


def test_without_onnxruntime_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = nearest(tmp_path / "nearest.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(BbmrError, match=r'needs onnxruntime, .*: pip install "bbmr\[evaluate\]"'):
        OnnxFunction(path)


def test_threads_are_torchs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    session = onnx_room._open(nearest(tmp_path / "nearest.onnx"))
    assert session.get_session_options().intra_op_num_threads == 3
