"""What the golden files hold: written out, so that neither noise generators nor wave functions can change it.

    PYTHONPATH=tests python -m fileformat.golden_pictures FOLDER

writes them anew, as this version does: for a version of the format that has none yet, never for one that has.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bbmr.blocks import BlockGrid
from bbmr.codecs import avif
from bbmr.codecs.avif import Chroma
from bbmr.codecs.colour import fade, revive
from bbmr.codecs.planes import gather, scatter
from bbmr.depth import Samples
from bbmr.fileformat import Header, Writer
from bbmr.panels import PanelGrid
from bbmr.picture import Metadata
from bbmr.rescaled import Frame, Recipe, RescaledImage

RECIPE = Recipe("mosaic-fast", "mosaic-fast", "0123456789abcdef", "visual", 31.25)
METADATA = Metadata(icc=b"profile" * 20, exif=b"Exif\0\0", xmp=b"<x/>")


def stored(
    height: int,
    width: int,
    side: int,
    channels: int = 3,
    alpha: bool = False,
    depth: int = 8,
    quality: int = -1,
    chroma: Chroma = "4:2:0",
) -> RescaledImage:
    """A picture in which every scale occurs, in steps; quality: that it is coded at, if it is."""
    grid = BlockGrid(height, width, side)
    scales = np.resize(np.array([16, 2, 4, 8, 1, 2, 4], np.uint8), (grid.rows, grid.cols))
    blocks: dict[int, Samples] = {}
    frames: dict[int, Frame] = {}
    for factor in np.unique(scales).tolist():
        own, plane = scales == factor, _plane(*grid.lr_size(factor), channels, 8 if quality >= 0 else depth)
        if quality >= 0:
            given = gather(fade(plane, 80), own, grid, factor)
            coefficients = tuple(range(-14, 14)) if factor == 1 else tuple(range(7)) if factor == 2 else ()
            data = avif.encode(given, quality + factor, chroma, speed=8)
            frames[factor] = Frame(quality + factor, data, 80, coefficients)
            blocks[factor] = scatter(revive(avif.decode(frames[factor].data, given.shape), 80), own, grid, factor)
        else:
            blocks[factor] = _cut(plane, grid, factor)[own]
    see_through = _plane(height, width, 1, depth)[:, :, 0] if alpha else None
    return RescaledImage(grid, scales, blocks, RECIPE, see_through, METADATA, frames, depth)


def _plane(height: int, width: int, channels: int, depth: int) -> Samples:
    y, x, c = np.ogrid[:height, :width, :channels]
    levels = y * 3 + x * 5 + c * 7 + (y // 8 + x // 8) % 2 * 40
    samples: Samples = (levels % 256).astype(np.uint8) if depth == 8 else (levels * 97 % 65536).astype(np.uint16)
    return samples


def _cut(plane: Samples, grid: BlockGrid, factor: int) -> Samples:
    """As `bbmr.blocks.split`, again."""
    side = grid.side // factor
    missing = grid.rows * side - plane.shape[0], grid.cols * side - plane.shape[1]
    whole = np.pad(plane, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
    return np.stack([np.stack(np.split(row, grid.cols, 1)) for row in np.split(whole, grid.rows, 0)])


def in_panels(rescaled: RescaledImage, height: int, width: int) -> bytes:
    """Without loss, cut into panels of so many blocks."""
    panels = PanelGrid(rescaled.grid, height, width)
    file = BytesIO()
    header = Header(panels, rescaled.channels, rescaled.alpha is not None, rescaled.depth, 0)
    writer = Writer(file, header, rescaled.recipe, rescaled.metadata)
    position: NDArray[np.int64] = np.empty(rescaled.scales.shape, int)
    for factor in rescaled.blocks:
        own = rescaled.scales == factor
        position[own] = np.arange(own.sum())
    for number in range(len(panels)):
        rows, cols = panels.blocks(number)
        scales = rescaled.scales[rows, cols]
        blocks = {k: rescaled.blocks[k][position[rows, cols][scales == k]] for k in np.unique(scales).tolist()}
        alpha = None if rescaled.alpha is None else rescaled.alpha[panels.pixels(number)]
        of_panel = panels.grid_of(number)
        writer.add(RescaledImage(of_panel, scales, blocks, rescaled.recipe, alpha, depth=rescaled.depth))
    writer.finish(rescaled.recipe)
    return file.getvalue()


def coded_panels() -> Mapping[str, tuple[PanelGrid, list[RescaledImage]]]:
    """With loss, six panels each, which are pictures by themselves; by name of the file, without its version."""
    panels = PanelGrid(BlockGrid(600, 530, 128), 2, 3)
    sizes = [(own.height, own.width, 128) for own in map(panels.grid_of, range(len(panels)))]
    return {
        "lossy-panels-444": (panels, [stored(*size, quality=40, chroma="4:4:4") for size in sizes]),
        "lossy-panels-gray-alpha": (panels, [stored(*size, channels=1, alpha=True, quality=60) for size in sizes]),
    }


def written(panels: PanelGrid, parts: Sequence[RescaledImage]) -> bytes:
    """Pictures that are the panels of one."""
    first, file = parts[0], BytesIO()
    header = Header(panels, first.channels, first.alpha is not None, first.depth, 0)
    writer = Writer(file, header, RECIPE, METADATA)
    for part in parts:
        writer.add(part)
    writer.finish(RECIPE)
    return file.getvalue()


def golden_pictures() -> Mapping[str, RescaledImage]:
    """By name of the file, without its version."""
    bare = replace(stored(35, 40, 16), recipe=replace(RECIPE, expected_psnr=None), metadata=Metadata())
    return {
        "rgb": bare,
        "rgba": stored(35, 40, 16, alpha=True),
        "gray": stored(70, 50, 32, channels=1),
        "gray-alpha": stored(70, 50, 32, channels=1, alpha=True),
        "rgb-16": stored(35, 40, 16, depth=16),
        "rgba-16": stored(35, 40, 16, alpha=True, depth=16),
        "gray-16": stored(70, 50, 32, channels=1, depth=16),
        "lossy-rgb": stored(150, 140, 64, quality=40),
        "lossy-rgba-16": stored(150, 140, 64, alpha=True, depth=16, quality=60),
        "lossy-gray": stored(150, 140, 64, channels=1, quality=60),
        "panels": stored(600, 530, 128, alpha=True),
    }


def write(folder: Path) -> None:
    from bbmr.fileformat import encode  # noqa: PLC0415
    from bbmr.fileformat.container import VERSION  # noqa: PLC0415

    for name, picture in golden_pictures().items():
        data = in_panels(picture, 2, 3) if name == "panels" else encode(picture)
        (folder / f"version-{VERSION}-{name}.bbmr").write_bytes(data)
    for name, (panels, parts) in coded_panels().items():
        (folder / f"version-{VERSION}-{name}.bbmr").write_bytes(written(panels, parts))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
