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
