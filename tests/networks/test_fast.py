import pytest
import torch
import torch.nn.functional as F
from networks.at_random import randomised
from torch.utils.flop_counter import FlopCounterMode

from bbmr.luma import luma
from bbmr.networks import build_network
from bbmr.networks.fast import KNOTS, LEVELS, PIXELS, CodedFast, Fast, FastLuma, as_coded


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


def test_one_for_coded_samples_begins_as_one_for_exact_samples() -> None:
    fast, coded = randomised(Fast(channels=16, pairs=2)), CodedFast(channels=16, pairs=2)
    coded.load_state_dict(as_coded(fast.state_dict()))
    pixels, levels = torch.rand(3, PIXELS, 6, 7), torch.randint(LEVELS, (3, 6, 7))
    torch.testing.assert_close(coded(pixels, levels, torch.rand(3, LEVELS)), fast(pixels, levels))


def test_every_quality_of_every_scale_gets_a_response_of_its_own() -> None:
    """At a knot its own; between two of them what lies between their tables.  That of other scales does not matter."""
    coded = randomised(CodedFast(channels=8, pairs=1))
    pixels = torch.rand(1, PIXELS, 4, 4)
    for level in range(LEVELS):
        levels, qualities = torch.full((1, 4, 4), level), torch.rand(1, LEVELS)
        for quality in (0.0, 1 / (KNOTS - 1), 0.37, 1.0):
            qualities[0, level] = quality
            place = quality * (KNOTS - 1)
            below = min(int(place), KNOTS - 2)
            by_hand = Fast(channels=8, pairs=1)
            state = coded.state_dict()
            for key in ("head_bias", "body.0.bias", "body.0.gain"):
                table = state[key].view(LEVELS, KNOTS, -1)
                state[key] = torch.lerp(table[:, below], table[:, below + 1], place - below)
            by_hand.load_state_dict(state)
            torch.testing.assert_close(coded(pixels, levels, qualities), by_hand(pixels, levels))


def test_pictures_of_a_batch_have_their_own_qualities() -> None:
    coded = randomised(CodedFast(channels=8, pairs=1))
    pixels, levels, qualities = torch.rand(2, PIXELS, 4, 4), torch.randint(LEVELS, (2, 4, 4)), torch.rand(2, LEVELS)
    both = coded(pixels, levels, qualities)
    for one in range(2):
        alone = coded(pixels[one : one + 1], levels[one : one + 1], qualities[one : one + 1])
        torch.testing.assert_close(both[one : one + 1], alone)


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
