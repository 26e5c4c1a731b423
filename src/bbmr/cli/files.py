"""From the arguments of a verb to the files it reads and writes: patterns, folders, names of outputs."""

import glob
import os
import warnings
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from bbmr.atomic import check_apart, check_free
from bbmr.cli.console import UsageError
from bbmr.errors import BbmrError


@dataclass(frozen=True)
class Source:
    """An input file; relative: where it lies below the folder, or the fixed part of the pattern, that named it."""

    path: Path
    relative: Path


@dataclass(frozen=True)
class Sources:
    """All input files of a command; problems: what is wrong with arguments that named none, and with folders."""

    files: tuple[Source, ...]
    problems: tuple[str, ...]
    several: bool
    """Whether the user may expect several files: more than one, or a folder or pattern, however many it holds."""


@dataclass(frozen=True)
class Job:
    """One file to make out of another."""

    source: Path
    target: Path
    in_folder: bool
    """Whether `target` lies in an output folder, which is made as needed."""
    beside: tuple[Path, ...] = ()
    """Files that are read besides `source`."""

    def check(self, overwrite: bool) -> None:
        """Before the work: raise OutputError if its result could not be written, or would replace what is read."""
        for path in (self.source, *self.beside):
            check_apart(path, self.target)
        if not self.in_folder or self.target.parent.is_dir():
            check_free(self.target, overwrite)


def find_sources(arguments: Sequence[str], suffixes: Collection[str]) -> Sources:
    """Expand files, quoted patterns (`**` for any depth) and folders (searched for `suffixes`, at any depth).

    A file named twice counts once, by its own name rather than by a link's, with a UserWarning.  A name that does not
    exist stays: reading it tells what is wrong.  Folders that are linked to below a folder are not searched, with a
    UserWarning.  Raises UsageError for an empty name.
    """
    files: dict[str, Source] = {}
    problems: list[str] = []
    several = len(arguments) > 1
    for argument in arguments:
        _check_name(argument)
        path = Path(argument)
        # os.path answers also where Path raises: names that are too long, rights that are missing, links in circles.
        if os.path.isdir(path):
            several = True
            paths, unreadable = _search(path, suffixes)
            problems += unreadable
            found = [Source(file, file.relative_to(path)) for file in paths]
            if not found and not unreadable:
                what = f"{next(iter(suffixes))} file" if len(suffixes) == 1 else "picture of a known kind"
                problems.append(f"{path}: no {what} in this folder")
        elif glob.has_magic(argument) and not os.path.exists(path):
            several = True
            base = _fixed_part(path)
            names = sorted(glob.glob(argument, recursive=True))
            found = [Source(Path(name), Path(name).relative_to(base)) for name in names if not os.path.isdir(name)]
            if not found:
                problems.append(f"{argument}: no file matches this pattern")
        else:
            found = [Source(path, Path(path.name))]
        for source in found:
            _take(source, files)
    return Sources(tuple(files.values()), tuple(problems), several)


def _take(source: Source, files: dict[str, Source]) -> None:
    """Add a source to those by their real names, unless it is there."""
    real = os.path.realpath(source.path)
    known = files.setdefault(real, source)
    links = [os.path.islink(one.path) for one in (known, source)]
    if known == source or not any(links):
        return
    link, other = (known, source) if links[0] else (source, known)
    files[real] = other
    warnings.warn(f"{link.path}: a link to what {other.path} is too; it counts once", stacklevel=1)


def plan(sources: Sources, out: str | None, suffix: str) -> list[Job]:
    """Where the result of each source goes.

    out: a file for one source; a folder if it is one, ends in a slash, or if there are several sources; None: beside
    each source.  suffix: what outputs end in unless `out` is a file; in place of the source's, or behind it where
    sources differ in nothing else.  Raises UsageError where two sources would make the same file even so.
    """
    _check_out(out)
    into_folder = out is not None and (sources.several or out.endswith(("/", os.sep)) or os.path.isdir(out))
    if out is not None and into_folder and os.path.exists(out) and not os.path.isdir(out):
        raise UsageError(f"{out}: several results need a folder, and this is a file")

    def place(source: Source) -> Path:
        return source.path if out is None else Path(out, source.relative)

    if out is not None and not into_folder:
        return [Job(source.path, Path(out), into_folder) for source in sources.files]
    targets = [place(source).with_suffix(suffix) for source in sources.files]
    several = {target for target, times in Counter(targets).items() if times > 1}
    targets = [
        # A camera's pair, a.jpg and a.heic: with both suffixes.
        Path(f"{place(source)}{suffix}") if target in several else target
        for source, target in zip(sources.files, targets, strict=True)
    ]
    taken: dict[str, Path] = {}
    for source, target in zip(sources.files, targets, strict=True):
        other = taken.setdefault(os.path.realpath(target), source.path)
        if other != source.path:
            raise UsageError(
                f"{other} and {source.path} would both become {target}; run them one by one, with other names after -o"
            )
    return [Job(source.path, target, into_folder) for source, target in zip(sources.files, targets, strict=True)]


def plan_beside(source: str, out: str | None, suffix: str, beside: Sequence[str] = ()) -> tuple[Sources, Job]:
    """The picture that a verb draws of one file: `out`, or beside `source` with `suffix`.

    beside: files that are read besides.  Raises UsageError for an empty name, and unless `out` names a picture that can
    be written.
    """
    from bbmr.imageio import check_writable

    _check_out(out)
    for name in (source, *beside):
        _check_name(name)
    path = Path(source)
    target = Path(out) if out is not None else path.parent / f"{path.stem}{suffix}"
    try:
        check_writable(target)
    except BbmrError as error:
        raise UsageError(str(error)) from error
    job = Job(path, target, in_folder=False, beside=tuple(map(Path, beside)))
    return Sources((Source(path, Path(path.name)),), (), several=False), job


def _check_name(name: str) -> None:
    if not name:  # an unset variable of a shell; as a path it would be the current folder
        raise UsageError("the name of an input is empty")


def _check_out(name: str | None) -> None:
    if name == "":  # likewise
        raise UsageError("the name of the output is empty")


def _search(folder: Path, suffixes: Collection[str]) -> tuple[list[Path], list[str]]:
    """The files below `folder`, and what is wrong with folders there that cannot be read."""
    found: list[Path] = []
    problems: list[str] = []

    def unreadable(error: OSError) -> None:
        path = Path(error.filename)
        problems.append(f"{path}: this folder cannot be read ({error.strerror}); what is in it is left out")

    others: Counter[str] = Counter()
    for parent, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in (Path(parent, name) for name in folders):
            if path.is_symlink():  # it may lead out of the folder, or round in circles
                text = f"{path}: a link to a folder, which is not followed; name it too if it is wanted"
                warnings.warn(text, stacklevel=1)
        for path in (Path(parent, name) for name in sorted(names)):
            if path.name.startswith("."):
                continue
            if path.suffix.lower() in suffixes:
                found.append(path)
            elif path.suffix != ".bbmr":  # what lies beside the pictures that it was made of
                others[path.suffix.lower() or "without a suffix"] += 1
    if others and len(suffixes) > 1:
        told = ", ".join(f"{suffix} {count}" for suffix, count in sorted(others.items()))
        warnings.warn(f"{folder}: left out, of no kind that is read: {told}", stacklevel=1)
    return found, problems


def _fixed_part(pattern: Path) -> Path:
    parts = pattern.parts
    first = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    return Path(*parts[:first])
