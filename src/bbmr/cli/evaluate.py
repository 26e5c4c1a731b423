"""bbmr evaluate: folders of pictures -> a report with the paper's tables and figures."""

import os
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bbmr.cli.console import FAILED, Reporter, UsageError, complain, guarded, version_text
from bbmr.cli.files import find_sources
from bbmr.cli.options import Debug, Device, Json, MaxPixels, Quiet
from bbmr.errors import BbmrError
from bbmr.evaluation.choices import DEFAULT_PIPELINES, HARD_ABOVE, SIMPLE_BELOW, TABLES
from bbmr.options import EFFORTS, PIPELINE_NAMES
from bbmr.progress import Progress

if TYPE_CHECKING:
    from bbmr.evaluation.run import News, Outcome, Settings

NAME = "evaluate"
EXAMPLES = "\n\n".join(
    (
        "[bold]Examples[/]",
        "bbmr evaluate photos -o report               report/report.html, results.md, CSV files",
        "bbmr evaluate test2k test4k -o report --pipelines joint-omnisr,mosaic-omnisr",
        "bbmr evaluate photos -o report --tables 2,5 --limit 3",
        "bbmr evaluate photos -o report --upscaler my_sr:enlarge      rows of your own network",
        "bbmr evaluate photos -o report --upscaler model.onnx",
        "bbmr evaluate photos -o report --crop photo.jpg:640,200,256,256",
    )
)
ALL = "all"


@guarded
def run(
    inputs: Annotated[
        list[str], typer.Argument(metavar="DIR", help="Folders of pictures, or patterns; each is a set of its own.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of the report.")],
    pipelines: Annotated[
        str,
        typer.Option(
            metavar="NAME,...",
            help=f"Whose rows, or {ALL}: those of `bbmr compress --pipeline`. Each has plain super-resolution by the "
            "same network beside it.",
        ),
    ] = ",".join(DEFAULT_PIPELINES),
    tables: Annotated[
        str, typer.Option(metavar="TABLE,...", help="The paper's tables by number; sides: of blocks, and scales.")
    ] = ",".join(TABLES),
    efforts: Annotated[
        str, typer.Option(metavar="N,...", help="A table more: LR samples refined with these efforts.")
    ] = "",
    upscaler: Annotated[
        str, typer.Option(metavar="MODULE:NAME", help="A super-resolution function of your own, or an ONNX file.")
    ] = "",
    downscaler: Annotated[
        str, typer.Option(metavar="MODULE:NAME", help="What makes the LR planes, in place of bicubic.")
    ] = "",
    allocator: Annotated[
        str, typer.Option(metavar="MODULE:NAME", help="What gives blocks their scales; docs/plug-ins.md has examples.")
    ] = "",
    crop: Annotated[
        list[str] | None,
        typer.Option(metavar="PICTURE:X,Y,W,H", help="A crop to show, beside those chosen for their difference."),
    ] = None,
    simple_below: Annotated[
        float, typer.Option(metavar="DB", help="Table 1: a simple block loses less than this from x4 to x8.")
    ] = SIMPLE_BELOW,
    hard_above: Annotated[
        float, typer.Option(metavar="DB", help="Table 1: a hard block gains more than this from x4 to x2.")
    ] = HARD_ABOVE,
    ma_model: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Model of Ma et al. (model.mat, NRQM_model.mat), which PI needs."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Take only the first pictures of each set.")] = None,
    cache: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where results are kept, picture by picture.", show_default="OUT/cache"),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            min=1,
            help="Pictures at the same time. Seconds mean most with 1.",
            show_default="one for each core; 1 on other devices",
        ),
    ] = None,
    device: Device = "cpu",
    max_pixels: MaxPixels = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Measure pipelines on folders of pictures: the paper's tables and figures, as one HTML file, Markdown and CSV.

    Results are kept picture by picture: a run that was stopped goes on where it was. After changes to the code, not the
    weights, give another --cache.
    """
    chosen = _listed(tables, TABLES, "--tables")
    sets, failures = _find_sets(inputs, limit)

    from bbmr.devices import find_device
    from bbmr.evaluation.families import find_families
    from bbmr.evaluation.report.classes import Thresholds
    from bbmr.evaluation.report.compose import compose, raw_tables
    from bbmr.evaluation.report.contents import Plan, find_tasks
    from bbmr.evaluation.report.document import Document
    from bbmr.evaluation.report.illustrations import Crop, Illustrator
    from bbmr.evaluation.report.write import write_report
    from bbmr.evaluation.run import Settings, evaluate
    from bbmr.evaluation.systems import Own, try_out
    from bbmr.imageio import MAX_PIXELS

    find_device(device)
    names = PIPELINE_NAMES if pipelines == ALL else _listed(pipelines, PIPELINE_NAMES, "--pipelines")
    families, left_out = find_families(names, Own(upscaler, downscaler, allocator))
    try:
        plan = Plan(
            families,
            chosen,
            [int(effort) for effort in _listed(efforts, list(map(str, EFFORTS[1:])), "--efforts")],
            Thresholds(simple_below, hard_above),
            [Crop.parse(text) for text in crop or ()],
        )
    except BbmrError as error:
        raise UsageError(str(error)) from error
    settings = Settings(
        cache or out / "cache",
        str(ma_model or ""),
        device,
        jobs or ((os.cpu_count() or 1) if device == "cpu" else 1),
        max_pixels or MAX_PIXELS,
    )
    for one in plan.crops:
        one.check([path for paths in sets.values() for path in paths], settings.max_pixels)
    tasks = find_tasks(plan, settings.ma_model)
    try_out([task.system for task in tasks if task.system], device)
    reporter = Reporter(json, quiet)
    count = sum(map(len, sets.values()))
    with reporter.progress(f"{count} picture{'s' * (count != 1)}") as progress:
        outcome = evaluate(sets, tasks, settings, _Watcher(progress, reporter))
        failures += [failure for group in outcome.failures.values() for failure in group]
        illustrator = Illustrator(
            settings.cache / "figures", device, settings.max_pixels, lambda title: progress(f"draw {title}", 1.0)
        )
        sections = compose(plan, outcome, illustrator)
        facts, problems = _facts(outcome, settings), [*failures, *left_out]
        document = Document("Evaluation", facts, sections, problems, raw_tables(plan, outcome))
        written = write_report(document, out)
    for path in written[:2]:
        reporter.line(str(path))
    reporter.document(
        {
            "written": [str(path) for path in written],
            "pictures": {name: len(pictures) for name, pictures in outcome.sets.items()},
            "failed": failures,
            "left_out": left_out,
        }
    )
    if failures:
        complain(f"{len(failures)} of {count} skipped:" if count > 1 else "skipped:")
        for failure in failures:
            complain(f"error: {failure}")
        raise typer.Exit(FAILED)


class _Watcher:
    """Shows how far an evaluation is: a bar where someone looks, else a line for each picture."""

    def __init__(self, progress: Progress, reporter: Reporter) -> None:
        self._progress, self._reporter = progress, reporter

    def __call__(self, news: "News") -> None:
        share = news.done / max(1, news.total)
        self._progress(f"{news.picture}: {news.doing}", share)
        if news.complete and not sys.stderr.isatty():
            self._reporter.line(f"{share:.0%} {news.picture}: {news.doing}")


def _facts(outcome: "Outcome", settings: "Settings") -> list[tuple[str, str]]:
    import torch

    pictures = ", ".join(f"{name} ({len(found)})" for name, found in outcome.sets.items())
    return [
        ("date", datetime.now(UTC).date().isoformat()),
        ("command", shlex.join(["bbmr", *sys.argv[1:]])),
        ("pictures", pictures),
        ("skipped", str(sum(map(len, outcome.failures.values())))),
        ("software", f"bbmr {version_text()}, torch {torch.__version__}"),
        ("seconds", f"wall-clock, with {settings.jobs} pictures at the same time, on {settings.device}"),
    ]


def _listed(text: str, choices: Sequence[str], option: str) -> list[str]:
    """Names with commas between them, each once.  Raises UsageError for others than `choices`."""
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if name not in choices:
            raise UsageError(f"{option} {name}: there is no such; choose out of {', '.join(choices)}")
    return names


def _find_sets(inputs: Sequence[str], limit: int | None) -> tuple[dict[str, list[Path]], list[str]]:
    """The pictures of each argument, under its name; problems: arguments without any.  Raises UsageError where there is
    no picture at all.
    """
    from bbmr.imageio import READ_SUFFIXES

    sets: dict[str, list[Path]] = {}
    problems: list[str] = []
    for argument in inputs:
        sources = find_sources([argument], READ_SUFFIXES)
        problems += sources.problems
        name = Path(argument).resolve().name if Path(argument).is_dir() else argument
        while sources.files and name in sets:
            name += "'"
        if sources.files:
            sets[name] = [source.path for source in sources.files][:limit]
    if not sets:
        raise UsageError("; ".join(problems))
    return sets, problems
