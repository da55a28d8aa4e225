"""The steps of k-means are the same bits on every level."""

import numpy as np
import pytest
from looping import looped

from cgcython.kernels import dispatch

RNG = np.random.default_rng(20)


@looped("dim", [1, 6, 16, 48, 100, 128])
@looped("n", [0, 1, 33])
def test_distances_shrink_to_the_nearest_centre(kernel, dim, n):
    values = RNG.standard_normal((n, dim), np.float32)
    centres = RNG.standard_normal((3, dim), np.float32)
    distances = np.full(n, np.inf, np.float32)
    for centre in centres:
        kernel("kmeans").shrink_distances(values, centre, distances)
    expected = ((values[:, None].astype(np.float64) - centres) ** 2).sum(axis=2).min(axis=1)
    np.testing.assert_allclose(distances, expected, rtol=1e-5)


@pytest.mark.parametrize("dim", [1, 4, 8, 15, 16, 17, 64, 100])
def test_distances_are_the_same_bits_on_every_level(kernel, dim):
    values, centre = RNG.standard_normal((50, dim), np.float32), np.ones(dim, np.float32)
    found, expected = np.full((2, 50), np.inf, np.float32)
    kernel("kmeans").shrink_distances(values, centre, found)
    dispatch.load("kmeans", "reference").shrink_distances(values, centre, expected)
    np.testing.assert_array_equal(found, expected)


def test_rows_are_summed_and_counted_by_code(kernel):
    values = RNG.standard_normal((500, 7), np.float32)
    codes = RNG.integers(0, 200, 500).astype(np.uint8)
    sums, counts = np.zeros((256, 7)), np.zeros(256, np.int64)
    kernel("kmeans").accumulate(values[:300], codes[:300], sums, counts)
    kernel("kmeans").accumulate(values[300:], codes[300:], sums, counts)
    np.testing.assert_array_equal(counts, np.bincount(codes, minlength=256))
    for code in range(256):
        rows = values[codes == code].astype(np.float64)
        expected = np.cumsum(rows, axis=0)[-1] if len(rows) else np.zeros(7)
        np.testing.assert_array_equal(sums[code], expected)


def test_doors_refuse_arrays_that_do_not_fit(kernel):
    kmeans, values = kernel("kmeans"), np.zeros((3, 5), np.float32)
    codes, sums, counts = np.zeros(3, np.uint8), np.zeros((4, 5)), np.zeros(4, np.int64)
    with pytest.raises(ValueError, match="centre holds 4"):
        kmeans.shrink_distances(values, np.zeros(4, np.float32), np.zeros(3, np.float32))
    with pytest.raises(ValueError, match="distances 2"):
        kmeans.shrink_distances(values, np.zeros(5, np.float32), np.zeros(2, np.float32))
    with pytest.raises(ValueError, match="codes hold 2"):
        kmeans.accumulate(values, codes[:2], sums, counts)
    with pytest.raises(ValueError, match="counts hold 3"):
        kmeans.accumulate(values, codes, sums, counts[:3])
    with pytest.raises(ValueError, match="code 4 has no sum among 4"):
        kmeans.accumulate(values, np.full(3, 4, np.uint8), sums, counts)
