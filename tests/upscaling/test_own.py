from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from upscaling.tiny_networks import random_map, rescale, textured, tiny_sr

from bbmr.blocks import BLOCK_SIDES, SCALES
from bbmr.downscaling import bicubic_planes
from bbmr.errors import BbmrError
from bbmr.lr_blocks import LRBlocks
from bbmr.refinement.refine import refine
from bbmr.rescaled import RescaledImage
from bbmr.upscaling import own as own_room
from bbmr.upscaling import plain
from bbmr.upscaling.own import OwnUpscaler
from bbmr.upscaling.plain import PlainUpscaler


class SR:
    """An SR function that sees `reach` samples around each, and notes what it is given."""

    def __init__(self, scales: tuple[int, ...] = (2, 4, 8, 16), reach: int = 0) -> None:
        self.scales, self._reach = scales, reach
        self.given: list[tuple[int, Tensor]] = []

    def __call__(self, lr: Tensor, scale: int) -> Tensor:
        self.given.append((scale, lr))
        side = 2 * self._reach + 1
        seen = F.avg_pool2d(F.pad(lr, (self._reach,) * 4, mode="replicate"), side, 1)
        return (0.5 * lr + 0.5 * seen).repeat_interleave(scale, 2).repeat_interleave(scale, 3)


def mixed(height: int, width: int, side: int, scales: tuple[int, ...] = SCALES, channels: int = 3) -> RescaledImage:
    """A textured picture with all of `scales` in a random map."""
    rows, cols = -(-height // side), -(-width // side)
    factors = np.resize(np.array(scales, np.uint8), rows * cols)
    chosen = np.random.default_rng(side).permutation(factors).reshape(rows, cols)
    return rescale(textured(height, width, channels), chosen, side)


def pixels_of(rescaled: RescaledImage, factor: int) -> NDArray[np.bool_]:
    """(H, W): whether a pixel is in a block of this scale."""
    grid = rescaled.grid
    whole: NDArray[np.bool_] = (rescaled.scales == factor).repeat(grid.side, 0).repeat(grid.side, 1)
    return whole[: grid.height, : grid.width]


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("channels", [1, 3])
def test_one_scale_all_over_is_what_plain_super_resolution_makes(factor: int, channels: int) -> None:
    """The same network, as weights and as a function, over several tiles."""
    rescaled = rescale(textured(140, 150, channels), np.full((2, 2), factor, np.uint8), 128)
    network = tiny_sr(factor).network.eval()

    def function(lr: Tensor, scale: int) -> Tensor:
        assert scale == factor
        restored: Tensor = network(lr)
        return restored

    restored = OwnUpscaler(function).restore(rescaled)
    np.testing.assert_array_equal(restored, PlainUpscaler(tiny_sr(factor)).restore(rescaled))


@pytest.mark.parametrize("side", BLOCK_SIDES)
@pytest.mark.parametrize("channels", [1, 3])
def test_blocks_are_restored_from_their_own_samples(side: int, channels: int) -> None:
    """A function that repeats samples shows in every block the samples that are stored for it; those of scale 1 are the
    picture's.
    """
    rescaled = mixed(203, 331, side, channels=channels)
    assert set(rescaled.blocks) == set(SCALES)
    picture = textured(203, 331, channels)
    planes = bicubic_planes(picture, SCALES)
    restored = OwnUpscaler(SR()).restore(rescaled)
    for factor in SCALES:
        repeated = planes[factor].repeat(factor, 0).repeat(factor, 1)[:203, :331]
        here = pixels_of(rescaled, factor)
        np.testing.assert_array_equal(restored[here], repeated[here])


def test_what_surrounds_a_block_is_the_picture_at_its_scale() -> None:
    """A picture that is linear but for its edges, which are far off: finer and coarser blocks both give, at any scale,
    the LR plane that the whole picture has there.
    """
    y, x = np.mgrid[:320, :320] / 319
    colour = np.dstack([40 + 120 * x, 60 + 100 * y, 50 + 60 * x + 70 * y])
    scales = np.random.default_rng(1).permutation(np.repeat([1, 2, 4, 8, 16], 20)).reshape(10, 10).astype(np.uint8)
    function = SR()
    OwnUpscaler(function).restore(rescale(colour.round().astype(np.uint8), scales, 32))
    assert [scale for scale, _ in function.given] == [2, 4, 8, 16]
    for scale, given in function.given:
        true = torch.from_numpy(colour.transpose(2, 0, 1) / 255)[None]
        expected = F.avg_pool2d(true, scale).numpy()
        difference = np.abs(given.numpy() - expected)[:, :, 64 // scale : -64 // scale, 64 // scale : -64 // scale]
        assert difference.max() < 1 / 255


def test_functions_are_given_samples_from_0_to_1() -> None:
    """Bicubic enlargement of what surrounds a block overshoots."""
    checked = (255 * (np.indices((160, 160)).sum(0) // 24 % 2)).astype(np.uint8)[:, :, None].repeat(3, 2)
    scales = np.random.default_rng(2).permutation(np.repeat([2, 4, 8, 16], 25)).reshape(10, 10).astype(np.uint8)
    function = SR()
    OwnUpscaler(function).restore(rescale(checked, scales, 16))
    assert {scale for scale, _ in function.given} == {2, 4, 8, 16}
    for _, given in function.given:
        assert given.dtype == torch.float32
        assert given.is_contiguous()
        assert 0 <= given.min() < given.max() <= 1


def test_tiles_give_the_samples_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a function that sees as far as the halo goes; with a smaller halo they do not."""
    rescaled = mixed(300, 420, 16)
    upscaler = OwnUpscaler(SR(reach=16))
    whole = upscaler.restore(rescaled)
    monkeypatch.setattr(plain, "TILE", 64)
    function = SR(reach=16)
    tiled = OwnUpscaler(function).restore(rescaled)
    assert len(function.given) > 4 * len(SCALES[1:])
    assert np.abs(tiled.astype(int) - whole).max() <= 1  # sums in another order round otherwise
    assert (tiled != whole).mean() < 1e-3
    monkeypatch.setattr(plain, "HALO", 8)
    assert (upscaler.restore(rescaled) != whole).mean() > 0.01


def test_coarse_tiles_are_no_larger_than_fine_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "TILE", 64)
    rescaled = mixed(600, 600, 32, scales=(8, 16))
    function = SR()
    cores = [tile.core for tile, _ in OwnUpscaler(function).restored_tiles(LRBlocks.of(rescaled))]
    assert len(cores) == 9
    assert max(rows.stop - rows.start for rows, _ in cores) == 64 * own_room._COARSEST_TILE
    assert all(max(given.shape[2:]) <= 64 + 2 * plain.HALO for _, given in function.given)


def test_scales_that_a_tile_lacks_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "TILE", 64)
    scales = np.full((1, 4), 2, np.uint8)
    scales[0, 3] = 4
    function = SR()
    OwnUpscaler(function).restore(rescale(textured(128, 512), scales, 128))
    assert [scale for scale, _ in function.given] == [2, 2, 2, 4]


def test_a_picture_at_scale_one_comes_back_without_the_function() -> None:
    picture = textured(70, 90)
    function = SR()
    restored = OwnUpscaler(function).restore(rescale(picture, np.ones((3, 3), np.uint8), 32))
    np.testing.assert_array_equal(restored, picture)
    assert not function.given


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_output_may_have_another_precision(dtype: torch.dtype) -> None:
    def elsewhere(lr: Tensor, scale: int) -> Tensor:
        return SR()(lr, scale).to(dtype)

    rescaled = mixed(100, 100, 16, scales=(1, 2, 4, 8))
    np.testing.assert_array_equal(OwnUpscaler(elsewhere).restore(rescaled), OwnUpscaler(SR()).restore(rescaled))


def test_scales_are_those_that_the_function_says() -> None:
    def silent(lr: Tensor, scale: int) -> Tensor:
        return lr

    assert OwnUpscaler(silent).scales == (1, 2, 4, 8)
    assert OwnUpscaler(SR((8, 2))).scales == (1, 2, 8)
    for wrong in ((3,), (1, 2), (), (2, 32)):
        with pytest.raises(BbmrError, match=r"SR enlarges by .*; its `scales` have to be out of 2, 4, 8, 16"):
            OwnUpscaler(SR(wrong))


@pytest.mark.parametrize(
    ("returns", "told"),
    [
        (lambda lr, scale: lr, r"a tensor \(1, 3, 10, 15\) of torch.float32 for .* \(1, 3, 10, 15\) at scale 4; .*"),
        (lambda lr, scale: lr.new_zeros(3, 40, 60), r"a tensor \(3, 40, 60\)"),
        (lambda lr, scale: lr.new_zeros(1, 1, 40, 60), r"a tensor \(1, 1, 40, 60\)"),
        (lambda lr, scale: torch.zeros(1, 3, 40, 60, dtype=torch.uint8), r"a tensor \(1, 3, 40, 60\) of torch.uint8"),
        (lambda lr, scale: np.zeros((1, 3, 40, 60), np.float32), "a ndarray"),
        (lambda lr, scale: None, "a NoneType"),
        (lambda lr, scale: lr.new_full((1, 3, 40, 60), float("nan")), "NaN or infinity"),
        (lambda lr, scale: lr.new_full((1, 3, 40, 60), float("inf")), "NaN or infinity"),
    ],
)
def test_what_is_no_restored_picture_is_refused(returns: Callable[[Tensor, int], Any], told: str) -> None:
    rescaled = rescale(textured(40, 60), np.full((1, 1), 4, np.uint8), 128)
    message = rf"mine returned {told}.*has to return a tensor \(1, 3, 40, 60\)"
    with pytest.raises(BbmrError, match=message):
        OwnUpscaler(returns, "mine").restore(rescaled)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError("no such layer"), "the upscaler mine:f raised RuntimeError: no such layer"),
        (AssertionError(), "the upscaler mine:f raised AssertionError"),
        (StopIteration(), "the upscaler mine:f raised StopIteration"),
        (SystemExit(3), "the upscaler mine:f raised SystemExit: 3"),
    ],
)
def test_errors_of_the_function_name_it(error: BaseException, told: str) -> None:
    def broken(lr: Tensor, scale: int) -> Tensor:
        raise error

    for rescaled in (mixed(40, 60, 16), rescale(textured(40, 60), np.full((1, 1), 4, np.uint8), 128)):
        with pytest.raises(BbmrError, match=f"^{told}$") as raised:
            OwnUpscaler(broken, "mine:f").restore(rescaled)
        assert raised.value.__cause__ is error


@pytest.mark.parametrize("error", [BbmrError("the weights are not there"), KeyboardInterrupt()])
def test_errors_for_the_user_and_interruptions_pass(error: BaseException) -> None:
    def stopping(lr: Tensor, scale: int) -> Tensor:
        raise error

    with pytest.raises(type(error)) as raised:
        OwnUpscaler(stopping).restore(mixed(40, 60, 16))
    assert raised.value is error


def test_errors_of_the_function_name_it_where_gradients_are_wanted() -> None:
    def broken(lr: Tensor, scale: int) -> Tensor:
        raise RuntimeError("no such layer")

    picture = textured(64, 64)
    with pytest.raises(BbmrError, match="the upscaler broken raised RuntimeError: no such layer"):
        refine(rescale(picture, random_map(2, 2), 32), picture, OwnUpscaler(broken), 2)


def test_gradients_are_those_of_finite_differences() -> None:
    """Refining goes through the function, and through what surrounds blocks of other scales."""
    rescaled = rescale(textured(128, 128), random_map(4, 4), 32)
    stored = LRBlocks.of(rescaled)
    samples = {k: own.double().div(255).requires_grad_() for k, own in stored.samples.items()}
    upscaler = OwnUpscaler(SR(reach=2))
    weights = torch.rand(1, 3, 128, 128, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def loss() -> Tensor:
        ((tile, core),) = upscaler.restored_tiles(LRBlocks(stored.grid, stored.scales, samples))
        return (core * weights[:, :, *tile.core]).sum()

    torch.autograd.backward(loss())
    for k, own in samples.items():
        assert own.grad is not None
        with torch.no_grad():
            before = loss()
            own[0, 1, 3, 2] += 1e-3
            after = loss()
            own[0, 1, 3, 2] -= 1e-3
        assert float(after - before) / 1e-3 == pytest.approx(float(own.grad[0, 1, 3, 2]), rel=1e-6), k


def test_functions_without_gradients_cannot_be_refined_for() -> None:
    picture = textured(64, 64)
    rescaled = rescale(picture, random_map(2, 2), 32)

    def outside(lr: Tensor, scale: int) -> Tensor:
        return torch.from_numpy(lr.numpy().repeat(scale, 2).repeat(scale, 3))

    def detached(lr: Tensor, scale: int) -> Tensor:
        return outside(lr.detach(), scale)

    for function in (outside, detached):
        assert OwnUpscaler(function).restore(rescaled).shape == picture.shape
        with pytest.raises(BbmrError, match=f"{function.__name__} gives no gradients, .*leave the effort at 0"):
            refine(rescaled, picture, OwnUpscaler(function), 2)
    refined = refine(rescaled, picture, OwnUpscaler(SR()), 3)
    error = {
        name: np.square(OwnUpscaler(SR()).restore(one).astype(float) - picture).mean()
        for name, one in {"before": rescaled, "after": refined.rescaled}.items()
    }
    assert error["after"] < error["before"]
