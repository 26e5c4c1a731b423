"""Pictures about pictures: the scale map drawn over a photograph, and crops side by side.  Arrays in, arrays out."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from bbmr.blocks import BlockGrid

SCALE_COLOURS = {
    1: (213, 94, 0),
    2: (230, 159, 0),
    4: (240, 228, 66),
    8: (86, 180, 233),
    16: (0, 114, 178),
}
"""Warm: many samples, cold: few; distinct for all common forms of colour blindness (Okabe & Ito 2008)."""

_TINT = 0.45
_LIFT = 60
_LINE = 0.45  # what is left of the brightness on a line between blocks of different scales
_PAPER, _INK = (255, 255, 255), (0, 0, 0)


def scale_plane(scales: NDArray[np.uint8], grid: BlockGrid) -> NDArray[np.uint8]:
    """(rows, cols) factors of the blocks -> (H, W): the factor at every pixel."""
    return scales.repeat(grid.side, axis=0).repeat(grid.side, axis=1)[: grid.height, : grid.width]


def upright(array: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Turn an array (H, W, ...) that is stored with EXIF `orientation` (1 to 8) as a viewer shows it."""
    if orientation >= 5:
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return np.ascontiguousarray(array)


def as_rgb(colour: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 1 or 3) -> (H, W, 3)."""
    return np.broadcast_to(colour, (*colour.shape[:2], 3))


def draw_map(colour: NDArray[np.uint8], plane: NDArray[np.uint8], blocks: Mapping[int, int]) -> NDArray[np.uint8]:
    """Draw a scale map over a picture: a tint for each scale, thin lines where the scale changes, a legend below.

    colour: (H, W, 1 or 3).  plane: (H, W), the factor at every pixel (`scale_plane`).  blocks: number of blocks of each
    factor, for the legend.  Returns (H + legend, W or the legend's width, 3).
    """
    # The tint lies over the gray picture, lifted from black, so that its colours mean scales only and show everywhere.
    gray = _LIFT + (1 - _LIFT / 255) * (as_rgb(colour) @ np.array([0.299, 0.587, 0.114], np.float32))
    tints = np.zeros((256, 3), np.float32)
    for factor, tint in SCALE_COLOURS.items():
        tints[factor] = tint
    tinted = (1 - _TINT) * gray[:, :, None] + _TINT * tints[plane]
    edges = np.zeros(plane.shape, bool)
    edges[1:] |= plane[1:] != plane[:-1]
    edges[:, 1:] |= plane[:, 1:] != plane[:, :-1]
    tinted[edges] *= _LINE
    drawn = np.round(tinted).astype(np.uint8)
    return _stack([drawn, _legend(blocks, drawn.shape[1])])


def side_by_side(
    titles: Sequence[str], rows: Sequence[Sequence[NDArray[np.uint8]]], captions: Sequence[Sequence[str]], gap: int = 8
) -> NDArray[np.uint8]:
    """Lay crops out as a table, a title over each column and a caption under each crop, both on as many lines as the
    column's width needs.

    rows: for each row one crop (h, w, 1 or 3) a column, all of one size.  captions: likewise.  Returns (H, W, 3).
    """
    height, width = rows[0][0].shape[:2]
    letter = max(12, min(18, width // 14))
    font = ImageFont.load_default(letter)
    line = round(letter * 1.3)
    column_width = max(width, letter * 11) + gap  # crops may be narrower than their captions
    room = column_width - 2 * gap  # words of two columns shall not look like one line
    head = [_wrapped(title, font, room) for title in titles]
    feet = [[_wrapped(text, font, room) for text in words] for words in captions]
    head_height = gap + line * max(map(len, head))
    feet_heights = [2 * gap + line * max(map(len, texts)) for texts in feet]
    size = (gap + column_width * len(titles), head_height + height * len(rows) + sum(feet_heights))
    sheet = Image.new("RGB", size, _PAPER)
    pen = ImageDraw.Draw(sheet)

    def write(texts: Sequence[str], left: int, top: int) -> None:
        for index, text in enumerate(texts):
            pen.text((left, top + gap // 2 + line * index + line // 2), text, _INK, font, anchor="lm")

    lefts = [gap + column * column_width for column in range(len(titles))]
    for texts, left in zip(head, lefts, strict=True):
        write(texts, left, head_height - gap - line * len(texts))
    top = head_height
    for crops, words, feet_height in zip(rows, feet, feet_heights, strict=True):
        for crop, texts, left in zip(crops, words, lefts, strict=True):
            sheet.paste(Image.fromarray(np.ascontiguousarray(as_rgb(crop))), (left, top))
            write(texts, left, top + height)
        top += height + feet_height
    return np.array(sheet)


def _wrapped(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, room: int) -> list[str]:
    """Text in lines at most `room` pixels wide, of whole words where these fit."""
    lines = [""]
    for word in text.split():
        rest = word
        if lines[-1] and font.getlength(f"{lines[-1]} {rest}") <= room:
            lines[-1] += f" {rest}"
            continue
        while rest:
            count = next((count for count in range(len(rest), 1, -1) if font.getlength(rest[:count]) <= room), 1)
            lines.append(rest[:count])
            rest = rest[count:]
    return lines[1:] or lines


def _legend(blocks: Mapping[int, int], width: int) -> NDArray[np.uint8]:
    """As many lines as `width` needs; wider than that only where one entry is."""
    swatch = max(12, min(40, width // 60))
    font = ImageFont.load_default(swatch)
    line = swatch * 2
    total = sum(blocks.values())
    entries = [
        (SCALE_COLOURS[factor], f"x{factor}  {count / total:.1%} of the blocks")
        for factor, count in sorted(blocks.items())
    ]
    widths = [round(swatch * 3.5 + font.getlength(text)) for _, text in entries]
    width = max(width, *widths)
    places: list[tuple[int, int]] = []
    left = top = 0
    for entry in widths:
        if left + entry > width:
            left, top = 0, top + line
        places.append((left, top))
        left += entry
    strip = Image.new("RGB", (width, top + line), _PAPER)
    pen = ImageDraw.Draw(strip)
    for (tint, text), (x, y) in zip(entries, places, strict=True):
        box = (x + swatch // 2, y + swatch // 2, x + swatch // 2 + swatch, y + swatch // 2 + swatch)
        pen.rectangle(box, fill=tint, outline=_INK)
        pen.text((x + 2 * swatch, y + line // 2), text, _INK, font, anchor="lm")
    return np.array(strip)


def _stack(strips: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    width = max(strip.shape[1] for strip in strips)
    return np.concatenate(
        [np.pad(strip, ((0, 0), (0, width - strip.shape[1]), (0, 0)), constant_values=255) for strip in strips]
    )
