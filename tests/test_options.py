from collections.abc import Mapping

import pytest

from bbmr.errors import BbmrError
from bbmr.options import ALLOCATORS, DEFAULT_SCALES, PIPELINE_CHOICES, Options


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
        ({"pipeline": "joint-omnisr", "block": 16}, "joint-omnisr restores blocks of 128 pixels, not of 16"),
        ({"pipeline": "joint-omnisr", "scales": (1, 4, 16)}, "joint-omnisr works at scales 2, 4, 8, not 1, 16"),
        ({"pipeline": "separate-omnisr", "scales": (16,)}, "not 16"),
        (
            {"pipeline": "plain-omnisr", "block": 128},
            "plain-omnisr stores a uniform x4",
        ),
        (
            {"pipeline": "plain-x4", "tune": "psnr"},
            "no options but weights and effort",
        ),
        ({"effort": 10}, "effort 10 is not possible; choose one from 0 to 9"),
        ({"effort": 1.0}, "effort 1.0"),
        ({"weights": 3}, "weights 3 are no name"),
        ({"weights": None}, "weights None are no name"),
        (
            {"pipeline": "separate-omnisr", "weights": "mine"},
            "separate-omnisr takes the names of 3 weights, joined by \\+, or none",
        ),
        ({"distortion": "helper"}, "mosaic-fast has no helper; .* corrected, bicubic, network$"),
        (
            {"pipeline": "mosaic-omnisr", "distortion": "helper", "scales": (2, 16)},
            "mosaic-omnisr with its helper works at scales 1, 2, 4, 8, not 16",
        ),
    ],
)
def test_impossible_options_are_refused_by_name(options: Mapping[str, object], message: str) -> None:
    with pytest.raises(BbmrError, match=message):
        Options(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("pipeline", [name for name, choice in PIPELINE_CHOICES.items() if choice.networks == 1])
def test_pipelines_of_one_network_take_weights(pipeline: str) -> None:
    assert Options(pipeline=pipeline, weights="mine").weights == "mine"


@pytest.mark.parametrize("allocator", ALLOCATORS)
def test_each_allocator_has_scales_of_its_own(allocator: str) -> None:
    assert Options(allocator=allocator).scales == DEFAULT_SCALES[allocator]
    assert Options(allocator=allocator, scales=(1, 4, 16)).scales == (1, 4, 16)


@pytest.mark.parametrize(
    ("pipeline", "block", "scales"),
    [
        ("mosaic-fast", 16, (1, 2, 4, 8, 16)),
        ("mosaic-omnisr", 16, (1, 2, 4, 8, 16)),
        ("separate-omnisr", 128, (2, 4, 8)),
        ("joint-omnisr", 128, (2, 4, 8)),
        ("plain-x4", 128, (4,)),
        ("plain-omnisr", 128, (4,)),
    ],
)
def test_each_pipeline_has_defaults_of_its_own(pipeline: str, block: int, scales: tuple[int, ...]) -> None:
    options = Options(pipeline=pipeline)
    assert (options.block, options.scales) == (block, scales)
