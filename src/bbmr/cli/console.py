"""What the verbs say, where, and with which exit code: results to stdout, all else to stderr."""

import functools
import json
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, ParamSpec, TextIO

import typer

from bbmr.cli.overview import Overview
from bbmr.errors import BbmrError
from bbmr.interrupts import Terminated
from bbmr.progress import Progress, silent

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

P = ParamSpec("P")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
FAILED, WRONG_USAGE, INTERRUPTED, TERMINATED = 1, 2, 130, 143


class UsageError(BbmrError):
    """The command itself makes no sense; nothing was done."""


class Reporter:
    """Prints for one run of a verb, as far as --json and --quiet let it."""

    def __init__(self, json: bool = False, quiet: bool = False) -> None:
        self.json = json
        self.quiet = quiet
        self._bars: Bars | None = None

    def line(self, text: str) -> None:
        """One line about a result."""
        if not (self.json or self.quiet):
            with self._without_bars():
                typer.echo(printable(text).replace("\n", "\\n"))

    def table(self, table: Any) -> None:
        """A rich renderable about a result."""
        if not (self.json or self.quiet):
            from rich.console import Console

            with self._without_bars():
                Console().print(table)

    def document(self, content: Any) -> None:
        """The one JSON document that --json asks for."""
        if self.json:
            typer.echo(json.dumps(content, indent=2, allow_nan=False))

    @contextmanager
    def progress(self, title: str) -> Iterator[Progress]:
        """A bar on stderr, gone when its work is done; nothing where no one looks."""
        if not self._is_watched:
            yield silent
            return
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
        # stdout stays as it is: it may go into another program.
        with Bars(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as bars:
            task = bars.add_task(escape(printable(title)), total=1.0)

            def show(stage: str, done: float) -> None:
                bars.update(task, completed=done, description=escape(printable(f"{title}: {stage}")))

            yield show

    @contextmanager
    def overview(self, names: Mapping[int, str]) -> Iterator[Overview]:
        """One bar on stderr for all files, see `Overview`, gone in the end; nothing where no one looks."""
        if not self._is_watched:
            yield Overview(names, None)
            return
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars
        from rich.table import Column

        columns = (
            BarColumn(20),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis")),
        )
        with Bars(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as bars:
            self._bars = bars
            try:
                yield Overview(names, bars)
            finally:
                self._bars = None

    @property
    def _is_watched(self) -> bool:
        return not (self.json or self.quiet) and sys.stderr.isatty()

    @contextmanager
    def _without_bars(self) -> Iterator[None]:
        """stdout may be the terminal that shows the bars."""
        if self._bars is None:
            yield
            return
        self._bars.stop()
        try:
            yield
            sys.stdout.flush()
        finally:
            self._bars.start()


def version_text() -> str:
    """The version of this package, as people are told it."""
    try:
        return version("bbmr")
    except PackageNotFoundError:
        return "(not installed, run from its source)"


def complain(text: str) -> None:
    """One line to stderr, whatever --quiet says."""
    print(printable(text), file=sys.stderr)  # typer.echo would go past what keeps a bar and this line apart


def printable(text: str) -> str:
    """Text, which may hold names of files, without characters that a terminal obeys; lines stay."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def unexpected(error: BaseException) -> str:
    """What to say of an error that nobody foresaw."""
    return f"{type(error).__name__}: {error} (unexpected; run with --debug for the trace)"


def guarded(verb: Callable[P, None]) -> Callable[P, None]:
    """Give a verb its exit codes: errors become one line on stderr, and our own warnings too."""

    @functools.wraps(verb)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        def tell(error: BbmrError) -> None:
            """To whoever reads JSON: of one file, or of the run as a whole."""
            Reporter(bool(kwargs.get("json"))).document({"error": str(error)})

        with _warnings_as_notes(quiet=bool(kwargs.get("quiet"))):
            try:
                verb(*args, **kwargs)
            except (typer.Exit, BrokenPipeError):  # a reader that left early (`| head`) is typer's business
                raise
            except UsageError as error:
                tell(error)
                complain(f"error: {error}")
                raise typer.Exit(WRONG_USAGE) from error
            except BbmrError as error:
                if kwargs.get("debug") and error.__cause__ is not None:
                    traceback.print_exc()  # what it was made of: of a plug-in, say
                tell(error)
                complain(f"error: {error}")
                raise typer.Exit(FAILED) from error
            except KeyboardInterrupt as error:
                terminated = isinstance(error, Terminated)
                complain(": ".join(("terminated" if terminated else "interrupted", *map(str, error.args))))
                raise typer.Exit(TERMINATED if terminated else INTERRUPTED) from error
            except Exception as error:
                if kwargs.get("debug"):
                    traceback.print_exc()
                complain(f"error: {unexpected(error)}")
                raise typer.Exit(FAILED) from error

    return run


@contextmanager
def _warnings_as_notes(quiet: bool) -> Iterator[None]:
    def note(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        complain(f"note: {message}")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what other libraries say of their insides
        if not quiet:
            warnings.filterwarnings("always", category=UserWarning, module=r"bbmr\b")
            warnings.showwarning = note
        yield
