"""The scale map and the sheets of crops."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from bbmr.blocks import BlockGrid
from bbmr.evaluation.pictures import SCALE_COLOURS, draw_map, scale_plane, side_by_side, upright


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_is_what_pillow_shows(orientation: int) -> None:
    array = np.random.default_rng(3).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    image = Image.fromarray(array)
    image.getexif()[0x0112] = orientation
    shown = ImageOps.exif_transpose(image)
    np.testing.assert_array_equal(upright(array, orientation), np.array(shown))


def test_scale_plane_has_partial_blocks_at_the_far_edges() -> None:
    plane = scale_plane(np.array([[1, 2], [4, 16]], np.uint8), BlockGrid(17, 20, 16))
    assert plane.shape == (17, 20)
    assert (plane[:16, :16] == 1).all()
    assert (plane[:16, 16:] == 2).all()
    assert (plane[16:, :16] == 4).all()
    assert (plane[16:, 16:] == 16).all()


def test_map_tints_blocks_and_draws_lines_only_where_the_scale_changes() -> None:
    plane = np.full((32, 600), 4, np.uint8)
    plane[:, 300:] = 16
    drawn = draw_map(np.full((32, 600, 1), 128, np.uint8), plane, {4: 19, 16: 19})
    assert drawn.shape[1] == 600
    assert drawn.shape[0] > 32
    assert len(np.unique(drawn[:32, :300].reshape(-1, 3), axis=0)) == 1
    assert len(np.unique(drawn[:32, 301:].reshape(-1, 3), axis=0)) == 1
    assert (drawn[:32, 300].astype(int) < drawn[:32, 301]).all()
    yellow, blue = drawn[0, 0].astype(int), drawn[0, 599].astype(int)
    assert yellow[0] > yellow[2]
    assert blue[2] > blue[0]
    for factor in (4, 16):
        assert (drawn[32:] == SCALE_COLOURS[factor]).all(axis=2).any()
    assert not (drawn[32:] == SCALE_COLOURS[1]).all(axis=2).any()


def test_legend_of_a_tiny_picture_is_whole() -> None:
    drawn = draw_map(np.zeros((1, 1, 3), np.uint8), np.full((1, 1), 8, np.uint8), dict.fromkeys(SCALE_COLOURS, 1))
    for colour in SCALE_COLOURS.values():
        assert (drawn[1:] == colour).all(axis=2).sum() > 50


def test_side_by_side_holds_every_crop_as_it_is() -> None:
    rng = np.random.default_rng(4)
    rows = [[rng.integers(0, 256, (40, 170, channels), dtype=np.uint8) for channels in (3, 3)] for _ in range(2)]
    sheet = side_by_side(["one", "two"], rows, [["a", "b"], ["c", "d"]])
    windows = np.lib.stride_tricks.sliding_window_view(sheet, (40, 170, 3))[:, :, 0]
    for crop in (crop for row in rows for crop in row):
        assert (windows[:, :, 0, 0, 0] == crop[0, 0, 0]).any()
        found = [
            place
            for place in zip(*np.nonzero((windows[:, :, 0, 0] == crop[0, 0]).all(axis=2)), strict=True)
            if (windows[place] == crop).all()
        ]
        assert len(found) == 1


STEPS = [
    "original",
    "+ Algorithm 1, blocks alone",
    "+ Algorithm 1, Joint SR, deblocking, context",
    "my_sr.py:enlarge" * 4,
]


@pytest.mark.parametrize("width", [16, 64, 192, 400])
def test_titles_and_captions_stay_in_their_columns(width: int) -> None:
    crop = np.zeros((30, width, 3), np.uint8)
    column = (side_by_side(["a"] * 2, [[crop] * 2], [["a"] * 2]).shape[1] - 8) // 2
    sheet = side_by_side(STEPS, [[crop] * 4] * 2, [STEPS, STEPS[::-1]])
    assert sheet.shape[1] == 8 + 4 * column
    for index in range(5):
        assert (sheet[:, index * column : index * column + 8] == 255).all()  # nothing between columns
    assert (sheet[0] == 255).all()
    assert (sheet[-1] == 255).all()


def test_long_titles_are_drawn_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[float, float, str]] = []

    def text(self: object, place: tuple[float, float], words: str, *args: object, **options: object) -> None:
        drawn.append((*place, words))

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", text)
    side_by_side(STEPS, [[np.zeros((64, 64, 3), np.uint8)] * 4], [["", "at  1, 2", "x", "y"]])
    captions = [words for *_, words in drawn if words in ("", "at 1, 2", "x", "y")]
    assert captions == ["", "at 1, 2", "x", "y"]
    above = drawn[: -len(captions)]
    ends = set()
    for left, title in zip(sorted({left for left, *_ in drawn}), STEPS, strict=True):
        lines = [words for at, _, words in above if at == left]
        assert "".join(lines).replace(" ", "") == title.replace(" ", "")
        if " " in title:
            assert " ".join(lines) == title  # broken between words alone
        ends.add(max(top for at, top, _ in above if at == left))
    assert len(ends) == 1  # all end above their crops
