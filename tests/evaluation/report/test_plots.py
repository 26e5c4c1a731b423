"""Plots: well-formed SVG that says what it shows, the same for the same data."""

import sys
from xml.etree import ElementTree

import numpy as np
import pytest

from bbmr.errors import BbmrError
from bbmr.evaluation.report.classes import Thresholds
from bbmr.evaluation.report.plots import histogram, lines, scatter, strips

SVG = "{http://www.w3.org/2000/svg}"


def words(svg: str) -> set[str]:
    root = ElementTree.fromstring(svg[svg.index("<svg") :])
    return {"".join(element.itertext()).strip() for element in root.iter(f"{SVG}text")}


def paths(svg: str, kind: str) -> int:
    return svg.count(f'<g id="{kind}_')


def test_histogram() -> None:
    psnr = np.random.default_rng(0).normal(30, 3, (3, 200))
    svg = histogram(psnr, Thresholds())
    assert {"lost from x4 to x8", "gained from x4 to x2", "% of the blocks"} <= words(svg)
    assert histogram(psnr, Thresholds()) == svg
    assert histogram(psnr[:, :0], Thresholds())  # a set of tiny pictures has no whole block


def test_lines_leave_gaps_out() -> None:
    svg = lines({"one": [1.0, None, 3.0], "<two>": [2.0, 2.5, 2.0]}, ["128", "64", "32"], "side", "dB")
    assert {"one", "<two>", "128", "64", "32", "side", "dB"} <= words(svg)


def test_strips_and_scatter() -> None:
    assert {"first", "second", "gain"} <= words(strips({"first": [1.0, 2.0], "second": [-1.0]}, "gain"))
    groups = {"a": {"plain": (0.5, 30.0), "ours": (0.7, 32.0)}, "b": {"plain": (0.5, 31.0)}}
    svg = scatter(groups, "bits", "PSNR")
    assert {"a", "b", "plain", "ours", "bits", "PSNR"} <= words(svg)


@pytest.mark.filterwarnings("error")
def test_labels_are_shown_as_they_are() -> None:
    names = ["q$_{$.py:up", "_hidden", "<b>&", r"a\$b $x^2$ $", "#1"]
    for svg in (
        lines({name: [1.0, 2.0] for name in names}, ["1", "$2$"], "$across$", "_up"),
        strips({name: [1.0] for name in names} | {"nothing": []}, "$along$"),
        scatter({name: {f"of {name}": (1.0, 2.0)} for name in names}, "a", "b"),
    ):
        assert set(names) <= words(svg)
    assert {"$2$", "$across$", "_up"} <= words(lines({"a": [1.0, 2.0]}, ["1", "$2$"], "$across$", "_up"))
    assert {f"of {name}" for name in names} <= words(svg)
    assert "a? b?" in words(strips({"a\x01 b\udce9": [1.0]}, "dB"))  # neither may stand in XML


def test_every_legend_entry_has_its_own_colour() -> None:
    svg = lines({"_one": [1.0], "two": [2.0]}, ["1"], "a", "b")
    legend = svg[svg.index('id="legend_1"') :].lower()
    assert legend.index("#0072b2") < legend.index("_one<") < legend.index("#d55e00") < legend.index("two<")


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(BbmrError, match=r'matplotlib, which is not installed: pip install "bbmr\[evaluate\]"'):
        strips({"first": [1.0]}, "gain")
