"""bbmr evaluate: folders of pictures -> a report with the paper's tables and figures."""

import glob
import os
import shlex
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bbmr.cli.console import FAILED, Reporter, UsageError, complain, guarded, version_text
from bbmr.cli.files import find_sources
from bbmr.cli.options import Debug, Device, Json, MaxPixels, Quiet
from bbmr.cores import cores
from bbmr.errors import BbmrError
from bbmr.evaluation.choices import DEFAULT_PIPELINES, HARD_ABOVE, SIMPLE_BELOW, TABLES
from bbmr.extras import require
from bbmr.interrupts import Terminated
from bbmr.options import EFFORTS, PIPELINE_NAMES
from bbmr.progress import Progress

if TYPE_CHECKING:
    from bbmr.evaluation.families import Family
    from bbmr.evaluation.report.contents import Plan
    from bbmr.evaluation.run import News, Outcome

NAME = "evaluate"
EXAMPLES = "\n\n".join(
    (
        "[bold]Examples[/]",
        "bbmr evaluate photos -o report               report/report.html, results.md, CSV files",
        "bbmr evaluate test2k test4k -o report --pipelines joint-omnisr,mosaic-omnisr",
        "bbmr evaluate photos -o report --tables 2,5 --limit 3",
        "bbmr evaluate photos -o report --upscaler my_sr:enlarge      rows of your own network",
        "bbmr evaluate photos -o report --upscaler model.onnx",
        "bbmr evaluate photos -o report --upscaler mine              weights that you trained and imported",
        "bbmr evaluate photos -o report --crop photo.jpg:640,200,256,256",
    )
)
ALL = "all"


@guarded
def run(
    inputs: Annotated[
        list[str], typer.Argument(metavar="DIR", help="Folders of pictures, or patterns; each is a set of its own.")
    ],
    out: Annotated[str, typer.Option("--out", "-o", metavar="DIR", help="Folder of the report.")],
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
        str,
        typer.Option(
            metavar="MODULE:NAME", help="A super-resolution function of your own, an ONNX file, or weights by name."
        ),
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
    title: Annotated[str, typer.Option(metavar="TEXT", help="Of the report.")] = "Evaluation",
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
    if not chosen and not efforts:
        raise UsageError(f"--tables: none is asked for; choose out of {', '.join(TABLES)}")
    if not out:  # an unset variable of a shell; as a path it would be the current folder
        raise UsageError("the name of the output is empty")
    folder = Path(out)
    results = cache or folder / "cache"
    sets, failures = _find_sets(inputs, limit, (folder, results))
    require("evaluate", "matplotlib", "jinja2")

    from bbmr.catalogue import find_sender
    from bbmr.devices import find_device
    from bbmr.evaluation.families import find_families, not_shown
    from bbmr.evaluation.report.compose import compose, raw_tables
    from bbmr.evaluation.report.contents import find_tasks
    from bbmr.evaluation.report.document import Document
    from bbmr.evaluation.report.illustrations import Illustrator
    from bbmr.evaluation.report.write import write_report
    from bbmr.evaluation.run import Settings, evaluate
    from bbmr.evaluation.systems import Own, try_out
    from bbmr.imageio import MAX_PIXELS

    find_device(device)
    names = PIPELINE_NAMES if pipelines == ALL else _listed(pipelines, PIPELINE_NAMES, "--pipelines")
    for name in () if pipelines == ALL else names:
        find_sender(name)  # weights that are missing are an error where they are asked for by name
    own = Own(upscaler, downscaler, allocator)
    families, left_out = find_families(names, own)
    plan = _plan(families, chosen, efforts, (simple_below, hard_above), crop or (), ma_model is not None)
    settings = Settings(
        results,
        str(ma_model or ""),
        device,
        jobs or (cores() if device == "cpu" else 1),
        max_pixels or MAX_PIXELS,
    )
    for one in plan.crops:
        one.check([path for paths in sets.values() for path in paths], settings.max_pixels)
    tasks = find_tasks(plan, settings.ma_model)
    try_out([task.system for task in tasks if task.system], device)
    left_out += [*not_shown(families, own), *plan.not_shown()]
    if not quiet:
        for reason in left_out:
            complain(f"note: {reason}")
    for place in (folder, results):
        _make_folder(place)

    reporter = Reporter(json, quiet)
    with reporter.progress("evaluate") as progress:
        outcome = evaluate(sets, tasks, settings, _Watcher(progress, reporter), Terminated)
        illustrator = Illustrator(
            results / "figures", device, settings.max_pixels, lambda title: progress(f"draw {title}", 1.0)
        )
        sections = compose(plan, outcome, illustrator)
        failures += [failure for group in outcome.failures.values() for failure in group]
        problems = [*failures, *illustrator.problems, *left_out]
        document = Document(
            title, _facts(outcome, len(failures), device), sections, problems, raw_tables(plan, outcome)
        )
        written = write_report(document, folder)
    for path in written[:2]:
        reporter.line(str(path))
    reporter.document(
        {
            "written": [str(path) for path in written],
            "pictures": {name: len(pictures) for name, pictures in outcome.sets.items()},
            "failed": failures,
            "left_out": [*illustrator.problems, *left_out],
        }
    )
    if failures:
        complain(f"{len(failures)} skipped, {sum(map(len, outcome.sets.values()))} measured:")
        for failure in failures:
            complain(f"error: {failure}")
        raise typer.Exit(FAILED)


def _plan(
    families: "Sequence[Family]",
    tables: Sequence[str],
    efforts: str,
    thresholds: tuple[float, float],
    crops: Sequence[str],
    with_ma: bool,
) -> "Plan":
    from bbmr.evaluation.report.classes import Thresholds
    from bbmr.evaluation.report.contents import Plan
    from bbmr.evaluation.report.illustrations import Crop

    numbers = [int(effort) for effort in _listed(efforts, list(map(str, EFFORTS[1:])), "--efforts")]
    try:
        return Plan(families, tables, numbers, Thresholds(*thresholds), list(map(Crop.parse, crops)), with_ma)
    except BbmrError as error:
        raise UsageError(str(error)) from error


class _Watcher:
    """Shows how far an evaluation is: a bar where someone looks, else a line for each picture."""

    def __init__(self, progress: Progress, reporter: Reporter) -> None:
        self._progress, self._reporter = progress, reporter

    def __call__(self, news: "News") -> None:
        share = news.done / max(1, news.total)
        self._progress(f"{news.picture}: {news.doing}", share)
        if news.complete and not sys.stderr.isatty():
            self._reporter.line(f"{share:.0%} {news.picture}: {news.doing}")


def _facts(outcome: "Outcome", skipped: int, device: str) -> list[tuple[str, str]]:
    import torch

    pictures = ", ".join(f"{name} ({len(found)})" for name, found in outcome.sets.items())
    conditions = {one for found in outcome.sets.values() for picture in found for one in picture.conditions}
    return [
        ("date", datetime.now(UTC).date().isoformat()),
        ("command", shlex.join(["bbmr", *sys.argv[1:]])),
        ("pictures", pictures),
        ("skipped", str(skipped)),
        ("software", f"bbmr {version_text()}, torch {torch.__version__}"),
        ("device", _device_name(device)),
        ("seconds", f"wall-clock; pictures {'; '.join(sorted(conditions)) or 'none'}"),
    ]


def _listed(text: str, choices: Sequence[str], option: str) -> list[str]:
    """Names with commas between them, each once.  Raises UsageError for others than `choices`."""
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if name not in choices:
            raise UsageError(f"{option} {name}: there is no such; choose out of {', '.join(choices)}")
    return names


def _find_sets(
    inputs: Sequence[str], limit: int | None, outputs: Sequence[Path]
) -> tuple[dict[str, list[Path]], list[str]]:
    """The pictures of each folder or pattern, under a name of its own, and of single files under one.

    outputs: folders whose pictures are none of them.  Returns arguments without any picture too.  Raises UsageError for
    what does not exist, and where there is no picture at all.
    """
    from bbmr.imageio import READ_SUFFIXES

    made = [path.resolve() for path in outputs]
    found: dict[str, list[Path]] = {}
    problems: list[str] = []
    for argument, name in zip(inputs, _names(inputs), strict=True):
        if not os.path.exists(argument) and not glob.has_magic(argument):
            raise UsageError(f"{argument}: there is no such folder, or none that you may enter; name others")
        sources = find_sources([argument], READ_SUFFIXES)
        problems += sources.problems
        paths = [source.path for source in sources.files]
        inside = [
            path for path in paths if not any(Path(os.path.realpath(path)).is_relative_to(folder) for folder in made)
        ]
        found.setdefault(name, []).extend(inside)
    sets = {name: paths[:limit] for name, paths in found.items() if paths}
    if not sets:
        raise UsageError("; ".join(problems) or "no pictures but those of the report itself")
    return sets, problems


def _names(inputs: Sequence[str]) -> list[str]:
    """What the set of each argument is called: a folder by its name, with its parent's where two have the same."""
    folders = [Path(argument).resolve() for argument in inputs if os.path.isdir(argument)]
    names = []
    for argument in inputs:
        path = Path(argument)
        if os.path.isdir(path):
            same = [folder for folder in folders if folder.name == path.resolve().name]
            names.append("/".join(path.resolve().parts[-2 if len(set(same)) > 1 else -1 :]))
        else:
            names.append("pictures" if os.path.exists(path) else argument)
    return names


def _make_folder(path: Path) -> None:
    """Raise OutputError, before long work, where it does not take files."""
    from bbmr.atomic import OutputError, replacing

    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: this folder cannot be made ({error.strerror}); choose another") from error
    trial = path / ".trial"
    with replacing(trial, overwrite=True) as file:
        file.write(b"")
    trial.unlink()


def _device_name(device: str) -> str:
    """The name of the GPU or CPU, as far as the system says it."""
    import platform

    import torch

    if torch.device(device).type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    if device != "cpu":
        return device
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
