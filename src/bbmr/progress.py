"""How long work reports that it goes on."""

from collections.abc import Callable

Progress = Callable[[str, float], None]
"""Called with the name of a stage and the share of it that is done, 0 to 1."""


def silent(stage: str, done: float) -> None:
    """Report nothing."""
