"""RescaledImages of any shape, for the tests of the file format."""

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from bbmr.blocks import BLOCK_SIDES, SCALES, BlockGrid, split
from bbmr.codecs import avif
from bbmr.codecs.colour import fade, revive
from bbmr.codecs.planes import gather, scatter
from bbmr.depth import DEPTHS, Samples
from bbmr.picture import Metadata
from bbmr.rescaled import WIENER_CLASSES, WIENER_TAPS, Frame, Recipe, RescaledImage

RECIPE = Recipe("mosaic-fast", "mosaic-fast", "0123456789abcdef", "visual", 31.25)


def make_rescaled(
    grid: BlockGrid,
    scales: NDArray[np.uint8],
    channels: int = 3,
    alpha: bool = False,
    metadata: Metadata | None = None,
    recipe: Recipe = RECIPE,
    noise: int = 20,
    quality: int | None = None,
    depth: int = 8,
) -> RescaledImage:
    """A waved picture with up to `noise` grey levels of noise, at the given scales; quality: that it is coded at, if it
    is coded with loss.
    """
    rng = np.random.default_rng(0)

    def plane(height: int, width: int, channels: int, depth: int) -> Samples:
        y, x, c = np.ogrid[:height, :width, :channels]
        waves = 128 + 90 * np.sin(y / 9 + c) * np.cos(x / 7 - c)
        levels = np.clip(waves + rng.integers(0, noise + 1, waves.shape), 0, 255)
        return levels.astype(np.uint8) if depth == 8 else (257 * levels).astype(np.uint16)

    blocks, frames = {}, {}
    for factor in np.unique(scales).tolist():
        own, lr = scales == factor, plane(*grid.lr_size(factor), channels, depth if quality is None else 8)
        blocks[factor] = split(lr, grid, factor)[own]
        if quality is not None:
            colour = int(rng.integers(1, 101))
            coefficients = rng.integers(-128, 128, rng.choice((0, *WIENER_CLASSES)) * WIENER_TAPS)
            gathered = gather(fade(lr, colour), own, grid, factor)
            data = avif.encode(gathered, quality, speed=10)
            frames[factor] = Frame(quality, data, colour, tuple(coefficients.tolist()))
            blocks[factor] = scatter(revive(avif.decode(data, gathered.shape), colour), own, grid, factor)
    see_through = plane(grid.height, grid.width, 1, depth)[:, :, 0] if alpha else None
    return RescaledImage(grid, scales, blocks, recipe, see_through, metadata or Metadata(), frames, depth)


def mixed(height: int, width: int, side: int = 16) -> tuple[BlockGrid, NDArray[np.uint8]]:
    """A grid and a map in which every scale has its turn."""
    grid = BlockGrid(height, width, side)
    return grid, np.resize(np.array(SCALES[::-1], np.uint8), (grid.rows, grid.cols))


@st.composite
def rescaled_images(draw: st.DrawFn) -> RescaledImage:
    """Any size from 1 x 1, mode, block side, map, metadata and recipe."""
    grid = BlockGrid(draw(st.integers(1, 200)), draw(st.integers(1, 200)), draw(st.sampled_from(BLOCK_SIDES)))
    allowed = draw(st.lists(st.sampled_from(SCALES), min_size=1, max_size=5, unique=True))
    seed = draw(st.integers(0, 2**32 - 1))
    scales = np.random.default_rng(seed).choice(np.array(allowed, np.uint8), (grid.rows, grid.cols))
    some_bytes = st.none() | st.binary(max_size=50) | st.binary(min_size=1, max_size=3).map(lambda data: data * 1000)
    names = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=20)
    recipe = Recipe(
        draw(names),
        draw(names),
        draw(st.binary(max_size=40)).hex(),
        draw(names),
        draw(st.none() | st.floats(allow_nan=False, allow_infinity=False)),
    )
    metadata = Metadata(draw(some_bytes), draw(some_bytes), draw(some_bytes))
    channels, alpha = draw(st.sampled_from((1, 3))), draw(st.booleans())
    noise, quality = draw(st.integers(0, 40)), draw(st.none() | st.integers(0, 100))
    depth = draw(st.sampled_from(DEPTHS))
    return make_rescaled(grid, scales, channels, alpha, metadata, recipe, noise, quality, depth)
