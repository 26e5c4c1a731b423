"""Results of pictures, and a cache of them that outlives a run: one file of JSON lines for each picture's content.

Each line is written as soon as its result is known; the last one, where a run was killed in the midst of it, is
measured again.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from bbmr.atomic import OutputError
from bbmr.evaluation.measurement import VERSION, BlockErrors, Measurement, Naturalness
from bbmr.evaluation.systems import System

ORIGINAL = "original"


@dataclass(frozen=True)
class Task:
    """Something to measure of a picture: a system; or, where there is none, the blocks of a pipeline at `scales`; or,
    where there is no pipeline either, the original itself.

    fingerprint: digests of what decides the result besides the key.
    """

    system: System | None = None
    blocks_of: str = ""
    scales: tuple[int, ...] = ()
    fingerprint: str = ""

    @property
    def key(self) -> str:
        if self.system is not None:
            return self.system.key
        return f"blocks: {self.blocks_of}; scales {self.scales}" if self.blocks_of else ORIGINAL


@dataclass(frozen=True)
class PictureResults:
    """All that is known of the picture at `path`."""

    path: Path
    systems: Mapping[System, Measurement] = field(default_factory=dict)
    blocks: Mapping[str, BlockErrors] = field(default_factory=dict)
    original: Naturalness | None = None

    @property
    def name(self) -> str:
        return self.path.name


Value = Measurement | BlockErrors | Naturalness


class Cache:
    """The results of one picture's content, in a file of `folder`; one process at a time writes to it."""

    def __init__(self, folder: Path, content: bytes) -> None:
        self._path = folder / f"{sha256(content).hexdigest()[:32]}.jsonl"
        self._known: dict[tuple[str, str], dict[str, Any]] = {}
        text = self._path.read_text("utf-8") if self._path.exists() else ""
        whole = text[: text.rfind("\n") + 1]
        if whole != text:  # killed in the midst of a line
            self._path.write_text(whole, "utf-8")
        for line in whole.splitlines():
            try:
                entry = json.loads(line)
                if entry["version"] == VERSION:
                    self._known[entry["key"], entry["fingerprint"]] = entry["value"]
            except (ValueError, KeyError, TypeError) as error:
                raise OutputError(
                    f"{self._path}: is no cache of results ({error}); remove it, or name another folder with --cache"
                ) from error

    def find(self, task: Task) -> Value | None:
        """None where it is not known."""
        value = self._known.get((task.key, task.fingerprint))
        if value is None:
            return None
        if task.system is not None:
            return Measurement(**value)
        if task.blocks_of:
            return BlockErrors(tuple(value["scales"]), tuple(map(tuple, value["squared_error"])))
        return Naturalness(**value)

    def add(self, task: Task, value: Value) -> None:
        """Raises OutputError where it cannot be written."""
        entry = {"version": VERSION, "key": task.key, "fingerprint": task.fingerprint, "value": asdict(value)}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")
        except OSError as error:
            raise OutputError(f"{self._path}: results cannot be kept ({error.strerror})") from error
        self._known[task.key, task.fingerprint] = asdict(value)
