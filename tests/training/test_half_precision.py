from pathlib import Path

import pytest
import torch

from bbmr.training import half_precision
from bbmr.training import run as run_room
from bbmr.training.recipe import recipe_from


@pytest.mark.parametrize(("bfloat16", "slow"), [(0.5, False), (5.0, True)])
def test_bfloat16_pays_where_it_takes_less_time(bfloat16: float, slow: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = torch.get_num_threads()
    monkeypatch.setattr(half_precision, "_seconds", {torch.bfloat16: bfloat16, torch.float32: 1.0}.__getitem__)
    assert half_precision.bfloat16_is_slow() == slow
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("slow", [False, True])
def test_a_run_says_so_where_it_does_not_pay(
    slow: bool, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(run_room, "bfloat16_is_slow", lambda: slow)
    for precision in ("bf16-mixed", "32-true"):
        small = {"steps": 1, "batch": 1, "crop": 64, "validation": {"crops": 1, "crop": 64, "pictures": 0}}
        recipe = recipe_from(small | {"precision": precision, "data": {"folder": str(photos)}})
        run_room.train(recipe, tmp_path / precision)
        said = "--set precision=32-true" in capsys.readouterr().err
        assert said == (slow and precision == "bf16-mixed")
