from typing import Any

import pytest
import torch
from torch.utils.checkpoint import checkpoint
from upscaling.tiny_networks import tiny_mosaic, tiny_sr

from bbmr.networks import FAMILIES, Family
from bbmr.networks import layers as layers_room


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", ["sr", "mosaic"])
def test_what_is_made_again_has_the_same_gradients(family: Family, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With fixed weights a group's inside is computed again for the gradients of what goes in; else it is kept."""
    network = (tiny_sr(2, family) if kind == "sr" else tiny_mosaic(family)).network.eval()
    shape = (1, 3, 24, 32) if kind == "sr" else (1, 48, 16, 16)
    others = () if kind == "sr" else (torch.randint(0, 5, (1, 16, 16)),)
    torch.manual_seed(0)
    picture, direction = torch.rand(shape), None
    used = False

    def noted(*arguments: Any, **options: Any) -> Any:
        nonlocal used
        used = True
        return checkpoint(*arguments, **options)

    monkeypatch.setattr(layers_room, "checkpoint", noted)
    gradients = []
    for fixed in (False, True):
        network.requires_grad_(not fixed)
        leaf = picture.clone().requires_grad_()
        out = network(leaf, *others)
        direction = torch.rand_like(out) if direction is None else direction
        gradients.append(torch.autograd.grad((out * direction).sum(), leaf)[0])
        assert used == fixed
    assert gradients[0].abs().mean() > 0
    torch.testing.assert_close(gradients[1], gradients[0])
