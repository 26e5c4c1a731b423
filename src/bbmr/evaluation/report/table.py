"""A table as data, and as Markdown and CSV."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from bbmr.evaluation.report.names import escape_markdown

Cell = str | int | float | None


@dataclass(frozen=True)
class Column:
    """style: of its numbers, as `format` takes it; empty for words.  name: in CSV files, where each has another; empty
    for the heading.
    """

    heading: str
    style: str = ""
    name: str = ""

    def text(self, cell: Cell) -> str:
        """Of a cell; a dash where there is none."""
        if cell is None or (isinstance(cell, float) and math.isnan(cell)):
            return "–"
        return format(cell, self.style) if self.style and not isinstance(cell, str) else str(cell)


@dataclass(frozen=True)
class Table:
    """name: of its CSV file.  notes: what has to be known to read it."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: Sequence[tuple[Cell, ...]]
    notes: str = ""

    def texts(self) -> list[list[str]]:
        """Of all cells."""
        return [[column.text(cell) for column, cell in zip(self.columns, row, strict=True)] for row in self.rows]

    def to_markdown(self) -> str:
        """The table alone, without title and notes."""
        headings = [column.heading for column in self.columns]
        rules = ["---:" if column.style else "---" for column in self.columns]
        rows = [[escape_markdown(text) for text in row] for row in (headings, *self.texts())]
        return "\n".join(f"| {' | '.join(row)} |" for row in (rows[0], rules, *rows[1:]))

    def to_csv(self) -> str:
        """Numbers with all their digits; nothing where there is none."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([column.name or column.heading for column in self.columns])
        for row in self.rows:
            cells = zip(self.columns, row, strict=True)
            writer.writerow([None if column.style and isinstance(cell, str) else cell for column, cell in cells])
        return text.getvalue()


def slug(text: str) -> str:
    """Text as a part of a file's name or of a link."""
    return "-".join("".join(letter if letter.isalnum() else " " for letter in text.lower()).split())
