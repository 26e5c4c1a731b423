"""docs/pictures-table.md: what becomes of pictures of every kind.

PYTHONPATH=tests python -m picture_files.table writes it anew; a test compares.
"""

import tempfile
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from picture_files.kinds import ORIENTATION, PER_INCH, XMP, Kind, all_kinds

from bbmr.blocks import BlockGrid, split, stitch
from bbmr.depth import Samples
from bbmr.fileformat import decode, encode
from bbmr.imageio import WRITE_FORMATS, PictureError, PictureWarning, orientation, read_picture, write_picture
from bbmr.imageio.exif import resolution
from bbmr.picture import Metadata, Picture
from bbmr.rescaled import Recipe, RescaledImage

TABLE = Path(__file__).parents[2] / "docs" / "pictures-table.md"
_HEAD = """# Pictures of every kind

What becomes of a picture that is read, put into a lossless `.bbmr` file in blocks of scale 1, taken out of it and
written again, in its own format or, where that can only be read, as PNG. Made by
`PYTHONPATH=tests python -m picture_files.table`; a test makes all files and compares. *Exact*, read: every sample is as
other software, or arithmetic, has it; written: every sample that was read comes back. *Near*: within a few levels of
255, because the conversion or the format loses some. Metadata: ICC profile, EXIF, XMP, orientation (pixels stay as they
are stored, the tag is kept), resolution in pixels per inch.

| file | made by | holds | read as | written again as | metadata in it | comes back | said on the way |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""
_NEAR_AGAIN = 4.0
"""Levels of 255 that the lossy formats may differ by when written at the best quality."""


def table(folder: Path) -> str:
    """Raises AssertionError where a picture does not come back as its row would say."""
    return _HEAD + "".join(_row(kind, folder / f"{number}{kind.suffix}") for number, kind in enumerate(all_kinds()))


def through_file(picture: Picture) -> Picture:
    """Out of a .bbmr file that stores every block at scale 1."""
    grid = BlockGrid(picture.height, picture.width, 16)
    scales = np.ones((grid.rows, grid.cols), np.uint8)
    blocks = {1: split(picture.colour, grid, 1).reshape(-1, 16, 16, picture.colour.shape[2])}
    recipe = Recipe("mosaic-fast", "mosaic-fast", "0123456789abcdef", "own", None)
    stored = RescaledImage(grid, scales, blocks, recipe, picture.alpha, picture.metadata, {}, picture.depth)
    back = decode(encode(stored))
    own = back.blocks[1].reshape(grid.rows, grid.cols, 16, 16, -1)
    return Picture(stitch(own, grid, 1), back.alpha, back.metadata)


def _row(kind: Kind, path: Path) -> str:
    kind.made(path)
    there = ", ".join(sorted(kind.metadata)) or "none"
    start = f"| {kind.suffix[1:]} | {kind.maker} | {kind.holds} "
    picture, said = _watched(lambda: read_picture(path), path)
    if picture is None:
        assert kind.truth is None, said
        return f"{start}| refused | | {there} | | {said} |\n"
    assert kind.truth is not None, f"{kind}: read, but not to be expected"
    fits = _compared(picture.to_array(), kind.truth, kind.near)
    assert _found(picture.metadata) == kind.metadata, (kind, _found(picture.metadata))

    stored = through_file(picture)
    assert stored == picture
    suffix = kind.suffix if kind.suffix in WRITE_FORMATS else ".png"
    target = path.with_name(f"{path.stem}-again{suffix}")
    _, words = _watched(lambda: write_picture(stored, target, quality=100), target)
    written = f"{suffix[1:]}, "
    if not target.exists():
        written += "refused; png, "
        target = target.with_suffix(".png")
        write_picture(stored, target)
    again, more = _watched(lambda: read_picture(target), target)
    assert again is not None, more
    written += _back(again, stored)
    kept = _found(again.metadata) & kind.metadata
    lost = kind.metadata - kept
    assert not lost or words, f"{kind}: {lost} is lost without a word"
    assert not more, more
    comes_back = "nothing to keep" if not kind.metadata else "all" if not lost else f"all but {', '.join(sorted(lost))}"
    both = "; ".join(part for part in (said, words) if part)
    read_as = f"{picture.mode}, {picture.depth} bits, {fits}"
    return f"{start}| {read_as} | {written} | {there} | {comes_back} | {both} |\n"


def _watched(act: Callable[[], Picture | None], path: Path) -> tuple[Picture | None, str]:
    """What comes of it, and what was said, without the file's name."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = act()
        except PictureError as error:
            return None, str(error).removeprefix(f"{path}: ")
    assert all(issubclass(warning.category, PictureWarning) for warning in caught), caught
    return result, "; ".join(str(warning.message).removeprefix(f"{path}: ") for warning in caught)


def _compared(samples: Samples, truth: Samples, near: float) -> str:
    assert (samples.shape, samples.dtype) == (truth.shape, truth.dtype), (samples.shape, truth.shape)
    distance = np.abs(samples.astype(float) - truth).max() * 255 / np.iinfo(truth.dtype).max
    assert distance <= near, distance
    return "near" if near else "exact"


def _back(again: Picture, stored: Picture) -> str:
    if again.to_array().shape == stored.to_array().shape and again == replace(stored, metadata=again.metadata):
        return "exact"
    one, other = again.in_8_bit(), stored.in_8_bit()
    distance = np.abs(one.colour.astype(int) - other.colour).max()
    assert distance <= _NEAR_AGAIN, distance
    assert (one.alpha is None) == (other.alpha is None)
    shape = "" if (again.mode, again.depth) == (stored.mode, stored.depth) else f"{again.mode}, {again.depth} bits, "
    return shape + ("near" if distance else "exact in 8 bits")


def _found(metadata: Metadata) -> frozenset[str]:
    """Which of the things that the makers put into files are there."""
    found = {
        "ICC": metadata.icc is not None,
        "EXIF": metadata.exif is not None and b"A camera maker" in metadata.exif and b"2026:01:02" in metadata.exif,
        "XMP": metadata.xmp == XMP,
        "orientation": orientation(metadata) == ORIENTATION,
        "resolution": _per_inch(metadata) == PER_INCH,
    }
    return frozenset(name for name, is_there in found.items() if is_there)


def _per_inch(metadata: Metadata) -> int:
    found = resolution(metadata)
    return 0 if found is None else round(float(found[0]) * (2.54 if found[2] == 3 else 1))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        TABLE.write_text(table(Path(folder)), "utf-8")


if __name__ == "__main__":
    main()
