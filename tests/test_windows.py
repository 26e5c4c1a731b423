"""What is restored of a part is what the whole picture has there."""

from dataclasses import replace
from hashlib import sha256
from io import BytesIO

import numpy as np
import pytest
import torch
from fileformat.golden_pictures import in_panels
from fileformat.rescaled_samples import RECIPE, make_rescaled, mixed
from networks.at_random import at_random
from numpy.typing import NDArray
from torch import nn
from upscaling.tiny_networks import ship

from bbmr.blocks import SCALES, BlockGrid
from bbmr.errors import BbmrError
from bbmr.fileformat import FileFormatError, Header, Reader, Writer, encode
from bbmr.networks import NetworkDescriptor
from bbmr.networks.fast import CodedFast, Fast
from bbmr.panels import PanelGrid
from bbmr.parts import Parts
from bbmr.picture import Metadata
from bbmr.pipeline import restore
from bbmr.rescaled import Recipe, RescaledImage
from bbmr.upscaling.own import OwnUpscaler
from bbmr.windows import Windows, preview_of

LOSSLESS, LOSSY, UNBOUNDED = (
    Recipe(name, name, sha256(name.encode()).hexdigest()[:16], "psnr")
    for name in ("mosaic-fast", "coded-fast", "mosaic-omnisr")
)


@pytest.fixture(autouse=True)
def network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of corrections that can be seen, and a reach as that of those that are shipped, or none."""
    torch.manual_seed(0)
    plain, coded = at_random(Fast(8, 2)), at_random(CodedFast(8, 2))
    for one in (plain, coded):
        nn.init.normal_(one.tail.weight, std=0.02)
    ship(
        monkeypatch,
        {
            "mosaic-fast": NetworkDescriptor("fast", plain, "mosaic", None, plain.reach),
            "coded-fast": NetworkDescriptor("fast-coded", coded, "coded", None, coded.reach),
            "mosaic-omnisr": NetworkDescriptor("omnisr", plain, "mosaic", None, None),
        },
    )


def picture(quality: int | None, depth: int = 8, channels: int = 3) -> RescaledImage:
    rng = np.random.default_rng(3)
    grid = BlockGrid(900, 1100, 64)
    scales = rng.choice(np.array(SCALES, np.uint8), (grid.rows, grid.cols))
    recipe = LOSSLESS if quality is None else LOSSY
    return make_rescaled(grid, scales, channels, alpha=True, recipe=recipe, quality=quality, depth=depth)


REGIONS = [
    (slice(0, 900), slice(0, 1100)),
    (slice(0, 1), slice(0, 1)),
    (slice(899, 900), slice(1099, 1100)),
    (slice(251, 262), slice(383, 700)),
    (slice(300, 812), slice(500, 1012)),
]


@pytest.mark.parametrize(("quality", "depth", "channels"), [(None, 8, 3), (None, 16, 3), (None, 8, 1), (40, 8, 3)])
def test_a_region_is_the_crop_of_the_whole(quality: int | None, depth: int, channels: int) -> None:
    rescaled = picture(quality, depth, channels)
    whole = restore(rescaled)
    assert whole.alpha is not None
    windows = Windows(Reader(BytesIO(encode(rescaled))))
    for rows, cols in REGIONS:
        region = windows.region(rows, cols)
        assert region.depth == depth
        apart = region.colour.astype(int) - whole.colour[rows, cols]
        assert np.abs(apart).max() <= 1
        assert region.alpha is not None
        np.testing.assert_array_equal(region.alpha, whole.alpha[rows, cols])


def test_a_region_by_a_network_that_sees_everything() -> None:
    """It restores tiles beyond the region."""
    rescaled = make_rescaled(*mixed(40, 1800, 16), 3, alpha=False, recipe=UNBOUNDED)
    whole = restore(rescaled)
    windows = Windows(Reader(BytesIO(encode(rescaled))))
    for cols in (slice(0, 100), slice(700, 800), slice(1790, 1800)):
        region = windows.region(slice(3, 30), cols)
        assert np.abs(region.colour.astype(int) - whole.colour[3:30, cols]).max() <= 1


@pytest.mark.parametrize(("height", "width"), [(4, 4), (5, 18), (15, 7)])
def test_panels_leave_no_trace(height: int, width: int) -> None:
    rescaled = picture(None)
    whole = restore(rescaled)
    reader = Reader(BytesIO(in_panels(rescaled, height, width)))
    np.testing.assert_array_equal(reader.scales, rescaled.scales)
    windows = Windows(reader)
    strips = list(windows.strips())
    assert len(strips) == -(-15 // height)
    for plane in ("colour", "alpha"):
        joined: NDArray[np.uint8] = np.concatenate([getattr(strip, plane) for strip in strips])
        assert np.abs(joined.astype(int) - getattr(whole, plane)).max() <= (plane == "colour")
    for rows, cols in REGIONS:
        apart = windows.region(rows, cols).colour.astype(int) - whole.colour[rows, cols]
        assert np.abs(apart).max() <= 1


def test_what_sees_everything_restores_panels_at_once() -> None:
    calls: list[tuple[int, ...]] = []

    def repeat(lr: torch.Tensor, scale: int) -> torch.Tensor:
        calls.append(tuple(lr.shape))
        return lr.repeat_interleave(scale, 2).repeat_interleave(scale, 3)

    parts = Parts(OwnUpscaler(repeat))
    grid = BlockGrid(900, 1100, 64)
    rescaled = make_rescaled(grid, np.full((grid.rows, grid.cols), 4, np.uint8), alpha=True, recipe=LOSSLESS)
    with pytest.warns(UserWarning, match="upscaler of one's own"):
        whole = restore(rescaled, parts=parts)
    alone = calls.copy()
    calls.clear()
    with pytest.warns(UserWarning, match="upscaler of one's own"):
        windows = Windows(Reader(BytesIO(in_panels(rescaled, 4, 4))), parts=parts)
    (strip,) = windows.strips()
    assert calls == alone
    np.testing.assert_array_equal(strip.colour, whole.colour)
    np.testing.assert_array_equal(strip.alpha, whole.alpha)
    for rows, cols in REGIONS:
        np.testing.assert_array_equal(windows.region(rows, cols).colour, whole.colour[rows, cols])


def test_each_panel_is_filtered_as_its_sender_says() -> None:
    scales = np.full((4, 4), 2, np.uint8)
    plain = make_rescaled(BlockGrid(256, 256, 64), scales, recipe=LOSSY, quality=40)
    halves = [
        replace(plain, frames={2: replace(plain.frames[2], filter=filter)})
        for filter in ((40, -30, 20, 10, -20, 30, 64), (-60, 50, -40, 30, 20, -10, -90))
    ]
    panels = PanelGrid(BlockGrid(256, 512, 64), 4, 4)
    file = BytesIO()
    writer = Writer(file, Header(panels, 3, False, 8, 0), LOSSY, Metadata())
    for half in halves:
        writer.add(half)
    writer.finish(LOSSY)
    restored = Windows(Reader(file)).region(slice(0, 256), slice(0, 512)).colour
    near = 160  # more than the network sees
    left, right = (restore(half).colour.astype(int) for half in halves)
    assert np.abs(left - right).max() > 2
    assert np.abs(restored[:, : 256 - near] - left[:, : 256 - near]).max() <= 1
    assert np.abs(restored[:, 256 + near :] - right[:, near:]).max() <= 1


def test_regions_read_little_of_the_file() -> None:
    data = in_panels(picture(None), 4, 4)

    class Counting(BytesIO):
        taken = 0

        def read(self, size: int | None = -1) -> bytes:
            found = super().read(size)
            self.taken += len(found)
            return found

    file = Counting(data)
    Windows(Reader(file)).region(slice(10, 20), slice(10, 20))
    assert file.taken < 0.4 * len(data)


@pytest.mark.parametrize("factor", [2, 4, 8, 16])
def test_previews_are_about_what_shrinking_the_picture_gives(factor: int) -> None:
    grid, scales = mixed(300, 420, 32)
    y, x = np.mgrid[:300, :420]
    smooth = (60 + y / 3 + x / 5)[:, :, None].repeat(3, 2)
    blocks = {}
    for k in np.unique(scales).tolist():
        height, width = grid.lr_size(k)
        plane = np.pad(smooth, ((0, height * k - 300), (0, width * k - 420), (0, 0)), mode="edge")
        plane = plane.reshape(height, k, width, k, 3).mean((1, 3)).round().astype(np.uint8)
        side = 32 // k
        whole = np.pad(plane, ((0, grid.rows * side - height), (0, grid.cols * side - width), (0, 0)), mode="edge")
        cut = whole.reshape(grid.rows, side, grid.cols, side, 3).swapaxes(1, 2)
        blocks[k] = cut[scales == k]
    preview = preview_of(Reader(BytesIO(encode(RescaledImage(grid, scales, blocks, LOSSLESS)))), factor)
    height, width = grid.lr_size(factor)
    padded = np.pad(smooth, ((0, height * factor - 300), (0, width * factor - 420), (0, 0)), mode="edge")
    expected = padded.reshape(height, factor, width, factor, 3).mean((1, 3))
    assert preview.colour.shape == expected.shape
    assert np.abs(preview.colour - expected).mean() < 1
    assert np.abs(preview.colour - expected)[:-1, :-1].max() < 6


@pytest.mark.parametrize("factor", [2, 16])
def test_previews_have_no_edges_of_their_own(factor: int) -> None:
    """Where one picture's are put together, at 1024 pixels, another's is of one piece."""
    whole = make_rescaled(*mixed(64, 1600, 32), recipe=LOSSLESS)
    cut = slice(800 // 32, 1600 // 32)
    blocks = {}
    for k in whole.blocks:
        own = whole.scales == k
        position = np.cumsum(own).reshape(own.shape) - 1
        blocks[k] = whole.blocks[k][position[:, cut][own[:, cut]]]
    part = RescaledImage(BlockGrid(64, 800, 32), whole.scales[:, cut], blocks, LOSSLESS)
    previews = [preview_of(Reader(BytesIO(encode(one))), factor).colour.astype(int) for one in (whole, part)]
    around = slice(960 // factor, 1088 // factor)
    np.testing.assert_array_equal(
        previews[0][:, around], previews[1][:, around.start - 800 // factor :][:, : 128 // factor]
    )


def test_what_is_no_region_is_refused() -> None:
    windows = Windows(Reader(BytesIO(encode(picture(None)))))
    for rows, cols in ((slice(0, 901), slice(0, 9)), (slice(5, 5), slice(0, 9)), (slice(-1, 5), slice(0, 9))):
        with pytest.raises(BbmrError, match="no region of a picture of 1100 x 900 pixels"):
            windows.region(rows, cols)


def test_a_damaged_panel_is_named_and_the_others_can_be_read() -> None:
    data = bytearray(in_panels(picture(None), 4, 4))
    data[-200] ^= 1
    windows = Windows(Reader(BytesIO(bytes(data))))
    windows.region(slice(0, 100), slice(0, 100))
    with pytest.raises(FileFormatError, match="checksum"):
        windows.region(slice(800, 900), slice(1000, 1100))
    with pytest.raises(FileFormatError, match="checksum"):
        Reader(BytesIO(bytes(data))).check()


def test_metadata_and_recipe_of_pictures_in_panels() -> None:
    rescaled = picture(None)
    file = BytesIO()
    panels = PanelGrid(rescaled.grid, rescaled.grid.rows, rescaled.grid.cols)
    metadata = Metadata(icc=b"icc", exif=b"II", xmp=b"<x/>")
    writer = Writer(file, Header(panels, 3, True, 8, 0), RECIPE, metadata)
    writer.add(rescaled)
    writer.finish(Recipe(RECIPE.pipeline, RECIPE.weights, RECIPE.weights_digest, RECIPE.tune, 33.5))
    reader = Reader(BytesIO(file.getvalue()))
    assert reader.metadata == metadata
    assert reader.recipe.expected_psnr == 33.5
