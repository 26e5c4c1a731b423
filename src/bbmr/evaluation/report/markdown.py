"""A report as Markdown, with its pictures beside it."""

from bbmr.evaluation.report.document import Document, Section
from bbmr.evaluation.report.table import Table


def to_markdown(document: Document, folder: str) -> str:
    """folder: where its pictures lie, as the Markdown names it."""
    parts = [f"# {document.title}", "\n".join(f"- {name}: {value}" for name, value in document.facts)]
    if document.problems:
        parts += ["## What is missing", "\n".join(f"- {problem}" for problem in document.problems)]
    for section in document.sections:
        parts += _section(section, folder)
    return "\n\n".join(parts) + "\n"


def _section(section: Section, folder: str) -> list[str]:
    parts = [f"## {section.title}", *section.text]
    for item in section.items:
        parts.append(f"### {item.title}")
        if isinstance(item, Table):
            parts += [item.to_markdown(), item.notes]
        else:
            parts.append(f"![{item.title}]({folder}/{item.file})")
            parts.append(getattr(item, "caption", ""))
    return [part for part in parts if part]
