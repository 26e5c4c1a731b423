"""`fast-coded-fine`: `fast-coded` on the H/4 grid, and after it the same kind of network on the H/2 grid.

    pixels (48) ----coarse---- + --pixel shuffle 4, unshuffle 2--> 12 --fine--> 12 --shuffle 2, unshuffle 4---- + --> 48
              \\_____________/ \\___________________________________________________________________________/

A position of the H/4 grid holds 48 numbers, which 48 channels can only just hand on.  That is enough where they come
from few LR samples, but at scale 1 all of them are the codec's own, and what it left in each has to be told apart.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from bbmr.networks.fast import POSITION, CodedFast

_FINE = 2  # pixels per side of a position of the finer grid
_TIMES = POSITION // _FINE
COARSE = "coarse."
"""What the keys of the part on the H/4 grid begin with in a state."""


class CodedFine(nn.Module):
    """Takes and gives what `CodedFast` does; 70 thousand multiply-accumulates per pixel at its default size, 54 of them
    on the finer grid.
    """

    def __init__(self, channels: int = 48, pairs: int = 5, fine_channels: int = 48, fine_pairs: int = 5) -> None:
        super().__init__()
        self.coarse = CodedFast(channels, pairs)
        self.fine = CodedFast(fine_channels, fine_pairs, 3 * _FINE**2)

    @property
    def reach(self) -> int:
        """As `Fast.reach`, in positions of the H/4 grid."""
        return self.coarse.reach + -(-self.fine.reach // _TIMES)

    def forward(self, pixels: Tensor, levels: Tensor, qualities: Tensor) -> Tensor:
        coarse: Tensor = self.coarse(pixels, levels, qualities)
        finer = F.pixel_unshuffle(F.pixel_shuffle(pixels + coarse, POSITION), _FINE)
        finer_levels = levels.repeat_interleave(_TIMES, 1).repeat_interleave(_TIMES, 2)
        correction = self.fine(finer, finer_levels, qualities)
        return coarse + F.pixel_unshuffle(F.pixel_shuffle(correction, _FINE), POSITION)
