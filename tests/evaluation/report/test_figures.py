"""Figures: what is cut out where, against pictures whose differences are known."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from upscaling.tiny_networks import textured

from bbmr.blocks import BlockGrid
from bbmr.errors import BbmrError
from bbmr.evaluation.families import Family, find_families, peers
from bbmr.evaluation.measurement import Bench
from bbmr.evaluation.metrics import psnr_y
from bbmr.evaluation.regions import Region
from bbmr.evaluation.report import figures, illustrations
from bbmr.evaluation.report.figures import Figure, Restored, draw_corner, draw_crops, draw_scale_map, find_corner
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
    restored = restored_as(monkeypatch, original, {FIRST: first, LAST: last})
    region = find_corner(restored, FIRST, LAST, 64)
    assert region is not None
    draw_corner(restored, {"without": FIRST, "with": LAST}, region)
    np.testing.assert_array_equal(seen[1][::4, ::4], first[104:152, 40:88])


@pytest.mark.parametrize(
    ("height", "width", "found"),
    [(140, 140, False), (600, 140, False), (151, 600, False), (152, 152, True), (152, 300, True)],
)
def test_corners_have_room_around_them(monkeypatch: pytest.MonkeyPatch, height: int, width: int, found: bool) -> None:
    original = textured(height, width)
    region = find_corner(restored_as(monkeypatch, original, {FIRST: original, LAST: original}), FIRST, LAST, 128)
    assert (region is not None) == found
    if region is not None:
        assert region.cut_out(original).shape == (48, 48, 3)
        assert ((region.top + 24) % 128, (region.left + 24) % 128) == (0, 0)


def test_the_first_small_blocks_have_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    original = textured(56, 56)
    first = original.copy()
    first[:20, :20] ^= 8
    restored = restored_as(monkeypatch, original, {FIRST: first, LAST: original})
    assert find_corner(restored, FIRST, LAST, 16) == Region(8, 8, 48, 48)


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
    assert said == [["at 20, 10", f"{psnr_y(first[10:40, 20:60], original[10:40, 20:60], border=0):.2f} dB"]]


def test_scale_map_is_no_larger_than_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    original = np.zeros((600, 1700, 3), np.uint8)
    drawn = draw_scale_map(restored_as(monkeypatch, original, {FIRST: original}), FIRST)
    assert drawn.shape[1] == 1280
    assert 600 * 1280 / 1700 < drawn.shape[0] < 600


def test_pictures_are_set_upright() -> None:
    stored = textured(100, 140)
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = exif.tobytes().removeprefix(b"Exif\0\0")
    turned = Restored(Picture(stored, metadata=Metadata(exif=stream)))
    np.testing.assert_array_equal(turned.original, np.rot90(stored, -1))
    assert turned.colour(System("plain-x4")).shape == (140, 100, 3)


@pytest.fixture
def family() -> Family:
    return find_families(["mosaic-fast"])[0][0]


@pytest.fixture
def photo(tmp_path: Path) -> PictureResults:
    path = tmp_path / "photo.png"
    Image.fromarray(textured(160, 200)).save(path)
    return PictureResults(path)


@pytest.fixture
def drawing() -> list[str]:
    return []


@pytest.fixture
def illustrator(tmp_path: Path, drawing: list[str]) -> Illustrator:
    return Illustrator(tmp_path / "kept", "cpu", 1 << 20, drawing.append)


PART = Region(8, 16, 64, 80)


def drawn(figure: Figure | None) -> Figure:
    assert figure is not None
    return figure


def test_what_is_drawn_is_not_drawn_again(
    tmp_path: Path, family: Family, photo: PictureResults, illustrator: Illustrator, drawing: list[str]
) -> None:
    figure = drawn(illustrator.crops(photo, family, PART, set_name="a"))
    assert len(drawing) == 1
    next_run = Illustrator(tmp_path / "kept", "cpu", 1 << 20, drawing.append)
    np.testing.assert_array_equal(drawn(next_run.crops(photo, family, PART, set_name="a")).image, figure.image)
    assert len(drawing) == 1
    Image.fromarray(textured(160, 200)[::-1]).save(photo.path)
    assert not np.array_equal(drawn(illustrator.crops(photo, family, PART, set_name="a")).image, figure.image)
    assert len(drawing) == 2
    for kept in (tmp_path / "kept").iterdir():
        kept.write_bytes(kept.read_bytes()[:200])
    illustrator.crops(photo, family, PART, set_name="a")
    assert len(drawing) == 3
    assert illustrator.problems == []


def test_every_figure_has_its_own_name_and_picture(
    family: Family, photo: PictureResults, illustrator: Illustrator, drawing: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = textured(160, 200)
    restored_as(monkeypatch, original, dict.fromkeys((row.system for row in [*family.methods(), *peers()]), original))
    regions = [None, PART, Region(8, 16, 64, 40), Region(8, 16, 32, 80), Region(9, 16, 64, 80)]
    figures = [drawn(illustrator.crops(photo, family, region, set_name="a")) for region in regions]
    assert len(drawing) == len(regions)
    assert len({figure.image.tobytes() for figure in figures}) == len(regions)
    figures.append(drawn(illustrator.crops(photo, family, PART, set_name="b")))
    figures.append(drawn(illustrator.scale_map(photo, family, set_name="a")))
    for name in ("photo!.png", "photo .png", "写" * 80 + ".png", "写" * 80 + "x.png"):
        other = PictureResults(photo.path.with_name(name))
        other.path.write_bytes(photo.path.read_bytes())
        figures.append(drawn(illustrator.crops(other, family, PART, set_name="a")))
    assert len({figure.name for figure in figures}) == len(figures)
    assert len({figure.file for figure in figures}) == len(figures)
    assert all(len(figure.file.encode()) <= 130 for figure in figures)
    assert all(", a: " in figure.title or ", b: " in figure.title for figure in figures)
    assert drawn(illustrator.crops(photo, family, PART, set_name="a")).name == figures[1].name
    assert figures[1].name == "crops-fast-a-photo-png-80-x-64-at-16-8"


def test_what_cannot_be_drawn_is_told_and_left_out(
    tmp_path: Path, family: Family, photo: PictureResults, drawing: list[str], illustrator: Illustrator
) -> None:
    assert Illustrator(tmp_path, "cpu", 1000, drawing.append).crops(photo, family, set_name="a") is None
    outside = Region(100, 100, 64, 80)
    assert illustrator.crops(photo, family, outside, set_name="a") is None
    photo.path.write_bytes(b"no picture")
    assert illustrator.scale_map(photo, family, set_name="a") is None
    photo.path.unlink()
    assert illustrator.crops(photo, family, set_name="a") is None
    said = ["ends within the crop", "photo.png", "No such file"]
    assert len(illustrator.problems) == len(said)
    for problem, words in zip(illustrator.problems, said, strict=True):
        assert words in problem
        assert problem.startswith("fast, a: ")


def test_what_cannot_be_kept_is_shown_all_the_same(
    tmp_path: Path, family: Family, photo: PictureResults, drawing: list[str]
) -> None:
    (tmp_path / "file").touch()
    illustrator = Illustrator(tmp_path / "file", "cpu", 1 << 20, drawing.append)
    assert drawn(illustrator.crops(photo, family, PART, set_name="a")).image.size
    assert len(illustrator.problems) == 1
    assert "could not be kept" in illustrator.problems[0]


def test_the_corner_is_where_deblocking_mends_most(
    photo: PictureResults, illustrator: Illustrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    family = find_families(["separate-omnisr", "joint-omnisr"])[0][0]
    assert len(family.deblocking()) == 4
    original = textured(300, 300)
    Image.fromarray(original).save(photo.path)
    alone, joint = original.copy(), original.copy()
    alone[100:150, 100:150] ^= 64  # mended by Joint SR, which has errors elsewhere
    joint[250:260, 250:260] ^= 16
    made = {row.system: original for row in family.deblocking()}
    for row in family.deblocking():
        if row.system.joint is None and row.system.pipeline == family.separate:
            made[row.system] = alone
        elif row.system.joint == (0, 0):
            made[row.system] = joint
    restored_as(monkeypatch, original, made)
    shown: list[Region] = []

    def draw(restored: object, methods: object, region: Region) -> NDArray[np.uint8]:
        shown.append(region)
        return original

    monkeypatch.setattr(illustrations, "draw_corner", draw)
    figure = drawn(illustrator.corner(photo, family, set_name="a"))
    assert shown == [Region(256 - 24, 256 - 24, 48, 48)]
    assert 'from "+ Algorithm 1, Joint SR" to "+ Algorithm 1, Joint SR, deblocking, context"' in figure.caption
    assert "48 x 48 pixels" in figure.caption
    Image.fromarray(original[:140]).save(photo.path)
    assert illustrator.corner(photo, family, set_name="a") is None
    assert illustrator.problems == []


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
