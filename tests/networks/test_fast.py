from typing import TypeVar

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bbmr.luma import luma
from bbmr.networks import build_network
from bbmr.networks.fast import LEVELS, PIXELS, Fast, FastLuma

Network = TypeVar("Network", bound=nn.Module)


def randomised(network: Network) -> Network:
    torch.manual_seed(0)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.05)
    return network


def test_a_position_costs_at_most_a_quarter_million_multiply_accumulates() -> None:
    network, side = Fast(), 16
    with FlopCounterMode(display=False) as counter:
        network(torch.rand(1, PIXELS, side, side), torch.zeros(1, side, side, dtype=torch.long))
    macs = counter.get_total_flops() / 2 / side**2
    by_hand = 12 * 48 * 48 * 9  # head, five pairs, tail
    assert macs == by_hand
    assert macs <= 250_000


def test_for_luma_alone_it_costs_a_ninth() -> None:
    network, side = FastLuma(), 16
    with FlopCounterMode(display=False) as counter:
        network.on_luma(torch.rand(1, PIXELS // 3, side, side), torch.zeros(1, side, side, dtype=torch.long))
    macs = counter.get_total_flops() / 2 / side**2
    assert macs == (2 * 16 * 24 + 4 * 24 * 24) * 9  # head and tail, two pairs
    assert 9 * macs <= 250_000


def test_for_luma_alone_it_corrects_the_luma_and_leaves_the_colours() -> None:
    network = randomised(FastLuma(channels=8, pairs=1))
    picture = torch.rand(1, 3, 16, 24)
    levels = torch.full((1, 4, 6), 2)
    correction = F.pixel_shuffle(network(F.pixel_unshuffle(picture, 4), levels), 4)
    of_luma = F.pixel_shuffle(network.on_luma(F.pixel_unshuffle((luma(picture) - 16) / 219, 4), levels), 4)
    assert of_luma.abs().max() > 1e-3
    torch.testing.assert_close(luma(picture + correction) - luma(picture), 219 * of_luma, rtol=1e-3, atol=1e-3)
    for colour in range(3):
        torch.testing.assert_close(correction[:, colour], correction[:, 0])


def test_an_untrained_network_leaves_the_mosaic_alone() -> None:
    assert not Fast()(torch.rand(1, PIXELS, 8, 8), torch.zeros(1, 8, 8, dtype=torch.long)).any()


def test_every_scale_gets_a_response_of_its_own() -> None:
    network = randomised(Fast())
    pixels = torch.rand(1, PIXELS, 8, 8)
    responses = [network(pixels, torch.full((1, 8, 8), level)) for level in range(LEVELS)]
    for level in range(1, LEVELS):
        assert not torch.allclose(responses[level], responses[level - 1], atol=1e-3)


def test_the_neighbourhood_is_the_one_the_descriptor_states() -> None:
    """The gradient of one output position reaches exactly `reach` positions."""
    network = randomised(Fast(channels=16, pairs=3))
    side = 2 * network.reach + 5
    pixels = torch.rand(1, PIXELS, side, side, requires_grad=True)
    centre = side // 2
    network(pixels, torch.ones(1, side, side, dtype=torch.long))[0, :, centre, centre].sum().backward()
    assert pixels.grad is not None
    touched = pixels.grad[0].abs().sum(0).nonzero()
    assert int((touched - centre).abs().max()) == network.reach == 8


def test_weights_tell_the_size_of_the_network() -> None:
    small = randomised(Fast(channels=16, pairs=2))
    rebuilt = build_network("fast", small.state_dict())
    pixels, levels = torch.rand(1, PIXELS, 6, 6), torch.zeros(1, 6, 6, dtype=torch.long)
    torch.testing.assert_close(rebuilt.network(pixels, levels), small(pixels, levels))
    assert rebuilt.reach == small.reach


def test_weights_tell_the_size_for_luma_alone() -> None:
    small = randomised(FastLuma(channels=8, pairs=1))
    rebuilt = build_network("fast-luma", small.state_dict())
    pixels, levels = torch.rand(1, PIXELS, 6, 6), torch.zeros(1, 6, 6, dtype=torch.long)
    torch.testing.assert_close(rebuilt.network(pixels, levels), small(pixels, levels))
    assert rebuilt.reach == small.reach == 4


def test_unknown_networks_and_foreign_weights_are_refused() -> None:
    with pytest.raises(KeyError, match=r"there are: .*fast"):
        build_network("fats")
    state = Fast(channels=16, pairs=2).state_dict()
    state["body.0.first.weight"] = torch.zeros(3)
    with pytest.raises(RuntimeError, match="size mismatch"):
        build_network("fast", state)
