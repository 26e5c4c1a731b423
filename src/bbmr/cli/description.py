"""What is in a .bbmr file, in words and numbers."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bbmr.rescaled import Outline


def describe(rescaled: "Outline", qualities: Mapping[int, int], size: int) -> dict[str, Any]:
    """What --json says of a .bbmr file of `size` bytes.

    qualities: of the codec, by scale; none where LR samples are stored as they are.
    """
    from bbmr.coding.ladder import quality_of

    grid = rescaled.grid
    pixels = grid.width * grid.height
    recipe = rescaled.recipe
    return {
        "width": grid.width,
        "height": grid.height,
        "mode": rescaled.mode,
        "depth": rescaled.depth,
        "block": grid.side,
        "scales": {str(factor): count for factor, count in rescaled.blocks_per_scale.items()},
        "quality": quality_of(qualities) if qualities else None,
        "qualities": {str(factor): quality for factor, quality in qualities.items()},
        "lr_pixels": rescaled.lr_pixels,
        "lr_share": rescaled.lr_pixels / pixels,
        "bytes": size,
        "bpp": size * 8 / pixels,
        "expected_psnr": recipe.expected_psnr,
        "tune": recipe.tune,
        "pipeline": recipe.pipeline,
        "weights": recipe.weights,
    }


def human_bytes(size: int) -> str:
    """Decimal units, as file managers show them."""
    if size < 1000:
        return f"{size} B"
    return f"{size / 1000:.1f} kB" if size < 1_000_000 else f"{size / 1_000_000:.2f} MB"
