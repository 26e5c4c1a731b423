import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbmr.allocation.budget import Budget
from bbmr.errors import BbmrError


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 32))
def test_a_factor_gives_the_pixels_of_that_uniform_scale(height: int, width: int, factor: int) -> None:
    assert Budget(f"x{factor}").pixels(height, width) == -(-height // factor) * -(-width // factor)


@pytest.mark.parametrize("text", ["1/16", "0.0625", "6.25%", " 6.25% "])
def test_a_share_can_be_written_in_three_ways(text: str) -> None:
    assert Budget(text).pixels(1365, 2048) == 1365 * 2048 // 16


def test_a_picture_keeps_at_least_one_pixel() -> None:
    assert Budget("1%").pixels(1, 1) == 1


@pytest.mark.parametrize(
    "text", ["", "x", "x0", "x0.5", "4", "0", "-1/4", "1/0", "200%", "x4%", "x4/2", "1e-3", "nan", "9" * 40]
)
def test_other_texts_are_refused_with_advice(text: str) -> None:
    with pytest.raises(BbmrError, match="give the factor"):
        Budget(text)
