"""Names: short enough for file systems, and shown by Markdown as they are, by a CommonMark parser's own reading."""

from html import unescape
from re import sub

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bbmr.evaluation.report.names import bounded, escape_markdown

GITHUB = MarkdownIt("gfm-like", {"linkify": False})
BAD = [
    "a|b [x](y) <i>",
    "![x](y)",
    "**bold** _x_ `code` ~~gone~~",
    "# heading #",
    "- item",
    "+ Algorithm 1",
    "1. first",
    "12) twelfth",
    "---",
    "===",
    "> quote",
    "&lt; &#35; R&D",
    "back\\slash \\| end\\",
    "a $x$ b",
    "```",
    "<!-- x -->",
]


def shown(html: str) -> str:
    """Words of a line of HTML that has no other element than those around it."""
    return unescape(sub(r"^<(\w+)>(.*)</\1>$", r"\2", html.strip()))


@pytest.mark.parametrize("text", BAD)
def test_markdown_shows_the_text(text: str) -> None:
    escaped = escape_markdown(text)
    assert shown(GITHUB.render(escaped)) == text
    assert shown(GITHUB.render(f"## {escaped}")) == text
    assert f"<li>{shown_as_html(text)}</li>" in GITHUB.render(f"- {escaped}")
    assert f"<td>{shown_as_html(text)}</td>" in GITHUB.render(f"| a |\n| --- |\n| {escaped} |")


def shown_as_html(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


@given(st.text("ab1 \\`*_{}[]()<>#+-.!|~&$;=:'\"", min_size=1, max_size=12).map(lambda text: " ".join(text.split())))
def test_markdown_shows_any_text(text: str) -> None:
    assert shown(GITHUB.render(f"a {escape_markdown(text)}")) == f"a {text}".strip()
    assert shown(GITHUB.render(escape_markdown(text))) == text


def test_one_line() -> None:
    assert escape_markdown("photo\n# of\r\n mine\t") == "photo # of mine"


@pytest.mark.parametrize("text", ["+5.90 dB", "-0.07", "2x plain-fast, 0.5 (paper: 1 to 2)!", "R&D"])
def test_plain_text_stays(text: str) -> None:
    assert escape_markdown(text) == text


def test_bounded() -> None:
    assert bounded("crops-photo") == "crops-photo"
    assert bounded("a" * 120) == "a" * 120
    for letter in "aé写𝐀":
        one, other = bounded(letter * 240), bounded(letter * 241)
        assert one != other
        assert one == bounded(letter * 240)
        assert 100 < len(one.encode()) <= 120
        assert one.startswith(letter * 20)
