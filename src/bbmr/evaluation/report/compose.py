"""From what was measured to a report."""

import math
from collections.abc import Iterable, Sequence

from bbmr.blocks import BLOCK_SIDES
from bbmr.evaluation.families import Family, peers
from bbmr.evaluation.report import tables
from bbmr.evaluation.report.contents import Plan
from bbmr.evaluation.report.document import Item, Plot, Section
from bbmr.evaluation.report.figures import Figure
from bbmr.evaluation.report.illustrations import Illustrator
from bbmr.evaluation.report.plots import histogram, lines, scatter, strips
from bbmr.evaluation.report.statistics import gains_by_picture, mean_of
from bbmr.evaluation.report.table import Table, slug
from bbmr.evaluation.report.tables import Set
from bbmr.evaluation.results import PictureResults
from bbmr.evaluation.run import Outcome
from bbmr.evaluation.systems import System

_BESIDE_THE_PAPER = (
    "The paper tests on 100 photographs each of 2K and 4K, shrunk from DIV8K. A mean PSNR says more about the "
    "photographs than about the method: the same method differs by several dB between two sets, so unless these are "
    "the paper's photographs, absolute values there and here have nothing to say to each other. Nor were the networks "
    "trained alike: the paper's for 1000 epochs on GPUs, those that ship with bbmr for a small part of that "
    "(docs/training.md says how much of it each).",
    "What should agree are differences, since both sides of each are measured on the same photographs with the same "
    "weights: the gain of BBMR over the plain network at the same LR pixels (the paper: +1.06 to +1.97 dB), the loss "
    "by cutting into blocks (0.07 dB), the loss by the light helper (0.12 to 0.21 dB), the price of Joint SR (3 % more "
    "multiply-accumulates, three times the parameters), and deblocking, which hardly changes PSNR and removes seams. "
    "How much a photograph gains depends on how unevenly its detail is spread, so even these means come with the "
    "standard errors beside them. The paper does not give its threshold t of Algorithm 1; here it is 0 dB. Context "
    "around blocks is not in the paper; it is most of what Joint SR costs here, and of what it does to seams.",
)


def compose(plan: Plan, outcome: Outcome, illustrator: Illustrator) -> list[Section]:
    """All sections that the plan asks for and there are results for."""
    sets = _sets(outcome)
    families = plan.families
    found: list[Section] = []
    if not sets:
        return found

    def add(title: str, items: Iterable[Item | None], *text: str) -> None:
        present = [item for item in items if item is not None]
        if present:
            found.append(Section(title, text, present))

    if "2" in plan.tables:
        add("Gains of BBMR over the plain network", (item for one in sets for item in _gains(one, families)))
        add("Table 2: all methods", (item for one in sets for item in _methods(one, families, plan.with_ma)))
    if "1" in plan.tables:
        add("Table 1: blocks by class", (item for one in sets for item in _classes(one, plan)))
    if "3" in plan.tables:
        add("Table 3: Upscaling Module", (tables.upscaling(one, families) for one in sets))
    if "4" in plan.tables:
        add("Table 4: Downscaling Module", (tables.downscaling(one, families) for one in sets))
    if "5" in plan.tables:
        add("Table 5: step by step", (tables.steps(one, families) for one in sets))
    if "sides" in plan.tables:
        add("Sides of blocks and scales", (item for one in sets for item in _sides(one, families)))
    add("Refined LR samples", (tables.efforts(one, families, plan.efforts) for one in sets))
    if "2" in plan.tables:
        add("Figures 1 and 4: crops side by side", _crops(sets, plan, illustrator))
    if "5" in plan.tables:
        add("Figure 5: a block corner without and with deblocking", _corners(sets, families, illustrator))
    found.append(Section("Beside the paper", _BESIDE_THE_PAPER))
    return found


def raw_tables(plan: Plan, outcome: Outcome) -> list[Table]:
    """All that was measured, set by set."""
    found = [tables.every_picture(one, plan.families, plan.efforts) for one in _sets(outcome)]
    blocks = [tables.every_block(one, plan.families) for one in _sets(outcome)]
    return found + [table for table in blocks if table is not None]


def _sets(outcome: Outcome) -> list[Set]:
    """Those that have pictures, each with a slug of its own."""
    found: list[Set] = []
    for name, pictures in outcome.sets.items():
        if pictures:
            same = sum(slug(name) == slug(other.name) for other in found)
            found.append(Set(name, f"{slug(name)}-{same + 1}" if same else slug(name), pictures))
    return found


def _gains(one: Set, families: Sequence[Family]) -> Iterable[Item]:
    yield tables.gains(one, families)
    dots = {}
    for family in families:
        for row in family.methods():
            if row.gained_over is not None:
                values = gains_by_picture(one.pictures, row.system, row.gained_over, "psnr_y")
                dots[f"{family.title}: {row.name}"] = list(values.values())
    if any(dots.values()):
        yield Plot(
            f"gains-plot-{one.slug}",
            f"Gain of each picture, {one.name}",
            strips(dots, "PSNR-Y over the plain network, dB (bar: mean)"),
        )


def _methods(one: Set, families: Sequence[Family], with_ma: bool) -> Iterable[Item]:
    yield tables.methods(one, families, with_ma)
    groups = {"no network": peers()} | {family.title: family.methods() for family in families}
    points: dict[str, dict[str, tuple[float, float]]] = {}
    for title, rows in groups.items():
        points[title] = {}
        for row in rows:
            bits, psnr = (mean_of(one.pictures, row.system, name) for name in ("file_bits", "psnr_y"))
            if bits is not None and psnr is not None:
                points[title][row.name] = (bits, psnr)
    yield Plot(
        f"bits-plot-{one.slug}",
        f"PSNR-Y against bits of the file, {one.name}",
        scatter(points, "bits of the lossless file per HR pixel", "PSNR-Y, dB"),
    )


def _classes(one: Set, plan: Plan) -> Iterable[Item | None]:
    for family in plan.families:
        table = tables.block_classes(one, family, plan.thresholds)
        if table is not None:
            yield table
            psnr = tables.psnr_of_blocks(one, family)
            title = f"What blocks gain and lose, {family.title}, {one.name}"
            yield Plot(f"histogram-{one.slug}-{slug(family.title)}", title, histogram(psnr, plan.thresholds))


def _sides(one: Set, families: Sequence[Family]) -> Iterable[Item | None]:
    yield tables.sides(one, families)
    series: dict[str, list[float | None]] = {}
    for family in families:
        for row in family.sides():
            scales = row.name.partition(" / ")[2]
            series.setdefault(f"{family.title}, {{{scales}}}", []).append(mean_of(one.pictures, row.system, "psnr_y"))
    if series:
        ticks = [str(side) for side in sorted(BLOCK_SIDES, reverse=True)]
        yield Plot(
            f"sides-plot-{one.slug}",
            f"PSNR-Y by side of block, {one.name}",
            lines(series, ticks, "pixels per side of a block", "PSNR-Y, dB"),
        )


def _crops(sets: Sequence[Set], plan: Plan, illustrator: Illustrator) -> Iterable[Figure | None]:
    for family in plan.families:
        if not family.has_crops:
            continue
        best = family.methods()[-1]
        assert best.gained_over is not None
        one, most = _ranked(sets, best.system, best.gained_over, "psnr_y")[0]
        yield illustrator.crops(most, family, set_name=one.name)
        yield illustrator.scale_map(most, family, set_name=one.name)
        for crop in plan.crops:
            for one in sets:
                for picture in filter(lambda picture: crop.shows(picture.path), one.pictures):
                    yield illustrator.crops(picture, family, crop.region, set_name=one.name)


def _corners(sets: Sequence[Set], families: Sequence[Family], illustrator: Illustrator) -> Iterable[Figure | None]:
    for family in families:
        rows = family.deblocking()
        if len(rows) < 2:
            continue
        # Small pictures have no corner with room around it.
        ranked = _ranked(sets, rows[0].system, rows[-1].system, "edge_ratio")
        figures = (illustrator.corner(picture, family, set_name=one.name) for one, picture in ranked)
        yield next((figure for figure in figures if figure is not None), None)


def _ranked(sets: Sequence[Set], system: System, over: System, name: str) -> list[tuple[Set, PictureResults]]:
    """All pictures, with their sets; first the one where a field of `Measurement` is higher by most."""
    pictures = [(one, picture) for one in sets for picture in one.pictures]
    gains = gains_by_picture([picture for _, picture in pictures], system, over, name)
    return sorted(pictures, key=lambda pair: -gains.get(pair[1].path, -math.inf))
