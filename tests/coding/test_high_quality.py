"""The shipped networks, up to qualities of the codec that none of them was trained on."""

from itertools import pairwise
from pathlib import Path

import pytest

from bbmr.codecs import avif
from bbmr.coding.ladder import Rung
from bbmr.coding.options import CodedOptions
from bbmr.coding.sender import Sender, pipeline_for
from bbmr.downscaling import bicubic_planes
from bbmr.evaluation.metrics import psnr_rgb, psnr_y
from bbmr.imageio import read_picture
from bbmr.options import CODED_CHOICES, TUNES
from bbmr.picture import Picture
from bbmr.pipeline import restore
from bbmr.samples import to_samples

GIRAFFE = Path(__file__).parents[2] / "examples" / "giraffe.jpg"


@pytest.mark.parametrize("tune", TUNES)
@pytest.mark.parametrize("pipeline", list(CODED_CHOICES))
def test_a_better_quality_is_better_to_the_end(pipeline: str, tune: str) -> None:
    picture = Picture(read_picture(GIRAFFE).colour[300:556, 900:1156])
    options = CodedOptions(quality=0, tune=tune, pipeline=pipeline, speed=8)
    sender = Sender(picture, options, pipeline_for(options))
    restored = [restore(sender.at(Rung(quality)).rescaled).colour for quality in (70, 80, 86, 90, 95, 100)]
    for measure in (psnr_y, psnr_rgb):
        values = [measure(colour, picture.colour) for colour in restored]
        assert all(worse < better for worse, better in pairwise(values)), values


@pytest.mark.parametrize(
    ("pipeline", "factor"),
    # `coded-fast` has seen no more than 84 at scale 2, and loses there.
    [("coded-fast", 1), ("coded-wide", 1), ("coded-wide", 2), ("coded-fine", 1), ("coded-fine", 2)],
)
def test_networks_spoil_nothing_that_the_codec_has_kept(pipeline: str, factor: int) -> None:
    """Before any filter: not more at its best quality than at the best that they know at scale 1."""
    picture = read_picture(GIRAFFE).colour[300:556, 900:1156]
    upscaler = pipeline_for(CodedOptions(quality=0, pipeline=pipeline)).upscaler()
    plane = bicubic_planes(picture, (factor,))[factor]
    found = []
    for quality in (80, 90, 100):
        coded = avif.decode(avif.encode(plane, quality, speed=8), plane.shape)
        ((_, restored),) = upscaler.restore_uniform(coded, factor, (256, 256), quality)
        found.append(psnr_y(to_samples(restored), picture))
    assert found == sorted(found), found
