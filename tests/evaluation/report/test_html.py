"""Reports as HTML: one page that needs nothing else, with every item once."""

import re
from base64 import b64decode
from collections import Counter
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from bbmr.evaluation.report.document import Document, Item, Plot, Section
from bbmr.evaluation.report.figures import Figure
from bbmr.evaluation.report.html import to_html
from bbmr.evaluation.report.plots import lines
from bbmr.evaluation.report.table import Column, Table

IMAGE = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
LABEL = 'id="x" href="#y" url(#z)'


class Page(HTMLParser):
    """What a page has: elements, attributes, and text by the element that it stands in."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: Counter[str] = Counter()
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[tuple[str, str]] = []
        self._open = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag] += 1
        self.attributes += [(name, value or "") for name, value in attrs]
        self._open = tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self._open, data.strip()))

    def values(self, *names: str) -> list[str]:
        return [value for name, value in self.attributes if name in names]


@pytest.fixture(scope="module")
def text() -> str:
    svg = lines({"one": [1.0, 2.0], LABEL: [2.0, 1.0]}, ["a", "b"], "across", "up")
    items: list[Item] = [
        Table(
            "t", "A <b>table</b>", (Column("name"), Column("gain", "+.2f")), [("<i>x</i>", 1.0), ("y", None)], "A note"
        ),
        Plot("p", "A plot", svg),
        Plot("q", "Another plot", svg),
        Figure("f", 'A "figure" & <i>more</i>', "A <caption>", IMAGE),
    ]
    sections = [Section("First <section>", ["A paragraph"], items), Section("Second", ["Text alone"])]
    return to_html(Document("<script>alert(1)</script>", [("date", "<today>")], sections, ["a <problem>"]))


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def test_every_item_is_there_once(page: Page) -> None:
    assert [words for tag, words in page.texts if tag == "h3"] == [
        "A <b>table</b>",
        "A plot",
        "Another plot",
        'A "figure" & <i>more</i>',
    ]
    assert (page.elements["table"], page.elements["svg"], page.elements["img"]) == (1, 2, 1)
    assert [words for tag, words in page.texts if tag == "td"] == ["<i>x</i>", "+1.00", "y", "–"]
    for tag, words in (("p", "A note"), ("p", "A paragraph"), ("figcaption", "A <caption>"), ("li", "a <problem>")):
        assert page.texts.count((tag, words)) == 1
    (source,) = page.values("src")
    with Image.open(BytesIO(b64decode(source.removeprefix("data:image/png;base64,")))) as picture:
        np.testing.assert_array_equal(np.asarray(picture), IMAGE)


def test_text_is_no_html(page: Page) -> None:
    assert page.elements["script"] == page.elements["i"] == page.elements["b"] == 0
    assert page.texts.count(("h1", "<script>alert(1)</script>")) == 1
    assert ("dd", "<today>") in page.texts


def test_all_ids_differ_and_all_that_is_referred_to_is_there(page: Page, text: str) -> None:
    ids = page.values("id")
    assert len(ids) > 100  # of two plots
    assert len(set(ids)) == len(ids)
    assert {"t", "p", "q", "f", "first-section", "second"} <= set(ids)
    referred = [value.removeprefix("#") for value in page.values("href", "xlink:href")]
    referred += re.findall(r"url\(#([^)]+)\)", " ".join(value for _, value in page.attributes))
    assert len(referred) > 20
    assert set(referred) <= set(ids)
    assert page.texts.count(("text", LABEL)) == 2


def test_nothing_is_loaded_from_elsewhere(page: Page, text: str) -> None:
    assert all(value.startswith("#") for value in page.values("href", "xlink:href"))
    assert all(value.startswith("data:") for value in page.values("src"))
    assert page.elements["link"] == page.elements["script"] == page.elements["iframe"] == 0
    assert not re.search(r"@import|url\((?!#)", text)
