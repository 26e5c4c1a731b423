"""Reports as Markdown: whatever pictures and parts are called, the text has the structure of the report."""

import numpy as np
from markdown_it import MarkdownIt

from bbmr.evaluation.report.document import Document, Item, Plot, Section
from bbmr.evaluation.report.figures import Figure
from bbmr.evaluation.report.markdown import to_markdown
from bbmr.evaluation.report.table import Column, Table

BAD = "a|b [x](y) <i>\n# *z*"
ON_ONE_LINE = "a|b [x](y) <i> # *z*"
IMAGE = np.zeros((4, 4, 3), np.uint8)


def test_names_are_shown_and_not_obeyed() -> None:
    table = Table("t", BAD, (Column("n", "d"),), [(3,)], BAD)
    items: list[Item] = [table, Plot("p", BAD, "<svg/>"), Figure("f", BAD, BAD, IMAGE)]
    document = Document(BAD, [(BAD, BAD)], [Section(BAD, [BAD], items)], [BAD])
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(to_markdown(document, "beside"))
    lines = [token for token in tokens if token.type == "inline"]
    kinds = [child.type for line in lines for child in line.children or ()]
    assert set(kinds) <= {"text", "text_special", "image"}
    texts = ["".join(child.content for child in line.children or ()) for line in lines]
    images = [child for line in lines for child in line.children or () if child.type == "image"]
    assert [image.attrs["src"] for image in images] == ["beside/p.svg", "beside/f.png"]
    assert ["".join(child.content for child in image.children or ()) for image in images] == [ON_ONE_LINE] * 2
    assert texts.count(ON_ONE_LINE) == 9  # title, problem, section, its text, three items, notes, caption
    assert f"{ON_ONE_LINE}: {ON_ONE_LINE}" in texts
    headings = [token.tag for token in tokens if token.type == "heading_open"]
    assert headings == ["h1", "h2", "h2", "h3", "h3", "h3"]


def test_nothing_empty_is_written() -> None:
    document = Document("Title", [("date", "today")], [Section("One", (), [Plot("p", "P", "<svg/>")])])
    assert to_markdown(document, "d") == "# Title\n\n- date: today\n\n## One\n\n### P\n\n![P](d/p.svg)\n"
