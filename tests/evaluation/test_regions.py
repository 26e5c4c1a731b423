"""Where two pictures differ most, found among all windows of the same step by plain search."""

import tracemalloc

import numpy as np

from bbmr.evaluation.regions import Region, telling_regions


def test_finds_both_directions_best_first() -> None:
    truth = np.full((128, 160, 3), 100, np.uint8)
    ours, plain = truth.copy(), truth.copy()
    plain[0:32, 0:32] = 120  # ours better by most
    plain[64:96, 128:160] = 110
    ours[96:128, 0:32] = 105  # plain better
    assert telling_regions(truth, ours, plain, side=32) == [
        Region(0, 0, 32, 32),
        Region(64, 128, 32, 32),
        Region(96, 0, 32, 32),
    ]


def test_without_a_loss_all_regions_are_gains() -> None:
    truth = np.zeros((64, 96, 1), np.uint8)
    plain = np.random.default_rng(5).integers(0, 50, truth.shape, dtype=np.uint8)
    regions = telling_regions(truth, truth, plain, side=32)
    assert len(regions) == 3
    for first, one in enumerate(regions):
        assert not any(one.overlaps(other) for other in regions[first + 1 :])
    sums = [int((region.cut_out(plain).astype(int) ** 2).sum()) for region in regions]
    assert sums == sorted(sums, reverse=True)
    # Independent of the summed-area table: no window at a multiple of the step is better than the first.
    steps = [plain[y : y + 32, x : x + 32].astype(int) for y in range(0, 33, 4) for x in range(0, 65, 4)]
    assert sums[0] == max(int((window**2).sum()) for window in steps)


def test_small_pictures_are_one_region() -> None:
    truth = np.zeros((5, 3, 3), np.uint8)
    assert telling_regions(truth, truth + np.uint8(1), truth) == [Region(0, 0, 5, 3)]
    assert telling_regions(truth, truth, truth) == [Region(0, 0, 5, 3)]


def test_windows_of_odd_pictures_are_those_of_a_plain_search() -> None:
    random = np.random.default_rng(6)
    truth, one, other = (random.integers(0, 256, (83, 61, 3), np.uint8) for _ in range(3))
    gain = ((other.astype(int) - truth) ** 2 - (one.astype(int) - truth) ** 2).sum(axis=2)
    sums = {(y, x): gain[y : y + 24, x : x + 24].sum() for y in [*range(0, 60, 3), 59] for x in [*range(0, 38, 3), 37]}
    best, *_, worst = telling_regions(truth, one, other, side=24)
    assert (best.top, best.left) == max(sums, key=lambda place: sums[place])
    assert (worst.top, worst.left) == min(sums, key=lambda place: sums[place])


def test_large_pictures_are_not_copied_whole() -> None:
    truth = np.zeros((2048, 1024, 3), np.uint8)
    tracemalloc.start()
    try:
        telling_regions(truth, truth, truth)
        assert tracemalloc.get_traced_memory()[1] < truth.nbytes / 2
    finally:
        tracemalloc.stop()
