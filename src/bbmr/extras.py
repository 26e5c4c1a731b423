"""Packages that only some of the work needs: they come with an extra of this one."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from bbmr.errors import BbmrError


@contextmanager
def from_extra(extra: str) -> Iterator[None]:
    """Around imports: raises BbmrError that says how to install what is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] == "bbmr":
            raise
        raise BbmrError(f'this needs {error.name}, which is not installed: pip install "bbmr[{extra}]"') from error


def require(extra: str, *modules: str) -> None:
    """Raise BbmrError, before long work, where one of them is missing."""
    for module in modules:
        with from_extra(extra):
            import_module(module)
