"""The pictures of test sets: one folder for each set."""

import sys
from collections.abc import Sequence
from pathlib import Path

from bbmr.imageio import READ_SUFFIXES


def find_sets(data: Path, names: Sequence[str], limit: int | None) -> dict[str, list[Path]]:
    """The first `limit` pictures of each folder of `data`; ends the program where there is none."""
    sets = {}
    for name in names:
        folder = data / name
        if not folder.is_dir():
            sys.exit(f"{folder}: no such folder; --data is the folder that holds the sets")
        sets[name] = sorted(path for path in folder.iterdir() if path.suffix.lower() in READ_SUFFIXES)[:limit]
        if not sets[name]:
            sys.exit(f"{folder}: holds no pictures")
    return sets
