"""Writing a file whole or not at all, also where the process is killed, the disk full or the power cut."""

import errno
import os
import re
import secrets
import stat
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from bbmr.errors import BbmrError

try:
    import fcntl
except ImportError:  # Windows, where nobody can remove a file that is open
    fcntl = None  # type: ignore[assignment]

_DRAFT = re.compile(r"(\..+\.)[0-9a-f]{8}\.part", re.DOTALL)
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_NO_NAME = (errno.ENAMETOOLONG, errno.ELOOP)
_NOT_THERE = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)  # what systems say of a call that they do not have


class OutputError(BbmrError):
    """A file cannot be written: it exists already, or its folder does not take it."""


class DiskFullError(OutputError):
    """There is no space left for a file, nor for others in its place."""


def check_free(path: Path, overwrite: bool) -> None:
    """Raise OutputError if `path` is a folder, lies in none, exists while `overwrite` is false, or cannot be a file."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        if not path.parent.is_dir():
            raise OutputError(f"{path}: there is no folder {path.parent}; make it first") from error
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise OutputError(f"{path}: cannot be written, for its folder takes no files; check rights") from error
        return
    except OSError as error:
        raise _refused(path, error) from error
    except ValueError as error:
        raise OutputError(f"{str(path)!r}: this is no name of a file ({error}); give another") from error
    if stat.S_ISDIR(mode):
        raise OutputError(f"{path}: this is a folder; give the name of a file")
    if not overwrite:
        raise _taken(path)


def check_apart(source: Path, target: Path) -> None:
    """Raise OutputError if `target` is the file that `source` is read from."""
    if is_same(source, target):
        raise OutputError(f"{source}: the result would replace this input; choose another name (--out)")


def is_same(source: Path, target: Path) -> bool:
    """Whether both are one file."""
    try:
        return source.samefile(target)
    except (OSError, ValueError):  # one is not there, or cannot be looked at, as reading and writing will say
        return False


@contextmanager
def replacing(path: Path, overwrite: bool = False) -> Iterator[BinaryIO]:
    """Open a new file that takes the place of `path` when the block ends well.

    Until then the bytes lie in a draft, a hidden file in the same folder, which goes away if the block raises: `path`
    holds either what it held before or everything that was written.  The bytes are on the disk before they get their
    name, and the name is when the block has ended.  A process that is killed leaves a draft at most, see
    `clear_drafts`.  Raises OutputError as `check_free` does, also for a file that appears at `path` meanwhile, and
    where the system refuses to write; DiskFullError where that is for want of space.
    """
    check_free(path, overwrite)
    target = path.resolve()  # of a symbolic link, the file that it names
    try:
        with _drafting(target) as (draft, file):
            yield file
            file.flush()
            _sync(file.fileno())
            if fcntl is None:
                file.close()  # Windows renames no open file
            if overwrite:
                os.replace(draft, target)
            else:
                _place(draft, target)
        _sync_folder(target.parent)
    except FileExistsError as error:
        raise _taken(path) from error
    except OSError as error:
        raise _refused(path, error) from error


def clear_drafts(targets: Iterable[Path]) -> None:
    """Remove the drafts of these files that killed processes left behind.

    Those that a process is writing to stay: it has locked them, and the system unlocks them when it ends, however it
    ends; other containers and, where a network share knows locks, other machines see them too.  Where it knows none,
    all drafts stay.
    """
    names: defaultdict[Path, set[str]] = defaultdict(set)
    for target in targets:
        whole = Path(os.path.realpath(target))  # which, unlike Path.resolve, takes links that go round in circles
        names[whole.parent].add(_start_of_draft(whole))
    for folder, starts in names.items():
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                draft = _DRAFT.fullmatch(entry.name)
                if draft and draft[1] in starts and entry.is_file(follow_symlinks=False):
                    _remove_unless_held(Path(entry))


def _start_of_draft(target: Path) -> str:
    name = target.name.encode(errors="ignore")[:64].decode(errors="ignore")  # bytes, as file systems count them
    return f".{name}."


@contextmanager
def _drafting(target: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A new draft of `target`, locked; it is gone in the end, but for what it was renamed to."""
    while True:
        # A name of its own, so that two processes do not mix their bytes even where there are no locks.
        draft = target.with_name(f"{_start_of_draft(target)}{secrets.token_hex(4)}.part")
        try:
            with draft.open("xb") as file:  # not tempfile: its files are readable by their owner alone
                if _hold(file):
                    yield draft, file
                    return
        finally:
            with suppress(OSError):
                draft.unlink(missing_ok=True)


def _hold(file: BinaryIO) -> bool:
    """Lock a new draft; False if another process took it for a dead one before it was locked."""
    if fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # no locks here: nobody will take it for a dead one
            return True
    return os.fstat(file.fileno()).st_nlink > 0


def _remove_unless_held(draft: Path) -> None:
    with suppress(OSError):
        if fcntl is None:
            draft.unlink()
            return
        with draft.open("r+b") as file:  # network shares lock only what is open for writing
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            draft.unlink()  # while it is locked: see _hold


def _place(draft: Path, target: Path) -> None:
    """Give `draft` the name `target`; FileExistsError if a file has it.  `draft` may remain."""
    try:
        os.link(draft, target)  # the one call that neither replaces a file nor shows half of one
    except FileExistsError:
        raise
    except OSError as error:  # file systems without links: FAT, some network shares
        # What appears between these two calls is replaced.  To take the name first would leave an empty file under it
        # where the process is killed in between.
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from error
        os.rename(draft, target)


def _sync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NOT_THERE:
            raise


def _sync_folder(folder: Path) -> None:
    """What has been renamed in it, to the disk."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:  # Windows opens no folders
        return
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)


def _refused(path: Path, error: OSError) -> OutputError:
    text = f"{path}: cannot be written ({error.strerror or error})"
    if error.errno in _NO_SPACE:
        return DiskFullError(f"{text}; make space")
    return OutputError(f"{text}; {'choose another name' if error.errno in _NO_NAME else 'check space and rights'}")


def _taken(path: Path) -> OutputError:
    return OutputError(f"{path}: exists already; choose another name (--out), or replace it (--overwrite)")
