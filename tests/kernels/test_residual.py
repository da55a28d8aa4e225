"""Residual codes are the same on every level: whole numbers, and products rounded one by one."""

import numpy as np
import pytest
from looping import looped

from cgcython.kernels import dispatch

RNG = np.random.default_rng(60)


def reference():
    return dispatch.load("residual", "reference")


def terms(n, stages, scale=1.0):
    products = RNG.standard_normal((n, stages * 256)).astype(np.float32) * np.float32(scale)
    norms = np.square(RNG.standard_normal(stages * 256)).astype(np.float32)
    return products, norms


def cross(stages):
    pairs = stages * (stages - 1) // 2
    return RNG.integers(-32767, 32768, (pairs, 256, 256), np.int16)


def shifts(tables):
    return np.arange(len(tables), dtype=np.uint8) % 7


def beams(n, beam, M):
    return np.zeros((n, beam, M), np.uint8), np.zeros((n, beam), np.int32)


@looped("n", [0, 1, 5, 6, 7, 50, 100])
@looped("d", [0, 1, 64, 100])
@looped("strips", [1, 3])
def test_products_are_the_same_bits_on_every_level(kernel, n, d, strips):
    values = RNG.standard_normal((n, d), np.float32)
    matrix = RNG.standard_normal((strips, d, 64), np.float32)
    found, expected = np.full((2, n, strips * 64), np.nan, np.float32)
    kernel("residual").product(values, matrix, found)
    reference().product(values, matrix, expected)
    np.testing.assert_array_equal(found, expected)
    columns = matrix.transpose(1, 0, 2).reshape(d, strips * 64).astype(np.float64)
    np.testing.assert_allclose(found, values @ columns, atol=1e-4)


@looped("beam", [1, 2, 7, 16, 200, 256])
@looped("stages", [1, 2, 5])
def test_beams_are_the_same_on_every_level(kernel, beam, stages):
    products, norms = terms(4, stages)
    tables = cross(stages)
    found, expected = beams(4, beam, stages), beams(4, beam, stages)
    kernel("residual").search(products, norms, tables, shifts(tables), 4096.0, 0, *found)
    reference().search(products, norms, tables, shifts(tables), 4096.0, 0, *expected)
    for one, other in zip(found, expected):
        np.testing.assert_array_equal(one, other)


@looped("beam", [1, 5])
def test_stages_may_be_searched_one_by_one(kernel, beam):
    products, norms = terms(6, 4)
    tables, whole, single = cross(4), beams(6, beam, 4), beams(6, beam, 4)
    kernel("residual").search(products, norms, tables, shifts(tables), 4096.0, 0, *whole)
    for stage in range(4):
        some = slice(256 * stage, 256 * (stage + 1))
        own = np.ascontiguousarray(products[:, some])
        kernel("residual").search(own, norms[some], tables, shifts(tables), 4096.0, stage, *single)
    for one, other in zip(whole, single):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf, 3e38, 1e-40])
def test_odd_products_count_as_bounded_ones(kernel, odd):
    products, norms = terms(3, 2)
    products[:, ::3] = odd
    found, expected = beams(3, 4, 2), beams(3, 4, 2)
    kernel("residual").search(
        products, norms, cross(2) * 0, np.zeros(1, np.uint8), 4096.0, 0, *found
    )
    reference().search(products, norms, cross(2) * 0, np.zeros(1, np.uint8), 4096.0, 0, *expected)
    for one, other in zip(found, expected):
        np.testing.assert_array_equal(one, other)


def test_of_equal_candidates_the_first_stay(kernel):
    products, norms = np.zeros((1, 512), np.float32), np.zeros(512, np.float32)
    codes, scores = beams(1, 3, 2)
    kernel("residual").search(
        products, norms, cross(2) * 0, np.zeros(1, np.uint8), 1.0, 0, codes, scores
    )
    assert codes.tolist() == [[[0, 0], [0, 1], [0, 2]]]


def test_a_wide_beam_finds_the_nearest_sum(kernel):
    centroids = RNG.standard_normal((2, 256, 64)).astype(np.float32)
    values = RNG.standard_normal((20, 64), np.float32)
    sums = (centroids[0][:, None] + centroids[1]).reshape(-1, 64).astype(np.float64)
    nearest = (np.square(sums).sum(axis=1) - 2 * values @ sums.T).argmin(axis=1)
    tables = np.rint(2 * 128 * centroids[0] @ centroids[1].T).astype(np.int16)[None]
    products = (values @ centroids.reshape(-1, 64).T).astype(np.float32)
    norms = np.square(centroids).sum(axis=2).reshape(-1)
    codes, scores = beams(20, 256, 2)
    kernel("residual").search(
        products, norms, tables, np.zeros(1, np.uint8), 128.0, 0, codes, scores
    )
    np.testing.assert_array_equal(codes[:, 0], np.stack(np.divmod(nearest, 256), axis=1))


@looped("n", [0, 1, 9])
@looped("width", [0, 1, 40, 64])
def test_sums_add_centroids_in_order(kernel, n, width):
    centroids = RNG.standard_normal((5, 256, width)).astype(np.float32)
    codes = RNG.integers(0, 256, (n, 5), np.uint8)
    found = np.full((n, width), np.nan, np.float32)
    kernel("residual").sums(codes, centroids, found)
    expected = np.zeros((n, width), np.float32)
    for m in range(5):
        expected += centroids[m][codes[:, m]]
    np.testing.assert_array_equal(found, expected)


def test_doors_refuse_arrays_that_do_not_fit(kernel):
    residual = kernel("residual")
    products, norms = terms(2, 2)
    codes, scores = beams(2, 3, 2)
    fine = {
        "products": products, "norms": norms, "cross": cross(2), "unit": 1.0, "first": 0,
        "shifts": np.zeros(1, np.uint8), "codes": codes, "scores": scores,
    }  # fmt: skip
    wrong = [
        {"products": products[:1]},
        {"products": np.zeros((2, 511), np.float32)},
        {"norms": norms[:511]},
        {"cross": fine["cross"][:0]},
        {"shifts": np.zeros(2, np.uint8)},
        {"shifts": np.full(1, 17, np.uint8)},
        {"first": 1},
        {"first": -1},
        {"codes": np.zeros((2, 257, 2), np.uint8), "scores": np.zeros((2, 257), np.int32)},
        {"codes": np.zeros((2, 0, 2), np.uint8), "scores": np.zeros((2, 0), np.int32)},
        {"scores": np.zeros((2, 4), np.int32)},
    ]
    for change in wrong:
        with pytest.raises(ValueError, match=r"hold|beam|stages|cross|are|shift"):
            residual.search(**{**fine, **change})
    values, out = np.zeros((2, 3), np.float32), np.zeros((2, 65), np.float32)
    with pytest.raises(ValueError, match=r"strip"):
        residual.product(values, np.zeros((1, 3, 64), np.float32), out)
    centroids = np.zeros((2, 256, 5), np.float32)
    with pytest.raises(ValueError, match=r"centroid"):
        residual.sums(codes[:, 0].copy(), centroids, np.zeros((2, 4), np.float32))
