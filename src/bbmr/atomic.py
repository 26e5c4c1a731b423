"""Writing a file whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from bbmr.errors import BbmrError


class OutputError(BbmrError):
    """A file cannot be written: it exists already, or its folder does not take it."""


def check_free(path: Path, overwrite: bool) -> None:
    """Raise OutputError if `path` is a folder, lies in none, or exists while `overwrite` is false."""
    if path.is_dir():
        raise OutputError(f"{path}: this is a folder; give the name of a file")
    if path.exists() and not overwrite:
        raise _taken(path)
    if not path.parent.is_dir():
        raise OutputError(f"{path}: there is no folder {path.parent}; make it first")


@contextmanager
def replacing(path: Path, overwrite: bool = False) -> Iterator[BinaryIO]:
    """Open a new file that takes the place of `path` when the block ends well.

    Until then the bytes lie in a hidden file in the same folder, which goes away if the block raises: `path` holds
    either what it held before or everything that was written.  Raises OutputError as `check_free` does, also for a file
    that appears at `path` meanwhile, and where the system refuses to write.
    """
    check_free(path, overwrite)
    target = path.resolve()  # of a symbolic link, the file that it names
    draft = target.with_name(f".{target.name[:64]}.{secrets.token_hex(4)}.part")
    try:
        with draft.open("xb") as file:  # not tempfile: its files are readable by their owner alone
            yield file
        if overwrite:
            os.replace(draft, target)
        else:
            _place(draft, target)
    except FileExistsError as error:
        raise _taken(path) from error
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error}); check space and rights") from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def _place(draft: Path, target: Path) -> None:
    """Give `draft` the name `target`; FileExistsError if a file has it.  `draft` may remain."""
    try:
        os.link(draft, target)  # the one call that neither replaces a file nor shows half of one
    except FileExistsError:
        raise
    except OSError:  # file systems without links: FAT, some network shares
        target.touch(exist_ok=False)
        try:
            os.replace(draft, target)
        except BaseException:
            target.unlink()
            raise


def _taken(path: Path) -> OutputError:
    return OutputError(f"{path}: exists already; choose another name, or set overwrite (--overwrite)")
