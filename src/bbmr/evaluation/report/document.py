"""A report as data: sections of text, tables, plots and figures, in the order they are read."""

from collections.abc import Sequence
from dataclasses import dataclass

from bbmr.evaluation.report.figures import Figure
from bbmr.evaluation.report.names import bounded
from bbmr.evaluation.report.table import Table, slug


@dataclass(frozen=True)
class Plot:
    """svg: the text of an SVG file."""

    name: str
    title: str
    svg: str

    @property
    def file(self) -> str:
        return f"{bounded(self.name)}.svg"


Item = Table | Plot | Figure


@dataclass(frozen=True)
class Section:
    """text: paragraphs."""

    title: str
    text: Sequence[str] = ()
    items: Sequence[Item] = ()

    @property
    def slug(self) -> str:
        """For links to it."""
        return slug(self.title)


@dataclass(frozen=True)
class Document:
    """facts: what was run, when, on what.  problems: pictures that were skipped, pipelines that were left out, figures
    that could not be drawn.  beside: tables that are too long to be read, for CSV files alone.
    """

    title: str
    facts: Sequence[tuple[str, str]]
    sections: Sequence[Section]
    problems: Sequence[str] = ()
    beside: Sequence[Table] = ()

    @property
    def items(self) -> list[Item]:
        """Of all sections, and those beside them."""
        return [item for section in self.sections for item in section.items] + list(self.beside)
