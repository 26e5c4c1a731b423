"""Work on many files: one that fails does not stop the rest, and is named at the end."""

import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import typer

from bbmr.cli.console import FAILED, Reporter, complain, unexpected
from bbmr.cli.files import Sources
from bbmr.errors import BbmrError
from bbmr.progress import Progress

Item = TypeVar("Item")
Record = dict[str, Any]


def run_batch(
    sources: Sources,
    items: Sequence[tuple[Path, Item]],
    work: Callable[[Item, Progress], tuple[Record, Any]],
    report: Reporter,
    debug: bool,
) -> None:
    """Do `work` on every item; print what it returns; raise typer.Exit(1) at the end if anything failed.

    items: each with the input file that it stands for.  work: returns the record for --json and, for people, a line or
    a rich renderable.
    """
    failures = list(sources.problems)
    records: list[Record] = [{"error": problem} for problem in failures]
    for number, (path, item) in enumerate(items, 1):
        title = f"[{number}/{len(items)}] {path.name}" if len(items) > 1 else path.name
        try:
            with report.progress(title) as progress:
                record, shown = work(item, progress)
        except BbmrError as error:
            failures.append(str(error))
            records.append({"input": str(path), "error": str(error)})
        except Exception as error:
            if debug:
                traceback.print_exc()
            failures.append(f"{path}: {unexpected(error)}")
            records.append({"input": str(path), "error": unexpected(error)})
        else:
            records.append(record)
            if isinstance(shown, str):
                report.line(shown)
            else:
                report.table(shown)
    report.document(records if sources.several else records[0])
    if failures:
        if sources.several and items:
            complain(f"{len(failures)} of {len(records)} failed:")
        for failure in failures:
            complain(f"error: {failure}")
        raise typer.Exit(FAILED)
