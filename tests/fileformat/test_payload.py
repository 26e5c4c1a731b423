"""Packing and the scale map."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bbmr.blocks import SCALES, BlockGrid
from bbmr.fileformat import payload, scale_map


@given(st.integers(1, 3000), st.sampled_from((1, 2, 8)), st.sampled_from((1, 3)))
@settings(max_examples=60)
def test_packing_inverts_and_wastes_little(count: int, side: int, channels: int) -> None:
    blocks = (np.arange(count * side * side * channels) % 253).astype(np.uint8).reshape(count, side, side, channels)
    plane = payload.pack(blocks)
    np.testing.assert_array_equal(payload.unpack(plane, count, side), blocks)
    height, width, _ = plane.shape
    assert height * width < (count * side + width) * side
    if count > 100:
        assert max(height, width) < 2.5 * min(height, width)
        assert plane.size < 1.04 * blocks.size


@given(st.integers(1, 400), st.integers(1, 400), st.integers(0, 2**32 - 1), st.integers(1, 5))
@settings(max_examples=60)
def test_any_map_comes_back(height: int, width: int, seed: int, kinds: int) -> None:
    grid = BlockGrid(height, width, 16)
    scales = np.random.default_rng(seed).choice(np.array(SCALES[:kinds], np.uint8), (grid.rows, grid.cols))
    found = scale_map.decode(scale_map.encode(scales), grid)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, scales)


def test_smooth_maps_take_less_than_their_entropy() -> None:
    y, x = np.mgrid[:120, :120]
    scales = np.left_shift(1, (2 + 2 * np.sin(y / 9) * np.cos(x / 11)).round().astype(np.uint8), dtype=np.uint8)
    shares = np.unique(scales, return_counts=True)[1] / scales.size
    entropy = -(shares * np.log2(shares)).sum() * scales.size / 8
    assert len(scale_map.encode(scales).payload) < 0.5 * entropy
    assert len(scale_map.encode(np.full((120, 120), 4, np.uint8)).payload) < 60
