"""MaxSim beside NumPy's float64: lengths, dimensions, magnitudes, tiles, codes."""

import ml_dtypes
import numpy as np
import pytest
from kernel_levels import FUSING
from looping import looped

from cgcython.kernels import dispatch

F32 = np.float32
LANES = 32
# Float32 sums of unit tokens: half a unit in the last place for each of the dimensions.
TOLERANCE = 3e-6


def tokens(n, dim, seed=0):
    return np.random.default_rng(seed).standard_normal((n, dim), dtype=F32)


def cosines(query, document):
    """Every cosine in float64; -inf where a token has no direction."""
    a, b = query.astype(float), document.astype(float)
    lengths = np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(b, axis=1)
    return np.divide(a @ b.T, lengths, out=np.full(lengths.shape, -np.inf), where=lengths > 0)


def expected_sum(query, document):
    best = cosines(query, document).max(axis=1, initial=-np.inf)
    return best[best > -np.inf].sum()


def pack(kernel, query):
    packed = np.full((-(-len(query) // LANES), query.shape[1], LANES), np.nan, F32)
    assert kernel("maxsim").pack_query(query, packed) == -1
    return packed, len(query)


def norms(kernel, values):
    out = np.empty(len(values), F32)
    kernel("maxsim").inverse_norms(values, out)
    return out


def score(kernel, query, values, starts=(0,), counts=None):
    starts = np.array(starts, np.int64)
    counts = np.array([len(values)] if counts is None else counts, np.int64)
    sums = np.full(len(starts), np.nan, F32)
    known = norms(kernel, values)
    kernel("maxsim").score(*pack(kernel, query), values, known, starts, counts, sums)
    return sums


def score_codes(kernel, query, codes):
    sums, start, count = np.empty(1, F32), np.zeros(1, np.int64), np.array([len(codes)])
    kernel("maxsim").score_codes(*pack(kernel, query), codes.reshape(-1), start, count, sums)
    return sums[0]


def align(kernel, query, values):
    best, found = np.empty(len(query), np.int64), np.empty(len(query), F32)
    known = norms(kernel, values)
    kernel("maxsim").align(*pack(kernel, query), values, known, best, found)
    return best, found


@looped("count", [*range(30), 64, 257])
def test_documents_of_any_length_score_like_float64(kernel, count):
    query, document = tokens(7, 128), tokens(count, 128, seed=1)
    expected = expected_sum(query, document)
    np.testing.assert_allclose(score(kernel, query, document), [expected], atol=7 * TOLERANCE)


@looped("count", [0, 1, 2, 3, 4, 5, 31, 32, 33, 64, 65, 130])
def test_queries_of_any_length_score_like_float64(kernel, count):
    query, document = tokens(count, 128), tokens(40, 128, seed=1)
    expected = expected_sum(query, document)
    np.testing.assert_allclose(score(kernel, query, document), [expected], atol=130 * TOLERANCE)


@looped("dim", [1, 2, 3, 16, 31, 64, 96, 127, 128, 129, 256, 300, 1024])
def test_tokens_of_any_dimension_score_like_float64(kernel, dim):
    query, document = tokens(5, dim), tokens(19, dim, seed=1)
    expected = expected_sum(query, document)
    np.testing.assert_allclose(score(kernel, query, document), [expected], atol=5 * TOLERANCE)


@looped("dim", [8, 128, 200])
@looped("magnitude", [1e-44, 1e-38, 1e-30, 1e-12, 1e12, 1e18, 1e38])
def test_any_finite_magnitude_scores_as_if_it_were_one(kernel, dim, magnitude):
    query, document = tokens(9, dim).clip(-3, 3), tokens(26, dim, seed=1).clip(-3, 3)
    small = np.array(document * magnitude, F32)
    small[::3] = document[::3]
    expected = expected_sum(query, small)
    np.testing.assert_allclose(score(kernel, query, small), [expected], rtol=1e-5)
    large = np.array(query * magnitude, F32)
    expected = expected_sum(large, document)
    np.testing.assert_allclose(score(kernel, large, document), [expected], rtol=1e-5)


@pytest.mark.parametrize("dim", [5, 128])
def test_zero_tokens_are_never_matched(kernel, dim):
    query = -np.abs(tokens(4, dim))
    document = np.abs(tokens(15, dim, seed=1))
    document[[0, 3, 14]] = 0
    expected = expected_sum(query, document)
    assert expected < 0
    np.testing.assert_allclose(score(kernel, query, document), [expected], rtol=1e-5)
    assert score(kernel, query, np.zeros((3, dim), F32)) == [0]


def test_zero_query_tokens_count_nothing(kernel):
    query, document = tokens(6, 128), tokens(10, 128, seed=1)
    query[[0, 5]] = 0
    expected = expected_sum(query[1:5], document)
    np.testing.assert_allclose(score(kernel, query, document), [expected], atol=6 * TOLERANCE)


def test_a_document_scores_the_same_in_any_batch(kernel):
    values, query = tokens(300, 128, seed=1), tokens(33, 128)
    starts, counts = [0, 100, 7, 0, 250], [300, 1, 20, 5, 50]
    together = score(kernel, query, values, starts, counts)
    apart = [
        score(kernel, query, np.ascontiguousarray(values[start : start + count]))[0]
        for start, count in zip(starts, counts)
    ]
    assert together.tolist() == apart


@pytest.mark.parametrize(("query", "count", "dim"), [(32, 40, 128), (40, 23, 96), (3, 2, 300)])
def test_levels_with_fma_return_the_same_bits(query, count, dim):
    query, document = tokens(query, dim), tokens(count, dim, seed=1)
    document[1] *= F32(1e-30)
    results = {
        score(lambda name, at=level: dispatch.load(name, at), query, document).tobytes()
        for level in FUSING
    }
    assert len(results) <= 1


@looped("dim", [1, 16, 100, 128, 130])
@looped("count", [0, 1, 11, 26])
def test_codes_score_as_their_decoded_tokens(kernel, count, dim):
    codes = np.random.default_rng(2).integers(0, 0x7F, (count, dim)).astype(np.uint8)
    codes[::2] |= 0x80
    decoded = codes.view(ml_dtypes.float8_e4m3fn).astype(F32)
    query = tokens(6, dim)
    expected = score(kernel, query, decoded)[0]
    np.testing.assert_allclose(score_codes(kernel, query, codes), expected, atol=6 * TOLERANCE)


def test_zero_and_nan_codes_are_never_matched(kernel):
    codes = np.full((14, 128), 0x38, np.uint8)
    codes[3], codes[9, 5] = 0x80, 0x7F
    query = -np.ones((2, 128), F32)
    np.testing.assert_allclose(score_codes(kernel, query, codes), -2, atol=TOLERANCE)


def test_codes_are_read_from_any_byte(kernel):
    codes = np.random.default_rng(2).integers(0, 0x7F, (5, 128)).astype(np.uint8)
    query, sums = tokens(3, 128), np.empty(2, F32)
    data = np.concatenate([np.zeros(3, np.uint8), codes.reshape(-1)])
    starts, counts = np.array([3, 3 + 128]), np.array([5, 2])
    kernel("maxsim").score_codes(*pack(kernel, query), data, starts, counts, sums)
    assert sums[0] == score_codes(kernel, query, codes)
    assert sums[1] == score_codes(kernel, query, codes[1:3])


@pytest.mark.parametrize("dim", [4, 128])
@pytest.mark.parametrize("count", [1, 13, 40])
def test_alignments_name_the_best_token(kernel, count, dim):
    query, document = tokens(35, dim), tokens(count, dim, seed=1)
    best, found = align(kernel, query, document)
    table = cosines(query, document)
    np.testing.assert_allclose(found, table.max(axis=1), atol=TOLERANCE)
    np.testing.assert_allclose(table[np.arange(35), best], found, atol=TOLERANCE)


def test_the_lowest_of_equal_tokens_is_named(kernel):
    document = np.repeat(tokens(1, 128), 40, axis=0)
    document[:3] = 0
    best, _ = align(kernel, tokens(2, 128, seed=1), document)
    assert best.tolist() == [3, 3]


def test_tokens_without_a_match_are_named_minus_one(kernel):
    query = tokens(3, 128)
    query[1] = 0
    best, found = align(kernel, query, tokens(5, 128, seed=1))
    assert best[1] == -1
    assert found[1] == 0
    best, found = align(kernel, query, np.zeros((5, 128), F32))
    assert best.tolist() == [-1, -1, -1]
    assert found.tolist() == [0, 0, 0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_packing_finds_the_first_value_that_is_not_finite(kernel, bad):
    query = tokens(40, 9)
    query[37, 4] = query[38, 2] = bad
    packed = np.empty((2, 9, LANES), F32)
    assert kernel("maxsim").pack_query(query, packed) == 37 * 9 + 4


def test_packed_queries_are_unit_tokens_side_by_side(kernel):
    query = tokens(5, 6)
    packed, _ = pack(kernel, query)
    units = query / np.linalg.norm(query.astype(float), axis=1, keepdims=True)
    np.testing.assert_allclose(packed[0, :, :5], units.T, rtol=1e-6)
    assert not packed[0, :, 5:].any()


@pytest.mark.parametrize(("queries", "count"), [(1, 1), (32, 256), (40, 7)])
def test_a_pair_scores_as_in_a_batch(kernel, queries, count):
    query, document = tokens(queries, 128), tokens(count, 128, seed=1)
    total = kernel("maxsim").pair(query, document)
    assert total is None or total == score(kernel, query, document)[0]


@looped(
    ("query", "document"),
    [
        (tokens(2, 128), tokens(2, 64)),
        (tokens(2, 128).tolist(), tokens(2, 64).tolist()),
        ([[1.0] * 128, [1.0] * 127], tokens(2, 128)),
        (tokens(2, 128), tokens(2, 128).astype(float)),
        (tokens(2, 128), tokens(4, 128)[::2]),
        (tokens(2, 128), tokens(2, 128) * F32(1e-30)),
        (tokens(2, 128), np.full((2, 128), np.nan, F32)),
        (np.full((2, 128), np.inf, F32), tokens(2, 128)),
        (None, tokens(2, 128)),
    ],
)
def test_a_pair_that_is_not_plain_takes_a_closer_look(kernel, query, document):
    assert kernel("maxsim").pair(query, document) is None


LISTS = {
    "lists": [[0.1, 1e-40, -0.0], [1e300, 2, -(2**53)]],
    "tuples": ((1.5, 2.5), (3.5, 2**53)),
    "vectors": [np.array([1, 2], F32), [3, 4]],
}


@pytest.mark.parametrize("rows", LISTS.values(), ids=LISTS)
def test_lists_of_rows_become_what_numpy_makes_of_them(kernel, rows):
    with np.errstate(over="ignore"):
        wanted = np.asarray(rows).astype(F32)
    matrix = kernel("maxsim").matrix_of(rows)
    assert matrix is None or matrix.tobytes() == wanted.tobytes()  # -0.0 too
    assert (matrix is None) == ("reference" in kernel("maxsim").__name__)


@looped(
    "rows",
    [
        None, 5, "ab", [], [[]], [1.0], [[1.0], [1.0, 2.0]], [[1.0], 2.0], [[True]], [["1"]],
        [[None]], [[2**53 + 1]], [[2**70]], [[[1.0]]], {0: [1.0]}, np.ones((2, 2), F32),
        [np.ones(2)], [np.ones((1, 2), F32)], [np.ones(4, F32)[::2]], [np.ma.ones(2, F32)],
        [[1.0, 2.0], np.ones(3, F32)], [[np.float64(1)]],
    ],
)  # fmt: skip
def test_lists_that_are_not_plain_take_a_closer_look(kernel, rows):
    assert kernel("maxsim").matrix_of(rows) is None


def test_a_pair_of_lists_scores_as_arrays_do(kernel):
    query, document = tokens(3, 128), tokens(5, 128, seed=1)
    pair = kernel("maxsim").pair
    total = pair(query, document)
    assert pair(query.tolist(), document.tolist()) == total
    assert pair(list(query), document) == pair(query, [tuple(row) for row in document.tolist()])


@pytest.mark.parametrize(
    ("starts", "counts"),
    [([-1], [1]), ([0], [-1]), ([0], [11]), ([10], [1]), ([11], [0]), ([0], [2**62])],
)
def test_documents_outside_the_values_are_refused(kernel, starts, counts):
    with pytest.raises(ValueError, match="document at"):
        score(kernel, tokens(2, 4), tokens(10, 4), starts, counts)


def test_documents_of_no_dimension_end_too(kernel):
    packed, one = np.zeros((0, 0, LANES), F32), np.zeros(1, np.int64)
    many, sums, data = np.array([2**62]), np.zeros(1, F32), np.zeros(4, np.uint8)
    with pytest.raises(ValueError, match="document at"):
        kernel("maxsim").score_codes(packed, 0, data, one, many, sums)


def test_shapes_must_agree(kernel):
    maxsim, packed = kernel("maxsim"), np.zeros((1, 4, LANES), F32)
    none, sums = np.zeros(0, np.int64), np.zeros(0, F32)
    with pytest.raises(ValueError, match="packed"):
        maxsim.pack_query(tokens(33, 4), packed)
    with pytest.raises(ValueError, match="packed"):
        maxsim.score(packed, 1, tokens(2, 5), np.zeros(2, F32), none, none, sums)
    with pytest.raises(ValueError, match="query"):
        maxsim.score(packed, 33, tokens(2, 4), np.zeros(2, F32), none, none, sums)
    with pytest.raises(ValueError, match="norms"):
        maxsim.score(packed, 1, tokens(2, 4), np.zeros(1, F32), none, none, sums)
    with pytest.raises(ValueError, match="best"):
        maxsim.align(packed, 2, tokens(2, 4), np.zeros(2, F32), none, sums)
