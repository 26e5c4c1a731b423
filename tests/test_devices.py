from contextlib import nullcontext

import numpy as np
import pytest
import torch
from upscaling.tiny_networks import random_map, rescale, textured, tiny_joint, tiny_mosaic, tiny_sr

from bbmr import api
from bbmr.coding.options import CodedOptions
from bbmr.devices import find_device
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
