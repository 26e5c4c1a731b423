"""What became of one input of a verb; an error of it stops at it."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from bbmr.atomic import DiskFullError
from bbmr.cli.console import unexpected
from bbmr.errors import BbmrError
from bbmr.progress import Progress

Item = TypeVar("Item")
Record = dict[str, Any]
Work = Callable[[Item, Progress], tuple[Record, Any]]
"""What a verb does with one input: returns the record for --json and, for people, a line or a rich renderable."""


@dataclass(frozen=True)
class Done:
    """record, shown: as `Work` returns them."""

    record: Record
    shown: Any


@dataclass(frozen=True)
class Kept:
    """The result was there already."""

    record: Record


@dataclass(frozen=True)
class Failed:
    """message: names the file.  reason: the record's `error`.  trace: of an error that nobody foresaw.  in_vain: others
    will fare no better.
    """

    message: str
    reason: str
    trace: str = ""
    in_vain: bool = False


Outcome = Done | Kept | Failed


def attempt(path: Path, item: Item, work: Work[Item], progress: Progress) -> Outcome:
    """Do `work` on the item that stands for the input `path`; whatever it raises, but interrupts, is the outcome."""
    try:
        return Done(*work(item, progress))
    except BbmrError as error:
        return Failed(str(error), str(error), in_vain=isinstance(error, DiskFullError))
    except Exception as error:
        reason = unexpected(error)
        return Failed(f"{path}: {reason}", reason, traceback.format_exc())
