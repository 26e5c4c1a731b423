import torch
from torch import Tensor, nn

from bbmr.networks import build_network
from bbmr.training.muon import MuonWithAdamW, split_parameters


def test_muon_steps_are_orthogonal() -> None:
    """Newton-Schulz only approximates: singular values of the step lie between 0.6 and 1.3 of its length."""
    torch.manual_seed(0)
    weights = [nn.Parameter(torch.zeros(8, 4, 3, 3)) for _ in range(2)] + [nn.Parameter(torch.zeros(40, 4, 3, 3))]
    for weight in weights:
        weight.grad = torch.randn_like(weight)
    MuonWithAdamW(weights, [], lr=1.0).step()
    for weight, longest in zip(weights, (36, 36, 40), strict=True):
        singular = torch.linalg.svdvals(weight.detach().flatten(1)) / (0.2 * longest**0.5)
        assert float(singular.min()) > 0.6
        assert float(singular.max()) < 1.3


def test_the_rest_is_stepped_by_adamw() -> None:
    ours, theirs = (nn.Parameter(torch.linspace(-1, 1, 7)) for _ in range(2))
    optimisers = (
        MuonWithAdamW([], [ours], lr_rest=0.1, betas=(0.8, 0.9), weight_decay=0.3),
        torch.optim.AdamW([theirs], lr=0.1, betas=(0.8, 0.9), weight_decay=0.3),
    )
    for _ in range(5):
        for parameter, optimiser in zip((ours, theirs), optimisers, strict=True):
            parameter.grad = parameter.detach() ** 2
            optimiser.step()
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_muon_is_for_what_mixes_channels() -> None:
    """Not for depth-wise convolutions, tables and embeddings, though those have two dimensions or more as well."""
    network = build_network("omnisr-light-x4").network
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    matrices, rest = ({names[id(parameter)] for parameter in part} for part in split_parameters(network))
    assert matrices.isdisjoint(rest)
    assert matrices | rest == set(names.values())
    table = {name for name in rest if "rel_pos_bias" in name}
    depthwise = {name for name, p in network.named_parameters() if p.ndim == 4 and p.shape[1] == 1}
    assert len(table) == 2
    assert len(depthwise) == 7
    assert {name for name, p in network.named_parameters() if p.ndim >= 2} - matrices == table | depthwise | {
        name for name in rest if "temperature" in name
    }
    fast = build_network("fast").network
    assert [p.ndim for p in split_parameters(fast)[0]] == 12 * [4]


def test_some_may_take_a_share_of_the_step() -> None:
    """Of Muon's and of AdamW's: as without shares at a smaller rate; the others step as ever."""
    stepped: dict[float, dict[str, Tensor]] = {}
    for share in (1.0, 0.1):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 5))
        for parameter in network.parameters():
            parameter.grad = torch.randn_like(parameter)
        before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
        MuonWithAdamW(*split_parameters(network), shares=dict.fromkeys(network[1].parameters(), share)).step()
        stepped[share] = {name: p.detach() - before[name] for name, p in network.named_parameters()}
    for name, step in stepped[1.0].items():
        torch.testing.assert_close(stepped[0.1][name], step * (0.1 if name.startswith("1.") else 1), rtol=0, atol=1e-7)
