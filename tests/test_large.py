"""Panels are compressed as parts of the whole picture."""

import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from upscaling.tiny_networks import ship, textured

from bbmr import panels as panels_module
from bbmr.blocks import SCALES
from bbmr.coding import codec_planes, sender
from bbmr.coding.options import CodedOptions
from bbmr.depth import Samples
from bbmr.downscaling import bicubic_planes
from bbmr.fileformat import Reader
from bbmr.large import compress_large, in_panels
from bbmr.luma import luma
from bbmr.networks import NetworkDescriptor
from bbmr.networks.fast import CodedFast
from bbmr.options import Options
from bbmr.picture import Metadata, Picture
from bbmr.rescaled import RescaledImage
from bbmr.samples import to_tensor
from bbmr.windows import Windows


@pytest.fixture(autouse=True)
def small_panels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panels_module, "PANEL_PIXELS", 1 << 16)
    monkeypatch.setattr(panels_module, "PANEL_HEIGHT", 256)
    monkeypatch.setattr(panels_module, "PANEL_WIDTH", 384)


@dataclass(frozen=True)
class InStrips:
    """A picture in memory, as one that comes in strips."""

    picture: Picture

    @property
    def height(self) -> int:
        return self.picture.height

    @property
    def width(self) -> int:
        return self.picture.width

    @property
    def metadata(self) -> Metadata:
        return self.picture.metadata

    def strips(self, height: int) -> Iterator[Picture]:
        for top in range(0, self.height, height):
            yield self.picture.crop(slice(top, top + height), slice(None))


def photograph(height: int, width: int) -> Samples:
    colour = textured(height, width)
    colour[:, : width // 3] = 90
    return colour


def psnr(one: Samples, other: Samples) -> float:
    return float(10 * np.log10(255**2 / (luma(to_tensor(one)) - luma(to_tensor(other))).square().mean().item()))


@pytest.mark.parametrize("size", [(600, 800), (256, 385), (900, 100), (270, 390)])
@pytest.mark.parametrize("alpha", [False, True])
def test_lr_planes_are_those_of_the_whole_picture(
    size: tuple[int, int], alpha: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    colour = photograph(*size)
    see_through = np.random.default_rng(0).integers(0, 256, size).astype(np.uint8) if alpha else None
    picture = Picture(colour, see_through, Metadata(icc=b"profile", exif=b"II*"))
    planes: list[Samples] = []

    def recorded(plane: Samples, percent: int) -> Samples:
        planes.append(plane)
        return plane

    monkeypatch.setattr(codec_planes, "fade", recorded)
    file = BytesIO()
    compress_large(InStrips(picture), file, CodedOptions(quality=30, block=64, tune="psnr"))
    reader = Reader(BytesIO(file.getvalue()))
    reader.check()
    assert len(reader.panels) > 1
    assert reader.metadata == picture.metadata
    assert (reader.header.grid.height, reader.header.grid.width) == size
    of_whole = bicubic_planes(colour, SCALES)
    assert len(planes) == len(SCALES) * len(reader.panels)
    for number in range(len(reader.panels)):
        rows, cols = reader.panels.pixels(number)
        for factor, plane in zip(SCALES, planes[len(SCALES) * number :], strict=False):
            where = slice(rows.start // factor, None), slice(cols.start // factor, None)
            height, width = plane.shape[:2]
            assert (height, width) == (-(-(rows.stop - rows.start) // factor), -(-(cols.stop - cols.start) // factor))
            np.testing.assert_array_equal(plane, of_whole[factor][where][:height, :width])
        if see_through is not None:
            np.testing.assert_array_equal(reader.panel(number).alpha, see_through[rows, cols])
    restored = np.concatenate([strip.colour for strip in Windows(reader).strips()])
    assert restored.shape == colour.shape
    assert psnr(restored, colour) > 25


def test_one_row_of_panels_is_in_memory_while_a_panel_is_coded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the height."""
    width, rows_of_panels = 384 * 4, 5
    arrays: list[weakref.ref[Samples]] = []  # all strips, and what windows are views of
    held: list[int] = []
    compress = sender.compress

    def measured(window: Picture, *others: Any) -> RescaledImage:
        assert window.colour.base is not None
        arrays.append(weakref.ref(window.colour.base))
        alive = {id(array): array.nbytes for one in arrays if (array := one()) is not None}
        held.append(sum(alive.values()))
        return compress(window, *others)

    class Copied(InStrips):
        def strips(self, height: int) -> Iterator[Picture]:
            for strip in super().strips(height):
                copy = strip.colour.copy()
                arrays.append(weakref.ref(copy))
                yield Picture(copy)

    blank = np.full((256 * rows_of_panels, width, 3), 90, np.uint8)
    monkeypatch.setattr(sender, "compress", measured)
    compress_large(Copied(Picture(blank)), BytesIO(), CodedOptions(quality=20, tune="psnr"))
    assert len(held) == 4 * rows_of_panels
    assert max(held) <= (256 + 3 * 64) * width * 3


def test_panels_that_are_exact_beside_others_that_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """By networks that leave samples as they are."""
    idle = NetworkDescriptor("fast-coded", CodedFast(8, 1), "coded", None, 4)
    ship(monkeypatch, {"coded-fine": idle, "coded-fast": idle})
    colour = photograph(300, 500)
    colour[:256, :384] = 128
    for picture, least in ((Picture(colour), 20), (Picture(np.full_like(colour, 128)), 60)):
        file = BytesIO()
        compress_large(InStrips(picture), file, CodedOptions(quality=50, tune="psnr"))
        reader = Reader(BytesIO(file.getvalue()))
        reader.check()
        assert reader.recipe.expected_psnr is not None
        assert reader.recipe.expected_psnr > least


@pytest.mark.parametrize("depth", [8, 16])
def test_with_loss(depth: int) -> None:
    colour = photograph(300, 500)
    deep = colour if depth == 8 else colour.astype(np.uint16) * 257
    file = BytesIO()
    compress_large(InStrips(Picture(deep)), file, CodedOptions(quality=50, tune="psnr"))
    reader = Reader(BytesIO(file.getvalue()))
    restored = np.concatenate([strip.colour for strip in Windows(reader).strips()])
    assert restored.dtype == deep.dtype
    expected = reader.recipe.expected_psnr
    assert expected is not None
    assert psnr(restored, deep) == pytest.approx(expected, abs=0.3)  # panels are measured without their neighbours


def test_pictures_in_panels_are_those_that_a_quality_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert in_panels(CodedOptions(quality=50), 300, 500)
    assert not in_panels(CodedOptions(quality=50), 200, 200)
    assert not in_panels(CodedOptions(target_bpp=0.1), 300, 500)
    assert not in_panels(Options(), 300, 500)
    monkeypatch.setattr(panels_module, "PANEL_PIXELS", 1 << 24)
    assert in_panels(CodedOptions(quality=50), 1, 32769)  # longer than a frame may be
    assert not in_panels(CodedOptions(quality=50), 1, 32768)
