"""Classes of blocks, against blocks whose class is plain to see."""

import numpy as np
import pytest

from bbmr.evaluation.measurement import BlockErrors
from bbmr.evaluation.report.classes import Thresholds, all_psnr, classify, earned_and_paid


def test_classes_and_their_means() -> None:
    psnr = np.array(
        [  # simple, medium, medium, hard, both
            [45.0, 36.0, 38.0, 40.0, 60.0],
            [41.0, 32.0, 33.0, 30.0, 50.0],
            [40.5, 28.0, 30.0, 24.0, 49.0],
        ]
    )
    simple, medium, hard = classify(psnr, Thresholds(simple_below=2, hard_above=6))
    assert (simple.name, simple.blocks, simple.share) == ("simple", 2, 0.4)
    assert simple.psnr == pytest.approx((52.5, 45.5, 44.75))
    assert medium.blocks == 2
    assert medium.psnr == pytest.approx((37, 32.5, 29))
    assert (hard.blocks, hard.share, hard.psnr) == (1, 0.2, (40, 30, 24))


def test_no_block_in_a_class() -> None:
    classes = classify(np.array([[50.0], [45.0], [44.0]]), Thresholds())
    assert [group.psnr for group in classes[1:]] == [(None,) * 3] * 2
    assert sum(group.share for group in classes) == 1


def test_psnr_of_several_pictures() -> None:
    one = BlockErrors((2, 4, 8), ((1.0,), (4.0,), (65025.0,)))
    other = BlockErrors((1, 2, 4, 8), ((0.0, 0.0), (1.0, 0.0), (2.0, 0.0), (8.0, 0.0)))
    psnr = all_psnr([one, other])
    assert psnr.shape == (3, 3)
    assert psnr[:, 0] == pytest.approx([48.1308, 42.1102, 0], abs=1e-4)
    assert psnr[:, 2].tolist() == [100, 100, 100]
    earned, paid = earned_and_paid(psnr)
    assert earned[0] == pytest.approx(10 * np.log10(4))
    assert paid[1] == pytest.approx(10 * np.log10(4))
