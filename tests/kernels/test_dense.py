"""Dense rows beside NumPy's float64."""

import numpy as np
import pytest
import scipy.linalg
from kernel_levels import FUSING
from looping import looped

from cgcython.kernels import dispatch

F32 = np.float32
LENGTHS = [*range(71), 384, 1024]
MAGNITUDES = [1, 1e-44, 1e-38, 1e-30, 1e-19, 1e18, 1e30, 3e37]


def rows(n, dim, magnitude=1.0, seed=0):
    values = np.random.default_rng(seed).standard_normal((n, dim)).clip(-9, 9)
    return (values * magnitude).astype(F32)


def call(kernel, name, *arrays, shape):
    out = np.full(shape, np.nan, F32)
    getattr(kernel("dense"), name)(*arrays, out)
    return out


def top_k(kernel, scores, k):
    ids, best = np.empty(k, np.int64), np.empty(k, F32)
    kernel("dense").top_k(np.asarray(scores, F32), ids, best)
    return ids, best


@looped("n", [*range(71), 5000])
def test_the_first_value_that_is_not_finite_is_found(kernel, n):
    values = rows(1, n)[0]
    assert kernel("dense").first_nonfinite(values) == -1
    for at in {0, n // 2, n - 1} if n else ():
        for bad in (np.nan, np.inf, -np.inf):
            values[at:] = bad
            assert kernel("dense").first_nonfinite(values) == at
            values[at] = 0
            assert kernel("dense").first_nonfinite(values) == (at + 1 if at + 1 < n else -1)
            values[at:] = F32(3.4e38)


@looped("dim", LENGTHS)
def test_products_are_those_of_float64(kernel, dim):
    values, query = rows(9, dim), rows(1, dim, seed=1)[0]
    expected = values.astype(float) @ query.astype(float)
    actual = call(kernel, "dot_rows", query, values, shape=9)
    # Sixteen float32 sums: each rounding is half a unit of a partial sum.
    np.testing.assert_allclose(actual, expected, atol=1e-6 * max(1, dim) ** 0.5)


@looped("magnitude", MAGNITUDES)
@looped("dim", [1, 17, 384, 1024])
def test_norms_neither_overflow_nor_vanish(kernel, dim, magnitude):
    values = rows(5, dim, magnitude)
    expected = np.sqrt((values.astype(float) ** 2).sum(axis=1))
    expected[expected > np.finfo(F32).max] = np.inf
    actual = call(kernel, "norms", values, shape=5)
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=2e-45)


@looped("magnitude", MAGNITUDES)
@looped("other", [1, 1e-44, 3e37])
def test_cosines_do_not_depend_on_magnitude(kernel, magnitude, other):
    for dim in (1, 16, 70, 384):
        values, query = rows(9, dim, magnitude), rows(1, dim, other, seed=1)[0]
        a, b = values.astype(float), query.astype(float)
        norms = np.sqrt((a**2).sum(axis=1) * (b**2).sum())
        expected = np.divide(a @ b, norms, out=np.zeros(9), where=norms > 0)
        actual = call(kernel, "cosine_rows", query, values, shape=9)
        np.testing.assert_allclose(actual, expected, atol=2e-7)


def test_rows_of_mixed_magnitude_keep_their_cosines(kernel):
    values = np.array([[1e18, 1e-30], [3e38, 3e38], [1e-45, 0], [1, -1], [2e19, 2e19]], F32)
    actual = call(kernel, "cosine_rows", np.array([1, 1], F32), values, shape=5)
    np.testing.assert_allclose(actual, [0.5**0.5, 1, 0.5**0.5, 0, 1], atol=1e-7)


def test_a_zero_side_has_cosine_zero(kernel):
    values = np.array([[0, 0], [-0.0, 0], [1, 0]], F32)
    assert call(kernel, "cosine_rows", np.array([1, 0], F32), values, shape=3).tolist() == [0, 0, 1]
    assert call(kernel, "cosine_rows", np.zeros(2, F32), values, shape=3).tolist() == [0, 0, 0]


@looped("k", [0, 1, 2, 3, 10, 100, 4999, 5000])
@looped("kind", ["random", "ties", "rising", "falling", "equal"])
def test_the_best_scores_come_first_and_ties_keep_the_lower_index(kernel, k, kind):
    scores = {
        "random": rows(1, 5000)[0],
        "ties": rows(1, 5000)[0].round(1),
        "rising": np.arange(5000, dtype=F32),
        "falling": -np.arange(5000, dtype=F32),
        "equal": np.zeros(5000, F32),
    }[kind]
    ids, best = top_k(kernel, scores, k)
    np.testing.assert_array_equal(ids, np.argsort(-scores, kind="stable")[:k])
    np.testing.assert_array_equal(best, scores[ids])


@looped("n", range(1, 71))
def test_the_best_of_few_are_a_sort(kernel, n):
    scores = rows(1, n, seed=n)[0]
    for k in {1, n // 2, n}:
        np.testing.assert_array_equal(
            top_k(kernel, scores, k)[0], np.argsort(-scores, kind="stable")[:k]
        )


def test_zeros_of_either_sign_tie(kernel):
    assert top_k(kernel, [-0.0, 0.0, -1, -0.0], 3)[0].tolist() == [0, 1, 3]


def test_infinities_are_scores_and_nan_comes_last(kernel):
    scores = [np.nan, -np.inf, 1, np.inf, np.nan, -np.inf, 2]
    assert top_k(kernel, scores, 7)[0].tolist() == [3, 6, 2, 1, 5, 0, 4]
    assert top_k(kernel, scores, 4)[0].tolist() == [3, 6, 2, 1]
    assert top_k(kernel, [np.nan] * 100, 2)[0].tolist() == [0, 1]


def test_more_than_there_are_is_refused(kernel):
    with pytest.raises(ValueError, match="ids holds 3, scores holds 2"):
        top_k(kernel, [1, 2], 3)


@looped("columns", [*range(1, 71), 256])
def test_projections_are_those_of_float64(kernel, columns):
    for n, dim in ((1, 16), (13, 33)):
        values, mean, rotation = rows(n, dim), rows(1, dim, seed=1)[0], rows(dim, columns, seed=2)
        expected = (values - mean).astype(float) @ rotation.astype(float)
        actual = call(kernel, "project", values, mean, rotation, shape=(n, columns))
        np.testing.assert_allclose(actual, expected, atol=2e-5)
        offset = rows(1, columns, seed=3)[0]
        actual = call(kernel, "back_project", values, rotation, offset, shape=(n, columns))
        expected = values.astype(float) @ rotation.astype(float) + offset
        np.testing.assert_allclose(actual, expected, atol=2e-5)


@looped("n", [1, 2, 3, 7, 8, 9, 50])
@looped("columns", [1, 24, 64, 100, 256])
def test_a_batch_has_the_bits_of_its_vectors_alone(kernel, n, columns):
    values, mean, rotation = rows(n, 129), rows(1, 129, seed=1)[0], rows(129, columns, seed=2)
    batch = call(kernel, "project", values, mean, rotation, shape=(n, columns))
    for i in range(n):
        alone = call(kernel, "project", values[i : i + 1], mean, rotation, shape=(1, columns))
        # The reference goes through BLAS, whose order of sums depends on the shape.
        np.testing.assert_allclose(alone[0], batch[i], atol=1e-6)
        if kernel("dense").__name__.split(".")[-2] != "reference":
            np.testing.assert_array_equal(alone[0], batch[i])


@pytest.mark.parametrize("dim", [1, 16, 70, 384])
def test_every_level_with_fma_returns_the_same_bits(dim):
    values, query, rotation = rows(9, dim), rows(1, dim, seed=1)[0], rows(dim, 100, seed=2)
    offset = rows(1, 100, seed=3)[0]
    found = [
        [
            call(kernel, "dot_rows", query, values, shape=9),
            call(kernel, "cosine_rows", query, values, shape=9),
            call(kernel, "norms", values, shape=9),
            call(kernel, "project", values, query, rotation, shape=(9, 100)),
            call(kernel, "back_project", values, rotation, offset, shape=(9, 100)),
        ]
        for kernel in (lambda family, level=level: dispatch.load(family, level) for level in FUSING)
    ]
    for other in found[1:]:
        for a, b in zip(found[0], other):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("n", "dim"), [(0, 0), (0, 5), (5, 0)])
def test_nothing_gives_zeros(kernel, n, dim):
    values, query, zeros = np.empty((n, dim), F32), np.empty(dim, F32), [0] * n
    assert call(kernel, "norms", values, shape=n).tolist() == zeros
    assert call(kernel, "dot_rows", query, values, shape=n).tolist() == zeros
    assert call(kernel, "cosine_rows", query, values, shape=n).tolist() == zeros
    for columns in (0, 3):
        rotation, offset = np.empty((dim, columns), F32), np.ones(columns, F32)
        out = call(kernel, "project", values, query, rotation, shape=(n, columns))
        assert out.tolist() == [[0] * columns] * n
        out = call(kernel, "back_project", values, rotation, offset, shape=(n, columns))
        assert out.tolist() == [[1] * columns] * n


def test_shapes_must_agree(kernel):
    dense, m, v = kernel("dense"), np.zeros((2, 3), F32), np.zeros(3, F32)
    two, three, square = np.zeros(2, F32), np.zeros(3, F32), np.zeros((2, 3), F32)
    with pytest.raises(ValueError, match="out holds 3, values holds 2"):
        dense.norms(m, v)
    with pytest.raises(ValueError, match="query holds 2, a row of rows holds 3"):
        dense.dot_rows(v[:2], m, two)
    with pytest.raises(ValueError, match="out holds 3, rows holds 2"):
        dense.cosine_rows(v, m, three)
    with pytest.raises(ValueError, match="best holds 3, ids holds 2"):
        dense.top_k(v, np.zeros(2, np.int64), three)
    with pytest.raises(ValueError, match="a row of values holds 3, rotation holds 2"):
        dense.project(m, v, m, square)
    with pytest.raises(ValueError, match="mean holds 2, a row of values holds 3"):
        dense.project(m, v[:2], m.T.copy(), np.zeros((2, 2), F32))
    with pytest.raises(ValueError, match="a row of out holds 3, a row of rotation holds 2"):
        dense.project(m, v, m.T.copy(), square)
    with pytest.raises(ValueError, match="mean holds 3, a row of out holds 2"):
        dense.back_project(m, m.T.copy(), v, np.zeros((2, 2), F32))


def test_read_only_inputs_are_welcome(kernel):
    values, query = rows(2, 16), rows(1, 16)[0]
    values.flags.writeable = query.flags.writeable = False
    call(kernel, "norms", values, shape=2)
    call(kernel, "cosine_rows", query, values, shape=2)
    assert kernel("dense").first_nonfinite(query) == -1


def hadamard(values):
    """The transform by scipy's matrix, in blocks of the largest power of two."""
    dim = values.shape[1]
    size = dim & -dim
    blocks = values.astype(float).reshape(len(values), -1, size)
    return (blocks @ scipy.linalg.hadamard(size) / size).reshape(values.shape)


@looped("dim", [1, 2, 7, 12, 64, 96, 128, 384, 1024])
def test_rows_are_turned_by_hadamards_transform(kernel, dim):
    values = rows(5, dim)
    turned = call(kernel, "turn_rows", values, shape=values.shape)
    np.testing.assert_allclose(turned, hadamard(values), atol=1e-6)
    kernel("dense").turn_rows(turned, turned, True)
    np.testing.assert_allclose(turned, values, atol=1e-5)


@looped("magnitude", MAGNITUDES)
@looped("dim", [2, 8, 16, 96, 64, 128, 256, 512, 1024, 4096])
def test_every_level_turns_rows_to_the_same_bits(dim, magnitude):
    values, found = rows(3, dim, magnitude), []
    for level in dispatch.available():
        out = np.empty_like(values)
        dispatch.load("dense", level).turn_rows(values, out)
        found.append(out.tobytes())
    assert len(set(found)) == 1
    assert np.abs(out).max() <= np.abs(values).max()


@pytest.mark.parametrize("shape", [(0, 8), (3, 0), (0, 0)])
def test_nothing_is_turned_to_nothing(kernel, shape):
    assert call(kernel, "turn_rows", np.empty(shape, F32), shape=shape).shape == shape


def test_turned_rows_have_the_shape_of_rows(kernel):
    for shape in ((2, 8), (3, 4)):
        with pytest.raises(ValueError, match="out holds"):
            kernel("dense").turn_rows(np.zeros((3, 8), F32), np.zeros(shape, F32))


@pytest.mark.parametrize("n", [0, 1, 63, 4096, 10_001])
def test_scores_above_limits_are_counted(kernel, n):
    scores = rows(1, n)[0].round(2)
    scores[: n // 100] = [np.nan, np.inf, -np.inf, 0.0] * (n // 400) + [np.nan] * (n // 100 % 4)
    limits = np.array([0, -0.0, 0.5, -9, 9, np.inf, -np.inf, np.nan], F32)
    counts = np.empty(len(limits), np.int64)
    kernel("dense").count_above(scores, limits, counts)
    assert counts.tolist() == [int((scores > limit).sum()) for limit in limits]


@looped("m", range(10))
def test_any_number_of_limits_is_counted(kernel, m):
    scores, limits = rows(1, 5000)[0], rows(1, 10)[0][:m]
    counts = np.full(m, -1, np.int64)
    kernel("dense").count_above(scores, limits, counts)
    assert counts.tolist() == [int((scores > limit).sum()) for limit in limits]


@looped("n", [0, 1, 15, 16, 63, 64, 65, 1000])
@looped("least", [-np.inf, -9, -0.0, 0.5, 9, np.inf, np.nan])
def test_rows_above_are_those_of_numpy_as_far_as_there_is_room(kernel, n, least):
    scores = rows(1, 1000)[0][:n].round(1)
    scores[::7], scores[3::50] = np.nan, -np.inf
    expected = np.flatnonzero(scores > np.float32(least))
    for room in (0, 1, n // 3, n):
        found = np.full(room, -1, np.int64)
        assert kernel("dense").rows_above(scores, least, found) == len(expected)
        assert found[: len(expected)].tolist() == expected[:room].tolist()
        assert (found[len(expected) :] == -1).all()


def test_counts_are_as_many_as_limits(kernel):
    with pytest.raises(ValueError, match="counts holds 2, limits holds 3"):
        kernel("dense").count_above(np.zeros(4, F32), np.zeros(3, F32), np.zeros(2, np.int64))
