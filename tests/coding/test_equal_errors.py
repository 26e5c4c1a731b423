"""What other qualities would take, from two that are known; of curves whose law is known."""

import pytest

from bbmr.coding.equal_errors import Total, bits_by_error, ratio_at_equal_errors


def on_curve(error: float, share: float = 1.0) -> Total:
    """Bits fall with the power 0.8 of the error."""
    return Total(error, share * 1e6 * error**-0.8)


@pytest.mark.parametrize("beyond", [80.0, 125.0])
def test_of_a_power_the_exponent_is_found(beyond: float) -> None:
    exponent = bits_by_error(on_curve(100.0), on_curve(beyond), (100 + beyond) / 2)
    assert exponent == pytest.approx(-0.8)


@pytest.mark.parametrize("share", [0.7, 1.0, 1.2])
@pytest.mark.parametrize("error", [60.0, 100.0, 150.0])
def test_what_takes_a_share_of_the_bits_at_every_error_is_told_to(share: float, error: float) -> None:
    assert ratio_at_equal_errors(on_curve(100.0), on_curve(error, share), -0.8) == pytest.approx(share)


def test_ratios_beyond_all_numbers_have_the_right_side() -> None:
    steep = -1e5
    assert ratio_at_equal_errors(on_curve(100.0), on_curve(103.0), steep) > 1e6
    assert ratio_at_equal_errors(on_curve(103.0), on_curve(100.0), steep) < 1e-6


@pytest.mark.parametrize(
    ("beyond", "sought"),
    [
        (80.0, 125.0),  # the other way
        (80.0, 100 * 0.8**3.1),  # more than three times as far
        (100.0, 90.0),  # nothing changes
        (100.001, 100.0005),  # or nothing to speak of
        (0.0, 90.0),
        (80.0, 0.0),
    ],
)
def test_where_two_qualities_tell_nothing_of_an_error_none_is_told(beyond: float, sought: float) -> None:
    assert bits_by_error(on_curve(100.0), Total(beyond, 3e5), sought) is None
