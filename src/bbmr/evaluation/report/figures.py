"""The figures of a report: crops side by side, the scale map over the picture, a block corner with and without
deblocking.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bbmr.evaluation.measurement import Bench
from bbmr.evaluation.metrics import psnr_y
from bbmr.evaluation.pictures import draw_map, scale_plane, side_by_side, upright
from bbmr.evaluation.regions import Region, telling_regions
from bbmr.evaluation.report.names import bounded
from bbmr.evaluation.systems import System
from bbmr.imageio import orientation
from bbmr.picture import Picture
from bbmr.rescaled import RescaledImage

LOOK = 1
"""Of how figures are drawn: raise it when that changes, so that figures kept from before are not taken for these."""
CROP = 224
CORNER = 48
"""Pixels per side of what is shown around a block corner."""
ENLARGED = 4
"""How many times that is enlarged."""
_MAP_SIDE = 1280  # pixels, at most


@dataclass(frozen=True, eq=False)
class Figure:
    """image: (H, W, 3) uint8."""

    name: str
    title: str
    caption: str
    image: NDArray[np.uint8]

    @property
    def file(self) -> str:
        return f"{bounded(self.name)}.png"

    def png(self) -> bytes:
        """The image as a PNG file."""
        data = io.BytesIO()
        Image.fromarray(self.image).save(data, "PNG", optimize=True)
        return data.getvalue()


class Restored:
    """What several systems make of one picture, set upright first; worked out when first asked for."""

    def __init__(self, picture: Picture, device: str = "cpu") -> None:
        self.original = upright(picture.colour, orientation(picture.metadata))
        self._bench = Bench(Picture(self.original), device)
        self._known: dict[System, tuple[RescaledImage, NDArray[np.uint8]]] = {}

    def colour(self, system: System) -> NDArray[np.uint8]:
        """(H, W, C) uint8."""
        return self._find(system)[1]

    def rescaled(self, system: System) -> RescaledImage:
        """What it stores."""
        return self._find(system)[0]

    def _find(self, system: System) -> tuple[RescaledImage, NDArray[np.uint8]]:
        if system not in self._known:
            self._known[system] = self._bench.restored(system)
        return self._known[system]


def draw_crops(restored: Restored, methods: Mapping[str, System], regions: Sequence[Region]) -> NDArray[np.uint8]:
    """Figures 1 and 4: the original and what each method makes of it, with the PSNR-Y of each crop, nothing cut off."""
    rows = [[region.cut_out(restored.original)] for region in regions]
    for system in methods.values():
        for row, region in zip(rows, regions, strict=True):
            row.append(region.cut_out(restored.colour(system)))
    captions = [
        [f"at {region.left}, {region.top}", *(f"{psnr_y(crop, row[0], 0):.2f} dB" for crop in row[1:])]
        for region, row in zip(regions, rows, strict=True)
    ]
    return side_by_side(["original", *methods], rows, captions)


def find_regions(restored: Restored, ours: System, theirs: System, count: int = 3) -> list[Region]:
    """Where the two differ most, in both directions."""
    return telling_regions(restored.original, restored.colour(ours), restored.colour(theirs), CROP, count)


def draw_scale_map(restored: Restored, system: System) -> NDArray[np.uint8]:
    """Which block is stored at which scale, over the picture, at most 1280 pixels wide or high."""
    rescaled = restored.rescaled(system)
    plane = scale_plane(rescaled.scales, rescaled.grid)
    drawn = draw_map(restored.original, plane, rescaled.blocks_per_scale)
    picture = Image.fromarray(drawn)
    picture.thumbnail((_MAP_SIDE, _MAP_SIDE), Image.Resampling.LANCZOS)
    return np.asarray(picture)


def draw_corner(restored: Restored, methods: Mapping[str, System], region: Region) -> NDArray[np.uint8]:
    """Figure 5: around a block corner, enlarged, with the PSNR-Y of each crop, nothing cut off."""
    crops = [region.cut_out(colour) for colour in (restored.original, *map(restored.colour, methods.values()))]
    enlarged = [crop.repeat(ENLARGED, axis=0).repeat(ENLARGED, axis=1) for crop in crops]
    words = [f"at {region.left}, {region.top}", *(f"{psnr_y(crop, crops[0], 0):.2f} dB" for crop in crops[1:])]
    return side_by_side(["original", *methods], [enlarged], [words])


def find_corner(restored: Restored, one: System, other: System, side: int) -> Region | None:
    """Around the corner of four blocks of `side` pixels where the squared error falls most from `one` to `other`; None
    where no corner has room around it.
    """
    height, width = restored.original.shape[:2]
    half = CORNER // 2
    regions = [
        Region(row - half, col - half, CORNER, CORNER)
        for row in _corners(height, side)
        for col in _corners(width, side)
    ]
    if not regions:
        return None

    def error(system: System) -> NDArray[np.int64]:
        difference = np.subtract(restored.colour(system), restored.original, dtype=np.int32)
        squared: NDArray[np.int64] = np.square(difference).sum(2, dtype=np.int64)
        return squared

    mended = error(one) - error(other)
    return max(regions, key=lambda region: int(mended[region.slices].sum()))


def _corners(length: int, side: int) -> list[int]:
    """First pixels of blocks that have half of what is shown before and behind them."""
    half = CORNER // 2
    return [at for at in range(side, length - half + 1, side) if at >= half]
