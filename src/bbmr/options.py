"""What can be chosen when a picture is compressed, and which choices there are.

Light to import, so that the command line offers these very choices without waiting for torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from bbmr.allocation.budget import Budget
from bbmr.blocks import BLOCK_SIDES, PAPER_SCALES, SCALES
from bbmr.errors import BbmrError

TUNES = ("visual", "psnr")
DISTORTIONS = ("corrected", "bicubic", "network", "helper")
ALLOCATORS = ("optimal", "greedy")
EFFORTS = range(10)


@dataclass(frozen=True)
class PipelineChoice:
    """What a pipeline is to a user: a line that describes it, and what can be chosen with it.

    blocks: the pixels per side of a block that it restores, its default first.  scales: the factors that it restores.
    uniform: it stores one scale all over and leaves nothing to choose but weights and effort.  helper_scales: those
    that its helper network foresees; none where it has no helper.  networks: how many it restores with.
    """

    summary: str
    blocks: tuple[int, ...] = BLOCK_SIDES
    scales: tuple[int, ...] = SCALES
    uniform: bool = False
    helper_scales: tuple[int, ...] = ()
    networks: int = 1


BICUBIC_MOSAIC = "mosaic-fast"
PLAIN_PIPELINE = "plain-x4"
LEARNED = "downnet-"
"""What the names of pipelines with learned LR planes begin with; the rest is that of the same with bicubic ones."""
DEFAULT_PIPELINE = LEARNED + BICUBIC_MOSAIC
SR_FAMILIES = {"omnisr": "Omni-SR", "craft": "CRAFT"}
"""SR networks that have the same four pipelines, and what people call them."""


def _choices_of(family: str, title: str) -> dict[str, PipelineChoice]:
    return {
        f"mosaic-{family}": PipelineChoice(
            f"each block at its own scale, restored in one pass by {title}", helper_scales=PAPER_SCALES
        ),
        f"plain-{family}": PipelineChoice(
            f"the whole picture at x4 by {title}, a yardstick that takes no options but weights and effort",
            blocks=(128,),
            scales=(4,),
            uniform=True,
        ),
        f"separate-{family}": PipelineChoice(
            f"blocks of 128 at 2, 4, 8, each restored alone by {title}",
            blocks=(128,),
            scales=PAPER_SCALES,
            helper_scales=PAPER_SCALES,
            networks=len(PAPER_SCALES),
        ),
        f"joint-{family}": PipelineChoice(
            f"the paper's Joint SR over {title}, blocks of 128 at 2, 4, 8",
            blocks=(128,),
            scales=PAPER_SCALES,
            helper_scales=PAPER_SCALES,
        ),
    }


BICUBIC_CHOICES = {
    BICUBIC_MOSAIC: PipelineChoice("each block at its own scale, restored in one pass by a small network"),
    PLAIN_PIPELINE: PipelineChoice(
        "the whole picture at x4 by the same network, a yardstick that takes no options but weights and effort",
        blocks=(128,),
        scales=(4,),
        uniform=True,
    ),
    **_choices_of("omnisr", SR_FAMILIES["omnisr"]),
    **_choices_of("craft", SR_FAMILIES["craft"]),
}
"""Pipelines whose LR planes are bicubic."""
PIPELINE_CHOICES: Mapping[str, PipelineChoice] = BICUBIC_CHOICES | {
    LEARNED + name: replace(choice, summary=f"{name} on LR pictures that Down-Net makes")
    for name, choice in BICUBIC_CHOICES.items()
}
"""All pipelines by name; `bbmr.catalogue.PIPELINES` has what they are made of."""
PIPELINE_NAMES = tuple(PIPELINE_CHOICES)
CODED_PIPELINE = "coded-fine"
CODED_CHOICES: Mapping[str, PipelineChoice] = {
    CODED_PIPELINE: PipelineChoice(
        "each block at its own scale, coded with loss, restored in one pass by a small network", blocks=(128, 64)
    ),
    "coded-fast": PipelineChoice("the same by a quarter of its work", blocks=(128, 64)),
    "coded-wide": PipelineChoice("the same by one that is wider, at a quarter of the sides", blocks=(128, 64)),
}
"""Pipelines for LR samples that are coded with loss; `bbmr.coding.options` has what is chosen with them."""
DEFAULT_SCALES = {"optimal": SCALES, "greedy": PAPER_SCALES}
"""By allocator, as far as the pipeline restores them; those of Algorithm 1 are the paper's."""


@dataclass(frozen=True)
class Options:
    """How a picture is compressed.

    block: pixels per side of a block, 16, 32, 64 or 128; 0 means the pipeline's default.  scales: the factors a
    block may have, out of 1, 2, 4, 8, 16; none given means those of DEFAULT_SCALES.  budget: LR pixels that may be
    stored.  tune: what is minimised, `visual` (squared error as the eye weighs it) or `psnr` (squared error);
    Algorithm 1 has a measure of its own and takes no notice.  distortion: where the errors come from.  allocator:
    `optimal` (least squared error) or `greedy` (Algorithm 1; three scales).  pipeline: downscaler, restorer and
    weights, which also decide what else can be chosen; of gray pictures the one without `downnet-` before its name.
    weights: others to restore with, by name, those of several networks joined by +; empty means the pipeline's own;
    with those that have no Down-Nets the default pipeline is `mosaic-fast`.  effort: how long the LR samples are
    refined, from 0, not at all, to 9; `bbmr.refinement.refine.STEPS` has the steps of each.
    Raises BbmrError, naming the option and the choices, for values that do not work.
    """

    block: int = 0
    scales: tuple[int, ...] = ()
    budget: Budget = field(default_factory=Budget)
    tune: str = "visual"
    distortion: str = "corrected"
    allocator: str = "optimal"
    pipeline: str = DEFAULT_PIPELINE
    weights: str = ""
    effort: int = 0

    def __post_init__(self) -> None:
        self._check_names()
        choice = PIPELINE_CHOICES[self.pipeline]
        check_weights_name(self.weights, self.pipeline, choice.networks)
        check_effort(self.effort)
        if choice.uniform and self._differs_from_defaults():
            raise BbmrError(
                f"{self.pipeline} stores a uniform x4 and takes no options but weights and effort; leave the others out"
            )
        # The dataclass is frozen.
        if self.block == 0:
            object.__setattr__(self, "block", choice.blocks[0])
        if not self.scales:
            possible = self._possible_scales()
            object.__setattr__(self, "scales", tuple(k for k in DEFAULT_SCALES[self.allocator] if k in possible))
        self._check_block()
        self._check_scales()
        if not isinstance(self.budget, Budget):
            raise BbmrError(f"budget {self.budget!r} is not one; give text such as 'x4' or '1/16'")

    @property
    def objective(self) -> str:
        """What the scales are chosen by, as the recipe records it."""
        return "algorithm 1" if self.allocator == "greedy" else self.tune

    def _check_names(self) -> None:
        choices = (
            (self.tune, TUNES, "tune"),
            (self.distortion, DISTORTIONS, "distortion"),
            (self.allocator, ALLOCATORS, "allocator"),
            (self.pipeline, PIPELINE_NAMES, "pipeline"),
        )
        for value, allowed, name in choices:
            if value not in allowed:
                raise BbmrError(f"{name} {value!r} is unknown; choose one of {', '.join(allowed)}")
        if self.distortion == "helper" and not PIPELINE_CHOICES[self.pipeline].helper_scales:
            others = ", ".join(name for name in DISTORTIONS if name != "helper")
            raise BbmrError(f"{self.pipeline} has no helper; choose another distortion: {others}")

    def _differs_from_defaults(self) -> bool:
        """Whether anything is chosen that a uniform pipeline would ignore; it does use weights and effort."""
        given = (self.block, self.scales, self.budget, self.tune, self.distortion, self.allocator)
        return given != (0, (), Budget(), Options.tune, Options.distortion, Options.allocator)

    def _possible_scales(self) -> tuple[int, ...]:
        choice = PIPELINE_CHOICES[self.pipeline]
        if self.distortion != "helper":
            return choice.scales
        return tuple(k for k in choice.scales if k == 1 or k in choice.helper_scales)  # scale 1 loses nothing

    def _check_block(self) -> None:
        if not is_a(int, self.block) or self.block not in BLOCK_SIDES:
            raise BbmrError(f"block {self.block!r} is not possible; choose one of {_listed(BLOCK_SIDES)}")
        possible = PIPELINE_CHOICES[self.pipeline].blocks
        if self.block not in possible:
            raise BbmrError(
                f"{self.pipeline} restores blocks of {_listed(possible)} pixels, not of {self.block}; "
                "leave the block out or choose another pipeline"
            )

    def _check_scales(self) -> None:
        if not isinstance(self.scales, tuple) or any(
            not is_a(int, factor) or factor not in SCALES or self.scales.count(factor) > 1 for factor in self.scales
        ):
            raise BbmrError(
                f"scales {self.scales!r} are not possible; choose different ones out of {_listed(SCALES)}, "
                "such as (2, 4, 8)"
            )
        possible = self._possible_scales()
        impossible = tuple(factor for factor in self.scales if factor not in possible)
        if impossible:
            raise BbmrError(
                f"{self.pipeline}{' with its helper' if self.distortion == 'helper' else ''} works at scales "
                f"{_listed(possible)}, not {_listed(impossible)}; leave them out or choose another pipeline"
            )
        if self.allocator == "greedy" and len(self.scales) != 3:
            raise BbmrError(f"Algorithm 1 (greedy) trades between three scales; {len(self.scales)} were given")


def _listed(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers))


def is_a(kind: type, value: object) -> bool:
    """Whether a value is of a kind, and no bool, which is an int to Python."""
    return isinstance(value, kind) and not isinstance(value, bool)


def check_weights_name(weights: str, pipeline: str, networks: int) -> None:
    """Raise BbmrError for what does not name the weights of as many networks as the pipeline restores with."""
    if not isinstance(weights, str):
        raise BbmrError(f"weights {weights!r} are no name; `bbmr weights list` prints those there are")
    if weights and len(weights.split("+")) != networks:
        how = f"the names of {networks} weights, joined by +" if networks > 1 else "one name of weights"
        raise BbmrError(f"weights {weights!r}: {pipeline} takes {how}, or none for its own")


def check_effort(effort: int) -> None:
    """Raise BbmrError for what is none of EFFORTS."""
    if not is_a(int, effort) or effort not in EFFORTS:
        raise BbmrError(f"effort {effort!r} is not possible; choose one from {EFFORTS[0]} to {EFFORTS[-1]}")
