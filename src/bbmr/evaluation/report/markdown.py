"""A report as Markdown, with its pictures beside it."""

from bbmr.evaluation.report.document import Document, Section
from bbmr.evaluation.report.figures import Figure
from bbmr.evaluation.report.names import escape_markdown
from bbmr.evaluation.report.table import Table


def to_markdown(document: Document, folder: str) -> str:
    """folder: where its pictures lie, as the Markdown names it.  All text is shown as it is, as in the HTML."""
    facts = [f"- {escape_markdown(name)}: {escape_markdown(value)}" for name, value in document.facts]
    parts = [f"# {escape_markdown(document.title)}", "\n".join(facts)]
    if document.problems:
        parts += ["## What is missing", "\n".join(f"- {escape_markdown(problem)}" for problem in document.problems)]
    for section in document.sections:
        parts += _section(section, folder)
    return "\n\n".join(parts) + "\n"


def _section(section: Section, folder: str) -> list[str]:
    parts = [f"## {escape_markdown(section.title)}", *map(escape_markdown, section.text)]
    for item in section.items:
        title = escape_markdown(item.title)
        parts.append(f"### {title}")
        if isinstance(item, Table):
            parts += [item.to_markdown(), escape_markdown(item.notes)]
        else:
            parts.append(f"![{title}]({folder}/{item.file})")
        if isinstance(item, Figure):
            parts.append(escape_markdown(item.caption))
    return [part for part in parts if part]
