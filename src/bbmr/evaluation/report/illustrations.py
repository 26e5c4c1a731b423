"""Which figures a report has: of each family the picture that gains most, and crops that the user asks for."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bbmr.atomic import replacing
from bbmr.errors import BbmrError
from bbmr.evaluation.families import Family, Row, peers
from bbmr.evaluation.measurement import VERSION
from bbmr.evaluation.pictures import upright
from bbmr.evaluation.regions import Region
from bbmr.evaluation.report.figures import Figure, Restored, draw_corner, draw_crops, draw_scale_map, find_regions
from bbmr.evaluation.report.table import slug
from bbmr.evaluation.results import PictureResults
from bbmr.evaluation.systems import System
from bbmr.imageio import PictureError, orientation, read_picture


@dataclass(frozen=True)
class Crop:
    """A part of a picture that the user wants to see, in pixels of the picture as it is shown."""

    picture: str
    region: Region

    @classmethod
    def parse(cls, text: str) -> "Crop":
        """PICTURE:X,Y,WIDTH,HEIGHT.  Raises BbmrError for other text."""
        name, _, numbers = text.rpartition(":")
        try:
            left, top, width, height = map(int, numbers.split(","))
        except ValueError:
            left = top = width = height = 0
        if not name or min(left, top) < 0 or min(width, height) < 1:
            raise BbmrError(f"crop {text!r}: give a picture's name and pixels, such as photo.jpg:640,200,256,256")
        return cls(name, Region(top, left, height, width))

    def shows(self, path: Path) -> bool:
        """Whether `path` is the picture that is meant: by path, name, or name without suffix."""
        return self.picture in (str(path), path.name, path.stem)

    def check(self, paths: Iterable[Path], max_pixels: int) -> None:
        """Raise BbmrError where no picture is meant, or one that has no such part."""
        meant = [path for path in paths if self.shows(path)]
        if not meant:
            raise BbmrError(f"crop {self.picture}: no such picture; give the name of one that is evaluated")
        for path in meant:
            try:
                picture = read_picture(path, max_pixels)
            except PictureError:  # the run names it, and goes on
                continue
            height, width = upright(picture.colour, orientation(picture.metadata)).shape[:2]
            bottom, right = self.region.slices[0].stop, self.region.slices[1].stop
            if bottom > height or right > width:
                raise BbmrError(
                    f"crop {self.picture}: {path.name} has {width} x {height} pixels, and the crop ends at {right}, "
                    f"{bottom}; choose a part inside"
                )


class Illustrator:
    """Draws figures, and keeps them in a folder: what is drawn is not drawn again.

    device: of the networks.  max_pixels: larger pictures are refused.  told: called with what is being drawn.
    """

    def __init__(self, folder: Path, device: str, max_pixels: int, told: Callable[[str], None]) -> None:
        self._folder, self._device, self._max_pixels, self._told = folder, device, max_pixels, told
        self._restored: tuple[str, Restored] | None = None

    def crops(self, one: PictureResults, family: Family, region: Region | None = None) -> Figure:
        """Figures 1 and 4: a part of the picture by every method; without `region` the parts that differ most."""
        rows = _shown(family)
        *_, plain, _, best = (row.system for row in rows)

        def draw(restored: Restored) -> NDArray[np.uint8]:
            regions = [region] if region else find_regions(restored, best, plain, count=2)
            return draw_crops(restored, {row.name: row.system for row in rows}, regions)

        where = "" if region is None else f" at {region.left}, {region.top}"
        how = "where the last method and the plain network differ most" if region is None else "as asked for"
        return self._figure(
            f"crops-{slug(family.title)}-{slug(one.name + where)}",
            f"{family.title}: {one.path.stem}{where}",
            f"Crops {how}, with their PSNR-Y; all methods store at most the LR pixels of a uniform x4.",
            one,
            [row.system for row in rows],
            draw,
        )

    def scale_map(self, one: PictureResults, family: Family) -> Figure:
        """The scales of the last method's blocks."""
        row = family.methods()[-1]
        return self._figure(
            f"map-{slug(family.title)}-{slug(one.name)}",
            f"{family.title}: scales in {one.path.stem}",
            f"{row.name}: warm colours store many samples, cold ones few.",
            one,
            [row.system],
            lambda restored: draw_scale_map(restored, row.system),
        )

    def corner(self, one: PictureResults, family: Family) -> Figure:
        """Figure 5: a block corner without and with deblocking."""
        rows = family.deblocking()
        return self._figure(
            f"corner-{slug(family.title)}-{slug(one.name)}",
            f"{family.title}: a block corner in {one.path.stem}",
            "The corner of four blocks lies in the middle; the picture's, enlarged, where the last method mends most.",
            one,
            [row.system for row in rows],
            lambda restored: draw_corner(restored, {row.name: row.system for row in rows}),
        )

    def _figure(
        self,
        name: str,
        title: str,
        caption: str,
        one: PictureResults,
        systems: Sequence[System],
        draw: Callable[[Restored], NDArray[np.uint8]],
    ) -> Figure:
        content = sha256(one.path.read_bytes()).hexdigest()
        decided_by = [VERSION, name, content]
        decided_by += [f"{system.key} {system.fingerprint}" for system in systems]
        kept = self._folder / f"{sha256(json.dumps(decided_by).encode()).hexdigest()[:32]}.png"
        if kept.exists():
            with Image.open(kept) as picture:
                return Figure(name, title, caption, np.asarray(picture))
        self._told(title)
        figure = Figure(name, title, caption, draw(self._restored_of(one.path, content)))
        self._folder.mkdir(parents=True, exist_ok=True)
        with replacing(kept, overwrite=True) as file:
            file.write(figure.png())
        return figure

    def _restored_of(self, path: Path, content: str) -> Restored:
        if self._restored is None or self._restored[0] != content:  # one picture at a time: they are large
            self._restored = content, Restored(read_picture(path, self._max_pixels), self._device)
        return self._restored[1]


def _shown(family: Family) -> list[Row]:
    """bicubic, the plain network, BBMR as in the paper, and what is best."""
    plain, bbmr, *_, best = family.methods()
    return [peers()[0], plain, bbmr, best]
