from dataclasses import replace

import numpy as np
import pytest
from fileformat.rescaled_samples import make_rescaled, mixed

from bbmr.picture import Metadata


def test_equal_where_all_samples_and_facts_are() -> None:
    one = make_rescaled(*mixed(50, 70), alpha=True)
    assert one == make_rescaled(*mixed(50, 70), alpha=True)
    assert one != "a picture"


def test_any_difference_counts() -> None:
    one = make_rescaled(*mixed(50, 70), alpha=True)
    assert one.alpha is not None
    others = [
        replace(one, alpha=None),
        replace(one, alpha=255 - one.alpha),
        replace(one, metadata=Metadata(xmp=b"<x/>")),
        replace(one, recipe=replace(one.recipe, expected_psnr=None)),
        replace(one, blocks={**one.blocks, 8: 255 - one.blocks[8]}),
        replace(one, scales=one.scales[::-1, ::-1].copy()),
        make_rescaled(*mixed(50, 69), alpha=True),
        make_rescaled(*mixed(50, 70), channels=1, alpha=True),
    ]
    for other in others:
        assert one != other
        assert other != one


def test_alpha_of_other_types_is_refused() -> None:
    one = make_rescaled(*mixed(20, 20))
    with pytest.raises(ValueError, match="float64"):
        replace(one, alpha=np.zeros((20, 20)))
