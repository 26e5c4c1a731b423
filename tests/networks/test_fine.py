import pytest
import torch
import torch.nn.functional as F
from networks.at_random import randomised
from torch.utils.flop_counter import FlopCounterMode

from bbmr.networks import build_network
from bbmr.networks.fast import LEVELS, PIXELS
from bbmr.networks.fine import CodedFine


def small() -> CodedFine:
    return randomised(CodedFine(channels=8, pairs=1, fine_channels=6, fine_pairs=2))


def random_inputs(side: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return torch.rand(2, PIXELS, side, side), torch.randint(LEVELS, (2, side, side)), torch.rand(2, LEVELS)


def test_a_pixel_costs_as_much_as_the_docstring_says() -> None:
    network, side = CodedFine(), 8
    with FlopCounterMode(display=False) as counter:
        network(torch.rand(1, PIXELS, side, side), torch.zeros(1, side, side, dtype=torch.long), torch.rand(1, LEVELS))
    macs = counter.get_total_flops() / 2
    coarse, fine = 12 * 48 * 48 * 9, (10 * 48 * 48 + 2 * 12 * 48) * 9  # a position: head, five pairs, tail
    tables = macs - (coarse + 4 * fine) * side**2
    assert 0 <= tables < 50 * LEVELS * 6 * 48  # what holds at a picture's qualities, once for all positions
    assert (round(coarse / 16, -3), round(fine / 4, -3)) == (16_000, 54_000)


def test_it_corrects_what_the_coarse_part_has_corrected() -> None:
    network = small()
    pixels, levels, qualities = random_inputs(6)
    picture = F.pixel_shuffle(pixels, 4)
    once = picture + F.pixel_shuffle(network.coarse(pixels, levels, qualities), 4)
    finer = F.interpolate(levels[:, None].float(), scale_factor=2, mode="nearest")[:, 0].long()
    twice = once + F.pixel_shuffle(network.fine(F.pixel_unshuffle(once, 2), finer, qualities), 2)
    found = picture + F.pixel_shuffle(network(pixels, levels, qualities), 4)
    assert (twice - once).abs().max() > 1e-3
    torch.testing.assert_close(found, twice)


@pytest.mark.parametrize("fine_pairs", [1, 2, 3])
def test_nothing_beyond_its_reach_matters(fine_pairs: int) -> None:
    network = randomised(CodedFine(8, 1, 8, fine_pairs))
    side = 2 * network.reach + 5
    pixels = torch.rand(1, PIXELS, side, side, requires_grad=True)
    centre = side // 2
    output = network(pixels, torch.ones(1, side, side, dtype=torch.long), torch.rand(1, LEVELS))
    output[0, :, centre, centre].sum().backward()
    assert pixels.grad is not None
    touched = pixels.grad[0].abs().sum(0).nonzero()
    assert int((touched - centre).abs().max()) == network.reach


def test_weights_tell_the_size_of_both_parts() -> None:
    network = small()
    rebuilt = build_network("fast-coded-fine", network.state_dict())
    inputs = random_inputs(5)
    torch.testing.assert_close(rebuilt.network(*inputs), network(*inputs))
    assert rebuilt.reach == network.reach
