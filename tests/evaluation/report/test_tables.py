"""Tables of made-up measurements, against sums written out."""

import math
from dataclasses import fields, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import pytest

from bbmr.blocks import PAPER_SCALES
from bbmr.evaluation.families import Family, Row, find_families, peers
from bbmr.evaluation.measurement import BlockErrors, Measurement, Naturalness
from bbmr.evaluation.report import tables
from bbmr.evaluation.report.classes import Thresholds
from bbmr.evaluation.report.contents import Plan, find_tasks
from bbmr.evaluation.report.table import Table
from bbmr.evaluation.report.tables import Set
from bbmr.evaluation.results import PictureResults
from bbmr.evaluation.systems import System
from bbmr.options import PIPELINE_NAMES
from bbmr.weights import weights_index

FAMILIES, _ = find_families(PIPELINE_NAMES)
RNG = np.random.default_rng(0)
EFFORTS = (2, 7)


def measurement() -> Measurement:
    values: dict[str, Any] = {field.name: float(RNG.uniform(1, 50)) for field in fields(Measurement)}
    values |= {name: int(RNG.integers(1, 10**12)) for name in ("macs_distortion", "macs_restore")}
    return Measurement(**values)


def made_up(name: str) -> PictureResults:
    tasks = find_tasks(Plan(FAMILIES, efforts=EFFORTS))
    errors = RNG.uniform(1, 400, (3, 7)).cumsum(0)
    blocks = BlockErrors(PAPER_SCALES, tuple(map(tuple, errors.tolist())))
    systems = {task.system: measurement() for task in tasks if task.system}
    return PictureResults(
        Path(name), systems, {task.blocks_of: blocks for task in tasks if task.blocks_of}, Naturalness(3.5, 2.5)
    )


PICTURES = [made_up("a/one.png"), made_up("b/one.png"), made_up("two.png")]
SET = Set("Test 2K", "test-2k", PICTURES)


def values(system: System, name: str) -> list[float]:
    return [getattr(picture.systems[system], name) for picture in PICTURES]


def cells(table: Table) -> list[dict[str, object]]:
    names = [column.name or column.heading for column in table.columns]
    assert len(set(names)) == len(names)  # a CSV is read by them
    return [dict(zip(names, row, strict=True)) for row in table.rows]


def expect(found: dict[str, object], row: Row, shown: dict[str, str]) -> None:
    for heading, name in shown.items():
        assert found[heading] == pytest.approx(mean(values(row.system, name))), (row.name, heading)


QUALITY = {
    "PSNR-Y": "psnr_y",
    "PSNR-RGB": "psnr_rgb",
    "SSIM-Y": "ssim_y",
    "SSIM-RGB": "ssim_rgb",
    "MS-SSIM": "ms_ssim",
    "NIQE": "niqe",
    "PI": "pi",
}
STORED = {"LR pixels": "lr_share", "map, bits": "map_bits", "file, bits": "file_bits"}


def test_methods() -> None:
    original, *found = cells(tables.methods(SET, FAMILIES, with_ma=True))
    assert (original["NIQE"], original["PI"], original["PSNR-Y"]) == (3.5, 2.5, None)
    rows = [("none", row) for row in peers()] + [(one.title, row) for one in FAMILIES for row in one.methods()]
    for cell, (title, row) in zip(found, rows, strict=True):
        assert (cell["network"], cell["method"]) == (title, row.name)
        expect(cell, row, QUALITY | STORED)
    assert {cell["PI"] for cell in cells(tables.methods(SET, FAMILIES, with_ma=False))} == {"needs the Ma model"}


def test_measures_that_some_pictures_do_not_have_are_named() -> None:
    table = tables.methods(SET, FAMILIES, with_ma=False)
    assert "too small" not in table.notes
    row = FAMILIES[0].methods()[1]
    small = replace(PICTURES[2], systems={**PICTURES[2].systems, row.system: replace(measurement(), niqe=None)})
    table = tables.methods(Set("s", "s", [*PICTURES[:2], small]), FAMILIES, with_ma=False)
    assert "NIQE: of 2 of the pictures; the others are too small or flat." in table.notes
    (found,) = (cell for cell in cells(table) if (cell["network"], cell["method"]) == (FAMILIES[0].title, row.name))
    assert found["NIQE"] == pytest.approx(mean(values(row.system, "niqe")[:2]))


def test_gains() -> None:
    rows = [(one.title, row) for one in FAMILIES for row in one.methods() if row.gained_over]
    found = cells(tables.gains(SET, FAMILIES))
    for cell, (title, row) in zip(found, rows, strict=True):
        assert cell["network"] == title
        assert row.gained_over is not None
        for heading, name in (("PSNR-Y", "psnr_y"), ("SSIM-Y", "ssim_y"), ("NIQE", "niqe")):
            gained = np.subtract(values(row.system, name), values(row.gained_over, name)).tolist()
            assert cell[heading] == pytest.approx(mean(gained))
            assert cell[f"± {heading}"] == pytest.approx(stdev(gained) / math.sqrt(3))
        luma = np.subtract(values(row.system, "psnr_y"), values(row.gained_over, "psnr_y"))
        assert cell["worst"] == pytest.approx(luma.min())
    theirs = {cell["network"]: (cell["paper: 2K"], cell["paper: 4K"]) for cell in found if cell["paper: 2K"]}
    assert theirs["Omni-SR"] == pytest.approx((37.78 - 36.50, 34.30 - 33.15))
    assert theirs["Down-Net + CRAFT"] == pytest.approx((41.43 - 39.46, 38.46 - 36.64))
    assert all("Algorithm 1" in str(cell["method"]) for cell in found if cell["paper: 2K"])


def test_upscaling() -> None:
    found = cells(tables.upscaling(SET, FAMILIES))
    ours = [cell for cell in found if cell["network"] != "paper"]
    rows = [(one.title, row) for one in FAMILIES for row in one.methods()]  # with other costs each, so none is dropped
    index = weights_index()
    for cell, (title, row) in zip(ours, rows, strict=True):
        assert (cell["network"], cell["method"]) == (title, row.name)
        macs = mean(values(row.system, "macs_restore"))
        assert cell["MACs, G"] == pytest.approx(macs / 1e9)
        whole = mean(values(row.gained_over or row.system, "macs_restore"))
        assert cell["of whole picture's"] == pytest.approx(macs / whole)
        expect(cell, row, {"PSNR-Y": "psnr_y", "restore, s": "seconds_restore"})
    assert index["omnisr-x4"].network == "omnisr-x4"
    plain = next(cell for cell in ours if cell["network"] == "Omni-SR")
    assert plain["parameters, M"] == pytest.approx(0.805376)
    assert {"network": "paper", "method": "BBMR-CRAFT, Test4K", "MACs, G": 335.61}.items() <= found[-1].items()


def test_receivers_that_cost_the_same_are_one_row() -> None:
    family = FAMILIES[0]
    plain, *others = family.methods()
    same = {row.system: replace(measurement(), macs_restore=1000 + index) for index, row in enumerate(others)}
    one = replace(PICTURES[0], systems={**PICTURES[0].systems, **same})
    found = cells(tables.upscaling(Set("s", "s", [one]), [family]))
    assert [cell["method"] for cell in found if cell["network"] == "fast"] == [plain.name, others[0].name]
    dear = {**one.systems, others[1].system: replace(measurement(), macs_restore=1500)}
    found = cells(tables.upscaling(Set("s", "s", [replace(one, systems=dear)]), [family]))
    assert [cell["method"] for cell in found if cell["network"] == "fast"] == [row.name for row in (plain, *others[:2])]


def test_downscaling() -> None:
    found = [cell for cell in cells(tables.downscaling(SET, FAMILIES)) if cell["network"] != "paper"]
    rows = [row for one in FAMILIES for row in one.estimators()]
    for cell, row in zip(found, rows, strict=True):
        macs = mean(values(row.system, "macs_distortion"))
        assert cell["MACs, G"] == pytest.approx(macs / 1e9)
        expect(cell, row, {"PSNR-Y": "psnr_y", "estimate, s": "seconds_distortion"})
        if row.gained_over is None:
            assert str(cell["method"]).endswith("network")
            assert cell["of its own network's"] == 1
            assert cell["gain"] is None
        else:
            assert cell["of its own network's"] == pytest.approx(
                macs / mean(values(row.gained_over, "macs_distortion"))
            )
            gained = np.subtract(values(row.system, "psnr_y"), values(row.gained_over, "psnr_y"))
            assert cell["gain"] == pytest.approx(gained.mean())
    parameters = {str(cell["method"]).rpartition(", ")[2]: cell["parameters, M"] for cell in found}
    assert parameters["bicubic"] == 0
    assert parameters["corrected"] == pytest.approx(0.028384)
    assert parameters["helper"] == pytest.approx(0.704940)


@pytest.mark.parametrize(
    ("make", "rows", "shown"),
    [
        (tables.steps, Family.steps, {"PSNR-Y": "psnr_y", "edge error": "edge_ratio", "restore, s": "seconds_restore"}),
        (tables.sides, Family.sides, STORED | {"PSNR-Y": "psnr_y", "edge error": "edge_ratio"}),
        (
            lambda one, families: tables.efforts(one, families, EFFORTS),
            lambda family: family.refined(EFFORTS),
            QUALITY | {"compress, s": "seconds_compress"},
        ),
    ],
)
def test_others(make: object, rows: object, shown: dict[str, str]) -> None:
    assert callable(make)
    assert callable(rows)
    found = cells(make(SET, FAMILIES))
    for cell, (title, row) in zip(found, [(one.title, row) for one in FAMILIES for row in rows(one)], strict=True):
        assert cell["network"] == title
        expect(cell, row, shown)


def test_the_papers_ablation_stands_beside_ours() -> None:
    found = {(cell["network"], cell["method"]): cell for cell in cells(tables.steps(SET, FAMILIES))}
    assert found["Omni-SR", "+ Algorithm 1, Joint SR, deblocking"]["paper: PSNR-Y"] == 34.30
    theirs = [cell for cell in found.values() if cell["paper: PSNR-Y"] is not None]
    assert len(theirs) == 5


def test_classes() -> None:
    family = next(one for one in FAMILIES if one.title == "Omni-SR")
    assert family.block_measure == "separate-omnisr"
    table = tables.block_classes(SET, family, Thresholds(3, 5))
    assert table is not None
    found = cells(table)
    errors = np.concatenate([np.array(one.blocks["separate-omnisr"].squared_error) for one in PICTURES], 1)
    psnr = 10 * np.log10(255**2 / errors)
    simple = psnr[1] - psnr[2] < 3
    hard = (psnr[0] - psnr[1] > 5) & ~simple
    assert [cell["blocks"] for cell in found] == [simple.sum(), (~simple & ~hard).sum(), hard.sum()]
    assert found[1]["x8"] == pytest.approx(psnr[2, ~simple & ~hard].mean())
    assert found[0]["paper: x4"] == 39.02
    assert "less than 3 dB" in table.notes
    assert "more than 5 dB" in table.notes


def test_raw_numbers() -> None:
    found = cells(tables.every_picture(SET, FAMILIES, EFFORTS))
    assert {cell["picture"] for cell in found} == {"a/one.png", "b/one.png", "two.png"}
    by_system = {(cell["picture"], cell["system"]): cell for cell in found}
    for picture in PICTURES:
        for system, measured in picture.systems.items():
            assert by_system[str(picture.path), system.key]["ssim_rgb"] == measured.ssim_rgb
        assert by_system[str(picture.path), ""]["niqe"] == 3.5
    blocks = tables.every_block(SET, FAMILIES)
    assert blocks is not None
    assert len(blocks.rows) == 3 * 7 * len([one for one in FAMILIES if one.block_measure])
