"""The recipes that ship: YAML files in this folder, chosen by name."""

from pathlib import Path


def shipped_recipes() -> dict[str, Path]:
    """Name -> file, sorted by name."""
    return {path.stem: path for path in sorted(Path(__file__).parent.glob("*.yaml"))}
