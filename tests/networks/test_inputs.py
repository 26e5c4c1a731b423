import pytest
import torch

from bbmr.networks import build_network, network_names
from bbmr.networks.inputs import random_inputs


@pytest.mark.parametrize("name", [name for name in network_names() if "light" in name or "omnisr" not in name])
def test_every_network_takes_them(name: str) -> None:
    descriptor = build_network(name)
    one, again = random_inputs(descriptor, 2, 128), random_inputs(descriptor, 2, 128)
    with torch.inference_mode():
        output = descriptor.network(*one)
        torch.testing.assert_close(descriptor.network(*again), output, rtol=0, atol=1e-6)
    assert output.shape == ((2, 48, 32, 32) if descriptor.kind in ("mosaic", "coded") else (2, 3, 128, 128))


def test_blocks_are_shared_out_evenly() -> None:
    blocks, scales = random_inputs(build_network("joint-omnisr-light"), 1, 768)
    assert isinstance(scales, torch.Tensor)
    assert {scale: tuple(part.shape) for scale, part in dict(blocks).items()} == {
        2: (12, 3, 64, 64),
        4: (12, 3, 32, 32),
        8: (12, 3, 16, 16),
    }
    assert all(int((scales == scale).sum()) == 12 for scale in (2, 4, 8))
