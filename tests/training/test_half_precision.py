import pytest
import torch

from bbmr.training import half_precision


@pytest.mark.parametrize(("bfloat16", "slow"), [(0.5, False), (5.0, True)])
def test_bfloat16_pays_where_it_takes_less_time(bfloat16: float, slow: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = torch.get_num_threads()
    monkeypatch.setattr(half_precision, "_seconds", {torch.bfloat16: bfloat16, torch.float32: 1.0}.__getitem__)
    assert half_precision.bfloat16_is_slow() == slow
    assert torch.get_num_threads() == threads


def test_every_precision_is_timed() -> None:
    assert half_precision._seconds(torch.float32) > 0
    assert half_precision._seconds(torch.bfloat16) > 0
