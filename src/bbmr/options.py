"""What can be chosen when a picture is compressed, and which choices there are.

Light to import, so that the command line offers these very choices without waiting for torch.
"""

from dataclasses import dataclass, field

from bbmr.allocation.budget import Budget
from bbmr.blocks import BLOCK_SIDES, SCALES
from bbmr.errors import BbmrError

TUNES = ("visual", "psnr")
DISTORTIONS = ("corrected", "bicubic", "network")
ALLOCATORS = ("optimal", "greedy")
DEFAULT_PIPELINE = "mosaic-fast"
PLAIN_PIPELINE = "plain-x4"
PIPELINE_NAMES = (DEFAULT_PIPELINE, PLAIN_PIPELINE)
"""`bbmr.pipeline.PIPELINES` has what they stand for."""
DEFAULT_SCALES = {"optimal": SCALES, "greedy": (2, 4, 8)}
"""By allocator; those of Algorithm 1 are the paper's."""


@dataclass(frozen=True)
class Options:
    """How a picture is compressed.

    block: pixels per side of a block, 16, 32, 64 or 128.  scales: the factors a block may have, out of 1, 2, 4, 8, 16;
    none given means those of DEFAULT_SCALES.  budget: LR pixels that may be stored.  tune: what is minimised, `visual`
    (squared error as the eye weighs it) or `psnr` (squared error); Algorithm 1 has a measure of its own and takes no
    notice.  distortion: where the errors come from.  allocator: `optimal` (least squared error) or `greedy` (Algorithm
    1; three scales).  pipeline: downscaler, restorer and weights.
    Raises BbmrError, naming the option and the choices, for values that do not work.
    """

    block: int = 16
    scales: tuple[int, ...] = ()
    budget: Budget = field(default_factory=Budget)
    tune: str = "visual"
    distortion: str = "corrected"
    allocator: str = "optimal"
    pipeline: str = DEFAULT_PIPELINE

    def __post_init__(self) -> None:
        choices = (
            (self.tune, TUNES, "tune"),
            (self.distortion, DISTORTIONS, "distortion"),
            (self.allocator, ALLOCATORS, "allocator"),
            (self.pipeline, PIPELINE_NAMES, "pipeline"),
        )
        for value, allowed, name in choices:
            if value not in allowed:
                raise BbmrError(f"{name} {value!r} is unknown; choose one of {', '.join(allowed)}")
        if not isinstance(self.block, int) or self.block not in BLOCK_SIDES:
            raise BbmrError(f"block {self.block!r} is not possible; choose one of {', '.join(map(str, BLOCK_SIDES))}")
        if not isinstance(self.budget, Budget):
            raise BbmrError(f"budget {self.budget!r} is not one; give a Budget, such as Budget('x4')")
        if not self.scales:
            object.__setattr__(self, "scales", DEFAULT_SCALES[self.allocator])  # the dataclass is frozen
        self._check_scales()

    @property
    def objective(self) -> str:
        """What the scales are chosen by, as the recipe records it."""
        return "algorithm 1" if self.allocator == "greedy" else self.tune

    def _check_scales(self) -> None:
        if not isinstance(self.scales, tuple) or any(
            not isinstance(factor, int) or factor not in SCALES or self.scales.count(factor) > 1
            for factor in self.scales
        ):
            raise BbmrError(
                f"scales {self.scales!r} are not possible; choose different ones out of {', '.join(map(str, SCALES))}, "
                "such as (2, 4, 8)"
            )
        if self.allocator == "greedy" and len(self.scales) != 3:
            raise BbmrError(f"Algorithm 1 (greedy) trades between three scales; {len(self.scales)} were given")
