"""Rows of tables: which systems there are, and that all of them store at most what the plain network does."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from upscaling.tiny_networks import ship, textured, tiny_families

from bbmr import catalogue
from bbmr.errors import BbmrError
from bbmr.evaluation import complexity, systems
from bbmr.evaluation.families import Family, find_families, peers
from bbmr.evaluation.measurement import Bench
from bbmr.evaluation.systems import Own
from bbmr.networks.joint import BAND, CONTEXT
from bbmr.options import PIPELINE_NAMES
from bbmr.picture import Picture
from bbmr.weights import load_weights, weights_index

TABLES = (Family.methods, Family.steps, Family.estimators, Family.sides)


def rows_of(family: Family) -> list[str]:
    return [row.name for table in TABLES for row in table(family)]


def test_every_family_has_its_yardstick() -> None:
    families, left_out = find_families(["mosaic-fast", "downnet-mosaic-fast", "joint-omnisr"])
    assert [family.title for family in families] == ["fast", "Down-Net + fast", "Omni-SR"]
    assert [family.plain for family in families] == ["plain-x4", "downnet-plain-x4", "plain-omnisr"]
    assert families[2].separate is None  # it was not asked for
    assert not left_out
    for family in families:
        plain, *others = family.methods()
        assert plain.system.options is None
        assert {row.gained_over for row in others} == {plain.system}


def test_pipelines_without_weights_are_left_out_by_name(fast_alone: None) -> None:
    families, left_out = find_families(PIPELINE_NAMES)
    assert [family.title for family in families] == ["fast"]
    assert any(line.startswith("joint-craft needs weights") for line in left_out)
    with pytest.raises(BbmrError, match="no pipeline is called 'fats'"):
        find_families(["fats"])


def test_keys_tell_systems_apart() -> None:
    families, _ = find_families(PIPELINE_NAMES)
    found = {row.system for family in families for table in TABLES for row in table(family)}
    found |= {row.system for family in families for row in family.refined([2, 5])}
    found |= {row.system for row in peers()}
    assert len({system.key for system in found}) == len(found) > 60


def test_systems_of_a_family(monkeypatch: pytest.MonkeyPatch) -> None:
    networks = tiny_families()
    ship(monkeypatch, networks)
    for module in (systems, complexity):
        monkeypatch.setattr(module, "load_weights", lambda name: networks.get(name) or load_weights(name))
    (family,), _ = find_families(["separate-omnisr", "joint-omnisr", "mosaic-omnisr"])
    assert "+ Algorithm 1, Joint SR, deblocking" in rows_of(family)
    assert "BBMR, Algorithm 1, helper" in rows_of(family)
    picture = Picture(textured(259, 380))
    bench = Bench(picture)
    measured = {row.name: bench.measure(row.system) for row in family.steps()}
    assert all(one.lr_share <= 65 * 95 / (259 * 380) for one in measured.values())
    alone, without, deblocked, seeing = (measured[row.name] for row in family.deblocking())
    assert without.psnr_y != deblocked.psnr_y != seeing.psnr_y
    # Joint SR is given the map of separate blocks, so that both restore the same samples.
    assert alone.file_bits == pytest.approx(without.file_bits, rel=0.01)  # recipes have names of different lengths
    assert without.file_bits == deblocked.file_bits == seeing.file_bits
    # Deblocking: three 3x3 convolutions of 12 channels on the half-size map, once for each strip's rows.
    assert without.macs_restore is not None
    assert deblocked.macs_restore is not None
    assert deblocked.macs_restore - without.macs_restore == 3 * 12 * 12 * 9 * (3 * 64) * (3 * 64)
    assert (BAND, CONTEXT) == (4, 4)  # what the names of the rows take for granted


def test_shared_distortions_are_those_of_each_row() -> None:
    picture = Picture(np.random.default_rng(0).integers(0, 256, (90, 130, 3), np.uint8))
    (family,), _ = find_families(["mosaic-fast"])
    bench = Bench(picture)
    for row in (*family.estimators(), *family.sides()):
        shared, _ = bench.restored(row.system)
        np.testing.assert_array_equal(shared.scales, row.system.compress(picture, None, "cpu").scales)


def test_parts_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "family_parts.py").write_text(
        "import torch\nfrom bbmr.downscaling import bicubic_planes\n"
        "def enlarge(lr, scale):\n    return torch.nn.functional.interpolate(lr, scale_factor=scale)\n"
        "def four(lr, scale):\n    return enlarge(lr, scale)\n"
        "four.scales = (4,)\n"
        "def shrink(colour, factors):\n    return bicubic_planes(colour, factors)\n"
        "def middle(errors, pixels, costs, scales, budget):\n    return (errors[0] * 0 + scales.index(4)).astype(int)\n"
    )
    usual, own = find_families(["mosaic-fast"], Own(upscaler="family_parts:enlarge", downscaler="family_parts:shrink"))[
        0
    ]
    assert (usual.title, own.title) == ("fast", "family_parts:enlarge, LR by family_parts:shrink")
    assert all(row.system.own == own.own for row in own.methods())
    assert {row.system.options.distortion for row in own.sides() if row.system.options} == {"network"}
    _, only_four = find_families(["mosaic-fast"], Own(upscaler="family_parts:four"))[0]
    assert [row.name for row in only_four.methods()] == ["whole picture at x4"]

    first, second = find_families(["mosaic-fast", "downnet-mosaic-fast"], Own(downscaler="family_parts:shrink"))[0][-2:]
    assert (first.title, second.title) == ("Down-Net + fast", "fast, LR by family_parts:shrink")
    (family,) = find_families(["mosaic-fast"], Own(allocator="family_parts:middle"))[0]
    by_own = family.methods()[-2:]
    assert [row.name for row in by_own] == ["BBMR: family_parts:middle", "mosaic, blocks of 16: family_parts:middle"]
    picture = Picture(textured(256, 256))
    for row, side in zip(by_own, (128, 16), strict=True):
        rescaled, _ = Bench(picture).restored(row.system)
        assert (set(rescaled.blocks), rescaled.grid.side) == ({4}, side)
    for row in first.methods()[:1] + own.methods() + own.sides() + second.methods():
        assert Bench(picture).measure(row.system).lr_share <= 1 / 16


@pytest.mark.parametrize(
    ("weights", "decided_by"),
    [
        ("luma-fast", "distortion corrected"),
        ("omnisr-light-x4", "distortion helper"),
        ("omnisr-x2", "measured by separate-omnisr"),
        ("joint-omnisr", "joint-omnisr"),
        ("mosaic-fast", "downnet-mosaic-fast"),  # of gray pictures
    ],
)
def test_all_weights_decide(weights: str, decided_by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    families, _ = find_families(["joint-omnisr", "downnet-mosaic-fast"])
    found = {row.system for family in families for row in family.estimators()}
    before = {system: system.fingerprint for system in found}
    index = weights_index()
    altered = index | {weights: replace(index[weights], sha256="ab" * 32)}
    for module in (systems, catalogue):
        monkeypatch.setattr(module, "weights_index", lambda: altered)
    other = {system.key for system in found if system.fingerprint != before[system]}
    assert other
    assert other == {system.key for system in found if decided_by in system.key}


def test_digests_of_all_that_decides() -> None:
    families, _ = find_families(["mosaic-fast", "downnet-mosaic-fast"])
    plain, downnet = (family.methods() for family in families)
    pipeline = catalogue.PIPELINES["mosaic-fast"]
    assert plain[1].system.fingerprint == pipeline.weights_digest  # by the network's own distortions
    assert plain[-1].system.fingerprint.startswith(pipeline.weights_digest + " ")  # and by a fitted model
    assert len(downnet[1].system.fingerprint.split()) == 3  # restorer, filters, and what restores gray pictures
    fingerprints = {row.system.fingerprint for row in peers()}
    assert len(fingerprints) == 2
    assert all(fingerprints)


def test_weights_make_a_family_by_their_name() -> None:
    *_, family = find_families(["mosaic-fast"], Own(upscaler="mosaic-fast"))[0]
    bench = Bench(Picture(textured(200, 200)))
    for row in family.methods():
        shipped = replace(row.system, own=Own())
        found, expected = bench.measure(row.system), bench.measure(shipped)
        if row.system.options and row.system.options.distortion == "network":
            assert (found.psnr_y, found.lr_share) == (expected.psnr_y, expected.lr_share)
    *_, plain = find_families(["mosaic-fast"], Own(upscaler="omnisr-x4"))[0]
    assert [row.name for row in plain.methods()] == ["whole picture at x4"]
