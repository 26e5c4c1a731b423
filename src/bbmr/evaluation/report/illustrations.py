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
from bbmr.blocks import PAPER_SIDE
from bbmr.errors import BbmrError
from bbmr.evaluation.families import Family, Row, peers
from bbmr.evaluation.measurement import VERSION
from bbmr.evaluation.pictures import upright
from bbmr.evaluation.regions import Region
from bbmr.evaluation.report.figures import (
    CORNER,
    ENLARGED,
    LOOK,
    Figure,
    Restored,
    draw_corner,
    draw_crops,
    draw_scale_map,
    find_corner,
    find_regions,
)
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
                picture = read_picture(path, max_pixels).in_8_bit()
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
    problems: a line for each figure that could not be drawn or kept; drawing goes on without.  set_name, of all
    figures: the set that the picture is one of, for names and titles.
    """

    def __init__(self, folder: Path, device: str, max_pixels: int, told: Callable[[str], None]) -> None:
        self.problems: list[str] = []
        self._folder, self._device, self._max_pixels, self._told = folder, device, max_pixels, told
        self._restored: tuple[str, Restored] | None = None
        self._names: dict[str, tuple[object, ...]] = {}

    def crops(
        self, one: PictureResults, family: Family, region: Region | None = None, *, set_name: str
    ) -> Figure | None:
        """Figures 1 and 4: a part of the picture by every method; without `region` the parts that differ most."""
        rows = _shown(family)
        *_, plain, _, best = (row.system for row in rows)

        def draw(restored: Restored) -> NDArray[np.uint8]:
            if region is None:
                return draw_crops(restored, _systems(rows), find_regions(restored, best, plain, count=2))
            if region.cut_out(restored.original).shape[:2] != (region.height, region.width):
                raise BbmrError(f"{one.path}: the picture ends within the crop; was it changed meanwhile?")
            return draw_crops(restored, _systems(rows), [region])

        where = how = ""
        if region is None:
            how = "where the last method and the plain network differ most"
        else:
            where = f", {region.width} x {region.height} at {region.left}, {region.top}"
            how = "as asked for"
        return self._figure(
            _Subject("crops", one, set_name, family, region),
            f"{family.title}, {set_name}: {one.name}{where}",
            f"Crops {how}; under each the PSNR-Y of the crop. All methods store at most the LR pixels of a uniform x4.",
            rows,
            draw,
        )

    def scale_map(self, one: PictureResults, family: Family, *, set_name: str) -> Figure | None:
        """The scales of the last method's blocks."""
        row = family.methods()[-1]
        return self._figure(
            _Subject("map", one, set_name, family),
            f"{family.title}, {set_name}: scales in {one.name}",
            f"{row.name}: warm colours store many samples, cold ones few.",
            [row],
            lambda restored: draw_scale_map(restored, row.system),
        )

    def corner(self, one: PictureResults, family: Family, *, set_name: str) -> Figure | None:
        """Figure 5: a block corner without and with deblocking; None also where no corner has room around it."""
        rows = family.deblocking()
        without = next((row for row in rows if row.system.joint is not None and row.system.joint[0] == 0), rows[0])

        def draw(restored: Restored) -> NDArray[np.uint8] | None:
            region = find_corner(restored, without.system, rows[-1].system, PAPER_SIDE)
            return None if region is None else draw_corner(restored, _systems(rows), region)

        return self._figure(
            _Subject("corner", one, set_name, family),
            f"{family.title}, {set_name}: a block corner in {one.name}",
            f"{CORNER} x {CORNER} pixels around the corner of four blocks, enlarged {ENLARGED} times; under each the "
            f"PSNR-Y of the crop. Of all such corners in this picture it is the one where the squared error falls most "
            f'from "{without.name}" to "{rows[-1].name}".',
            rows,
            draw,
        )

    def _figure(
        self,
        subject: "_Subject",
        title: str,
        caption: str,
        rows: Sequence[Row],
        draw: Callable[[Restored], NDArray[np.uint8] | None],
    ) -> Figure | None:
        try:
            content = sha256(subject.one.path.read_bytes()).hexdigest()
            decided_by = [VERSION, LOOK, self._device, subject.kind, subject.numbers, content]
            decided_by += [f"{row.name}: {row.system.key} {row.system.fingerprint}" for row in rows]
            kept = self._folder / f"{sha256(json.dumps(decided_by).encode()).hexdigest()[:32]}.png"
            found = image = _read(kept)
            if image is None:
                self._told(title)
                image = draw(self._restored_of(subject.one.path, content))
            if image is None:
                return None
            figure = Figure(self._name(subject), title, caption, image)
        except (BbmrError, OSError) as error:
            self.problems.append(f"{title}: this figure could not be drawn: {error}")
            return None
        if found is None:
            self._keep(figure, kept)
        return figure

    def _restored_of(self, path: Path, content: str) -> Restored:
        if self._restored is None or self._restored[0] != content:  # one picture at a time: they are large
            self._restored = content, Restored(read_picture(path, self._max_pixels).in_8_bit(), self._device)
        return self._restored[1]

    def _name(self, subject: "_Subject") -> str:
        """Another one for each subject: pictures `a b` and `a-b` have the same slug."""
        name, count = subject.slug, 1
        while self._names.setdefault(name, subject.key) != subject.key:
            count += 1
            name = f"{subject.slug}-{count}"
        return name

    def _keep(self, figure: Figure, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path, overwrite=True) as file:
                file.write(figure.png())
        except (BbmrError, OSError) as error:
            self.problems.append(f"{figure.title}: this figure could not be kept for the next run: {error}")


@dataclass(frozen=True)
class _Subject:
    """What a figure shows."""

    kind: str
    one: PictureResults
    set_name: str
    family: Family
    region: Region | None = None

    @property
    def numbers(self) -> tuple[int, ...]:
        """Of the region: left, top, width, height."""
        region = self.region
        return () if region is None else (region.left, region.top, region.width, region.height)

    @property
    def key(self) -> tuple[object, ...]:
        return self.kind, self.one.path, self.set_name, self.family.title, self.numbers

    @property
    def slug(self) -> str:
        """For the figure's name."""
        words = [self.kind, self.family.title, self.set_name, self.one.name]
        if self.region is not None:
            words.append("{2} x {3} at {0} {1}".format(*self.numbers))
        return slug(" ".join(words))


def _systems(rows: Sequence[Row]) -> dict[str, System]:
    return {row.name: row.system for row in rows}


def _read(path: Path) -> NDArray[np.uint8] | None:
    """A figure that was kept; None where there is none, or none that can be read."""
    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


def _shown(family: Family) -> list[Row]:
    """bicubic, the plain network, BBMR as in the paper, and what is best."""
    plain, bbmr, *_, best = family.methods()
    return [peers()[0], plain, bbmr, best]
