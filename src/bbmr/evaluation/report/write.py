"""A report on disk: one HTML file, Markdown with its pictures beside it, a CSV file for each table."""

from pathlib import Path

from bbmr.atomic import OutputError, replacing
from bbmr.evaluation.report.document import Document
from bbmr.evaluation.report.figures import Figure
from bbmr.evaluation.report.html import to_html
from bbmr.evaluation.report.markdown import to_markdown
from bbmr.evaluation.report.table import Table

HTML, MARKDOWN = "report.html", "results.md"
BESIDE = "results"
"""Folder of what the Markdown shows, and of the CSV files."""


def write_report(document: Document, folder: Path) -> list[Path]:
    """Write report.html, results.md and, in the folder `results`, pictures and tables; replaces those of a run before.

    Returns what was written, HTML and Markdown first.  Raises OutputError where the folder does not take it.
    """
    beside = folder / BESIDE
    try:
        beside.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{beside}: this folder cannot be made ({error.strerror})") from error
    contents = {
        folder / HTML: to_html(document).encode(),
        folder / MARKDOWN: to_markdown(document, BESIDE).encode(),
    }
    for item in document.items:
        if isinstance(item, Table):
            contents[beside / f"{item.name}.csv"] = item.to_csv().encode()
        else:
            contents[beside / item.file] = item.png() if isinstance(item, Figure) else item.svg.encode()
    for path, data in contents.items():
        with replacing(path, overwrite=True) as file:
            file.write(data)
    return list(contents)
