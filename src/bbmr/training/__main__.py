"""Training without the libraries of the command line: python -m bbmr.training RECIPE [--data DIR] ..."""

import argparse
import os
import sys
from pathlib import Path

from bbmr.errors import BbmrError
from bbmr.training.command import train_by_name
from bbmr.training.errors import RecipeError
from bbmr.training.recipes import shipped_recipes

_EXAMPLES = """examples:
  python -m bbmr.training short-fast-mosaic --data PHOTOS
  python -m bbmr.training fast-mosaic --data PHOTOS --out runs/mine --set steps=30000 --set schedule.decay=0.2
  python -m bbmr.training my-recipe.yaml --devices 4

Run again with the same --out to go on from its last checkpoint."""


def main() -> None:
    """Read the command line and run.  Exit code 1: something failed; 2: wrong usage, or a wrong recipe."""
    parser = argparse.ArgumentParser(
        prog="python -m bbmr.training",
        description="Train a network by a recipe.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recipe", metavar="RECIPE", help=f"{', '.join(shipped_recipes())}, or a YAML file")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of photographs; else the recipe's data.folder")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the run; else runs/RECIPE")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change one key of the recipe")
    parser.add_argument(
        "--devices", type=int, metavar="N", help="GPUs, or processes where there are none; else all GPUs"
    )
    parser.add_argument("--minutes", type=float, metavar="M", help="stop by then, with a checkpoint to go on from")
    given = parser.parse_args()
    # As in bbmr.cli: threads that spin while they wait slow torch down wherever another program wants a core too.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        train_by_name(given.recipe, given.data, given.out, given.set, given.devices, given.minutes)
    except BbmrError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, RecipeError) else 1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
