from collections.abc import Mapping

import pytest

from bbmr.errors import BbmrError
from bbmr.options import ALLOCATORS, DEFAULT_SCALES, Options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"block": 8}, "block 8 .* 16, 32, 64, 128"),
        ({"block": "16"}, "block '16'"),
        ({"scales": (3,)}, r"scales \(3,\) .* 1, 2, 4, 8, 16"),
        ({"scales": (2, 2)}, "scales"),
        ({"scales": 4}, "scales 4"),
        ({"scales": "2,4"}, "scales '2,4'"),
        ({"budget": 4}, "budget 4"),
        ({"tune": "loud"}, "visual, psnr"),
        ({"tune": ["visual"]}, "visual, psnr"),
        ({"distortion": "guess"}, "corrected, bicubic, network"),
        ({"allocator": "random"}, "optimal, greedy"),
        ({"allocator": "greedy", "scales": (1, 2)}, "three scales; 2 were given"),
        ({"pipeline": "magic"}, "mosaic-fast, plain-x4"),
    ],
)
def test_impossible_options_are_refused_by_name(options: Mapping[str, object], message: str) -> None:
    with pytest.raises(BbmrError, match=message):
        Options(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("allocator", ALLOCATORS)
def test_each_allocator_has_scales_of_its_own(allocator: str) -> None:
    assert Options(allocator=allocator).scales == DEFAULT_SCALES[allocator]
    assert Options(allocator=allocator, scales=(1, 4, 16)).scales == (1, 4, 16)
