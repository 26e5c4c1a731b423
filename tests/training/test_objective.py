import pytest
import torch

from bbmr.training.objective import rate_factor, training_loss
from bbmr.training.recipe import Loss, Schedule


def test_wsd_rises_stays_and_falls() -> None:
    schedule = Schedule("wsd", warm_up=10, decay=0.4)
    factors = [rate_factor(step, 100, schedule) for step in range(100)]
    assert factors[:3] == pytest.approx([0.1, 0.2, 0.3])
    assert set(factors[9:61]) == {1.0}
    assert factors[80] == pytest.approx(0.5)
    assert factors[99] == pytest.approx(1 / 40)


def test_cosine_is_half_way_in_the_middle() -> None:
    schedule = Schedule("cosine", warm_up=10)
    factors = [rate_factor(step, 100, schedule) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[50] == pytest.approx(0.5)
    assert factors[9:] == sorted(factors[9:], reverse=True)


def test_step_halves_at_equal_intervals() -> None:
    """As in the paper: 5e-4 halved every 250 of 1000 epochs; and every 20 of 100, though 0.2 is no binary number."""
    quarter, fifth = Schedule("step", warm_up=1), Schedule("step", warm_up=1, halve_every=0.2)
    assert [rate_factor(step, 1000, quarter) for step in (0, 249, 250, 499, 500, 750, 999)] == [
        1, 1, 0.5, 0.5, 0.25, 0.125, 0.125
    ]  # fmt: skip
    assert [rate_factor(step, 100, fifth) for step in (0, 19, 20, 59, 60, 79, 80, 99)] == [
        1, 1, 0.5, 0.25, 0.125, 0.125, 0.0625, 0.0625
    ]  # fmt: skip


def test_rgb_l1_weighs_all_channels_alike() -> None:
    hr = torch.rand(2, 3, 16, 16)
    for channel in range(3):
        restored = hr.clone()
        restored[:, channel] -= 0.3
        assert float(training_loss(restored, hr, Loss("rgb_l1"))) == pytest.approx(0.1)


@pytest.mark.parametrize("name", ["l1", "psnr"])
def test_grey_errors_have_no_chroma(name: str) -> None:
    """An equal error in R, G and B is one of luma: the chroma weight must not matter, and it must otherwise."""
    hr = torch.rand(2, 3, 16, 16)
    with_chroma, without = Loss(name, chroma=1.0), Loss(name, chroma=0.0)  # type: ignore[arg-type]
    grey, red = hr + 0.1, hr + torch.tensor([0.1, 0, 0]).view(3, 1, 1)
    assert float(training_loss(grey, hr, with_chroma)) == pytest.approx(float(training_loss(grey, hr, without)))
    assert float(training_loss(red, hr, with_chroma)) > float(training_loss(red, hr, without))
    if name == "l1":
        assert float(training_loss(grey, hr, without)) == pytest.approx(0.1)
