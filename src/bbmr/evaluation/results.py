"""Results of pictures, and a cache of them that outlives a run: one file of JSON lines for each picture's content.

Each line is written as soon as its result is known; the last one, where a run was killed in the midst of it, is
measured again.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bbmr.atomic import OutputError, replacing
from bbmr.errors import BbmrError
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
    """All that is known of the picture at `path`.  conditions: all that occur among these results, of `Result`."""

    path: Path
    systems: Mapping[System, Measurement] = field(default_factory=dict)
    blocks: Mapping[str, BlockErrors] = field(default_factory=dict)
    original: Naturalness | None = None
    conditions: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return self.path.name


Value = Measurement | BlockErrors | Naturalness


@dataclass(frozen=True)
class Result:
    """A value, and the conditions that its seconds were measured in, as people are told them."""

    value: Value
    conditions: str


@contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Make the folder of a cache, and keep other runs from writing to it.

    Raises BbmrError where one does, OutputError where the folder cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", timeout=0)  # the system's own: it ends with the process
        lock.acquire()
    except Timeout as error:
        raise BbmrError(f"another evaluation is writing to {folder}; wait for it, or give another --cache") from error
    except OSError as error:
        raise OutputError(f"{folder}: results cannot be kept ({error.strerror or error})") from error
    try:
        yield
    finally:
        lock.release()


class Cache:
    """The results of one picture's content on one device, in a file of `folder`; one process at a time writes to it.

    Raises OutputError where the file holds something else, or cannot be read.
    """

    def __init__(self, folder: Path, content: bytes, device: str) -> None:
        self._path = folder / f"{sha256(content).hexdigest()[:32]}.jsonl"
        self._device = device
        self._known: dict[tuple[str, str], Result] = {}
        try:
            data = self._path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise OutputError(f"{self._path}: cannot be read ({error.strerror or error}); check its rights") from error
        end = data.rfind(b"\n") + 1
        whole, rest = data[:end], data[end:]
        kinds = {_version(kind): kind for kind in _KINDS}
        try:
            for line in whole.splitlines():
                self._read(json.loads(line), kinds)
            if rest[: len(_START)] != _START[: len(rest)]:
                raise ValueError("its last line is no result")
        except (ValueError, KeyError, TypeError) as error:
            raise OutputError(
                f"{self._path}: is no cache of results ({error}); remove it, or name another folder with --cache"
            ) from error
        if rest:  # killed in the midst of a line
            with replacing(self._path, overwrite=True) as file:
                file.write(whole)

    def find(self, task: Task) -> Result | None:
        """None where it is not known."""
        return self._known.get((task.key, task.fingerprint))

    def add(self, task: Task, result: Result) -> None:
        """Raises OutputError where it cannot be written."""
        entry = {
            "version": _version(type(result.value)),
            "key": task.key,
            "fingerprint": task.fingerprint,
            "device": self._device,
            "conditions": result.conditions,
            "value": asdict(result.value),
        }
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")
        except OSError as error:
            raise OutputError(f"{self._path}: results cannot be kept ({error.strerror})") from error
        self._known[task.key, task.fingerprint] = result

    def _read(self, entry: Any, kinds: Mapping[str, type[Value]]) -> None:
        """Take an entry for known, if it is of this version and device."""
        kind = kinds.get(entry["version"])
        if kind is None or entry["device"] != self._device:
            return
        value = entry["value"]
        if kind is BlockErrors:
            known: Value = BlockErrors(tuple(value["scales"]), tuple(map(tuple, value["squared_error"])))
        else:
            known = kind(**value)
        self._known[entry["key"], entry["fingerprint"]] = Result(known, entry["conditions"])


_KINDS: tuple[type[Value], ...] = (Measurement, BlockErrors, Naturalness)
_START = b'{"version": '  # of every line


def _version(kind: type[Value]) -> str:
    """What the values of entries have to look like to be taken for this version's."""
    return f"{VERSION}: {','.join(one.name for one in fields(kind))}"
