"""From a picture to a lossy file and back, with a network of random weights."""

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from networks.at_random import at_random
from numpy.typing import NDArray
from torch import nn
from upscaling.tiny_networks import ship, textured

from bbmr.blocks import SCALES
from bbmr.codecs import avif
from bbmr.codecs.avif import Chroma, Tune
from bbmr.codecs.colour import fade
from bbmr.coding import quick_look
from bbmr.coding import sender as sender_module
from bbmr.coding.ladder import Rung
from bbmr.coding.options import CodedOptions
from bbmr.coding.sender import Sender, compress, pipeline_for
from bbmr.downscaling import bicubic_planes
from bbmr.errors import BbmrError
from bbmr.fileformat import decode, encode
from bbmr.luma import luma
from bbmr.networks import NetworkDescriptor
from bbmr.networks.fast import CodedFast
from bbmr.picture import Metadata, Picture
from bbmr.pipeline import compress_uniform, restore
from bbmr.rescaled import RescaledImage
from bbmr.samples import to_tensor

OPTIONS = CodedOptions(quality=40, block=64, tune="psnr")


@pytest.fixture(autouse=True)
def network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Corrections of some thousandths of the value range."""
    torch.manual_seed(0)
    shipped = {}
    for name, pairs in (("coded-fast", 1), ("coded-fine", 1), ("coded-wide", 2)):
        coded = at_random(CodedFast(8, pairs))
        nn.init.normal_(coded.tail.weight, std=0.002)
        shipped[name] = NetworkDescriptor("fast-coded", coded, "coded", None, coded.reach)
    ship(monkeypatch, shipped)


def halves() -> Picture:
    """Smooth at the left, busy at the right; no multiple of a block."""
    colour = textured(300, 420).astype(float)
    colour[:, :200] = np.linspace(60, 180, 300)[:, None, None]
    colour[:, 200:] += np.random.default_rng(1).normal(0, 25, (300, 220, 3))
    return Picture(np.clip(colour, 0, 255).astype(np.uint8))


def psnr_y(one: Picture, other: Picture) -> float:
    error = luma(to_tensor(one.colour)) - luma(to_tensor(other.colour))
    return float(10 * torch.log10(255**2 / error.square().mean()))


@pytest.mark.parametrize(("tune", "pipeline"), [("psnr", "coded-fine"), ("visual", "coded-wide")])
def test_what_is_measured_is_what_the_receiver_has(tune: str, pipeline: str) -> None:
    picture = halves()
    options = replace(OPTIONS, tune=tune, pipeline=pipeline)
    scales = np.random.default_rng(0).choice(np.array(SCALES, np.uint8), (5, 7))
    coded = Sender(picture, options, pipeline_for(options)).code(scales, Rung(40))
    data = encode(coded.rescaled)
    assert coded.size == len(data)
    received = decode(data)
    assert received == coded.rescaled
    assert encode(received) == data
    assert psnr_y(restore(received), picture) == pytest.approx(coded.psnr, abs=1e-3)
    assert received.recipe.expected_psnr == coded.psnr


class Foretold(Sender):
    """Measures what lines say: at quality q, scale k costs bits[k] x 1.06^q and loses errors[k] x falls[k]^-q all
    over; where it is coded that times repairs[k], which the helper does not know; at the quick speed scale 2 both
    times haste.
    """

    bits: ClassVar = {1: 4e5, 2: 1e5}
    errors: ClassVar = {1: 1e7, 2: 2e7}
    falls: ClassVar = {1: 1.05, 2: 1.05}
    repairs: ClassVar = {1: 1.0, 2: 1.0}
    haste: ClassVar = 1.0

    def _measure(self, factor: int, quality: int, speed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        even = np.full((self.grid.rows, self.grid.cols), 1 / (self.grid.rows * self.grid.cols))
        haste = self.haste if factor == 2 and speed == quick_look.SPEED else 1.0
        errors = self.errors[factor] * self.falls[factor] ** -quality * even
        return haste * errors, haste * self.bits[factor] * 1.06**quality * even

    def code(self, scales: NDArray[np.uint8], rung: Rung) -> Any:
        blocks = {int(k): rung.qualities[int(k)] for k in np.unique(scales)}
        errors, size = np.zeros(scales.shape), 0.0
        for factor, quality in blocks.items():
            own, measured = scales == factor, self._measure(factor, quality, 4)
            errors[own] = measured[0][own] * self.repairs[factor]
            size += measured[1][own].sum() / 8
        return SimpleNamespace(rescaled=SimpleNamespace(blocks=blocks, frames={}), errors=errors, size=size)


@pytest.mark.parametrize("ratio", [0.7, 0.9, 0.97, 1.03, 1.1, 1.4])
def test_of_scales_for_the_whole_picture_the_one_with_fewest_bits_for_its_error_is_taken(
    ratio: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever lambda says, which is of photographs in general.  ratio: of the bits of scale 2 to those of scale 1 for
    the same error, which scale 2 has at a quality that is 1.05^q times what it loses more."""
    further = math.log(Foretold.errors[2] / Foretold.errors[1]) / math.log(1.05)
    monkeypatch.setattr(Foretold, "bits", {1: 4e5, 2: 4e5 * ratio / 1.06**further})
    monkeypatch.setattr(sender_module, "_NEAR", math.inf)
    options = replace(OPTIONS, scales=(1, 2))
    sender = Foretold(halves(), options, pipeline_for(options))
    for quality in (30, 40, 50, 60):
        assert list(sender.at(Rung(quality)).rescaled.blocks) == [2 if ratio < 1 else 1]


@pytest.mark.parametrize(
    ("ratio", "repairs", "best"), [(1.03, 0.93, 2), (0.97, 1.07, 1), (1.03, 1.07, 1), (1.3, 0.7, 1)]
)
def test_of_scales_that_are_close_codings_decide(
    ratio: float, repairs: float, best: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ratio: as above, by the helper.  repairs: what is left of the helper's errors at scale 2 where it is coded, and
    nearly of the bits for the same error; where the helper is sure, that is not asked."""
    further = math.log(Foretold.errors[2] / Foretold.errors[1]) / math.log(1.05)
    monkeypatch.setattr(Foretold, "bits", {1: 4e5, 2: 4e5 * ratio / 1.06**further})
    monkeypatch.setattr(Foretold, "repairs", {1: 1.0, 2: repairs})
    monkeypatch.setattr(sender_module, "_NEAR", math.inf)
    options = replace(OPTIONS, scales=(1, 2), pipeline="coded-fine")
    for quality in (30, 60):
        sender = Foretold(halves(), options, pipeline_for(options))
        assert list(sender.at(Rung(quality)).rescaled.blocks) == [best]


class ForetoldMixture(Foretold):
    """Foresees that every other column is better at scale 2; such a mixture takes bits_kept times the bits of scale 1
    alone, of which lambda makes `price` times its error, and loses errors_kept times its error.
    """

    bits_kept: ClassVar = 1.0
    errors_kept: ClassVar = 1.0
    price: ClassVar = 1.0

    def _choose(
        self, rung: Rung, roughly: bool = False
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        measured = [self._measure(factor, rung.qualities[factor], 4) for factor in self.scales]
        errors, bits = np.stack([part for part, _ in measured]), np.stack([part for _, part in measured])
        errors[1] += errors[0].sum()  # nowhere all over
        rows = np.zeros(errors.shape[1:], np.int64)
        rows[:, ::2] = 1
        errors[1, :, ::2] = bits[1, :, ::2] = 0
        return rows, errors, bits

    def _measure(self, factor: int, quality: int, speed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        errors, bits = super()._measure(factor, quality, speed)
        return errors, bits * self.price

    def code(self, scales: NDArray[np.uint8], rung: Rung) -> Any:
        if np.ptp(scales) == 0:
            return super().code(scales, rung)
        alone = super().code(np.ones_like(scales), rung)
        blocks = {int(k): rung.qualities[int(k)] for k in np.unique(scales)}
        return SimpleNamespace(
            rung=rung,
            rescaled=SimpleNamespace(blocks=blocks, frames={}),
            errors=alone.errors * self.errors_kept,
            size=alone.size * self.bits_kept,
        )


@pytest.mark.parametrize(
    ("price", "bits_kept", "taken"),
    [(0.3, 1.03, True), (0.3, 1.07, False), (2.0, 1.03, False), (2.0, 0.97, True)],
)
def test_a_mixture_has_to_be_better_by_lambda_and_at_equal_errors(
    price: float, bits_kept: float, taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It loses 4 % less than scale 1 alone, which does so with 1.06^(ln(1 / 0.96) / ln(1.05)) = 1.05 times its bits."""
    rung = Rung(50)
    error, bits = Foretold.errors[1] * 1.05 ** -rung.qualities[1], Foretold.bits[1] * 1.06 ** rung.qualities[1]
    monkeypatch.setattr(ForetoldMixture, "price", price * error / (rung.multiplier * bits))
    monkeypatch.setattr(ForetoldMixture, "bits_kept", bits_kept)
    monkeypatch.setattr(ForetoldMixture, "errors_kept", 0.96)
    options = replace(OPTIONS, scales=(1, 2))
    found = ForetoldMixture(halves(), options, pipeline_for(options)).at(rung)
    assert len(found.rescaled.blocks) == (2 if taken else 1)


@pytest.mark.parametrize(("haste", "best"), [(1.0, 2), (1.6, 2), (3.0, 1)])
def test_what_looks_little_worse_in_haste_is_measured_as_it_would_be_coded(
    haste: float, best: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scale 2 takes half of the bits for the same error."""
    further = math.log(Foretold.errors[2] / Foretold.errors[1]) / math.log(1.05)
    monkeypatch.setattr(Foretold, "bits", {1: 4e5, 2: 2e5 / 1.06**further})
    monkeypatch.setattr(Foretold, "haste", haste)
    options = replace(OPTIONS, scales=(1, 2))
    rung = Rung(40)
    assert list(Foretold(halves(), options, pipeline_for(options)).at(rung).rescaled.blocks) == [best]


@pytest.mark.parametrize("quality", [40, 80])
def test_an_early_start_changes_no_file(quality: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def file() -> bytes:
        sender = Sender(halves(), replace(OPTIONS, speed=6), pipeline_for(OPTIONS))
        return encode(sender.at(Rung(quality)).rescaled)

    early = file()
    monkeypatch.setattr(sender_module, "_SURE", 101)
    assert file() == early


def test_of_noise_no_quality_of_a_coarse_scale_is_as_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """So bits for an equal error, which are beyond all numbers, are not foretold."""
    monkeypatch.setattr(Foretold, "bits", {1: 2e5, 2: 1e5})
    monkeypatch.setattr(Foretold, "falls", {1: 1.05, 2: 1.0001})
    monkeypatch.setattr(sender_module, "_NEAR", math.inf)
    options = replace(OPTIONS, scales=(1, 2))
    sender = Foretold(halves(), options, pipeline_for(options))
    for quality, best in ((10, 2), (90, 1)):
        assert list(sender.at(Rung(quality)).rescaled.blocks) == [best]


@pytest.mark.parametrize("quality", [60, 80])
def test_filters_are_there_where_they_are_worth_their_bytes(quality: int) -> None:
    """These take back some of what the random network does."""
    picture, rung = halves(), Rung(quality)
    coded = Sender(picture, replace(OPTIONS, speed=8), pipeline_for(OPTIONS)).at(rung)
    frames = {factor: replace(frame, filter=()) for factor, frame in coded.rescaled.frames.items()}
    without = replace(coded.rescaled, frames=frames)

    def error(rescaled: RescaledImage) -> float:
        lumas = [luma(to_tensor(one.colour)) for one in (restore(rescaled), picture)]
        return float((lumas[0] - lumas[1]).square().sum())

    bits = 8 * (coded.size - len(encode(without)))
    assert bits > 0
    assert error(without) - error(coded.rescaled) > rung.multiplier * bits


def test_what_is_coded_does_not_depend_on_what_was_before() -> None:
    """Of one quality and one map, whatever thrift found them; some filters are not worth their bytes where lambda is
    millions of times as large.
    """
    rungs = [Rung(80), Rung(80, math.exp(20))]
    scales = np.full((5, 7), 1, np.uint8)
    files = []
    for order in (rungs, rungs[::-1]):
        sender = Sender(halves(), replace(OPTIONS, speed=8), pipeline_for(OPTIONS))
        coded = {rung: sender.code(scales, rung) for rung in order}
        assert all(coded[rung].rung == rung for rung in rungs)
        files.append({rung: encode(coded[rung].rescaled) for rung in rungs})
    assert files[0] == files[1]


@pytest.mark.parametrize("quality", [5, 50, 90])
def test_no_single_scale_costs_less(quality: int) -> None:
    options, rung = OPTIONS, Rung(quality)
    sender = Sender(halves(), replace(options, speed=8), pipeline_for(options))

    def cost(errors: float, size: int) -> float:
        return errors + rung.multiplier * 8 * size

    chosen = sender.at(rung)
    for factor in SCALES:
        single = sender.code(np.full(chosen.rescaled.scales.shape, factor, np.uint8), rung)
        assert cost(chosen.errors.sum(), chosen.size) <= 1.001 * cost(single.errors.sum(), single.size)


@pytest.mark.parametrize(("target", "channels"), [("target_size", 3), ("target_bpp", 1), ("target_psnr", 3)])
def test_targets_are_met(target: str, channels: int) -> None:
    picture = Picture(halves().colour[:, :, :channels])
    wanted = {"target_size": 9000, "target_bpp": 0.5, "target_psnr": 30.0}[target]
    options = CodedOptions(block=64, tune="psnr", **{target: wanted})  # type: ignore[arg-type]
    rescaled = compress(picture, options)
    size = len(encode(rescaled))
    bpp, psnr = 8 * size / (300 * 420), psnr_y(restore(rescaled), picture)
    share = {"target_size": size, "target_bpp": bpp, "target_psnr": psnr}[target] / wanted
    assert 1 <= share <= 1.03 if target == "target_psnr" else 0.97 <= share <= 1


def test_a_light_network_foresees_what_the_strong_one_will_do() -> None:
    """What is foreseen depends on the light one alone, what comes of it on the strong one."""
    light, strong = (
        Sender(halves(), replace(options, speed=8), pipeline_for(options))
        for options in (replace(OPTIONS, pipeline=name) for name in ("coded-fast", "coded-wide"))
    )
    assert light.foresee(Rung(50)) == strong.foresee(Rung(50))
    scales = np.full((5, 7), 2, np.uint8)
    one, other = light.code(scales, Rung(50)), strong.code(scales, Rung(50))
    assert one.rescaled.frames[2].data == other.rescaled.frames[2].data
    assert one.errors.sum() != other.errors.sum()


@pytest.mark.parametrize("quality", [30, 60, 90])
def test_scales_that_are_chosen_were_measured_at_the_speed_of_use(
    quality: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And those that are not, with a tenth of the effort."""
    calls = set()
    code = avif.encode

    def listening(plane: NDArray[np.uint8], quality: int, chroma: Chroma, tune: Tune, speed: int, cdef: bool) -> bytes:
        calls.add((plane.shape[:2], speed))
        return code(plane, quality, chroma, tune, speed, cdef)

    monkeypatch.setattr(avif, "encode", listening)
    sender = Sender(halves(), replace(OPTIONS, speed=5), pipeline_for(OPTIONS))
    sender.foresee(Rung(quality))
    whole = {factor: sender.grid.lr_size(factor) for factor in SCALES}
    carefully = {factor for factor in SCALES if (whole[factor], 5) in calls}
    assert set(sender.at(Rung(quality)).rescaled.blocks) <= carefully
    assert {4, 8, 16} <= carefully
    assert {factor for factor in SCALES if (whole[factor], 7) in calls} == {1, 2}


@pytest.mark.parametrize("speed", [6, 9])
def test_a_fast_encoder_is_not_tried_by_another(speed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    speeds = set()
    code = avif.encode

    def listening(plane: NDArray[np.uint8], quality: int, chroma: Chroma, tune: Tune, speed: int, cdef: bool) -> bytes:
        speeds.add(speed)
        return code(plane, quality, chroma, tune, speed, cdef)

    monkeypatch.setattr(avif, "encode", listening)
    compress(halves(), replace(OPTIONS, speed=speed))
    assert speeds == {speed}


def test_what_is_foreseen_is_about_what_comes() -> None:
    sender = Sender(halves(), OPTIONS, pipeline_for(OPTIONS))
    for quality in (20, 50, 80):
        coded, foreseen = sender.at(Rung(quality)), sender.foresee(Rung(quality))
        assert foreseen.size == pytest.approx(coded.size, rel=0.3)
        assert foreseen.psnr == pytest.approx(coded.psnr, abs=1.0)


def test_alpha_and_metadata_come_back_and_are_foreseen() -> None:
    rng = np.random.default_rng(0)
    alpha = rng.integers(0, 256, (300, 420), np.uint8)
    metadata = Metadata(icc=rng.bytes(3000), exif=b"II*\0" + rng.bytes(5000), xmp=b"<x/>")
    bare = halves()
    picture = Picture(bare.colour, alpha, metadata)
    sender, without = (Sender(one, OPTIONS, pipeline_for(OPTIONS)) for one in (picture, bare))
    coded = sender.at(Rung(40))
    data = encode(coded.rescaled)
    assert coded.size == len(data)
    besides = len(data) - without.at(Rung(40)).size
    assert besides > 8000 + alpha.size  # they are noise
    assert sender.foresee(Rung(40)).size - without.foresee(Rung(40)).size == pytest.approx(besides)
    received = restore(decode(data))
    assert received.alpha is not None
    np.testing.assert_array_equal(received.alpha, alpha)
    assert received.metadata == metadata


def test_a_file_that_has_to_be_padded_is_foreseen_so() -> None:
    """A hundred bytes never stand for more than 1.5 megapixels."""
    options = replace(OPTIONS, scales=(16,))
    sender = Sender(Picture(np.full((2048, 3072, 1), 90, np.uint8)), options, pipeline_for(options))
    coded = sender.at(Rung(0))
    assert coded.size == len(encode(coded.rescaled))
    assert sender.foresee(Rung(0)).size == coded.size


@pytest.mark.parametrize("quality", [0, 100])
@pytest.mark.parametrize("colour", [halves().colour, np.full((1, 1, 3), 7, np.uint8), np.zeros((130, 16, 1), np.uint8)])
@pytest.mark.parametrize("tune", ["psnr", "visual"])
def test_pictures_of_all_kinds_come_back_at_the_ends_of_quality(
    colour: NDArray[np.uint8], quality: int, tune: str
) -> None:
    coded = compress(Picture(colour), replace(OPTIONS, quality=quality, tune=tune))
    received = restore(decode(encode(coded)))
    assert received.colour.shape == colour.shape
    expected = math.inf if coded.recipe.expected_psnr is None else coded.recipe.expected_psnr
    assert psnr_y(received, Picture(colour)) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("scales", [SCALES, (2,)])
def test_a_blank_picture_is_better_than_any_psnr_that_is_asked_for(scales: tuple[int, ...]) -> None:
    options = replace(OPTIONS, quality=None, target_psnr=40.0, scales=scales)
    blank = Picture(np.full((200, 300, 3), 128, np.uint8))
    assert psnr_y(restore(decode(encode(compress(blank, options)))), blank) >= 40


def test_a_target_of_less_than_a_byte_is_out_of_reach() -> None:
    with pytest.raises(BbmrError, match="does not get below"):
        compress(Picture(textured(8, 8)), replace(OPTIONS, quality=None, target_bpp=0.01))


def test_files_and_pipelines_have_to_go_together() -> None:
    coded = compress(halves(), OPTIONS)
    exact = replace(coded, frames={})
    with pytest.raises(BbmrError, match="coded-fine is not for LR samples that were coded without loss"):
        restore(exact)
    recipe = replace(coded.recipe, pipeline="mosaic-fast", weights="mosaic-fast")
    with pytest.raises(BbmrError, match="mosaic-fast is not for LR samples that were coded with loss"):
        restore(replace(coded, recipe=recipe))
    with pytest.raises(BbmrError, match="coded-fast is for LR samples that are coded with loss"):
        compress_uniform(halves(), 4, "coded-fast")


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (65, 16)])
def test_any_size_comes_back(size: tuple[int, int]) -> None:
    picture = Picture(textured(*size))
    received = restore(decode(encode(compress(picture, OPTIONS))))
    assert received.colour.shape == picture.colour.shape
    assert np.abs(received.colour.astype(float) - picture.colour).mean() < 12


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"quality": None}, "exactly one of quality, target_size, target_bpp, target_psnr; none was given"),
        ({"target_bpp": 0.1}, "quality and target_bpp were given"),
        ({"quality": 101}, "from 0 to 100"),
        ({"quality": None, "target_psnr": 0.0}, "above 0"),
        ({"quality": True}, "from 0 to 100"),
        ({"quality": None, "target_bpp": float("inf")}, "above 0"),
        ({"quality": None, "target_bpp": "0.1"}, "target_bpp '0.1' is not possible"),
        ({"quality": None, "target_psnr": [36]}, "above 0"),
        ({"quality": None, "target_size": 100.5}, "give whole bytes"),
        ({"quality": None, "target_size": 0}, "give whole bytes"),
        ({"block": 128.0}, "choose one of 128, 64"),
        ({"block": [64]}, "choose one of 128, 64"),
        ({"block": 16}, "block 16 is not possible; choose one of 128, 64"),
        ({"tune": "best"}, "visual, psnr"),
        ({"chroma": "4:2:2"}, "4:2:0, 4:4:4"),
        (
            {"pipeline": "mosaic-fast"},
            "pipeline 'mosaic-fast' is not possible; choose one of coded-fine, coded-fast, co",
        ),
        ({"scales": (2, 3)}, "out of 1, 2, 4, 8, 16"),
        ({"speed": 11}, "from 0 to 10"),
        ({"speed": 4.5}, "from 0 to 10"),
        ({"scales": (2, 2)}, "different ones"),
        ({"scales": ([1],)}, "different ones"),
        ({"scales": (True, 2)}, "different ones"),
        ({"pipeline": ["coded-fast"]}, "choose one of coded-fine"),
        ({"weights": 3}, "weights 3 are no name"),
        ({"weights": "coded-fast+coded-fine"}, "coded-fine takes one name of weights"),
    ],
)
def test_options_that_do_not_work_are_named(changes: dict[str, object], word: str) -> None:
    with pytest.raises(BbmrError, match=word):
        replace(OPTIONS, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("factor", [1, 2])
@pytest.mark.parametrize(("tune", "of_encoder"), [("psnr", "psnr"), ("visual", "ssim")])
def test_frames_are_what_the_encoder_makes_of_the_plane(factor: int, tune: str, of_encoder: Tune) -> None:
    """With the directional filter at scale 1 alone."""
    picture = Picture(textured(128, 192))
    frame = compress(picture, CodedOptions(quality=50, tune=tune, scales=(factor,))).frames[factor]
    plane = fade(bicubic_planes(picture.colour, (factor,))[factor], frame.colour)
    for cdef in (True, False):
        data = avif.encode(plane, frame.quality, "4:2:0", of_encoder, 4, cdef)
        assert (data == frame.data) == (cdef == (factor == 1))
