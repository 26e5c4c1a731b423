"""A report on disk: one HTML file, Markdown with its pictures beside it, a CSV file for each table."""

from collections.abc import Iterable
from pathlib import Path

from bbmr.atomic import OutputError, replacing
from bbmr.evaluation.report.document import Document
from bbmr.evaluation.report.figures import Figure
from bbmr.evaluation.report.html import to_html
from bbmr.evaluation.report.markdown import to_markdown
from bbmr.evaluation.report.names import bounded
from bbmr.evaluation.report.table import Table

HTML, MARKDOWN = "report.html", "results.md"
BESIDE = "results"
"""Folder of what the Markdown shows, and of the CSV files."""
LIST = ".written"
"""In that folder: names of the files that reports have written there, one a line."""

_SUFFIXES = {".csv", ".png", ".svg"}


def write_report(document: Document, folder: Path) -> list[Path]:
    """Write report.html, results.md and, in the folder `results`, pictures and tables; replaces those of a run before.

    The HTML and the Markdown come last: until all they speak of is there, those of the run before remain.  Then what
    that run wrote into `results` and this one has no more goes away, by the list `results/.written`; other files stay.
    Returns what was written, HTML and Markdown first.  Raises OutputError where the folder does not take it.
    """
    beside = folder / BESIDE
    mains = {
        folder / HTML: _encoded(to_html(document)),
        folder / MARKDOWN: _encoded(to_markdown(document, BESIDE)),
    }
    items: dict[Path, bytes] = {}
    for item in document.items:
        if isinstance(item, Table):
            items[beside / f"{bounded(item.name)}.csv"] = _encoded(item.to_csv())
        else:
            items[beside / item.file] = item.png() if isinstance(item, Figure) else _encoded(item.svg)
    try:
        beside.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{beside}: this folder cannot be made ({error.strerror})") from error
    now, before = {path.name for path in items}, _listed(beside)
    _list(beside, now | before)  # first: a run that is stopped here leaves no file that no list knows
    for path, data in (*items.items(), *reversed(mains.items())):
        _write(path, data)
    for name in before - now:
        _remove(beside / name)
    _list(beside, now)
    return [*mains, *items]


def _encoded(text: str) -> bytes:
    return text.encode(errors="replace")  # names of files that are no UTF-8 have parts that cannot be written


def _listed(beside: Path) -> set[str]:
    path = beside / LIST
    try:
        names = path.read_text("utf-8", errors="replace").splitlines() if path.exists() else []
    except OSError as error:
        raise OutputError(f"{path}: cannot be read ({error.strerror}); remove it") from error
    return {name for name in names if Path(name).name == name and Path(name).suffix in _SUFFIXES}


def _list(beside: Path, names: Iterable[str]) -> None:
    _write(beside / LIST, "".join(f"{name}\n" for name in sorted(names)).encode())


def _write(path: Path, data: bytes) -> None:
    try:
        with replacing(path, overwrite=True) as file:
            file.write(data)
    except OSError as error:  # of looking whether the path is free
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from error


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: of an earlier report, cannot be removed ({error.strerror})") from error
