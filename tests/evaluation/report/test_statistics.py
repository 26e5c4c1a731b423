"""Means and gains, against made-up measurements."""

from dataclasses import replace
from pathlib import Path

import pytest

from bbmr.evaluation.measurement import Measurement
from bbmr.evaluation.report.statistics import gain, mean_of
from bbmr.evaluation.results import PictureResults
from bbmr.evaluation.systems import System

PLAIN, OURS = System("plain-x4"), System("mosaic-fast")
ONE = Measurement(0.06, 0.001, 0.7, 30.1, 29.2, 0.91, 0.89, 0.97, 4.5, None, 1.02, 0.5, 1.5, 2.5, 10**9, 10**11)


def picture(name: str, plain: float, ours: float, niqe: float | None = None) -> PictureResults:
    of = {PLAIN: replace(ONE, psnr_y=plain, niqe=niqe), OURS: replace(ONE, psnr_y=ours)}
    return PictureResults(Path("photos", name), of)


def test_gain_and_its_standard_error() -> None:
    found = gain([picture("a.b.png", 30, 33), picture("c.png", 32, 36)], OURS, PLAIN, "psnr_y")
    assert found is not None
    assert (found.mean, found.worst) == (3.5, 3)
    assert found.error == pytest.approx(0.5)  # gains 3 and 4: deviation 0.7071, over the root of 2


def test_one_picture_has_no_standard_error() -> None:
    found = gain([picture("a.png", 30, 33)], OURS, PLAIN, "psnr_y")
    assert found is not None
    assert (found.mean, found.error) == (3, None)


def test_what_is_missing_or_endless_is_left_out() -> None:
    pictures = [picture("a.png", 30, 33, niqe=4.0), picture("b.png", float("inf"), float("inf"))]
    assert mean_of(pictures, PLAIN, "niqe") == 4
    found = gain(pictures, OURS, PLAIN, "psnr_y")
    assert found is not None
    assert found.mean == 3
    assert gain(pictures[1:], OURS, PLAIN, "niqe") is None
