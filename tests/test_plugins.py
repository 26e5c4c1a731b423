"""Parts of one's own: found by text, checked, and at work; the examples of docs/plug-ins.md as they stand there."""

import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner
from upscaling.test_onnx import nearest, save_with_external_data
from upscaling.tiny_networks import textured

import bbmr
from bbmr import catalogue
from bbmr.allocation.budget import Budget
from bbmr.allocation.optimal import least_squared_error
from bbmr.blocks import PAPER_SCALES, SCALES, BlockGrid, stitch
from bbmr.catalogue import OWN, find_pipeline, pipeline_for
from bbmr.cli import app
from bbmr.downscaling import bicubic_planes
from bbmr.errors import BbmrError
from bbmr.fileformat import decode, encode
from bbmr.lr_blocks import LRBlocks
from bbmr.options import DEFAULT_PIPELINE, PLAIN_PIPELINE, Options
from bbmr.parts import Parts
from bbmr.picture import Picture
from bbmr.pipeline import compress, compress_uniform, measure_distortion, restore
from bbmr.plugins import load_allocator, load_downscaler, load_part, load_upscaler
from bbmr.rescaled import RescaledImage
from bbmr.tiles import Tile
from bbmr.upscaling import Upscaler
from bbmr.upscaling.own import OwnUpscaler
from bbmr.weights import weights_index

PAGE = Path(__file__).parents[1].joinpath("docs", "plug-ins.md").read_text("utf-8")
EXAMPLES = dict(re.findall(r"```python\n# (\w+)\.py\n(.*?)```", PAGE, re.DOTALL))
MEASURED = Options(distortion="network")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder; modules that are imported from there are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if str(tmp_path) in str(getattr(module, "__file__", "")):
            del sys.modules[name]


def write(path: str, code: str) -> Path:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(dedent(code), "utf-8")
    return file


def example(name: str) -> Path:
    """Write one of the page's examples into the current folder."""
    return write(f"{name}.py", EXAMPLES[name])


def repeat(lr: Tensor, scale: int) -> Tensor:
    return lr.repeat_interleave(scale, 2).repeat_interleave(scale, 3)


def uniform(errors: Any, pixels: NDArray[np.int64], costs: Any, scales: tuple[int, ...], budget: int) -> Any:
    return np.full(len(pixels), scales.index(4))


def darker(colour: NDArray[np.uint8], factors: Any) -> dict[int, NDArray[np.uint8]]:
    return {factor: plane // 2 for factor, plane in bicubic_planes(colour, factors).items()}


def plane_of(rescaled: RescaledImage, factor: int) -> NDArray[np.uint8]:
    """The LR plane of a picture that has one scale."""
    grid = rescaled.grid
    return stitch(
        rescaled.blocks[factor].reshape(grid.rows, grid.cols, *rescaled.blocks[factor].shape[1:]), grid, factor
    )


# The page


def test_the_page_has_an_example_of_each_part() -> None:
    assert set(EXAMPLES) == {"my_sr", "my_models", "my_downscaler", "my_allocator"}


def test_first_steps() -> None:
    for name in ("my_sr", "my_downscaler", "my_allocator"):
        example(name)
    Image.fromarray(textured(120, 200)).save("photo.jpg")
    (snippet,) = (code for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "import bbmr\n" in code)
    names: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(snippet, names)
    assert names["picture"].colour.shape == (120, 200, 3)
    assert names["rescaled"].recipe == bbmr.load("photo.bbmr").recipe
    assert (names["rescaled"].recipe.pipeline, names["rescaled"].recipe.weights) == (OWN, "my_sr:enlarge")


@pytest.mark.parametrize("size", [(203, 331), (1100, 60)])  # one tile; two, of 1024
def test_lanczos_is_pillows(size: tuple[int, int]) -> None:
    example("my_sr")
    parts = Parts(load_upscaler("my_sr:enlarge")[0])
    rescaled = compress_uniform(Picture(textured(*size)), 4, parts=parts)
    plane = Image.fromarray(plane_of(rescaled, 4))
    expected = np.array(plane.resize((plane.width * 4, plane.height * 4), Image.Resampling.LANCZOS))
    restored = restore(rescaled, parts=parts).colour
    # Lanczos sees 3 samples to each side, so that tiles with their margin have no edges of their own.
    assert np.abs(restored.astype(int) - expected[: size[0], : size[1]]).max() <= 1


def test_lanczos_restores_mixed_pictures() -> None:
    """Through a file; in the middle of each block, where Lanczos sees no others, as Pillow restores the LR plane."""
    example("my_sr")
    parts = Parts(load_upscaler("my_sr.py:enlarge")[0])
    picture = Picture(textured(256, 384))
    options = Options(block=64, distortion="bicubic", tune="psnr", scales=(1, 2, 4, 8), budget=Budget("x3"))
    rescaled = compress(picture, options, parts=parts)
    assert len(rescaled.blocks) > 1
    bbmr.save(rescaled, "a.bbmr")
    restored = bbmr.restore("a.bbmr", parts=parts).colour
    planes = bicubic_planes(picture.colour, (1, 2, 4, 8))
    for row, col in np.ndindex(*rescaled.scales.shape):
        factor = int(rescaled.scales[row, col])
        plane = Image.fromarray(planes[factor])
        whole = np.array(plane.resize((384, 256), Image.Resampling.LANCZOS))
        margin = 3 * factor if factor > 1 else 0
        middle = (
            slice(row * 64 + margin, (row + 1) * 64 - margin),
            slice(col * 64 + margin, (col + 1) * 64 - margin),
        )
        assert np.abs(restored[middle].astype(int) - whole[middle]).max(initial=0) <= 1


def test_means_are_pillows() -> None:
    example("my_downscaler")
    parts = Parts(downscaler=load_downscaler("my_downscaler:shrink")[0])
    picture = Picture(textured(128, 192))
    for factor in (2, 4, 8, 16):
        rescaled = compress_uniform(picture, factor, parts=parts)
        expected = np.array(Image.fromarray(picture.colour).reduce(factor))
        assert np.abs(plane_of(rescaled, factor).astype(int) - expected).max() <= 1
        assert rescaled.recipe == compress_uniform(picture, factor, "mosaic-fast").recipe
    odd = compress(Picture(textured(61, 45)), parts=parts)
    assert restore(decode(encode(odd))).colour.shape == (61, 45, 3)  # without the part


def test_the_greatest_gain_first_is_between_one_scale_and_the_least_error() -> None:
    example("my_allocator")
    choose, _ = load_allocator("my_allocator:choose")
    picture = Picture(textured(200, 300))
    grid = BlockGrid(200, 300, 16)
    chosen = find_pipeline("mosaic-fast")
    errors = measure_distortion(picture, bicubic_planes(picture.colour, SCALES), grid, "corrected", chosen)
    flat, costs = errors.reshape(5, -1), np.stack([grid.costs(factor).ravel() for factor in SCALES])
    options = Options(pipeline="mosaic-fast", budget=Budget("x4"))
    rescaled = compress(picture, options, errors=errors, parts=Parts(allocator=choose))
    assert rescaled.recipe.tune == OWN
    assert rescaled.lr_pixels <= 50 * 75
    blocks = np.arange(flat.shape[1])
    error = flat[np.log2(rescaled.scales.ravel()).astype(int), blocks].sum()
    least = flat[least_squared_error(flat, costs, 50 * 75), blocks].sum()
    assert least <= error < 1.1 * least
    assert error < flat[2].sum()
    restore(decode(encode(rescaled)))  # without the part


def test_several_models_are_one_function() -> None:
    for scale in (2, 4):
        nearest(Path(f"my_x{scale}.onnx"), scale)
    example("my_models")
    upscaler, fingerprint = load_upscaler("my_models:enlarge")
    assert upscaler.scales == (1, 2, 4)
    models = b"".join(sha256(Path(f"my_x{scale}.onnx").read_bytes()).digest() for scale in (2, 4))
    assert fingerprint == sha256(Path("my_models.py").read_bytes() + b"enlarge" + models).hexdigest()
    for factor in (2, 4):
        parts = Parts(upscaler)
        rescaled = compress_uniform(Picture(textured(50, 70)), factor, parts=parts)
        repeated = plane_of(rescaled, factor).repeat(factor, 0).repeat(factor, 1)[:50, :70]
        np.testing.assert_array_equal(restore(rescaled, parts=parts).colour, repeated)


# By text


def test_parts_are_found_by_module_and_by_file() -> None:
    code = b"def f(lr, scale):\n    return lr\n"
    write("pack/deep.py", code.decode())
    expected = sha256(code + b"f").hexdigest()
    for text in ("pack.deep:f", "pack/deep.py:f", str(Path("pack/deep.py").resolve()) + ":f"):
        part, fingerprint = load_part(text)
        assert callable(part)
        assert part("lr", 2) == "lr"
        assert fingerprint == expected
    write("pack/deep.py", code.decode() + "# changed\n")
    assert load_part("pack/deep.py:f")[1] != expected


READS_A_FILE = """
from pathlib import Path

def f(*given):
    return Path(__file__).with_name("w.txt").read_text()

f.files = ["w.txt"]
"""


@pytest.mark.parametrize("text", ["net:f", "net.py:f", "pack.net:f", "pack/net.py:f"])
def test_files_that_a_part_names_are_in_its_fingerprint(text: str) -> None:
    """Wherever the current folder is, and whichever part it is."""
    folder = "pack" if "pack" in text else "."
    code = write(f"{folder}/net.py", READS_A_FILE).read_bytes()
    weights = write(f"{folder}/w.txt", "old")
    before = load_part(text)[1]
    assert before == sha256(code + b"f" + sha256(b"old").digest()).hexdigest()
    assert {load(text)[1] for load in (load_upscaler, load_downscaler, load_allocator)} == {before}
    weights.write_text("new")
    assert load_part(text)[1] != before
    weights.write_text("old")
    assert load_part(text)[1] == before


def test_files_have_an_order_and_absolute_paths() -> None:
    first, second = write("there/1.txt", "one").resolve(), write("2.txt", "two")
    code = f"from pathlib import Path\ndef f(): ...\nf.files = (Path({str(first)!r}), {second.name!r})"
    write("net.py", code)
    digests = sha256(b"one").digest() + sha256(b"two").digest()
    assert load_part("net.py:f")[1] == sha256(code.encode() + b"f" + digests).hexdigest()


def test_weights_of_another_training_are_another_version() -> None:
    """The receiver is told."""
    write("w.txt", "old")
    write("my_sr.py", EXAMPLES["my_sr"] + "enlarge.files = ['w.txt']\n")
    rescaled = compress_uniform(Picture(textured(40, 40)), 4, parts=Parts(load_upscaler("my_sr.py:enlarge")[0]))
    write("w.txt", "new")
    with pytest.warns(UserWarning, match=r"another version of 'my_sr\.py:enlarge' than this"):
        restore(rescaled, parts=Parts(load_upscaler("my_sr.py:enlarge")[0]))


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ('["w.pt"]', r"its `files` name .*w\.pt, which is no file; relative paths start at the folder of its source"),
        ('["."]', "its `files` name .*, which is no file"),
        ('"w.pt"', r"its `files` have to be a list or tuple of paths, not 'w\.pt'"),
        ("[1]", r"its `files` have to be a list or tuple of paths, not \[1\]"),
        ("None", "its `files` have to be a list or tuple of paths, not None"),
    ],
)
def test_files_that_are_not_there_are_refused(files: str, told: str) -> None:
    write("net.py", f"def f(): ...\nf.files = {files}")
    for load in (load_upscaler, load_downscaler, load_allocator):
        with pytest.raises(BbmrError, match=rf"net\.py:f: {told}"):
            load("net.py:f")


def test_files_import_what_lies_beside_them() -> None:
    write("there/helper_of_mine.py", "answer = 42")
    write("there/random.py", "from helper_of_mine import answer\n\ndef f():\n    return answer")
    part, _ = load_part("there/random.py:f")
    assert callable(part)
    assert part() == 42
    import random  # noqa: PLC0415

    assert random.random() < 1  # a file's name takes nothing from the module of that name


def test_an_object_that_can_be_called_is_a_part() -> None:
    write("net.py", "class Net:\n    scales = (4,)\n    def __call__(self, lr, scale): ...\n\nnet = Net()")
    upscaler, _ = load_upscaler("net:net")
    assert upscaler.scales == (1, 4)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("mine", "'mine' names no part; give module:callable or folder/file.py:callable"),
        ("mine.py", r"'mine\.py' names no part"),
        (":f", "':f' names no part"),
        ("mine:", "'mine:' names no part"),
        ("", "'' names no part"),
        ("nowhere:f", "there is no module 'nowhere', neither in .* nor installed"),
        ("mine.nowhere:f", r"there is no module 'mine\.nowhere'"),
        ("folder/nowhere.py:f", r"folder/nowhere\.py: there is no such file"),
        ("mine:g", r"mine:g: .*mine\.py has no 'g'; it has: f, h"),
        ("empty:f", r"empty\.py has no 'f'; it has: nothing that can be called"),
        ("mine:scales", "'scales' cannot be called; it is a tuple"),
        ("mine:Net", "'Net' is a class; name a function, or an object"),
        ("broken:f", r"broken\.py: ZeroDivisionError while it was imported: division by zero"),
        ("broken.py:f", r"broken\.py: ZeroDivisionError while it was imported"),
        ("grammar:f", r"grammar\.py: SyntaxError while it was imported"),
        ("needy:f", r"needy\.py: ModuleNotFoundError while it was imported: No module named 'not_there_at_all'"),
        ("leaving:f", r"leaving\.py: SystemExit while it was imported: 3"),
        ("sys:exit", "sys:exit: sys is no module in a file of its own"),
        ("nowhere.onnx", r"nowhere\.onnx: there is no such file"),
    ],
)
def test_what_names_no_part_is_refused(text: str, told: str) -> None:
    write("mine.py", "scales = (2, 4)\nclass Net: ...\ndef f(lr, scale): ...\ndef h(lr, scale): ...\ndef _g(): ...")
    write("empty.py", "import numpy as f_of_another\n")
    write("broken.py", "1 / 0")
    write("grammar.py", "def f(:")
    write("needy.py", "import not_there_at_all")
    write("leaving.py", "raise SystemExit(3)")
    for load in (load_part, load_upscaler):
        with pytest.raises(BbmrError, match=told):
            load(text)
    if not text.endswith(".onnx"):
        for load_other in (load_downscaler, load_allocator):
            with pytest.raises(BbmrError, match=told):
                load_other(text)


def test_onnx_files_are_upscalers_alone() -> None:
    path = nearest(Path("models_x4.onnx"), 4)
    upscaler, fingerprint = load_upscaler("models_x4.onnx")
    assert fingerprint == sha256(path.read_bytes()).hexdigest()
    parts = Parts(upscaler)
    rescaled = compress_uniform(Picture(textured(50, 70)), 4, parts=parts)
    assert (rescaled.recipe.weights, rescaled.recipe.weights_digest) == ("models_x4.onnx", fingerprint[:16])
    repeated = plane_of(rescaled, 4).repeat(4, 0).repeat(4, 1)[:50, :70]
    np.testing.assert_array_equal(restore(rescaled, parts=parts).colour, repeated)
    for load in (load_downscaler, load_allocator):
        with pytest.raises(BbmrError, match=r"models_x4\.onnx: an ONNX file can only be an upscaler"):
            load("models_x4.onnx")


@pytest.mark.parametrize("location", ["conv.onnx.data", "weights.bin"])
def test_external_data_of_onnx_models_are_in_the_fingerprint(location: str) -> None:
    """By itself and in a function that picks the model; the models' own files are the same."""
    write("mine.py", "from bbmr.upscaling.onnx import OnnxFunction\nnet = OnnxFunction('conv.onnx')")
    models, fingerprints = set(), set()
    for seed in range(3):
        save_with_external_data(Path("conv.onnx"), seed, location)
        model, data = Path("conv.onnx").read_bytes(), Path(location).read_bytes()
        models.add(model)
        expected = sha256(model + sha256(data).digest()).hexdigest()
        assert load_upscaler("conv.onnx")[1] == expected
        fingerprints |= {expected, load_upscaler("mine.py:net")[1]}
    assert len(models) == 1
    assert len(fingerprints) == 6


def test_what_needs_no_onnx_does_not_import_it() -> None:
    program = "import sys, bbmr.api, bbmr.plugins; sys.exit('onnxruntime' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


# In pipelines


def test_an_own_upscaler_needs_no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "weights_index", dict)
    parts = Parts(OwnUpscaler(repeat))
    picture = Picture(textured(90, 110))
    for rescaled in (
        compress(picture, MEASURED, parts=parts),
        compress(picture, Options(pipeline=PLAIN_PIPELINE), parts=parts),
        compress_uniform(picture, 2, parts=parts),
    ):
        assert rescaled.recipe.pipeline == OWN
        assert restore(rescaled, parts=parts).colour.shape == picture.colour.shape
    with pytest.raises(BbmrError, match="needs weights that are not there"):
        compress(picture, MEASURED)


@pytest.mark.parametrize("distortion", ["network", "bicubic"])
def test_distortions_are_those_of_the_own_upscaler(distortion: str) -> None:
    """Against what it loses when the whole picture has one scale."""
    picture = Picture(textured(120, 150))
    grid, parts = BlockGrid(120, 150, 16), Parts(OwnUpscaler(repeat))
    options = Options(distortion=distortion, scales=(2, 4, 8), tune="psnr")
    chosen = pipeline_for(options, parts=parts)
    planes = chosen.downscaler(picture.colour, (2, 4, 8))
    errors = measure_distortion(picture, planes, grid, distortion, chosen, (2, 4, 8))
    rescaled = compress(picture, options, parts=parts)
    assert rescaled == compress(picture, options, errors=errors, parts=parts)
    assert (rescaled.recipe.expected_psnr is not None) == (distortion == "network")
    for row, factor in enumerate((2, 4, 8)):
        restored = restore(compress_uniform(picture, factor, parts=parts), parts=parts).colour
        difference = (restored.astype(float) - picture.colour) @ np.array([65.481, 128.553, 24.966]) / 255
        lost = grid.block_sums(difference**2)
        assert np.allclose(errors[row], lost, rtol=1e-3, atol=0.1) == (distortion == "network")


@pytest.mark.parametrize("distortion", ["corrected", "helper"])
def test_distortions_that_know_other_networks_are_refused(distortion: str) -> None:
    options = Options(distortion=distortion, pipeline="joint-omnisr")
    parts = Parts(OwnUpscaler(repeat))
    told = f'\'{distortion}\' foresees .* not the upscaler repeat; choose "network", .*"bicubic"'
    with pytest.raises(BbmrError, match=told):
        compress(Picture(textured(40, 40)), options, parts=parts)
    with pytest.raises(BbmrError, match=told):
        measure_distortion(
            Picture(textured(40, 40)), {}, BlockGrid(40, 40, 16), distortion, find_pipeline(OWN, parts=parts)
        )


def test_scales_are_the_own_upscalers() -> None:
    picture, upscaler = Picture(textured(64, 64)), OwnUpscaler(repeat)
    parts = Parts(upscaler)
    assert set(compress(picture, MEASURED, parts=parts).blocks) <= set(upscaler.scales)
    with pytest.raises(BbmrError, match=r"the upscaler repeat restores .* 1, 2, 4, 8; it cannot .* 16 at 2, 16"):
        compress(picture, Options(distortion="network", scales=(2, 16)), parts=parts)
    with pytest.raises(BbmrError, match="the upscaler repeat works at scales 1, 2, 4, 8, not 16"):
        compress_uniform(picture, 16, parts=parts)
    upscaler.scales = (1, 4)
    assert set(compress(picture, MEASURED, parts=parts).blocks) == {4}
    with pytest.raises(BbmrError, match="at scales 1, 4; it cannot restore blocks of 16 at 2, 4, 8"):
        compress(picture, Options(distortion="network", allocator="greedy"), parts=parts)


def test_an_sr_function_is_no_upscaler_yet() -> None:
    wrong: Any = repeat
    with pytest.raises(BbmrError, match=r"the upscaler repeat is a function; .*OwnUpscaler\(function\)"):
        Parts(wrong)


def test_weights_beside_an_own_upscaler_are_refused() -> None:
    picture, parts = Picture(textured(40, 40)), Parts(OwnUpscaler(repeat))
    told = "weights 'mosaic-fast' are for networks of bbmr, not for repeat; leave them out"
    with pytest.raises(BbmrError, match=told):
        compress(picture, Options(weights="mosaic-fast"), parts=parts)
    with pytest.raises(BbmrError, match=told):
        compress_uniform(picture, 4, weights="mosaic-fast", parts=parts)


def test_whoever_lacks_the_upscaler_is_told() -> None:
    example("my_sr")
    rescaled = compress_uniform(Picture(textured(40, 40)), 4, parts=Parts(load_upscaler("my_sr:enlarge")[0]))
    bbmr.save(rescaled, "a.bbmr")
    told = r"compressed for an upscaler of the sender's own, 'my_sr:enlarge', .*bbmr\.restore\(.*parts="
    with pytest.raises(BbmrError, match=told):
        bbmr.restore("a.bbmr")
    result = CliRunner().invoke(app, ["restore", "a.bbmr"])
    assert result.exit_code == 1
    assert re.search(told, result.stderr)
    assert not Path("a.png").exists()
    assert CliRunner().invoke(app, ["info", "a.bbmr"]).exit_code == 0


def test_another_upscaler_is_warned_of() -> None:
    example("my_sr")
    picture = Picture(textured(40, 40))
    with_hash, without = load_upscaler("my_sr.py:enlarge")[0], OwnUpscaler(repeat)
    for upscaler in (with_hash, without):
        rescaled = compress_uniform(picture, 4, parts=Parts(upscaler))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            restore(rescaled, parts=Parts(upscaler))
    by_hash = compress_uniform(picture, 4, parts=Parts(with_hash))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        restore(by_hash, parts=Parts(load_upscaler("my_sr:enlarge")[0]))  # the same under another name
    with pytest.warns(UserWarning, match=r"'my_sr\.py:enlarge' and restored with an upscaler of one's own, 'repeat'"):
        restore(by_hash, parts=Parts(without))
    with pytest.warns(UserWarning, match="compressed for 'downnet-mosaic-fast' and restored with"):
        foreign = restore(compress_uniform(picture, 4), parts=Parts(without)).colour
    np.testing.assert_array_equal(foreign, without.restore(compress_uniform(picture, 4)))
    write("my_sr.py", EXAMPLES["my_sr"] + "# changed\n")
    with pytest.warns(UserWarning, match=r"another version of 'my_sr\.py:enlarge' than this"):
        restore(by_hash, parts=Parts(load_upscaler("my_sr.py:enlarge")[0]))


def test_refining_goes_through_the_own_upscaler() -> None:
    picture, parts = Picture(textured(64, 96)), Parts(OwnUpscaler(repeat))
    psnr = {}
    for effort in (0, 3):
        restored = restore(compress_uniform(picture, 4, effort=effort, parts=parts), parts=parts).colour
        psnr[effort] = -np.log(np.square(restored.astype(float) - picture.colour).mean())
    assert psnr[3] > psnr[0]


@pytest.mark.parametrize("distortion", ["corrected", "network", "bicubic"])
def test_planes_of_an_own_downscaler_are_stored_and_measured(distortion: str) -> None:
    """Of one that darkens: so do the stored samples, and all but those of scale 1 cost more than they save."""
    picture, parts = Picture(textured(96, 128)), Parts(downscaler=darker)
    options = Options(distortion=distortion, budget=Budget("x2"))
    rescaled = compress(picture, options, parts=parts)
    assert (rescaled.recipe.pipeline, rescaled.recipe.weights) == ("mosaic-fast", "mosaic-fast")
    usual = bicubic_planes(picture.colour, SCALES)
    seen = dict.fromkeys(rescaled.blocks, 0)
    for row, col in np.ndindex(*rescaled.scales.shape):
        factor = int(rescaled.scales[row, col])
        side = 16 // factor
        stored = rescaled.blocks[factor][seen[factor]]
        seen[factor] += 1
        true = usual[factor][row * side : (row + 1) * side, col * side : (col + 1) * side]
        np.testing.assert_array_equal(stored, true if factor == 1 else true // 2)
    assert (rescaled.recipe.expected_psnr is not None) == (distortion == "network")
    grid = BlockGrid(96, 128, 16)
    chosen = find_pipeline("mosaic-fast")
    planes = darker(picture.colour, SCALES[1:]) | {1: picture.colour}
    errors = measure_distortion(picture, planes, grid, distortion, chosen)
    assert rescaled.scales.tolist() == compress(picture, options, errors=errors, parts=parts).scales.tolist()
    assert (
        rescaled.scales.tolist()
        != compress(picture, Options(distortion=distortion, budget=Budget("x2"))).scales.tolist()
    )


def test_an_own_downscaler_is_asked_for_what_is_needed() -> None:
    asked: list[tuple[int, ...]] = []

    def noting(colour: NDArray[np.uint8], factors: Any) -> dict[int, NDArray[np.uint8]]:
        asked.append(tuple(factors))
        return bicubic_planes(colour, factors) | {1: np.zeros_like(colour)}  # more than it is asked for

    picture = Picture(textured(64, 64))
    parts = Parts(downscaler=noting)
    for options in (
        Options(scales=(1, 2, 8), distortion="network"),
        Options(scales=(1, 2, 8)),
        Options(scales=(1, 2), distortion="network", budget=Budget("x1")),
    ):
        rescaled = compress(picture, options, parts=parts)
    np.testing.assert_array_equal(restore(rescaled).colour, picture.colour)  # scale 1 alone, whatever comes back
    compress_uniform(picture, 8, parts=parts)
    assert asked == [(2, 8), (2, 4, 8, 16), (2,), (8,)]


def test_an_own_downscaler_serves_gray_pictures_and_named_weights() -> None:
    parts = Parts(downscaler=darker)
    gray = compress(Picture(textured(64, 64, channels=1)), parts=parts)
    assert gray.channels == 1
    assert gray.recipe.pipeline == "mosaic-fast"
    named = compress(Picture(textured(64, 64)), Options(weights=DEFAULT_PIPELINE), parts=parts)
    assert (named.recipe.pipeline, named.recipe.weights) == ("mosaic-fast", DEFAULT_PIPELINE)
    restore(named)


@pytest.mark.parametrize(
    ("returns", "told"),
    [
        (lambda colour, factors: None, "has to return LR planes by factor, not nothing"),
        (lambda colour, factors: colour, r"has to return LR planes by factor, not \(50, 70, 3\) uint8"),
        (lambda colour, factors: {}, r"made nothing of a picture \(50, 70, 3\) at factor 4; .*\(13, 18, 3\) uint8"),
        (lambda colour, factors: {4: colour[::4, ::4, 0]}, r"made \(13, 18\) uint8"),
        (lambda colour, factors: {4: colour[:-2:4, :-2:4]}, r"made \(12, 17, 3\) uint8"),
        (lambda colour, factors: {4: colour[::4, ::4] / 255}, r"made \(13, 18, 3\) float64"),
        (lambda colour, factors: {4: torch.zeros(13, 18, 3)}, r"made \(13, 18, 3\) torch.float32"),
    ],
)
def test_what_are_no_lr_planes_is_refused(returns: Callable[..., Any], told: str) -> None:
    with pytest.raises(BbmrError, match=f"the downscaler <lambda> {told}"):
        compress_uniform(Picture(textured(50, 70)), 4, parts=Parts(downscaler=returns))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("block", [16, 128])
def test_an_allocator_that_keeps_one_scale_stores_what_uniform_rescaling_does(block: int, channels: int) -> None:
    picture = Picture(textured(150, 200, channels))
    parts = Parts(allocator=uniform)
    for pipeline in (DEFAULT_PIPELINE, "mosaic-fast"):
        rescaled = compress(picture, Options(block=block, pipeline=pipeline, budget=Budget("x3")), parts=parts)
        expected = compress_uniform(picture, 4, pipeline)
        np.testing.assert_array_equal(plane_of(rescaled, 4), plane_of(expected, 4))
        np.testing.assert_array_equal(restore(rescaled).colour, restore(expected).colour)


def test_an_allocator_is_given_what_it_is_promised() -> None:
    given: list[Any] = []

    def noting(*arguments: Any) -> Any:
        given.extend(arguments)
        for array in arguments[:3]:
            array[:] = 0  # which is its own
        return uniform(None, given[1], None, given[3], 0) + 1

    picture = Picture(textured(70, 90))
    options = Options(block=32, scales=(8, 2, 4), budget=Budget("x3"), distortion="bicubic")
    errors = np.random.default_rng(0).random((3, 3, 3))
    copy = errors.copy()
    rescaled = compress(picture, options, errors=errors, parts=Parts(allocator=noting))
    np.testing.assert_array_equal(errors, copy)
    assert set(rescaled.blocks) == {8}
    assert given[3:] == [(2, 4, 8), 24 * 30]
    assert [(array.shape, array.dtype) for array in given[:3]] == [
        ((3, 9), np.float64),
        ((9,), np.int64),
        ((3, 9), np.int64),
    ]


@pytest.mark.parametrize(
    ("returns", "told"),
    [
        (lambda *given: None, r"returned nothing; it has to return \(20,\) whole numbers, a row for each block"),
        (lambda *given: np.full(19, 2), r"returned \(19,\) int64; "),
        (lambda *given: [[1], [2, 3]], "raised ValueError: "),
        (lambda *given: np.full((4, 5), 2), r"returned \(4, 5\) int64; "),
        (lambda *given: np.full(20, 2.0), r"returned \(20,\) float64; "),
        (lambda *given: np.full(20, True), r"returned \(20,\) bool; "),
        (lambda *given: np.full(20, 5), "returned rows from 5 to 5; the rows of the scales 1, 2, 4, 8, 16 are 0 to 4"),
        (lambda *given: np.arange(20) - 1, "returned rows from -1 to 18"),
        (lambda *given: np.ones(20, int), "chose scales that store 1120 LR pixels; the budget is 280"),
    ],
)
def test_choices_that_cannot_be_stored_are_refused(returns: Callable[..., Any], told: str) -> None:
    with pytest.raises(BbmrError, match=f"the allocator <lambda> {told}"):
        compress(Picture(textured(56, 80)), Options(distortion="bicubic"), parts=Parts(allocator=returns))


def as_each_part(function: Any) -> dict[str, Parts]:
    return {
        "upscaler": Parts(OwnUpscaler(function)),
        "downscaler": Parts(downscaler=function),
        "allocator": Parts(allocator=function),
    }


@pytest.mark.parametrize("error", [ValueError("my bug"), SystemExit("my bug")])
def test_errors_of_parts_name_them(error: BaseException) -> None:
    def broken(*given: Any) -> Any:
        raise error

    picture, kind = Picture(textured(56, 80)), type(error).__name__
    for name, parts in as_each_part(broken).items():
        with pytest.raises(BbmrError, match=f"^the {name} broken raised {kind}: my bug$") as raised:
            compress(picture, MEASURED, parts=parts)
        assert raised.value.__cause__ is error


@pytest.mark.parametrize("error", [BbmrError("no room left"), KeyboardInterrupt()])
def test_errors_for_the_user_and_interruptions_pass_through_parts(error: BaseException) -> None:
    def stopping(*given: Any) -> Any:
        raise error

    for parts in as_each_part(stopping).values():
        with pytest.raises(type(error)) as raised:
            compress(Picture(textured(56, 80)), MEASURED, parts=parts)
        assert raised.value is error


def test_lists_and_small_numbers_are_rows_too() -> None:
    picture, options = Picture(textured(56, 80)), Options(distortion="bicubic")
    for rows in ([2] * 20, np.full(20, 2, np.uint8)):
        rescaled = compress(picture, options, parts=Parts(allocator=lambda *given, rows=rows: rows))
        assert set(rescaled.blocks) == {4}


def test_the_yardstick_asks_no_allocator() -> None:
    def never(*given: Any) -> Any:
        raise AssertionError

    parts = Parts(allocator=never)
    picture = Picture(textured(40, 40))
    assert compress(picture, Options(pipeline=PLAIN_PIPELINE), parts=parts) == (
        compress(picture, Options(pipeline=PLAIN_PIPELINE))
    )
    assert compress_uniform(picture, 4, parts=parts) == compress_uniform(picture, 4)


def test_all_three_work_together_on_gray_pictures() -> None:
    parts = Parts(OwnUpscaler(repeat), darker, uniform)
    gray = Picture(textured(50, 70, channels=1))
    rescaled = decode(encode(bbmr.compress(gray, parts=parts, distortion="bicubic", scales=PAPER_SCALES)))
    repeated = (bicubic_planes(gray.colour, (4,))[4] // 2).repeat(4, 0).repeat(4, 1)[:50, :70]
    np.testing.assert_array_equal(bbmr.restore(rescaled, parts=parts).colour, repeated)


# What parts may do wrong


def test_a_downscaler_may_work_in_place() -> None:
    def spoiling(colour: NDArray[np.uint8], factors: tuple[int, ...], /) -> dict[int, NDArray[np.uint8]]:
        planes = bicubic_planes(colour, factors)
        colour[:] = 0
        return planes

    picture = Picture(textured(64, 64))
    before = picture.colour.copy()
    by_own = compress(picture, MEASURED, parts=Parts(downscaler=spoiling))
    np.testing.assert_array_equal(picture.colour, before)
    by_bbmr = compress(picture, MEASURED, parts=Parts(downscaler=bicubic_planes))
    np.testing.assert_array_equal(by_own.scales, by_bbmr.scales)


def test_what_was_edited_counts() -> None:
    for scale in (2, 4):
        write("mine.py", f"def f(lr, scale): ...\nf.scales = {scale}")
        assert load_upscaler("mine:f")[0].scales == (1, scale)


def test_an_installed_module_that_was_edited_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(folder / "site")
    write("site/installed_once.py", "def f(lr, scale): ...")
    assert load_part("installed_once:f") == load_part("installed_once:f")
    write("site/installed_once.py", "def f(lr, scale): return None")
    with pytest.raises(BbmrError, match=r"installed_once\.py was changed after it was imported; start Python anew"):
        load_part("installed_once:f")


def test_files_come_before_modules_of_their_name() -> None:
    write("json.py", "def choose(*given): ...")
    part, _ = load_part("json:choose")
    assert callable(part)


def test_modules_of_one_name_in_two_folders_are_refused() -> None:
    for name in ("a", "b"):
        write(f"{name}/shared_settings.py", f"STRENGTH = {name!r}")
        write(f"{name}/sr.py", "from shared_settings import STRENGTH\ndef f(lr, scale): return STRENGTH")
    assert load_part("a/sr.py:f")[0](None, 2) == "a"  # type: ignore[operator]
    assert load_part("a/sr.py:f")[0](None, 2) == "a"  # type: ignore[operator]
    with pytest.raises(BbmrError, match=r"b/shared_settings\.py and .*a/shared_settings\.py have the same name"):
        load_part("b/sr.py:f")


def test_a_scale_may_be_a_number() -> None:
    write("mine.py", "def f(lr, scale): ...\ndef g(lr, scale): ...\nf.scales = 4\ng.scales = '4'")
    assert load_upscaler("mine:f")[0].scales == (1, 4)
    with pytest.raises(BbmrError, match=r"g has '4' as its `scales`; give whole numbers"):
        load_upscaler("mine:g")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"name": "x" * 256}, "at most 255 bytes"),
        ({"name": "a\nb"}, "at most 255 bytes"),
        ({"fingerprint": "xyz"}, "give hexadecimal digits"),
    ],
)
def test_what_no_recipe_can_have_is_refused_before_work(given: dict[str, str], told: str) -> None:
    with pytest.raises(BbmrError, match=told):
        OwnUpscaler(repeat, **given)


def test_what_can_be_no_part_is_refused() -> None:
    with pytest.raises(BbmrError, match="the upscaler is a int, which cannot be called"):
        OwnUpscaler(3)  # type: ignore[arg-type]
    for kind in ("downscaler", "allocator"):
        with pytest.raises(BbmrError, match=f"the {kind} is a str, .* bbmr.plugins.load_{kind} finds one"):
            Parts(**{kind: "mine:f"})  # type: ignore[arg-type]


class Tiled(Upscaler):
    """An upscaler of somebody's own; what it makes is given."""

    scales, sides = (1, 2, 4, 8), (16, 32, 64, 128)

    def __init__(self, make: Callable[[LRBlocks], Iterator[tuple[Tile, Tensor]]]) -> None:
        self._make = make

    def restored_tiles(self, stored: LRBlocks) -> Iterator[tuple[Tile, Tensor]]:
        return self._make(stored)


def ruled(stored: LRBlocks, value: float = 0.5, rows: int = 0, more: int = 0) -> Iterator[tuple[Tile, Tensor]]:
    height = stored.grid.height - rows
    whole = slice(0, height), slice(0, stored.grid.width)
    yield Tile(whole, whole), torch.full((1, 3, height + more, stored.grid.width), value)


def failing(stored: LRBlocks) -> Iterator[tuple[Tile, Tensor]]:
    yield from ruled(stored)
    raise RuntimeError("out of memory")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (failing, r"the upscaler Tiled raised RuntimeError: out of memory"),
        (lambda stored: ruled(stored, float("nan")), "the upscaler Tiled made NaN or infinity"),
        (lambda stored: ruled(stored, rows=1), r"the upscaler Tiled restored 4032 of 4096 pixels"),
        (lambda stored: iter(()), r"the upscaler Tiled restored 0 of 4096 pixels"),
        (lambda stored: ruled(stored, more=1), r"made \(1, 3, 65, 64\) torch.float32 of a tile; .*\(1, 3, 64, 64\)"),
        (lambda stored: iter((3,)), r"the upscaler Tiled raised TypeError"),
    ],
)
def test_upscalers_are_looked_at(make: Callable[[LRBlocks], Iterator[tuple[Tile, Tensor]]], told: str) -> None:
    picture = Picture(textured(64, 64))
    good = Parts(Tiled(ruled))
    rescaled = compress_uniform(picture, 4, parts=good)
    assert np.all(restore(rescaled, parts=good).colour == 128)
    with pytest.raises(BbmrError, match=told):
        restore(rescaled, parts=Parts(Tiled(make)))


@pytest.mark.parametrize(("name", "value"), [("scales", 4), ("scales", (4, 2)), ("sides", ()), ("sides", (100,))])
def test_upscalers_say_what_they_restore(name: str, value: object) -> None:
    upscaler = Tiled(ruled)
    setattr(upscaler, name, value)
    with pytest.raises(BbmrError, match=rf"the upscaler Tiled has .* as its `{name}`; that has to be a tuple out of"):
        Parts(upscaler)


def test_functions_of_0_to_255_are_refused() -> None:
    parts = Parts(OwnUpscaler(lambda lr, scale: 255 * repeat(lr, scale), "bright"))
    rescaled = compress_uniform(Picture(textured(64, 64)), 4, parts=parts)
    with pytest.raises(BbmrError, match=r"bright returned samples of \d+ in the mean where white is 1"):
        restore(rescaled, parts=parts)


def test_weights_by_name() -> None:
    picture = Picture(textured(90, 120))
    for name, pipeline, scales in (("mosaic-fast", "mosaic-fast", SCALES), ("omnisr-x4", "plain-omnisr", (4,))):
        upscaler, fingerprint = load_upscaler(name)
        assert (upscaler.scales, fingerprint) == (scales, weights_index()[name].sha256)
        rescaled = compress_uniform(picture, 4, pipeline)
        assert restore(rescaled, parts=Parts(upscaler)) == restore(rescaled)
    for name in ("downnet-mosaic-fast", "coded-fast", "joint-omnisr"):
        with pytest.raises(BbmrError, match=f"{name}: only weights of SR networks and of those for mosaics"):
            load_upscaler(name)
