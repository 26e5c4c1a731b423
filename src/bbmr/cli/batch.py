"""Work on many files: one that fails does not stop the rest, and is named at the end."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import typer

from bbmr.cli.console import FAILED, Reporter, complain
from bbmr.cli.files import Sources
from bbmr.cli.outcome import Done, Failed, Item, Kept, Outcome, Record, Work, attempt
from bbmr.cli.workers import PutOff, Stage, by_workers, stages_of
from bbmr.interrupts import Terminated, interrupts_kept, sigterm_interrupts

_Found = Generator[tuple[int, Outcome], None, None]


def run_batch(
    sources: Sources,
    items: Sequence[tuple[Path, Item]],
    work: Work[Item],
    report: Reporter,
    debug: bool,
    known: Mapping[int, Outcome] | None = None,
    jobs: int = 1,
    resumable: bool = False,
    of_failed: Record | None = None,
) -> None:
    """Do `work` on every item; print what it returns; raise typer.Exit(1) at the end if anything failed.

    items: each with the input file that it stands for.  known: what is to be said of some, by index, without any work.
    jobs: how many are worked on at the same time, by a process each; 1: by this one.  resumable: whether the verb has
    --resume.  of_failed: what the records of those that failed have besides.  Where the disk is full, no more files are
    begun.
    """
    outcomes = dict(known or {})
    todo = [index for index in range(len(items)) if index not in outcomes]
    try:
        with (
            sigterm_interrupts(Terminated),
            interrupts_kept() as heed,
            closing(_outcomes(items, todo, work, report, jobs)) as found,
        ):
            for index, outcome in found:
                outcomes[index] = outcome
                match outcome:
                    case Done(shown=str(line)):
                        report.line(line)
                    case Done(shown=table):
                        report.table(table)
                    case Failed(trace=trace) if trace and debug:
                        complain(trace.rstrip())
                heed()
    except KeyboardInterrupt as error:
        report.document(_records(sources, [path for path, _ in items], outcomes, "not done", of_failed))
        if not sources.several:
            raise
        failed = sum(isinstance(outcome, Failed) for outcome in outcomes.values())
        text = f"{len(outcomes) - failed} of {len(items)} done" + (f", {failed} failed" if failed else "")
        raise type(error)(f"{text}; go on with --resume" if resumable else text) from error
    _sum_up(sources, [path for path, _ in items], outcomes, report, resumable, of_failed)


def _outcomes(
    items: Sequence[tuple[Path, Item]], todo: Sequence[int], work: Work[Item], report: Reporter, jobs: int
) -> _Found:
    """Of the items `todo`, by index, as they come; after one that failed in vain no more."""
    if len(todo) == 1:
        path, item = items[todo[0]]
        with report.progress(path.name) as progress:
            outcome = attempt(path, item, work, progress)
        yield todo[0], outcome
        return
    with report.overview({index: items[index][0].name for index in todo}) as overview:

        def told(news: Stage | PutOff) -> None:
            match news:
                case Stage(index, name):
                    overview.working(index, name)
                case PutOff(index):
                    overview.put_off(index)

        found = by_workers(items, todo, work, jobs, told) if jobs > 1 else _here(items, todo, work, told)
        with closing(found):
            for index, outcome in found:
                overview.ended(index, isinstance(outcome, Failed))
                yield index, outcome
                if isinstance(outcome, Failed) and outcome.in_vain:
                    return


def _here(
    items: Sequence[tuple[Path, Item]], todo: Sequence[int], work: Work[Item], told: Callable[[Stage], None]
) -> _Found:
    for index in todo:
        path, item = items[index]
        yield index, attempt(path, item, work, stages_of(index, told))


def _records(
    sources: Sources, paths: Sequence[Path], outcomes: Mapping[int, Outcome], missing: str, of_failed: Record | None
) -> list[Record] | Record:
    """What --json tells: of one input its record, else a list.  missing: what is said of those without an outcome."""
    records: list[Record] = [{"error": problem} for problem in sources.problems]
    for index, path in enumerate(paths):
        match outcomes.get(index):
            case Done(record) | Kept(record):
                records.append(record)
            case Failed(reason=reason):
                records.append({"input": str(path), **(of_failed or {}), "error": reason})
            case None:
                records.append({"input": str(path), "error": missing})
    return records if sources.several else records[0]


def _sum_up(
    sources: Sources,
    paths: Sequence[Path],
    outcomes: Mapping[int, Outcome],
    report: Reporter,
    resumable: bool,
    of_failed: Record | None,
) -> None:
    """Everything about the whole: the JSON document, what was kept, and what failed."""
    failures = [*sources.problems, *(one.message for _, one in sorted(outcomes.items()) if isinstance(one, Failed))]
    kept = sum(isinstance(outcome, Kept) for outcome in outcomes.values())
    left = len(paths) - len(outcomes)
    if kept:
        report.line(f"{kept} {'was' if kept == 1 else 'were'} there already")
    report.document(_records(sources, paths, outcomes, "not begun, for want of space", of_failed))
    if failures:
        if sources.several and paths:
            complain(f"{len(failures)} of {len(sources.problems) + len(paths)} failed:")
        for failure in failures:
            complain(f"error: {failure}")
        if left:
            complain(f"{left} not begun, for want of space" + ("; make some, and go on with --resume" * resumable))
        raise typer.Exit(FAILED)
