import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from bbmr.networks import build_network
from bbmr.networks.joint import JointSR
from bbmr.networks.omnisr import CHANNELS, OmniSRBody


class Mean(nn.Module):
    """A branch whose features are easy to follow: the samples, eight times over, and zeros."""

    def features(self, picture: Tensor) -> Tensor:
        return torch.cat([picture] * 8, 1)


def small(band: int = 2) -> JointSR:
    torch.manual_seed(0)
    return JointSR({2: Mean(), 4: Mean(), 8: Mean()}, 24, band)


def random_blocks(scales: Tensor, side: int = 16) -> dict[int, Tensor]:
    counts = {k: int((scales == k).sum()) for k in (2, 4, 8)}
    return {k: torch.rand(count, 3, side // k, side // k) for k, count in counts.items() if count}


SCALES = torch.tensor([[[2, 4, 8], [8, 8, 2]], [[4, 4, 4], [2, 8, 4]]])


def test_every_block_lies_where_the_map_says() -> None:
    network, blocks = small(), random_blocks(SCALES)
    features = {k: network.block_features(k, own) for k, own in blocks.items()}
    stitched = network.stitch(features, SCALES)
    assert stitched.shape == (2, 12, 16, 24)
    taken = dict.fromkeys(blocks, 0)
    for n, row, col in torch.cartesian_prod(torch.arange(2), torch.arange(2), torch.arange(3)).tolist():
        k = int(SCALES[n, row, col])
        part = stitched[n, :, 8 * row : 8 * row + 8, 8 * col : 8 * col + 8]
        torch.testing.assert_close(part, features[k][taken[k]])
        taken[k] += 1
    assert network(blocks, SCALES).shape == (2, 3, 32, 48)


@pytest.mark.parametrize("band", [0, 1, 3])
def test_only_a_band_along_inner_edges_is_deblocked(band: int) -> None:
    """What the deblocking branch gives is made enormous, and can then be seen at exactly these samples."""
    network = small(band)
    nn.init.constant_(network.deblock[-1].bias, 1e6)  # type: ignore[arg-type]
    replaced: list[Tensor] = []
    network.up.register_forward_pre_hook(lambda _, inputs: replaced.append(inputs[0].abs().amax(1) > 1e5))
    network(random_blocks(SCALES), SCALES)
    expected = torch.zeros(16, 24, dtype=torch.bool)
    expected[8 - band : 8 + band] = True
    for edge in (8, 16):
        expected[:, edge - band : edge + band] = True
    assert torch.equal(replaced[0][0], expected)


def test_gradients_reach_every_branch() -> None:
    network = JointSR({k: OmniSRBody(1) for k in (2, 4, 8)}, CHANNELS)
    blocks = {k: own.requires_grad_() for k, own in random_blocks(SCALES, side=32).items()}
    network(blocks, SCALES).square().mean().backward()
    assert all(own.grad is not None and own.grad.abs().sum() > 0 for own in blocks.values())
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_the_deblocking_branch_costs_three_times_the_last_convolution() -> None:
    """As in the paper's table 5."""
    network = small()
    counts = {}
    for name, part in (("deblock", network.deblock), ("up", network.up)):
        with FlopCounterMode(display=False) as counter:
            part(torch.rand(1, 12, 64, 64))
        counts[name] = counter.get_total_flops()
    assert counts["deblock"] == 3 * counts["up"]


def test_scales_below_two_are_refused() -> None:
    with pytest.raises(ValueError, match="from 2 up"):
        JointSR({1: Mean(), 2: Mean()}, 24)


@pytest.mark.parametrize("groups", [1, 2])
def test_a_registered_joint_network_takes_its_size_from_its_weights(groups: int) -> None:
    trained = JointSR({k: OmniSRBody(groups) for k in (2, 4, 8)}, CHANNELS)
    descriptor = build_network("joint-omnisr", trained.state_dict())
    assert descriptor.kind == "joint"
    built = descriptor.network.state_dict()
    assert all(torch.equal(built[key], tensor) for key, tensor in trained.state_dict().items())


def test_the_branches_have_three_times_the_parameters_of_one_network() -> None:
    """Table 3 of the paper: 0.77 M and 2.3 M."""
    network = build_network("joint-omnisr").network
    assert isinstance(network, JointSR)
    count = sum(parameter.numel() for parameter in network.branches.parameters())
    assert round(count / 1e6, 1) == 2.3


def test_weights_keep_band_and_context() -> None:
    own = JointSR({2: OmniSRBody(1)}, 64, band=6, context=3)
    other = JointSR({2: OmniSRBody(1)}, 64)
    other.load_state_dict({key: part.float() for key, part in own.state_dict().items()})
    assert (other.band, other.context) == (6, 3)
    with pytest.raises(ValueError, match="from 0 up"):
        other.load_state_dict(own.state_dict() | {"_extra_state": torch.tensor([-1, 3])})
