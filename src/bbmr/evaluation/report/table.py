"""A table as data, and as Markdown and CSV."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

Cell = str | int | float | None


@dataclass(frozen=True)
class Column:
    """style: of its numbers, as `format` takes it; empty for words."""

    heading: str
    style: str = ""

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
        escaped = [[text.replace("|", "\\|") for text in row] for row in (headings, rules, *self.texts())]
        return "\n".join(f"| {' | '.join(row)} |" for row in escaped)

    def to_csv(self) -> str:
        """Numbers with all their digits."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([column.heading for column in self.columns])
        writer.writerows(self.rows)
        return text.getvalue()


def slug(text: str) -> str:
    """Text as a part of a file's name or of a link."""
    return "-".join("".join(letter if letter.isalnum() else " " for letter in text.lower()).split())
