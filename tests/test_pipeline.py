import warnings
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.torch import save_file
from upscaling.tiny_networks import ship, tiny_families, tiny_sr

from bbmr import catalogue, pipeline
from bbmr.allocation.budget import Budget
from bbmr.allocation.distortion import bicubic_errors, luma_variance, network_errors
from bbmr.blocks import BLOCK_SIDES, SCALES, BlockGrid, split
from bbmr.downscaling import bicubic_planes
from bbmr.downscaling.bicubic import upscale
from bbmr.downscaling.downnet import DownNet, fold
from bbmr.errors import BbmrError
from bbmr.fileformat import decode, encode
from bbmr.imageio import read_picture
from bbmr.networks import NetworkDescriptor, build_network
from bbmr.options import (
    BICUBIC_MOSAIC,
    CODED_CHOICES,
    DEFAULT_PIPELINE,
    LEARNED,
    PIPELINE_CHOICES,
    PIPELINE_NAMES,
    PLAIN_PIPELINE,
    SR_FAMILIES,
    TUNES,
    Options,
)
from bbmr.picture import Metadata, Picture
from bbmr.upscaling.mosaic import MosaicUpscaler
from bbmr.upscaling.separate import SeparateUpscaler
from bbmr.weights import load_weights
from bbmr.weights.imported import import_weights, remove_weights
from bbmr.weights.index import LR

FAMILIES = tuple(name for name in PIPELINE_NAMES if name.endswith(tuple(SR_FAMILIES)))
TEST_2K = Path(__file__).parents[2] / "shared" / "data" / "test2k"


def landscape(height: int = 203, width: int = 331) -> NDArray[np.uint8]:
    """Half even sky, half texture, an edge between: something to allocate for."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    sky = 180 + 20 * y / height
    ground = 90 + 60 * np.sin(x / 3) * np.cos(y / 2.5) + random.normal(0, 8, (height, width))
    luma = np.where(y < height / 2 + 20 * np.sin(x / 40), sky, ground)
    colour: NDArray[np.uint8] = np.clip(luma[:, :, None] + np.array([0, 5, 20]), 0, 255).astype(np.uint8)
    return colour


def luma_of(colour: NDArray[np.uint8]) -> NDArray[np.float64]:
    luma: NDArray[np.float64] = 16 + colour.astype(np.float64) @ np.array([65.481, 128.553, 24.966]) / 255
    return luma


@given(
    st.integers(1, 70), st.integers(1, 70), st.sampled_from(["L", "LA", "RGB", "RGBA"]), st.sampled_from(BLOCK_SIDES)
)
@settings(max_examples=40)
def test_every_size_and_mode_comes_back(height: int, width: int, mode: str, block: int) -> None:
    random = np.random.default_rng(height * 100 + width)
    colour = random.integers(0, 256, (height, width, 1 if mode[0] == "L" else 3), np.uint8)
    alpha = random.integers(0, 256, (height, width), np.uint8) if mode[-1] == "A" else None
    picture = Picture(colour, alpha, Metadata(exif=b"Exif"))
    rescaled = pipeline.compress(picture, Options(block=block))
    restored = pipeline.restore(rescaled)
    assert restored.mode == rescaled.mode == mode
    assert restored.colour.shape == colour.shape
    assert rescaled.lr_pixels <= -(-height // 4) * -(-width // 4)
    assert restored.metadata == picture.metadata
    if alpha is not None:
        np.testing.assert_array_equal(restored.alpha, alpha)


@pytest.mark.parametrize("distortion", ["corrected", "bicubic", "network"])
@pytest.mark.parametrize("tune", TUNES)
@pytest.mark.parametrize(("block", "scales"), [(16, SCALES), (32, (2, 4, 8)), (128, (1, 4, 16))])
def test_no_combination_exceeds_its_budget(distortion: str, tune: str, block: int, scales: tuple[int, ...]) -> None:
    picture = Picture(landscape())
    for text in ("x4", "1/10", "3%"):
        options = Options(block=block, scales=scales, tune=tune, distortion=distortion, budget=Budget(text))
        rescaled = pipeline.compress(picture, options)
        assert rescaled.lr_pixels <= Budget(text).pixels(picture.height, picture.width)
        assert set(rescaled.blocks) <= set(scales)


def test_stored_samples_are_those_of_the_lr_planes() -> None:
    picture = Picture(landscape())
    rescaled = pipeline.compress(picture, Options(block=32, pipeline=BICUBIC_MOSAIC))
    planes = bicubic_planes(picture.colour, SCALES)
    seen = dict.fromkeys(rescaled.blocks, 0)
    for row, col in np.ndindex(*rescaled.scales.shape):
        factor = int(rescaled.scales[row, col])
        block = rescaled.blocks[factor][seen[factor]]
        seen[factor] += 1
        side = 32 // factor
        true = planes[factor][row * side : (row + 1) * side, col * side : (col + 1) * side]
        np.testing.assert_array_equal(block[: true.shape[0], : true.shape[1]], true)


def test_more_budget_gives_a_better_picture() -> None:
    picture = Picture(landscape())
    errors = []
    for text in ("2%", "1/16", "20%"):
        restored = pipeline.restore(pipeline.compress(picture, Options(budget=Budget(text), tune="psnr")))
        errors.append(np.square(luma_of(restored.colour) - luma_of(picture.colour)).mean())
    assert errors[0] > errors[1] > errors[2]


def test_all_pixels_at_scale_one_are_lossless() -> None:
    picture = Picture(landscape(50, 70))
    rescaled = pipeline.compress(picture, Options(scales=(1,), budget=Budget("x1")))
    np.testing.assert_array_equal(pipeline.restore(rescaled).colour, picture.colour)


def test_the_visual_tuning_spends_more_on_low_contrast() -> None:
    picture = Picture(landscape())
    grid = BlockGrid(picture.height, picture.width, 16)
    calm = luma_variance(picture.colour, grid) < 60
    chosen = {tune: pipeline.compress(picture, Options(tune=tune)).scales for tune in TUNES}
    pixels = {tune: sum(grid.costs(k)[calm & (scales == k)].sum() for k in SCALES) for tune, scales in chosen.items()}
    assert pixels["visual"] > pixels["psnr"]


def test_bicubic_errors_are_those_of_enlarged_planes() -> None:
    """The tiles of the estimator against one enlargement of the whole picture, block by block."""
    colour = np.random.default_rng(4).integers(0, 256, (530, 90, 3), np.uint8)
    grid = BlockGrid(530, 90, 32)
    planes = bicubic_planes(colour, SCALES)
    errors = bicubic_errors(colour, planes, grid)
    assert not errors[0].any()
    for row, factor in enumerate(SCALES):
        plane = torch.from_numpy(planes[factor]).permute(2, 0, 1)[None].double()
        enlarged = upscale(plane, factor)[0].permute(1, 2, 0).numpy()[:530, :90]
        difference = (enlarged - colour) @ np.array([65.481, 128.553, 24.966]) / 255
        np.testing.assert_allclose(errors[row], grid.block_sums(difference**2), rtol=2e-3, atol=1e-3)


@pytest.mark.parametrize(("size", "side"), [((203, 331), 16), ((45, 1601), 128)])  # one tile; three, blocks partial
def test_network_errors_are_those_of_the_restored_picture(size: tuple[int, int], side: int) -> None:
    picture = Picture(landscape(*size))
    grid = BlockGrid(picture.height, picture.width, side)
    chosen = catalogue.find_pipeline(DEFAULT_PIPELINE)
    errors = network_errors(picture.colour, chosen.downscaler(picture.colour, SCALES), grid, chosen.upscaler())
    for row, factor in enumerate(SCALES):
        restored = pipeline.restore(pipeline.compress_uniform(picture, factor))
        difference = luma_of(restored.colour) - luma_of(picture.colour)
        np.testing.assert_allclose(errors[row], grid.block_sums(difference**2), rtol=1e-2, atol=1.0)


def test_the_expected_psnr_is_near_the_true_one() -> None:
    picture = Picture(landscape())
    for distortion, tolerance in (("network", 1.0), ("corrected", 2.0)):
        rescaled = pipeline.compress(picture, Options(distortion=distortion))
        error = np.square(luma_of(pipeline.restore(rescaled).colour) - luma_of(picture.colour)).mean()
        assert rescaled.recipe.expected_psnr == pytest.approx(10 * np.log10(255**2 / error), abs=tolerance)
    assert pipeline.compress(picture, Options(distortion="bicubic")).recipe.expected_psnr is None


def test_the_expected_psnr_of_smooth_pictures_has_no_share_for_rounding() -> None:
    y, x = np.mgrid[:128, :192]
    gradient = np.dstack([40 + 150 * (x + y) / 320, 60 + 100 * x / 192, 200 - 120 * y / 128]).round().astype(np.uint8)
    rescaled = pipeline.compress(Picture(gradient), Options(distortion="network"))
    error = np.square(luma_of(pipeline.restore(rescaled).colour) - luma_of(gradient)).mean()
    assert rescaled.recipe.expected_psnr == pytest.approx(10 * np.log10(255**2 / error), abs=1.0)


@pytest.mark.parametrize("side", BLOCK_SIDES)
def test_variance_is_the_one_of_the_blocks_luma(side: int) -> None:
    colour = np.random.default_rng(5).integers(0, 256, (600, 15, 3), np.uint8)
    variance = luma_variance(colour, BlockGrid(600, 15, side))
    luma = luma_of(colour)
    expected = [[luma[r : r + side].var()] for r in range(0, 600, side)]
    np.testing.assert_allclose(variance, expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        (Options(scales=(1, 2)), "allow larger scales or more pixels"),
        (Options(scales=(1, 2), budget=Budget("x17")), "allow more pixels"),  # beyond what x16 would mend
        (Options(budget=Budget("1/300")), "allow more pixels"),
        (Options(allocator="greedy", budget=Budget("x8")), "allow larger scales or more pixels"),
        (Options(allocator="greedy", budget=Budget("x8"), scales=(1, 2, 16)), "allow larger scales or more pixels"),
        (Options(allocator="greedy", budget=Budget("x9")), "allow more pixels"),
    ],
)
def test_a_budget_too_small_for_the_scales_says_what_can_be_done(options: Options, advice: str) -> None:
    with pytest.raises(BbmrError, match=rf"budget {options.budget.text} is too small: .*; {advice}$"):
        pipeline.compress(Picture(landscape()), options)


def test_the_recipe_says_what_the_scales_were_chosen_by() -> None:
    picture = Picture(landscape(40, 40))
    for options, tune in (
        (Options(), "visual"),
        (Options(tune="psnr"), "psnr"),
        (Options(allocator="greedy"), "algorithm 1"),
        (Options(pipeline=PLAIN_PIPELINE), "uniform"),
    ):
        assert pipeline.compress(picture, options).recipe.tune == tune


def test_the_yardstick_takes_no_options_that_it_would_ignore() -> None:
    with pytest.raises(BbmrError, match="takes no options but weights and effort"):
        pipeline.compress(Picture(landscape()), Options(pipeline=PLAIN_PIPELINE, budget=Budget("1/200")))


def test_the_names_of_the_pipelines_are_those_that_options_offer() -> None:
    assert tuple(catalogue.PIPELINES) == (*PIPELINE_NAMES, *CODED_CHOICES)


@pytest.mark.parametrize("name", PIPELINE_NAMES)
def test_what_options_offer_can_be_restored(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ship(monkeypatch, tiny_families())
    chosen, choice = catalogue.find_pipeline(name), PIPELINE_CHOICES[name]
    upscaler = chosen.upscaler()
    if choice.uniform:
        assert set(choice.scales) <= set(upscaler.scales)
        assert set(choice.blocks) <= set(upscaler.sides)
    else:
        assert choice.scales == upscaler.scales
        assert set(choice.blocks) == set(upscaler.sides)
    assert choice.networks == len(chosen.networks)
    assert choice.helper_scales == (chosen.helper_upscaler().scales if chosen.helper else ())


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("channels", [1, 3])
def test_pipelines_of_sr_networks_go_through_a_file(name: str, channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ship(monkeypatch, tiny_families())
    picture = Picture(np.ascontiguousarray(landscape()[:, :, :channels]))
    uniform = PIPELINE_CHOICES[name].uniform
    used = name if channels == 3 else name.removeprefix(LEARNED)  # which needs colours
    rescaled = pipeline.compress(picture, Options(pipeline=name, budget=Budget("x4" if uniform else "1/10")))
    assert (len(rescaled.blocks) == 1) == uniform
    assert rescaled.recipe.pipeline == used
    assert rescaled.recipe.expected_psnr is None  # the correction was fitted to another network
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = decode(encode(rescaled))
        assert loaded == rescaled
        restored = pipeline.restore(loaded).colour
    assert restored.shape == picture.colour.shape
    np.testing.assert_array_equal(restored, pipeline.restore(rescaled).colour)


@pytest.mark.parametrize("name", ["separate-omnisr", "joint-omnisr"])
def test_the_networks_errors_are_those_of_the_pictures_own_restorer(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ship(monkeypatch, tiny_families())
    picture = Picture(landscape())
    grid, chosen = BlockGrid(picture.height, picture.width, 128), catalogue.find_pipeline(name)
    planes = bicubic_planes(picture.colour, (2, 4, 8))
    errors = pipeline.measure_distortion(picture, planes, grid, "network", chosen, (2, 4, 8))
    for row, factor in enumerate((2, 4, 8)):
        restored = pipeline.restore(pipeline.compress_uniform(picture, factor, name))
        difference = luma_of(restored.colour) - luma_of(picture.colour)
        np.testing.assert_allclose(errors[row], grid.block_sums(difference**2), rtol=1e-3)
    rescaled = pipeline.compress(picture, Options(pipeline=name, distortion="network"))
    assert rescaled.recipe.expected_psnr is not None


@pytest.mark.parametrize("name", ["mosaic-omnisr", "separate-omnisr", "joint-omnisr"])
def test_the_helpers_errors_are_those_of_small_networks_over_whole_planes(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Helpers that enlarge by repeating samples: what they lose is easy to know.
    helpers = {f"omnisr-light-x{k}": replace(tiny_sr(k), network=torch.nn.Upsample(scale_factor=k)) for k in (2, 4, 8)}
    ship(monkeypatch, tiny_families() | helpers)
    picture = Picture(landscape())
    options = Options(pipeline=name, distortion="helper")
    assert options.scales == ((1, 2, 4, 8) if name == "mosaic-omnisr" else (2, 4, 8))
    grid = BlockGrid(picture.height, picture.width, options.block)
    planes = bicubic_planes(picture.colour, options.scales)
    errors = pipeline.measure_distortion(
        picture, planes, grid, "helper", catalogue.pipeline_for(options), options.scales
    )
    for row, factor in enumerate(options.scales):
        repeated = planes[factor].repeat(factor, 0).repeat(factor, 1)[: picture.height, : picture.width]
        difference = luma_of(repeated) - luma_of(picture.colour)
        np.testing.assert_allclose(errors[row], grid.block_sums(difference**2), rtol=1e-3, atol=0.1)
    chosen = pipeline.compress(picture, options)
    assert chosen.recipe.expected_psnr is None
    assert chosen == pipeline.compress(picture, options, errors=errors)


@pytest.mark.parametrize("name", FAMILIES)
def test_missing_weights_are_named_with_what_to_do(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    networks = tiny_families()
    missing = catalogue.PIPELINES[name].networks[-1]
    del networks[missing.removeprefix(LEARNED)]
    ship(monkeypatch, networks)
    advice = rf"{name} needs weights that are not there: {missing}; .*bbmr train.*bbmr weights import"
    with pytest.raises(BbmrError, match=advice):
        pipeline.compress(Picture(landscape(40, 40)), Options(pipeline=name))
    with pytest.raises(BbmrError, match=advice):
        pipeline.compress_uniform(Picture(landscape(40, 40)), 4, name)


@pytest.mark.parametrize("options", [{}, {"distortion": "network", "tune": "psnr"}, {"distortion": "bicubic"}])
def test_down_nets_make_what_is_stored(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """With filters that darken, so do the stored samples; the map is that of the estimator."""
    ship(monkeypatch, tiny_families())
    darker = {factor: 0.5 * fold(DownNet(factor)).detach() for factor in (2, 4, 8, 16)}
    monkeypatch.setattr(catalogue, "load_filters", lambda name: darker)
    picture = Picture(landscape())
    learned = pipeline.compress(picture, Options(pipeline="downnet-mosaic-fast", **options))
    assert learned.recipe.pipeline == learned.recipe.weights == "downnet-mosaic-fast"
    planes = bicubic_planes(picture.colour, (2, 4, 8, 16))
    for factor, blocks in learned.blocks.items():
        usual = split(planes[factor], learned.grid, factor)[learned.scales == factor] if factor > 1 else blocks
        assert np.abs(blocks - usual / (2 if factor > 1 else 1)).mean() < 0.6
    if options.get("distortion") != "network":  # which would see the darker ones
        np.testing.assert_array_equal(learned.scales, pipeline.compress(picture, Options(**options)).scales)
    uniform = pipeline.compress_uniform(picture, 4, "downnet-plain-x4")
    usual = split(planes[4], uniform.grid, 4)[uniform.scales == 4]
    assert np.abs(uniform.blocks[4] - usual / 2).mean() < 0.6


def test_missing_filters_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    index = ship(monkeypatch, tiny_families())
    without = {name: entry for name, entry in index.items() if not name.endswith(LR)}
    rescaled = pipeline.compress(Picture(landscape(40, 40)), Options(pipeline="downnet-mosaic-fast"))
    monkeypatch.setattr(catalogue, "weights_index", lambda: without)
    with pytest.raises(BbmrError, match=r"needs weights .*downnet-mosaic-fast.lr; .*--name downnet-mosaic-fast`"):
        pipeline.compress(Picture(landscape(40, 40)), Options(pipeline="downnet-mosaic-fast"))
    pipeline.restore(rescaled)  # the receiver does without


def test_filters_of_other_scales_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    ship(monkeypatch, tiny_families())
    monkeypatch.setattr(catalogue, "load_filters", lambda name: {4: fold(DownNet(4)).detach()})
    with pytest.raises(BbmrError, match=r"make LR pictures at scales 1, 4, not 1, 2, 4, 8, 16"):
        pipeline.compress(Picture(landscape(40, 40)), Options(pipeline="downnet-mosaic-fast"))


def test_a_missing_helper_is_named_and_missed_by_no_other_estimator(monkeypatch: pytest.MonkeyPatch) -> None:
    networks = tiny_families()
    del networks["omnisr-light-x8"]
    ship(monkeypatch, networks)
    picture = Picture(landscape(140, 140))
    with pytest.raises(BbmrError, match=r"helper of joint-omnisr needs weights .*: omnisr-light-x8;"):
        pipeline.compress(picture, Options(pipeline="joint-omnisr", distortion="helper"))
    pipeline.compress(picture, Options(pipeline="joint-omnisr"))


def test_the_recipe_knows_all_weights_of_a_pipeline_that_has_several(monkeypatch: pytest.MonkeyPatch) -> None:
    ship(monkeypatch, tiny_families())
    rescaled = pipeline.compress_uniform(Picture(landscape(40, 40)), 2, "separate-omnisr")
    assert rescaled.recipe.weights == "omnisr-x2+omnisr-x4+omnisr-x8"
    digests = b"".join(sha256(f"omnisr-x{k}".encode()).digest() for k in (2, 4, 8))
    assert rescaled.recipe.weights_digest == sha256(digests).hexdigest()[:16]


def test_files_that_a_restorer_cannot_restore_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    ship(monkeypatch, tiny_families())
    small_blocks = pipeline.compress(Picture(landscape(40, 40)))
    finest = pipeline.compress(Picture(landscape(40, 40)), Options(block=128, scales=(1,), budget=Budget("x1")))
    mixed = pipeline.compress(Picture(landscape()), Options(pipeline="joint-omnisr", budget=Budget("1/10")))
    assert len(mixed.blocks) > 1
    for rescaled, name, message in (
        (small_blocks, "joint-omnisr", "joint-omnisr restores blocks of 128 .* blocks of 16 at"),
        (finest, "separate-omnisr", "at scales 2, 4, 8; .* at 1$"),
        (mixed, "plain-omnisr", "at scales 4; .* at 2, "),
    ):
        foreign = replace(rescaled, recipe=pipeline.compress_uniform(Picture(landscape(9, 9)), 4, name).recipe)
        with pytest.raises(BbmrError, match=message):
            pipeline.restore(foreign)


@pytest.mark.parametrize(("name", "factor"), [("joint-omnisr", 16), ("plain-omnisr", 2), (PLAIN_PIPELINE, 8)])
def test_uniform_maps_of_scales_that_a_pipeline_lacks_are_refused(
    name: str, factor: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(monkeypatch, tiny_families())
    with pytest.raises(BbmrError, match=f"{name} works at scales .*4.*, not {factor}"):
        pipeline.compress_uniform(Picture(landscape(40, 40)), factor, name)


def test_unknown_pipelines_are_refused_with_those_there_are() -> None:
    with pytest.raises(BbmrError, match=r"there are: mosaic-fast, plain-x4, .*downnet-mosaic-fast"):
        catalogue.find_pipeline("magic")


def test_other_weights_are_warned_of() -> None:
    rescaled = pipeline.compress(Picture(landscape(40, 40)))
    foreign = replace(rescaled, recipe=replace(rescaled.recipe, weights_digest="0" * 64))
    with pytest.warns(UserWarning, match="other weights"):
        pipeline.restore(foreign)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of imported weights; not the user's."""
    monkeypatch.setenv("BBMR_WEIGHTS", str(tmp_path / "own"))
    return tmp_path / "own"


def give(name: str, descriptor: NetworkDescriptor, folder: Path) -> None:
    """Import the weights of a network as `name`."""
    state = {key: part.contiguous() for key, part in descriptor.network.state_dict().items()}
    save_file(state, folder / f"{name}.safetensors")
    import_weights(folder / f"{name}.safetensors", name)


def half_as_strong() -> NetworkDescriptor:
    """The shipped network with half its correction: exact in half precision, and another picture."""
    state = dict(load_weights("mosaic-fast").network.state_dict())
    state |= {key: state[key] / 2 for key in ("tail.weight", "tail.bias")}
    return build_network("fast", state)


@pytest.mark.parametrize("distortion", ["corrected", "network"])
def test_own_weights_restore_what_was_compressed_for_them(distortion: str, own: Path, tmp_path: Path) -> None:
    theirs = half_as_strong()
    give("mine", theirs, tmp_path)
    picture = Picture(landscape())
    options = Options(weights="mine", distortion=distortion)
    rescaled = decode(encode(pipeline.compress(picture, options)))
    assert rescaled.recipe.weights == "mine"
    assert rescaled.recipe.weights_digest == sha256((own / "mine.safetensors").read_bytes()).hexdigest()[:16]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        restored = pipeline.restore(rescaled).colour
    np.testing.assert_array_equal(restored, MosaicUpscaler(theirs).restore(rescaled))
    shipped = MosaicUpscaler(load_weights("mosaic-fast")).restore(rescaled)
    assert np.abs(restored.astype(int) - shipped).max() > 2
    if distortion == "network":
        grid = BlockGrid(picture.height, picture.width, options.block)
        errors = network_errors(picture.colour, bicubic_planes(picture.colour, SCALES), grid, MosaicUpscaler(theirs))
        np.testing.assert_array_equal(rescaled.scales, pipeline.compress(picture, options, errors=errors).scales)
        error = np.square(luma_of(restored) - luma_of(picture.colour)).mean()
        assert rescaled.recipe.expected_psnr == pytest.approx(10 * np.log10(255**2 / error), abs=1.0)
    else:
        assert rescaled.recipe.expected_psnr is None  # the correction was fitted to what ships


def test_the_pipelines_own_weights_may_be_named() -> None:
    picture = Picture(landscape(60, 90))
    for name in (BICUBIC_MOSAIC, DEFAULT_PIPELINE):
        usual = pipeline.compress(picture, Options(pipeline=name))
        assert pipeline.compress(picture, Options(pipeline=name, weights=name)) == usual
        assert pipeline.compress(picture, Options(weights=name)) == usual  # the pipeline that they are for


def test_gray_pictures_keep_bicubic_planes() -> None:
    """Down-Nets hide detail in colours; of a gray picture the bicubic pipeline restores more, so it is taken."""
    gray = Picture(landscape()[:, :, :1].copy())
    for learned, usual in ((DEFAULT_PIPELINE, BICUBIC_MOSAIC), (LEARNED + PLAIN_PIPELINE, PLAIN_PIPELINE)):
        chosen = Options(pipeline=learned)
        assert pipeline.compress(gray, chosen) == pipeline.compress(gray, Options(pipeline=usual))
        assert pipeline.compress(Picture(landscape()), chosen).recipe.pipeline == learned
        assert pipeline.compress(gray, Options(pipeline=learned, weights=catalogue.PIPELINES[learned].weights)) == (
            pipeline.compress(gray, Options(pipeline=usual))
        )
    assert pipeline.compress_uniform(gray, 2).recipe.pipeline == BICUBIC_MOSAIC


def test_gray_pictures_take_the_weights_that_are_named(own: Path, tmp_path: Path) -> None:
    give("mine", half_as_strong(), tmp_path)
    rescaled = pipeline.compress(Picture(landscape()[:, :, :1].copy()), Options(weights="mine"))
    assert (rescaled.recipe.pipeline, rescaled.recipe.weights) == (BICUBIC_MOSAIC, "mine")


def test_the_yardstick_takes_weights(own: Path, tmp_path: Path) -> None:
    give("mine", half_as_strong(), tmp_path)
    rescaled = pipeline.compress(Picture(landscape()), Options(pipeline=PLAIN_PIPELINE, weights="mine"))
    assert (rescaled.recipe.weights, set(rescaled.blocks)) == ("mine", {4})
    direct = MosaicUpscaler(half_as_strong()).restore(rescaled)
    np.testing.assert_array_equal(pipeline.restore(rescaled).colour, direct)


def test_a_picture_waits_for_weights_that_are_gone(own: Path, tmp_path: Path) -> None:
    give("mine", half_as_strong(), tmp_path)
    rescaled = pipeline.compress(Picture(landscape(60, 90)), Options(weights="mine"))
    restored = pipeline.restore(rescaled)
    remove_weights("mine")
    told = r"not there: mine; .*`bbmr weights import FILE --name mine`"
    with pytest.raises(BbmrError, match=told):
        pipeline.restore(rescaled)
    with pytest.raises(BbmrError, match=told):
        pipeline.compress(Picture(landscape(60, 90)), Options(weights="mine"))
    give("mine", half_as_strong(), tmp_path)
    np.testing.assert_array_equal(pipeline.restore(rescaled).colour, restored.colour)
    remove_weights("mine")
    give("mine", load_weights("mosaic-fast"), tmp_path)
    with pytest.warns(UserWarning, match="other weights of 'mine'"):
        other = pipeline.restore(rescaled)  # and not those that the name stood for before
    np.testing.assert_array_equal(other.colour, MosaicUpscaler(load_weights("mosaic-fast")).restore(rescaled))


@pytest.mark.parametrize(
    ("name", "network", "told"),
    [
        (BICUBIC_MOSAIC, "omnisr-light-x4", "mosaic-fast cannot work with the weights mine: .*kind 'mosaic'"),
        ("joint-omnisr", "fast", "joint-omnisr cannot work with the weights mine: .*kind 'joint'"),
        ("plain-omnisr", "omnisr-light-x2", "with the weights mine, plain-omnisr .* at scales 2; .* at 4$"),
    ],
)
def test_weights_that_do_not_suit_are_refused_on_both_sides(
    name: str, network: str, told: str, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    give("mine", build_network(network), tmp_path)
    picture = Picture(landscape(40, 40))
    with pytest.raises(BbmrError, match=told):
        pipeline.compress(picture, Options(pipeline=name, weights="mine"))
    with pytest.raises(BbmrError, match=told):
        pipeline.compress_uniform(picture, 4, name, "mine")
    rescaled = pipeline.compress_uniform(picture, 4)
    foreign = replace(rescaled, recipe=replace(rescaled.recipe, pipeline=name, weights="mine"))
    with pytest.raises(BbmrError, match=told):
        pipeline.restore(foreign)


def test_weights_for_one_scale_serve_no_others() -> None:
    with pytest.raises(BbmrError, match=r"with the weights plain-fast-x4, mosaic-fast .* at scales 4; .* at 1, 2, 4"):
        pipeline.compress(Picture(landscape(40, 40)), Options(weights="plain-fast-x4"))


@pytest.mark.parametrize("wrong", ["joint-omnisr", "omnisr-x8", "omnisr-light-x8"])
def test_wrong_weights_under_a_pipelines_own_name_are_refused(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "separate-omnisr" if wrong == "omnisr-x8" else "joint-omnisr"
    ship(monkeypatch, tiny_families() | {wrong: tiny_sr(4)})
    with pytest.raises(BbmrError, match=wrong):
        pipeline.compress(Picture(landscape(140, 140)), Options(pipeline=name, distortion="helper"))
    if wrong != "omnisr-light-x8":
        with pytest.raises(BbmrError, match=wrong):
            pipeline.compress_uniform(Picture(landscape(40, 40)), 8, name)


def test_files_may_name_other_weights_of_several_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = {f"their-x{k}": replace(tiny_sr(k), network=torch.nn.Upsample(scale_factor=k)) for k in (2, 4, 8)}
    ship(monkeypatch, tiny_families() | theirs)
    picture, names = Picture(landscape()), "their-x2+their-x4+their-x8"
    rescaled = decode(encode(pipeline.compress_uniform(picture, 4, "separate-omnisr", names)))
    assert rescaled.recipe.weights == names
    direct = SeparateUpscaler(*theirs.values()).restore(rescaled)
    np.testing.assert_array_equal(pipeline.restore(rescaled).colour, direct)
    for weights, told in (
        ("their-x2+their-x4", r"takes the weights of 3, not of 2 \(their-x2\+their-x4\)"),
        ("their-x2+their-x4+x+y", "of 3, not of 4"),
        ("their-x2+their-x4+my x8", "not there: my x8; .*--name 'my x8'"),
    ):
        with pytest.raises(BbmrError, match=told):
            pipeline.restore(replace(rescaled, recipe=replace(rescaled.recipe, weights=weights)))


@pytest.mark.skipif(not TEST_2K.is_dir(), reason="the test photographs are not beside the project")
def test_a_photograph_beats_plain_x4_at_the_same_pixels() -> None:
    whole = read_picture(TEST_2K / "fedora-pink-house.jpg")
    picture = Picture(np.ascontiguousarray(whole.colour[300:812, 600:1240]))
    error = {}
    for name, rescaled in {
        "plain": pipeline.compress_uniform(picture, 4, PLAIN_PIPELINE),
        "ours": pipeline.compress(picture),
    }.items():
        assert rescaled.lr_pixels <= 160 * 128
        error[name] = np.square(luma_of(pipeline.restore(rescaled).colour) - luma_of(picture.colour)).mean()
    assert error["ours"] < error["plain"] / 10 ** (1.5 / 10)
