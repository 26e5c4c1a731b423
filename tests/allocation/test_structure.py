import numpy as np
import pytest
from numpy.typing import NDArray

from bbmr.allocation.structure import STRUCTURE_SCALES, structure
from bbmr.blocks import BlockGrid
from bbmr.downscaling import bicubic_planes

GREY_TO_LUMA = 218.999 / 255  # BT.601 studio range: 65.481 + 128.553 + 24.966 over 255


def gray_planes(plane: NDArray[np.uint8]) -> dict[int, NDArray[np.uint8]]:
    return dict(bicubic_planes(plane[:, :, None], STRUCTURE_SCALES))


def eigenvalues_by_hand(plane: NDArray[np.uint8], side: int, row: int, col: int) -> NDArray[np.float64]:
    """Of one block, by numpy's eigenvalue solver, on the whole plane."""
    padded = np.pad(plane.astype(np.float64) * GREY_TO_LUMA, 1, mode="edge")
    gradients = np.stack([(padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2, (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2])
    block = gradients[:, row * side : (row + 1) * side, col * side : (col + 1) * side].reshape(2, -1)
    return np.linalg.eigvalsh(block @ block.T / block.shape[1])[::-1].astype(np.float64)


def test_agrees_with_the_tensor_of_the_whole_plane_across_tiles_and_at_partial_blocks() -> None:
    plane = np.random.default_rng(0).integers(0, 256, (531, 77), np.uint8)
    planes, grid = gray_planes(plane), BlockGrid(531, 77, 32)
    found = structure(planes, grid)
    assert found.shape == (6, 17, 3)
    for index, factor in enumerate(STRUCTURE_SCALES):
        for row, col in ((0, 0), (15, 1), (16, 2)):
            by_hand = eigenvalues_by_hand(planes[factor][:, :, 0], 32 // factor, row, col)
            np.testing.assert_allclose(found[2 * index : 2 * index + 2, row, col], by_hand, rtol=1e-4)


def test_an_edge_has_one_direction_and_noise_has_none() -> None:
    edges = np.tile(np.where(np.arange(64) % 8 < 4, 60, 180).astype(np.uint8), (64, 1))
    first, second = structure(gray_planes(edges), BlockGrid(64, 64, 64))[:2].ravel()
    assert first > 500
    assert second == pytest.approx(0, abs=1e-6)
    noise = np.random.default_rng(1).integers(60, 180, (64, 64), np.uint8)
    first, second = structure(gray_planes(noise), BlockGrid(64, 64, 64))[:2].ravel()
    assert second > 0.8 * first
