from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from bbmr.blocks import SCALES
from bbmr.coding.ladder import Rung, quality_of
from bbmr.coding.options import CodedOptions
from bbmr.coding.sender import Sender, pipeline_for
from bbmr.imageio import read_picture
from bbmr.picture import Picture

GIRAFFE = Path(__file__).parents[2] / "examples" / "giraffe.jpg"


def test_coarser_samples_are_coded_better_within_what_there_is() -> None:
    for quality in (0, 40, 95, 100):
        qualities = Rung(quality).qualities
        assert list(qualities) == list(SCALES)
        assert all(0 <= finer <= coarser <= 100 for finer, coarser in pairwise(qualities.values()))
    assert Rung(100).qualities[1] == 100
    assert Rung(0).qualities[1] == 0
    assert Rung(0).qualities[16] < 40


def test_a_bit_is_worth_less_and_samples_are_coded_better_the_better_the_quality() -> None:
    for rung, better in pairwise(Rung(quality) for quality in range(101)):
        assert rung.multiplier > better.multiplier > 0
        assert all(rung.qualities[factor] <= better.qualities[factor] for factor in SCALES)


def test_thrift_makes_bits_dearer_and_leaves_qualities_as_they_are() -> None:
    assert Rung(30, 2.0).multiplier == pytest.approx(2 * Rung(30).multiplier)
    assert Rung(30, 2.0).qualities == Rung(30).qualities


@pytest.mark.parametrize(("factor", "quality"), [(1, 40), (1, 60), (2, 40)])
def test_a_bit_more_saves_about_lambda(factor: int, quality: int) -> None:
    """Of a photograph that the ladder was not measured on, from a little below the quality to a little above."""
    picture = Picture(read_picture(GIRAFFE).colour[300:812, 800:1312])
    options = CodedOptions(quality=quality, scales=(factor,), tune="psnr")
    sender = Sender(picture, replace(options, speed=6), pipeline_for(options))
    less, more = (sender.at(Rung(quality + step)) for step in (-4, 4))
    saved = (less.errors.sum() - more.errors.sum()) / (8 * (more.size - less.size))
    assert saved == pytest.approx(Rung(quality).multiplier, rel=0.25)


@pytest.mark.parametrize("quality", range(0, 101, 5))
def test_what_was_coded_tells_the_quality(quality: int) -> None:
    """Of all scales, and of those that come into question there."""
    qualities = Rung(quality).qualities
    assert quality_of(qualities) == quality
    one = (16, 8, 4, 2, 1, 1)[quality // 20]
    assert quality_of({one: qualities[one]}) == quality
    assert quality_of({**qualities, 2: qualities[2] - 7}) is None


def test_what_the_codec_has_no_quality_for_does_not_tell_it() -> None:
    assert quality_of({1: 0}) is None
    assert quality_of({16: 100}) is None
