"""Figures: what is cut out where, against pictures whose differences are known."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from upscaling.tiny_networks import textured

from bbmr.blocks import BlockGrid
from bbmr.errors import BbmrError
from bbmr.evaluation.families import Family, find_families
from bbmr.evaluation.measurement import Bench
from bbmr.evaluation.metrics import psnr_y
from bbmr.evaluation.regions import Region
from bbmr.evaluation.report import figures
from bbmr.evaluation.report.figures import Restored, draw_corner, draw_crops, draw_scale_map
from bbmr.evaluation.report.illustrations import Crop, Illustrator
from bbmr.evaluation.results import PictureResults
from bbmr.evaluation.systems import System
from bbmr.picture import Metadata, Picture
from bbmr.rescaled import Recipe, RescaledImage

FIRST, LAST = System("first"), System("last")


def restored_as(
    monkeypatch: pytest.MonkeyPatch, original: NDArray[np.uint8], made: dict[System, NDArray[np.uint8]]
) -> Restored:
    grid = BlockGrid(original.shape[0], original.shape[1], 64)
    scales = np.full((grid.rows, grid.cols), 4, np.uint8)
    blocks = {4: np.zeros((scales.size, 16, 16, 3), np.uint8)}
    rescaled = RescaledImage(grid, scales, blocks, Recipe("none", "none", "", "psnr"))
    monkeypatch.setattr(Bench, "restored", lambda _, system: (rescaled, made[system]))
    return Restored(Picture(original))


def test_the_corner_that_is_mended_most(monkeypatch: pytest.MonkeyPatch) -> None:
    original = textured(200, 270)
    first, last = original.copy(), original.copy()
    first[120:136, 60:68] ^= 16  # around the corner at (128, 64)
    first[60:68, 120:136] ^= 8  # a smaller error at (64, 128)
    last[0:40, 0:40] ^= 64  # no corner there
    seen: list[NDArray[np.uint8]] = []

    def laid_out(titles: object, rows: list[list[NDArray[np.uint8]]], captions: list[list[str]]) -> NDArray[np.uint8]:
        seen.extend(rows[0])
        assert captions[0][0] == "at 40, 104"
        assert captions[0][2] == "inf dB"
        return rows[0][0]

    monkeypatch.setattr(figures, "side_by_side", laid_out)
    draw_corner(restored_as(monkeypatch, original, {FIRST: first, LAST: last}), {"without": FIRST, "with": LAST})
    np.testing.assert_array_equal(seen[1][::4, ::4], first[104:152, 40:88])


def test_crops_have_their_psnr(monkeypatch: pytest.MonkeyPatch) -> None:
    original = textured(100, 120)
    first = original ^ np.uint8(3)
    said: list[list[str]] = []

    def laid_out(titles: object, rows: list[list[NDArray[np.uint8]]], captions: list[list[str]]) -> NDArray[np.uint8]:
        said.extend(captions)
        return rows[0][1]

    monkeypatch.setattr(figures, "side_by_side", laid_out)
    part = draw_crops(restored_as(monkeypatch, original, {FIRST: first}), {"one": FIRST}, [Region(10, 20, 30, 40)])
    np.testing.assert_array_equal(part, first[10:40, 20:60])
    assert said == [["at 20, 10", f"{psnr_y(first[10:40, 20:60], original[10:40, 20:60]):.2f} dB"]]


def test_scale_map_is_no_larger_than_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    original = np.zeros((600, 1700, 3), np.uint8)
    drawn = draw_scale_map(restored_as(monkeypatch, original, {FIRST: original}), FIRST)
    assert drawn.shape[1] == 1280
    assert 600 * 1280 / 1700 < drawn.shape[0] < 600


def test_pictures_are_set_upright() -> None:
    stored = textured(100, 140)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = Restored(Picture(stored, metadata=Metadata(exif=exif.tobytes())))
    np.testing.assert_array_equal(turned.original, np.rot90(stored, -1))
    assert turned.colour(System("plain-x4")).shape == (140, 100, 3)


@pytest.fixture
def family() -> Family:
    return find_families(["mosaic-fast"])[0][0]


def test_what_is_drawn_is_not_drawn_again(tmp_path: Path, family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(textured(160, 200)).save(path)
    drawing: list[str] = []
    illustrator = Illustrator(tmp_path / "kept", "cpu", 1 << 20, drawing.append)
    one = PictureResults(path)
    figure = illustrator.crops(one, family, Region(8, 16, 64, 80))
    assert illustrator.crops(one, family).name != figure.name
    assert len(drawing) == 2
    again = Illustrator(tmp_path / "kept", "cpu", 1 << 20, drawing.append).crops(one, family, Region(8, 16, 64, 80))
    np.testing.assert_array_equal(again.image, figure.image)
    assert len(drawing) == 2
    Image.fromarray(textured(160, 200)[::-1]).save(path)
    assert not np.array_equal(illustrator.crops(one, family, Region(8, 16, 64, 80)).image, figure.image)
    assert len(drawing) == 3


@pytest.mark.parametrize(
    "text", ["photo", "photo:1,2,3", "photo:1,2,3,x", ":1,2,3,4", "photo:-1,0,9,9", "photo:1,1,0,9"]
)
def test_crops_that_are_none(text: str) -> None:
    with pytest.raises(BbmrError, match="give a picture's name and pixels"):
        Crop.parse(text)


def test_crops_by_name() -> None:
    crop = Crop.parse("C:photo.jpg:10,20,30,40")
    assert (crop.picture, crop.region) == ("C:photo.jpg", Region(20, 10, 40, 30))
    assert Crop.parse("photo:1,2,3,4").shows(Path("folder/photo.jpg"))
    assert not Crop.parse("photo:1,2,3,4").shows(Path("folder/photos.jpg"))
