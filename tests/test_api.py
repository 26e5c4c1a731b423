from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import bbmr
from bbmr.options import CODED_PIPELINE, Options
from bbmr.parts import Parts


def test_arrays_paths_and_pictures_give_the_same(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    Image.fromarray(array).save(tmp_path / "photo.png")
    by_array = bbmr.compress(array, block=32, tune="psnr")
    for source in (tmp_path / "photo.png", str(tmp_path / "photo.png"), bbmr.Picture(array)):
        other = bbmr.compress(source, block=32, tune="psnr")
        np.testing.assert_array_equal(other.scales, by_array.scales)
        assert other.recipe == by_array.recipe
    bbmr.save(by_array, tmp_path / "photo.bbmr")
    by_path = bbmr.restore(tmp_path / "photo.bbmr")
    np.testing.assert_array_equal(by_path.to_array(), bbmr.restore(by_array).to_array())
    assert bbmr.load(tmp_path / "photo.bbmr").recipe == by_array.recipe


def test_weights_are_an_option() -> None:
    gray = np.random.default_rng(6).integers(0, 256, (17, 33), np.uint8)
    plain = bbmr.compress(gray, pipeline="plain-x4", weights="mosaic-fast")
    assert plain.recipe.weights == "mosaic-fast"
    with pytest.raises(bbmr.BbmrError, match=r"not there: mine; .*bbmr weights import"):
        bbmr.compress(gray, weights="mine")


@pytest.mark.parametrize("budget", ["x8", "1/64", 1 / 64, np.float32(1 / 64), np.float64(1 / 64)])
def test_the_budget_is_text_or_a_share(budget: str | float) -> None:
    array = np.random.default_rng(2).integers(0, 256, (64, 64, 3), np.uint8)
    assert bbmr.compress(array, budget=budget).lr_pixels == 64


def test_targets_code_with_loss() -> None:
    array = np.random.default_rng(3).integers(90, 160, (70, 90, 3), np.uint8)
    small = bbmr.compress(array, quality=20, tune="psnr", block=np.int64(64))
    assert (small.recipe.pipeline, small.grid.side, set(small.frames)) == (CODED_PIPELINE, 64, set(small.blocks))
    assert bbmr.restore(small).to_array().shape == array.shape
    assert bbmr.compress(array) == bbmr.compress(array, quality=60)
    assert bbmr.compress(array, lossless_lr=True) == bbmr.compress(array, budget="x4")
    assert bbmr.compress(array, weights="coded-fast", pipeline="coded-fast").frames
    assert not bbmr.compress(array, weights="mosaic-fast").frames
    with pytest.raises(bbmr.BbmrError, match="effort has no place beside target_bpp: it is for LR samples"):
        bbmr.compress(array, target_bpp=1.0, effort=3)
    with pytest.raises(bbmr.BbmrError, match="quality given beside options"):
        bbmr.compress(array, options=Options(), quality=20)
    with pytest.raises(bbmr.BbmrError, match="chroma has no place beside budget: it is for LR samples that are coded"):
        bbmr.compress(array, chroma="4:4:4", budget="x4")
    with pytest.raises(bbmr.BbmrError, match="lossless_lr has no place beside quality"):
        bbmr.compress(array, lossless_lr=True, quality=20)
    with pytest.raises(bbmr.BbmrError, match="parts of one's own have no place"):
        bbmr.compress(array, quality=20, parts=Parts(allocator=lambda *given: given[0].argmin(0)))
    assert not bbmr.compress(array, parts=Parts(allocator=lambda *given: given[0].argmax(0))).frames


def test_gray_arrays_keep_their_shape() -> None:
    gray = np.random.default_rng(1).integers(0, 256, (17, 33), np.uint8)
    assert bbmr.restore(bbmr.compress(gray)).to_array().shape == (17, 33)


def test_wrong_options_and_arrays_are_refused() -> None:
    array = np.zeros((16, 16, 3), np.uint8)
    with pytest.raises(bbmr.BbmrError, match="block 24"):
        bbmr.compress(array, block=24)
    with pytest.raises(
        bbmr.BbmrError, match=r"option 'size' is unknown; there are: quality, target_size, .* lossless_lr"
    ):
        bbmr.compress(array, size=4)
    with pytest.raises(bbmr.BbmrError, match=r"scales 4 are not possible; .* out of 1, 2, 4, 8, 16"):
        bbmr.compress(array, scales=4)
    with pytest.raises(bbmr.BbmrError, match=r"budget \[1\] is not one; give text such as 'x4' or '1/16'"):
        bbmr.compress(array, budget=[1])
    with pytest.raises(TypeError, match="uint8"):
        bbmr.compress(array.astype(np.float32))
    with pytest.raises(AttributeError, match="decompress"):
        bbmr.decompress  # noqa: B018


@pytest.mark.parametrize("scales", [[1, 16], np.array([1, 16])])
def test_options_may_be_numpys(scales: object) -> None:
    array = np.random.default_rng(3).integers(0, 256, (64, 64, 3), np.uint8)
    rescaled = bbmr.compress(array, scales=scales, block=np.int64(32))
    assert set(rescaled.blocks) <= {1, 16}
    assert rescaled.grid.side == 32


def test_larger_files_are_refused_unless_allowed(tmp_path: Path) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    with pytest.raises(bbmr.BbmrError, match=r"a\.png: 40 x 30 = 1200 pixels .* raise max_pixels"):
        bbmr.compress(tmp_path / "a.png", max_pixels=1199)
    bbmr.save(bbmr.compress(tmp_path / "a.png", max_pixels=1200, lossless_lr=True), tmp_path / "a.bbmr")
    with pytest.raises(bbmr.BbmrError, match=r"a\.bbmr: .* raise max_pixels"):
        bbmr.restore(tmp_path / "a.bbmr", max_pixels=1199)
    assert bbmr.restore(tmp_path / "a.bbmr", max_pixels=48 * 32).to_array().shape == (30, 40, 3)


def test_restored_pictures_are_written(tmp_path: Path) -> None:
    array = np.random.default_rng(4).integers(0, 256, (20, 30, 4), np.uint8)
    picture = bbmr.restore(bbmr.compress(array))
    bbmr.write_picture(picture, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as written:
        np.testing.assert_array_equal(np.array(written), picture.to_array())
    with pytest.raises(bbmr.BbmrError, match=r"a\.png: exists already"):
        bbmr.write_picture(picture, tmp_path / "a.png")


def test_everything_public_is_there() -> None:
    for name in bbmr.__all__:
        assert getattr(bbmr, name) is not None


def test_what_contradicts_itself_is_refused() -> None:
    array = np.zeros((16, 16, 3), np.uint8)
    choosing = Parts(allocator=lambda *given: given[0].argmax(0))
    contradicting: list[dict[str, Any]] = [{"budget": "x5"}, {"parts": choosing}]
    for given in contradicting:
        with pytest.raises(
            bbmr.BbmrError, match=r"(no place beside lossless_lr=False|coded with loss; leave them out)"
        ):
            bbmr.compress(array, lossless_lr=False, **given)
    with pytest.raises(bbmr.BbmrError, match="lossless_lr 'yes' is not possible; choose True or False"):
        bbmr.compress(array, lossless_lr="yes")
    wrong: list[dict[str, Any]] = [{"quality": True}, {"effort": True}, {"target_bpp": 1e308}]
    for given in wrong:
        with pytest.raises(bbmr.BbmrError, match=f"{next(iter(given))} .* not possible"):
            bbmr.compress(array, **given)


def test_it_is_said_where_16_bits_are_coded_as_8(tmp_path: Path) -> None:
    deep = np.random.default_rng(5).integers(0, 65536, (20, 30), np.uint16)
    with pytest.warns(UserWarning, match=r"^coded with loss as 8 bits a sample, restored with 16$"):
        bbmr.compress(deep, quality=10)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    with pytest.warns(UserWarning, match=r"deep\.png: coded with loss as 8 bits") as told:
        bbmr.compress_file(tmp_path / "deep.png", tmp_path / "deep.bbmr", quality=10)
    assert len(told) == 1


def test_wrong_types_are_told_what_is_taken() -> None:
    array = np.zeros((16, 16, 3), np.uint8)
    rescaled = bbmr.compress(array, quality=10)
    for wrong in (Image.fromarray(array), [1, 2], None, 3):
        with pytest.raises(TypeError, match=rf"a path, an array or a bbmr.Picture, not a {type(wrong).__name__}"):
            bbmr.compress(wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"RescaledImage or the path of a \.bbmr file, not a"):
            bbmr.restore(wrong)  # type: ignore[arg-type]
    for reads in (bbmr.preview, bbmr.check):
        with pytest.raises(TypeError, match=r"takes the path of a \.bbmr file; bbmr.save writes one, not a Resc"):
            reads(rescaled)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"parts are a bbmr\.parts\.Parts, not a dict"):
        bbmr.compress(array, parts={})  # type: ignore[arg-type]
    with pytest.raises(bbmr.BbmrError, match="no name of a file"):
        bbmr.restore("a\0b.bbmr")
    with pytest.raises(bbmr.BbmrError, match="no name of a file"):
        bbmr.save(rescaled, "a\0b.bbmr")


def test_pictures_in_a_notebook() -> None:
    picture = bbmr.Picture.from_array(np.random.default_rng(1).integers(0, 256, (20, 30, 4), np.uint8))
    assert repr(picture) == "<Picture 30 x 20, RGBA, 8 bit>"
    np.testing.assert_array_equal(np.asarray(picture), picture.to_array())
    rescaled = bbmr.compress(picture, scales=(4,), block=16)
    assert repr(rescaled) == "<RescaledImage 30 x 20, RGBA, blocks of 16: 4 at x4>"
    assert set(dir(bbmr)) == set(bbmr.__all__)
