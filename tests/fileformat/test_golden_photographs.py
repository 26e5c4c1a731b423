"""Photographs of earlier days come back as they did: by the weights of now, which therefore have to be those of then.

golden/restored has files as `bbmr compress` wrote them, a part of examples/giraffe.jpg each (one in panels, which are
smaller than usual), and beside each what was restored of it when it was written.
"""

import warnings
from pathlib import Path

import numpy as np
import pytest

import bbmr

FILES = sorted((Path(__file__).parent / "golden" / "restored").glob("*.bbmr"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_photographs_come_back(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of other weights
        restored = bbmr.restore(path).colour
    apart = np.abs(restored.astype(int) - bbmr.imageio.read_picture(path.with_suffix(".png")).colour)
    assert apart.max() <= 1  # machines round otherwise


def test_there_are_photographs() -> None:
    assert len(FILES) == 5
