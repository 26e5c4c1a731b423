"""Codecs to compare with."""

import numpy as np
import pytest
from upscaling.tiny_networks import textured

from bbmr.evaluation.rivals import Jpeg, Rival, WebP, nearest_in_size


@pytest.mark.parametrize("codec", [Jpeg(), WebP()])
@pytest.mark.parametrize("size", [1, 2000, 6000, 1_000_000])
def test_the_quality_of_the_nearest_size_is_found(codec: Rival, size: int) -> None:
    """Of all qualities; beyond the ends the ends."""
    colour = textured(96, 128)
    sizes = [len(codec.encode(colour, quality)) for quality in range(101)]
    told: list[float] = []
    quality, data = nearest_in_size(codec, colour, size, told.append)
    assert len(data) == sizes[quality]
    assert abs(np.log(len(data) / size)) <= 1.01 * min(abs(np.log(one / size)) for one in sizes)
    assert told == sorted(told)
    assert told[-1] <= 1
