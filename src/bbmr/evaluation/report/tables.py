"""The tables of a report, from what was measured: the paper's 1 to 5, and those of blocks' sides and of efforts."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bbmr.blocks import PAPER_SCALES
from bbmr.catalogue import find_pipeline
from bbmr.evaluation.complexity import count_parameters, networks_of
from bbmr.evaluation.families import Family, Row, peers
from bbmr.evaluation.measurement import Measurement
from bbmr.evaluation.report import paper
from bbmr.evaluation.report.classes import Thresholds, all_psnr, classify
from bbmr.evaluation.report.statistics import Gain, gain, mean, mean_of
from bbmr.evaluation.report.table import Cell, Column, Table, slug
from bbmr.evaluation.results import PictureResults
from bbmr.evaluation.systems import System

_NETWORK, _METHOD = Column("network"), Column("method")
_QUALITY = (
    ("psnr_y", Column("PSNR-Y", ".2f")),
    ("psnr_rgb", Column("PSNR-RGB", ".2f")),
    ("ssim_y", Column("SSIM-Y", ".4f")),
    ("ssim_rgb", Column("SSIM-RGB", ".4f")),
    ("ms_ssim", Column("MS-SSIM", ".5f")),
    ("niqe", Column("NIQE", ".2f")),
    ("pi", Column("PI", ".2f")),
)
"""Field of Measurement, and how it is shown."""
_STORED = (
    ("lr_share", Column("LR pixels", ".5f")),
    ("map_bits", Column("map, bits", ".4f")),
    ("file_bits", Column("file, bits", ".3f")),
)
_SEAMS = (("edge_ratio", Column("edge error", ".3f")),)
_MILLION, _BILLION = 1e6, 1e9


@dataclass(frozen=True)
class Set:
    """A set of pictures and what was measured on them.  slug: for names of files, another for each set."""

    name: str
    slug: str
    pictures: Sequence[PictureResults]


def block_classes(one: Set, family: Family, thresholds: Thresholds) -> Table | None:
    """Table 1; None where the family restores no blocks."""
    if family.block_measure is None:
        return None
    psnr = psnr_of_blocks(one, family)
    scales = [f"x{factor}" for factor in PAPER_SCALES]
    columns = [Column("class"), Column("blocks", "d"), Column("share", ".1%")]
    columns += [Column(scale, ".2f") for scale in scales]
    columns += [Column("paper: share", ".1%"), *(Column(f"paper: {scale}", ".2f") for scale in scales)]
    rows: list[tuple[Cell, ...]] = []
    for group in classify(psnr, thresholds):
        theirs = (paper.TABLE_1[factor].get(group.name) for factor in PAPER_SCALES)
        rows.append((group.name, group.blocks, group.share, *group.psnr, paper.SHARES[group.name], *theirs))
    return Table(
        f"table-1-{one.slug}-{slug(family.title)}",
        f"Blocks by class, {family.title}, {one.name}",
        tuple(columns),
        rows,
        f"Mean PSNR-Y of whole blocks of 128 pixels, the picture restored at each scale. Simple: loses less than "
        f"{thresholds.simple_below:g} dB from x4 to x8; hard: gains more than {thresholds.hard_above:g} dB from x4 to "
        f"x2; medium: the rest. The paper (DIV2K, bicubic, Omni-SR) does not say where it draws these lines, and gives "
        f"two scales of the simple and the hard.",
    )


def psnr_of_blocks(one: Set, family: Family) -> NDArray[np.float64]:
    """PSNR-Y of the whole blocks of all pictures at PAPER_SCALES, (3, blocks)."""
    assert family.block_measure is not None
    return all_psnr([picture.blocks[family.block_measure] for picture in one.pictures])


def methods(one: Set, families: Sequence[Family], with_ma: bool) -> Table:
    """Table 2; with_ma: PI was measured."""
    shown = (*_QUALITY, *_STORED)
    originals = [picture.original for picture in one.pictures if picture.original is not None]
    naturalness = {name: mean(getattr(original, name) for original in originals) for name in ("niqe", "pi")}
    rows: list[tuple[Cell, ...]] = [("–", "original", *(naturalness.get(name) for name, _ in shown))]
    titled = _titled(families, Family.methods)
    rows += [(title, row.name, *_means(one, row.system, shown)) for title, row in titled]
    if not with_ma:
        place = 2 + [name for name, _ in shown].index("pi")
        rows = [(*row[:place], "needs the Ma model", *row[place + 1 :]) for row in rows]
    learned = any(family.learned for family in families)
    return Table(
        f"table-2-{one.slug}",
        f"All methods, {one.name}, {_count(one)}",
        (_NETWORK, _METHOD, *(column for _, column in shown)),
        rows,
        "Means over the pictures; all methods store at most the LR pixels of a uniform x4. PSNR in dB, 100 for a "
        "perfect copy; PSNR-Y and SSIM-Y leave out 4 pixels at the border, those of RGB nothing. NIQE is LIVE's, on "
        "the gray picture; PI takes PIRM's; lower is better. Bits are of the whole lossless file, over HR pixels, and "
        "the map's share of them: equal LR pixels are not equal bytes."
        + (" Gray pictures have bicubic LR planes in rows of Down-Nets too." if learned else "")
        + _missing(one, [row.system for _, row in titled], with_ma),
    )


def _missing(one: Set, systems: Sequence[System], with_ma: bool) -> str:
    """Which measures there are not of all pictures."""
    said = ""
    for name, column in _QUALITY if with_ma else _QUALITY[:-1]:
        known = min(
            sum(getattr(picture.systems[system], name) is not None for picture in one.pictures) for system in systems
        )
        if known < len(one.pictures):
            said += f" {column.heading}: of {known} of the pictures; the others are too small or flat."
    return said


def gains(one: Set, families: Sequence[Family]) -> Table:
    """Table 2 as differences: BBMR over the plain network, beside the paper's."""
    columns = (
        _NETWORK,
        _METHOD,
        *_gain_columns("PSNR-Y", "+.2f"),
        Column("worst", "+.2f"),
        Column("paper: 2K", "+.2f"),
        Column("paper: 4K", "+.2f"),
        *_gain_columns("PSNR-RGB", "+.2f"),
        *_gain_columns("SSIM-Y", "+.4f"),
        *_gain_columns("MS-SSIM, dB", "+.2f"),
        *_gain_columns("NIQE", "+.2f"),
    )
    rows: list[tuple[Cell, ...]] = []
    for family in families:
        for row in family.methods():
            if row.gained_over is None:
                continue
            found = {
                name: gain(one.pictures, row.system, row.gained_over, name)
                for name in ("psnr_y", "psnr_rgb", "ssim_y", "ms_ssim_db", "niqe")
            }
            luma = found.pop("psnr_y")
            theirs: tuple[Cell, ...] = (None, None)
            if family.title in paper.TABLE_2 and row.system.options and row.system.options.allocator == "greedy":
                theirs = tuple(result.gain for result in paper.TABLE_2[family.title])
            worst = luma.worst if luma else None
            others = [cell for one_gain in found.values() for cell in _cells(one_gain)]
            rows.append((family.title, row.name, *_cells(luma), worst, *theirs, *others))
    return Table(
        f"gains-{one.slug}",
        f"BBMR over the same network on whole pictures, {one.name}, {_count(one)}",
        columns,
        rows,
        "Picture by picture, PSNR and MS-SSIM in dB: mean, its standard error (±), and the worst picture. NIQE: lower "
        "is better. The paper's are those of its Algorithm 1 with Joint SR.",
    )


def upscaling(one: Set, families: Sequence[Family]) -> Table:
    """Table 3: what the receiver costs."""
    columns = (
        _NETWORK,
        _METHOD,
        Column("parameters, M", ".3f"),
        Column("MACs, G", ".1f"),
        Column("of whole picture's", ".0%"),
        Column("PSNR-Y", ".2f"),
        Column("restore, s", ".2f"),
    )
    rows: list[tuple[Cell, ...]] = []
    for family in families:
        for row in _without_repeats(one, family.methods()):
            macs = mean_of(one.pictures, row.system, "macs_restore")
            whole = mean_of(one.pictures, row.gained_over, "macs_restore") if row.gained_over else macs
            rows.append(
                (
                    family.title,
                    row.name,
                    _in(_parameters(row.system), _MILLION),
                    _in(macs, _BILLION),
                    macs / whole if macs and whole else None,
                    mean_of(one.pictures, row.system, "psnr_y"),
                    mean_of(one.pictures, row.system, "seconds_restore"),
                )
            )
    for name, (parameters, *macs_of_sets) in paper.TABLE_3.items():
        for label, macs in zip(("Test2K", "Test4K"), macs_of_sets, strict=True):
            rows.append(("paper", f"{name}, {label}", parameters, macs, None, None, None))
    return Table(
        f"table-3-{one.slug}",
        f"Upscaling Module, {one.name}, {_count(one)}",
        columns,
        rows,
        "Multiply-accumulates as torch counts them, of all that runs for a picture: tiles with their halos, context "
        "around blocks, bicubic steps. Means over the pictures. The paper does not give its sizes, and no size of 2K "
        "or 4K fits its counts: compare ratios.",
    )


def downscaling(one: Set, families: Sequence[Family]) -> Table:
    """Table 4: what it costs the sender to foresee distortions, and what each way gives."""
    columns = (
        _NETWORK,
        _METHOD,
        Column("parameters, M", ".3f"),
        Column("MACs, G", ".1f"),
        Column("of its own network's", ".1%"),
        Column("estimate, s", ".2f"),
        Column("PSNR-Y", ".2f"),
        *_gain_columns("gain", "+.2f"),
    )
    rows: list[tuple[Cell, ...]] = []
    for family in families:
        for row in family.estimators():
            macs = mean_of(one.pictures, row.system, "macs_distortion")
            own = mean_of(one.pictures, row.gained_over, "macs_distortion") if row.gained_over else macs
            rows.append(
                (
                    family.title,
                    row.name,
                    _in(_parameters_of_distortion(row.system), _MILLION),
                    _in(macs, _BILLION),
                    macs / own if macs is not None and own else None,
                    mean_of(one.pictures, row.system, "seconds_distortion"),
                    mean_of(one.pictures, row.system, "psnr_y"),
                    *_cells(gain(one.pictures, row.system, row.gained_over, "psnr_y") if row.gained_over else None),
                )
            )
    for name, figures in paper.TABLE_4.items():
        for label, macs, psnr in zip(("Test2K", "Test4K"), figures[::2], figures[1::2], strict=True):
            rows.append(("paper", f"{name}, {label}", None, macs, None, None, psnr, None, None))
    return Table(
        f"table-4-{one.slug}",
        f"Downscaling Module: what distortions are foreseen by, {one.name}, {_count(one)}",
        columns,
        rows,
        "Gains (±: standard error) are over the network's own distortions. corrected: a light network and a fitted "
        "model; bicubic: bicubic enlargement, which has convolutions but no parameters; helper: the paper's light "
        "networks, which know scales up to 8 alone.",
    )


def steps(one: Set, families: Sequence[Family]) -> Table:
    """Table 5: one step at a time."""
    columns = (
        _NETWORK,
        _METHOD,
        *(column for _, column in (*_QUALITY[:3], *_SEAMS)),
        Column("MACs, G", ".1f"),
        Column("restore, s", ".2f"),
        Column("LR pixels", ".5f"),
        Column("paper: PSNR-Y", ".2f"),
        Column("paper: MACs, G", ".1f"),
    )
    rows: list[tuple[Cell, ...]] = []
    for family in families:
        for row in family.steps():
            measured = _means(one, row.system, (*_QUALITY[:3], *_SEAMS))
            macs = _in(mean_of(one.pictures, row.system, "macs_restore"), _BILLION)
            costs = (macs, *(mean_of(one.pictures, row.system, name) for name in ("seconds_restore", "lr_share")))
            theirs = paper.TABLE_5.get(row.name, (None, None)) if family.title == "Omni-SR" else (None, None)
            rows.append((family.title, row.name, *measured, *costs, *theirs))
    return Table(
        f"table-5-{one.slug}",
        f"Step by step, {one.name}, {_count(one)}",
        columns,
        rows,
        "Edge error: squared error in a band of 4 pixels along inner block edges over that inside the same blocks. "
        "1 means that no seam shows, but busy neighbours reach into smooth blocks: compare rows with blocks of one "
        "side; whole pictures have no edges, and say what the pictures give along those of 128 pixels. Rows of Joint "
        "SR without context, and without deblocking, leave these out as they restore; the weights were trained with "
        "both. The paper's are those of Test4K, of networks that were trained for each row.",
    )


def sides(one: Set, families: Sequence[Family]) -> Table | None:
    """Sides of blocks and sets of scales at the same LR pixels; None where nothing restores small blocks."""
    shown = (*_QUALITY[:2], *_STORED, *_SEAMS)
    columns = (_NETWORK, Column("block / scales"), *(column for _, column in shown))
    rows = [(title, row.name, *_means(one, row.system, shown)) for title, row in _titled(families, Family.sides)]
    if not rows:
        return None
    return Table(
        f"sides-{one.slug}",
        f"Sides of blocks and scales, {one.name}, {_count(one)}",
        columns,
        rows,
        "Least squared error by the default's estimator. Bits are over HR pixels.",
    )


def efforts(one: Set, families: Sequence[Family], chosen: Sequence[int]) -> Table | None:
    """LR samples refined; None where no effort is asked for."""
    if not chosen:
        return None
    shown = (*_QUALITY, *_STORED[::2], ("seconds_compress", Column("compress, s", ".1f")))
    columns = (_NETWORK, _METHOD, *(column for _, column in shown))
    named = _titled(families, lambda family: family.refined(chosen))
    rows = [(title, row.name, *_means(one, row.system, shown)) for title, row in named]
    return Table(f"efforts-{one.slug}", f"Refined LR samples, {one.name}, {_count(one)}", columns, rows)


def every_picture(one: Set, families: Sequence[Family], efforts: Sequence[int]) -> Table:
    """All that was measured of each picture and system, for other people's statistics."""
    kinds: tuple[Callable[[Family], Sequence[Row]], ...]
    kinds = (Family.methods, Family.steps, Family.estimators, Family.sides, lambda family: family.refined(efforts))
    names: dict[System, tuple[str, str]] = {}
    for kind in kinds:
        for title, row in _titled(families, kind):
            names.setdefault(row.system, (title, row.name))
    fields = [column.name for column in dataclasses.fields(Measurement)]
    rows: list[tuple[Cell, ...]] = []
    for picture in one.pictures:
        if picture.original is not None:
            natural = {"niqe": picture.original.niqe, "pi": picture.original.pi}
            rows.append((str(picture.path), "–", "original", "", *(natural.get(name) for name in fields)))
        for system, measured in picture.systems.items():
            rows.append((str(picture.path), *names[system], system.key, *dataclasses.astuple(measured)))
    columns = (Column("picture"), _NETWORK, _METHOD, Column("system"), *(Column(name, "g") for name in fields))
    return Table(f"pictures-{one.slug}", f"Every picture, {one.name}", columns, rows)


def every_block(one: Set, families: Sequence[Family]) -> Table | None:
    """Mean squared luma errors of all whole blocks, for other people's classes; None where they were not measured."""
    columns = [Column("picture"), Column("network"), Column("block", "d")]
    columns += [Column(f"x{factor}", "g") for factor in PAPER_SCALES]
    rows: list[tuple[Cell, ...]] = []
    for family in families:
        for picture in one.pictures:
            if family.block_measure and family.block_measure in picture.blocks:
                blocks = zip(*picture.blocks[family.block_measure].squared_error, strict=True)
                rows += [(str(picture.path), family.title, number, *errors) for number, errors in enumerate(blocks)]
    return Table(f"blocks-{one.slug}", f"Every block, {one.name}", tuple(columns), rows) if rows else None


def _titled(families: Sequence[Family], rows: Callable[[Family], Sequence[Row]]) -> list[tuple[str, Row]]:
    without = [("none", row) for row in peers()] if rows is Family.methods else []
    return without + [(family.title, row) for family in families for row in rows(family)]


def _without_repeats(one: Set, rows: Sequence[Row]) -> list[Row]:
    """A receiver's first row, and those that cost it more or less by over a hundredth of the multiply-accumulates."""
    kept: list[tuple[Row, float]] = []
    for row in rows:
        macs = mean_of(one.pictures, row.system, "macs_restore") or 0.0
        alike = [cost for other, cost in kept if other.system.pipeline == row.system.pipeline]
        if not any(abs(macs - cost) <= macs / 100 for cost in alike):
            kept.append((row, macs))
    return [row for row, _ in kept]


def _means(one: Set, system: System, shown: Sequence[tuple[str, Column]]) -> tuple[float | None, ...]:
    return tuple(mean_of(one.pictures, system, name) for name, _ in shown)


def _gain_columns(heading: str, style: str) -> tuple[Column, Column]:
    return Column(heading, style), Column("±", style.lstrip("+"), f"± {heading}")


def _cells(one: Gain | None) -> tuple[float | None, float | None]:
    return (one.mean, one.error) if one else (None, None)


def _in(value: float | None, unit: float) -> float | None:
    return None if value is None else value / unit


def _count(one: Set) -> str:
    return f"{len(one.pictures)} picture{'s' * (len(one.pictures) != 1)}"


def _parameters(system: System) -> int | None:
    """Of the networks that restore; None where they are a researcher's own."""
    return None if system.own.upscaler else count_parameters(find_pipeline(system.pipeline).networks)


def _parameters_of_distortion(system: System) -> int:
    """Of the networks that the sender foresees distortions by."""
    assert system.options is not None
    pipeline = find_pipeline(system.measured_by or system.pipeline)
    return count_parameters(networks_of(pipeline, system.options.distortion))
