"""The layers of a Down-Net, found again from the filter that it was folded into.

What ships is filters, and training needs layers.  There are many Down-Nets that fold into the same filter; one is as
good as another to begin with.
"""

import torch
from torch import Tensor

from bbmr.downscaling.downnet import DownNet, fold

_SPREAD = 0.05  # of the last layer's weights, which in a new DownNet are 0: what comes before would have no gradient
_ADAM_STEPS, _ADAM_RATE = 1500, 3e-3  # to where the quasi-Newton steps find their way
_LBFGS_STEPS = 6000


def unfold(taps: Tensor, factor: int) -> tuple[DownNet, float]:
    """A DownNet that folds into `taps`, as near as can be found, and what is left over: the squared distance between
    the filters, as a share of that to the bicubic filter.

    taps: (3, 3, 4k, 4k), as `fold` gives them.  Takes seconds, at x16 most of a minute; the same each time.
    """
    wanted = taps.double()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = DownNet(factor).double()
        learned = (fold(network).detach() - wanted).square().sum().clamp(min=1e-12)
        torch.nn.init.normal_(network.last.weight, std=_SPREAD)

    def distance() -> Tensor:
        return (fold(network) - wanted).square().sum() / learned

    adam = torch.optim.Adam(network.parameters(), _ADAM_RATE)
    for _ in range(_ADAM_STEPS):
        adam.zero_grad()
        distance().backward()  # type: ignore[no-untyped-call]
        adam.step()
    lbfgs = torch.optim.LBFGS(
        network.parameters(),
        max_iter=_LBFGS_STEPS,
        history_size=30,
        tolerance_grad=1e-12,
        tolerance_change=1e-16,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        lbfgs.zero_grad()
        left = distance()
        left.backward()  # type: ignore[no-untyped-call]
        return left

    lbfgs.step(closure)  # type: ignore[no-untyped-call]
    return network.float(), distance().item()
