from contextlib import ExitStack, nullcontext
from operator import attrgetter
from typing import Any

import numpy as np
import pytest
import torch
from upscaling.tiny_networks import random_map, rescale, textured, tiny_joint, tiny_mosaic, tiny_sr

from bbmr import api
from bbmr.coding.options import CodedOptions
from bbmr.devices import find_device, full_float32
from bbmr.errors import BbmrError
from bbmr.lr_blocks import LRBlocks
from bbmr.options import Options
from bbmr.picture import Picture
from bbmr.upscaling import Upscaler
from bbmr.upscaling.joint import JointUpscaler
from bbmr.upscaling.mosaic import MosaicUpscaler
from bbmr.upscaling.plain import PlainUpscaler
from bbmr.upscaling.separate import SeparateUpscaler


def test_devices_by_torchs_names() -> None:
    assert find_device("cpu") == torch.device("cpu")
    assert find_device("cpu:0").type == "cpu"


@pytest.mark.parametrize("name", ["gpu", "cuda:999", "meta", "", 3, "privateuseone", "hpu", "mkldnn"])
def test_those_that_cannot_be_used_are_refused_by_name(name: str) -> None:
    with pytest.raises(BbmrError, match=rf"device {name!r} cannot be used here \(.+\); take cpu$"):
        find_device(name)


@pytest.mark.parametrize("kind", ["mosaic", "plain", "separate", "joint"])
def test_upscalers_work_where_their_networks_are(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On torch's device without memory, which refuses to meet tensors of another one in most places."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # of which it knows nothing
    descriptors = {
        "mosaic": (tiny_mosaic(),),
        "plain": (tiny_sr(4),),
        "separate": tuple(map(tiny_sr, (2, 4, 8))),
        "joint": (tiny_joint(),),
    }
    restorer = {"mosaic": MosaicUpscaler, "plain": PlainUpscaler, "separate": SeparateUpscaler, "joint": JointUpscaler}
    for descriptor in descriptors[kind]:
        descriptor.network.to("meta")
    upscaler: Upscaler = restorer[kind](*descriptors[kind])
    assert upscaler.device.type == "meta"
    scales = np.full((2, 2), 4, np.uint8) if kind == "plain" else random_map(2, 2)
    stored = LRBlocks.of(rescale(textured(200, 150), scales, 128)).to(upscaler.device)
    with torch.no_grad():
        for tile, core in upscaler.restored_tiles(stored):
            assert core.device.type == "meta"
            assert core.shape[2:] == tuple(part.stop - part.start for part in tile.core)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("options", [Options(effort=2, distortion="network"), CodedOptions(quality=60)])
def test_a_gpu_gives_nearly_the_same(options: Options | CodedOptions) -> None:
    picture = Picture(textured(300, 410))
    on_cpu, on_gpu = (api.compress(picture, options=options, device=device) for device in ("cpu", "cuda"))
    assert on_gpu.recipe.expected_psnr == pytest.approx(on_cpu.recipe.expected_psnr, abs=0.05)
    restored = [api.restore(on_cpu, device=device).colour.astype(int) for device in ("cpu", "cuda")]
    assert np.abs(restored[0] - restored[1]).max() <= 1


@pytest.mark.parametrize("setting", ["autocast", "TF32", "bfloat16", "float64"])
@pytest.mark.parametrize("options", [Options(block=16), CodedOptions(quality=40, speed=10)])
def test_the_callers_settings_of_torch_change_nothing(options: Options | CodedOptions, setting: str) -> None:
    picture = Picture(textured(90, 120))
    expected = api.compress(picture, options=options)
    restored = api.restore(expected)
    region = api.restore(expected, region=(10, 20, 40, 50))
    with ExitStack() as stack:
        if setting == "autocast":
            stack.enter_context(torch.autocast("cpu", torch.bfloat16))
        elif setting == "float64":
            stack.callback(torch.set_default_dtype, torch.get_default_dtype())
            torch.set_default_dtype(torch.float64)
        else:
            place = attrgetter("cuda.matmul" if setting == "TF32" else "mkldnn.conv")(torch.backends)
            stack.callback(setattr, place, "fp32_precision", place.fp32_precision)
            place.fp32_precision = "tf32" if setting == "TF32" else "bf16"
        assert api.compress(picture, options=options) == expected
        assert api.restore(expected) == restored
        assert api.restore(expected, region=(10, 20, 40, 50)) == region


def test_precision_is_full_while_any_thread_wants_it() -> None:
    place: Any = attrgetter("mkldnn.matmul")(torch.backends)
    before = place.fp32_precision
    place.fp32_precision = "bf16"
    try:
        first, second = full_float32(), full_float32()
        first.__enter__()
        assert place.fp32_precision == "ieee"
        second.__enter__()
        first.__exit__(None, None, None)
        assert place.fp32_precision == "ieee"
        second.__exit__(None, None, None)
        assert place.fp32_precision == "bf16"
    finally:
        place.fp32_precision = before
