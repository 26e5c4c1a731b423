"""Which rows each table has: the systems of a network in all its uses, from plain super-resolution to the mosaic."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from bbmr.blocks import BLOCK_SIDES, PAPER_SCALES, PAPER_SIDE, SCALES
from bbmr.catalogue import PIPELINES, find_sender
from bbmr.errors import BbmrError
from bbmr.evaluation.systems import BICUBIC, FACTOR, LANCZOS, NOTHING_OWN, Own, System
from bbmr.networks.joint import BAND
from bbmr.options import BICUBIC_MOSAIC, LEARNED, PIPELINE_CHOICES, PLAIN_PIPELINE, SR_FAMILIES, TUNES, Options
from bbmr.weights import weights_index

FAST = "fast"


@dataclass(frozen=True)
class Row:
    """A system under the name that a table gives it; gained_over: the one that its gain is held against."""

    name: str
    system: System
    gained_over: System | None = None


@dataclass(frozen=True)
class Family:
    """A network's pipelines, those of them that are asked for and have weights.

    plain: the whole picture at x4.  separate, joint: blocks of 128 pixels, each alone or by Joint SR.  mosaic: one pass
    over all blocks.  learned: on LR planes of Down-Nets.  own: parts in place of theirs.  scales: that the mosaic
    restores.  alone: what restores blocks alone, asked for or not, and so tells what they lose.
    """

    title: str
    plain: str | None
    separate: str | None = None
    joint: str | None = None
    mosaic: str | None = None
    learned: bool = False
    own: Own = NOTHING_OWN
    scales: tuple[int, ...] = SCALES
    alone: str | None = None

    @property
    def blockwise(self) -> str | None:
        """What restores the paper's blocks: its Joint SR, else what there is."""
        return self.joint or self.separate or self.mosaic

    @property
    def block_measure(self) -> str | None:
        """Whose network tells what a block loses at each scale, alone where it restores blocks alone."""
        return None if self.own.upscaler or self.own.downscaler else self.alone or self.blockwise

    @property
    def has_crops(self) -> bool:
        """Whether there is something to show side by side: whole pictures and blocks."""
        return self.plain is not None and self.blockwise is not None

    @property
    def whole(self) -> Row | None:
        """The yardstick of the family: its network on the whole picture at x4."""
        if self.plain is None:
            return None
        return Row("whole picture at x4", System(self.plain, own=self._without_allocator))

    @property
    def _without_allocator(self) -> Own:
        return replace(self.own, allocator="")

    def methods(self) -> list[Row]:
        """Table 2: plain, blocks as the paper has them, and the mosaic, whose default comes last."""
        plain = self.whole
        rows = [plain] if plain else []
        over = plain.system if plain else None
        if self.blockwise:
            rows.append(Row("BBMR: Algorithm 1", self.paper(self.blockwise, "greedy"), over))
            rows.append(Row("BBMR: least squared error", self.paper(self.blockwise, "optimal"), over))
        if self.mosaic:
            for tune in TUNES[::-1]:
                rows.append(Row(f"mosaic, blocks of {min(BLOCK_SIDES)}, {tune}", self.small_blocks(tune=tune), over))
        if self.own.allocator and self.blockwise:
            system = replace(self.paper(self.blockwise, "optimal"), own=self.own)
            rows.append(Row(f"BBMR: {self.own.allocator}", system, over))
        if self.own.allocator and self.mosaic:
            system = replace(self.small_blocks(), own=self.own)
            rows.append(Row(f"mosaic, blocks of {min(BLOCK_SIDES)}: {self.own.allocator}", system, over))
        return rows

    def steps(self) -> list[Row]:
        """Table 5: one step at a time from the plain network to what is best."""
        rows = [self.whole] if self.whole else []
        if self.separate:
            rows.append(Row("cut into blocks, each alone", System(self.separate, own=self._without_allocator)))
        elif self.mosaic:
            rows.append(Row("weights for all maps, uniform map", System(self.mosaic, own=self._without_allocator)))
        for allocator, name in (("greedy", "Algorithm 1"), ("optimal", "least squared error")):
            if self.separate:
                rows.append(Row(f"+ {name}, blocks alone", self.paper(self.separate, allocator)))
            if self.joint:
                joint = self.paper(self.joint, allocator)
                if allocator == "greedy":
                    rows.append(Row(f"+ {name}, Joint SR", replace(joint, joint=(0, 0))))
                    rows.append(Row(f"+ {name}, Joint SR, deblocking", replace(joint, joint=(BAND, 0))))
                rows.append(Row(f"+ {name}, Joint SR, deblocking, context", joint))
            if self.mosaic and (allocator == "optimal" or not (self.separate or self.joint)):
                rows.append(Row(f"+ {name}, mosaic", self.paper(self.mosaic, allocator)))
        if self.mosaic:
            for tune in TUNES[::-1]:
                name = f"+ blocks of {min(BLOCK_SIDES)}, scales 1 to {max(self.scales)}, mosaic, {tune}"
                rows.append(Row(name, self.small_blocks(tune=tune)))
        return rows

    def deblocking(self) -> list[Row]:
        """Figure 5: the steps that seams go away by."""
        if self.joint is None:
            return []
        greedy = [row for row in self.steps() if row.system.options and row.system.options.allocator == "greedy"]
        return [row for row in greedy if row.system.pipeline in (self.separate, self.joint)]

    def estimators(self) -> list[Row]:
        """Table 4: what the sender may foresee distortions by."""
        if self.own.upscaler:  # which nothing was fitted to, and which has no helper
            return []
        rows: list[Row] = []
        if self.blockwise:
            kinds = self._distortions(self.blockwise)
            rows += _by_distortion("BBMR, Algorithm 1", [self.paper(self.blockwise, "greedy", kind) for kind in kinds])
        if self.mosaic:
            kinds = self._distortions(self.mosaic)
            name = f"mosaic, blocks of {min(BLOCK_SIDES)}"
            rows += _by_distortion(name, [self.small_blocks(distortion=kind) for kind in kinds])
        return rows

    def sides(self) -> list[Row]:
        """Blocks of every side with the paper's scales and with all, at the same LR pixels."""
        if self.mosaic is None:
            return []
        return [
            Row(f"{side} / {', '.join(map(str, scales))}", self.small_blocks(side, scales))
            for side in sorted(BLOCK_SIDES, reverse=True)
            for scales in dict.fromkeys((PAPER_SCALES, self.scales))
        ]

    def refined(self, efforts: Sequence[int]) -> list[Row]:
        """LR samples refined for longer and longer."""
        rows: list[Row] = []
        if not efforts:
            return rows
        for effort in (0, *efforts):
            if self.plain:
                rows.append(Row(f"whole picture at x4, effort {effort}", System(self.plain, effort=effort)))
            if self.mosaic:
                for tune in TUNES[::-1]:
                    system = self.small_blocks(tune=tune)
                    assert system.options is not None
                    system = replace(system, options=replace(system.options, effort=effort))
                    rows.append(Row(f"mosaic, blocks of {min(BLOCK_SIDES)}, {tune}, effort {effort}", system))
        return rows

    def paper(self, pipeline: str, allocator: str, distortion: str = "network") -> System:
        """Blocks of 128 pixels at 2, 4, 8.  Joint SR is given the maps of separate blocks, so that both restore the
        same samples.
        """
        options = Options(
            block=PAPER_SIDE,
            scales=PAPER_SCALES,
            distortion=distortion,
            allocator=allocator,
            tune="psnr",
            pipeline=pipeline,
        )
        # Down-Nets of Joint SR make other planes than those of separate blocks.
        shared = pipeline == self.joint and distortion == "network" and not self.learned
        measured_by = (self.alone or "") if shared else ""
        return System(pipeline, options, own=self._without_allocator, measured_by=measured_by)

    def small_blocks(
        self,
        side: int = min(BLOCK_SIDES),
        scales: tuple[int, ...] = (),
        tune: str = "psnr",
        distortion: str = "",
    ) -> System:
        """The mosaic's, of all its scales unless told; distortions by the default's estimator, or by the network where
        that is the user's own.
        """
        assert self.mosaic is not None
        options = Options(
            block=side,
            scales=scales or self._foreseen_by(distortion),
            tune=tune,
            distortion=distortion or ("network" if self.own.upscaler else "corrected"),
            pipeline=self.mosaic,
        )
        return System(self.mosaic, options, own=self._without_allocator)

    def _foreseen_by(self, distortion: str) -> tuple[int, ...]:
        """The mosaic's scales, as far as an estimator knows them; at scale 1 nothing is lost."""
        assert self.mosaic is not None
        known = (1, *PIPELINE_CHOICES[self.mosaic].helper_scales) if distortion == "helper" else self.scales
        return tuple(factor for factor in self.scales if factor in known)

    def _distortions(self, pipeline: str) -> list[str]:
        """What a pipeline's distortions can be foreseen by, its own network first."""
        helper = set(PIPELINES[pipeline].helper)
        kinds = ["network"]
        if helper and helper <= set(weights_index()):
            kinds.append("helper")
        if pipeline == self.mosaic:
            kinds.append("corrected")
        return [*kinds, "bicubic"]


def _by_distortion(name: str, systems: Sequence[System]) -> list[Row]:
    """The first is by the network's own, which the others are held against."""
    own, *others = systems
    names = [f"{name}, {system.options.distortion}" for system in systems if system.options]
    return [Row(names[0], own), *(Row(named, system, own) for named, system in zip(names[1:], others, strict=True))]


def peers() -> list[Row]:
    """What every table is held against: no network at all."""
    return [
        Row("bicubic x4", System(PLAIN_PIPELINE, own=BICUBIC)),
        Row("Lanczos x4, both ways", System(PLAIN_PIPELINE, own=LANCZOS)),
    ]


def find_families(pipelines: Sequence[str], own: Own = NOTHING_OWN) -> tuple[list[Family], list[str]]:
    """The families of some pipelines, each with its yardstick, and what is left out, for want of weights.

    own: parts in place of those of pipelines.  An upscaler makes a family of its own; a downscaler one beside each
    that has bicubic LR planes, or the planes of that upscaler; an allocator a row in each.  Raises BbmrError for
    pipelines that there are not, and for parts that cannot be loaded.
    """
    own.parts()
    asked: dict[tuple[str, str], set[str]] = {}
    for pipeline in pipelines:
        if pipeline not in PIPELINE_CHOICES:
            raise BbmrError(f"no pipeline is called {pipeline!r}; there are: {', '.join(PIPELINE_CHOICES)}")
        learned = LEARNED if pipeline.startswith(LEARNED) else ""
        name = pipeline.removeprefix(learned)
        kind, _, network = name.partition("-")
        asked.setdefault((learned, FAST if name == PLAIN_PIPELINE else network), {"plain"}).add(kind)
    found, left_out = [], []
    for (learned, network), kinds in asked.items():
        family, missing = _family(learned, network, kinds)
        left_out += missing
        if family.plain or family.blockwise:
            found.append(replace(family, own=Own(allocator=own.allocator)))
    return found + _own_families(found, own), left_out


def _family(learned: str, network: str, kinds: Collection[str]) -> tuple[Family, list[str]]:
    """As far as its weights are there, and what is said of the others."""
    present: dict[str, str] = {}
    missing: dict[str, str] = {}
    for kind in ("plain", "separate", "joint", "mosaic"):
        name = learned + (PLAIN_PIPELINE if (kind, network) == ("plain", FAST) else f"{kind}-{network}")
        if name in PIPELINE_CHOICES:
            try:
                find_sender(name)
                present[kind] = name
            except BbmrError as error:
                missing[kind] = str(error)
    title = ("Down-Net + " if learned else "") + SR_FAMILIES.get(network, network)
    plain, separate, joint, mosaic = (
        present.get(kind) if kind in kinds else None for kind in ("plain", "separate", "joint", "mosaic")
    )
    family = Family(title, plain, separate, joint, mosaic, bool(learned), alone=present.get("separate"))
    return family, [reason for kind, reason in missing.items() if kind in kinds]


def _own_families(families: Sequence[Family], own: Own) -> list[Family]:
    if own.upscaler:
        upscaler = own.parts().upscaler
        assert upscaler is not None
        title = own.upscaler + (f", LR by {own.downscaler}" if own.downscaler else "")
        plain = PLAIN_PIPELINE if FACTOR in upscaler.scales else None
        mosaic = BICUBIC_MOSAIC if set(PAPER_SCALES) <= set(upscaler.scales) else None
        family = Family(title, plain, mosaic=mosaic, own=own, scales=upscaler.scales)
        return [family] if plain or mosaic else []
    if own.downscaler:
        return [
            replace(family, title=f"{family.title}, LR by {own.downscaler}", own=own)
            for family in families
            if not family.learned
        ]
    return []


def not_shown(families: Sequence[Family], own: Own) -> list[str]:
    """Why a part of one's own has no row, or not all; empty where it has."""
    reasons = []
    if own.upscaler:
        upscaler = own.parts().upscaler
        assert upscaler is not None
        scales = set(upscaler.scales)
        for needed, rows in (({FACTOR}, "whole pictures"), (set(PAPER_SCALES), "blocks")):
            if not needed <= scales:
                by = ", ".join(map(str, sorted(scales - {1})))
                need = ", ".join(map(str, sorted(needed)))
                reasons.append(f"{own.upscaler} enlarges by {by}; for rows of {rows} it has to by {need}")
    if own.downscaler and not own.upscaler and not any(family.own.downscaler for family in families):
        reasons.append(f"{own.downscaler}: no pipeline here has bicubic LR planes that it could take the place of")
    if own.allocator and not any(row.system.own.allocator for family in families for row in family.methods()):
        reasons.append(f"{own.allocator}: no pipeline here restores blocks whose scales it could choose")
    return reasons
