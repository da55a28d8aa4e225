"""MaxSim on bfloat16 and on E4M3 codes beside ml_dtypes and NumPy's float64."""

import ml_dtypes
import numpy as np
import pytest
from kernel_levels import FUSING
from looping import looped

from cgcython.kernels import dispatch

F32, U16 = np.float32, np.uint16
BF16, E4M3 = ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn
# Each value of a unit query token is rounded by at most 2**-8 of itself, so a cosine is off by
# at most 2**-8 (Cauchy-Schwarz); float32 sums add half a unit in the last place per dimension.
ROUNDING = 2.0**-8
TOLERANCE = 3e-6


def tokens(n, dim, seed=0):
    return np.random.default_rng(seed).standard_normal((n, dim), dtype=F32)


def halves(values):
    return values.astype(BF16).view(U16)


def floats(values):
    return values.view(BF16).astype(F32)


def random_codes(n, dim, seed=2):
    codes = np.random.default_rng(seed).integers(0, 0x7F, (n, dim)).astype(np.uint8)
    codes[::2] |= 0x80
    return codes


def units(values):
    lengths = np.linalg.norm(values.astype(float), axis=-1, keepdims=True)
    return np.divide(values, lengths, out=np.zeros(values.shape), where=lengths > 0)


def best_sum(query, document):
    """The sum of the best cosines in float64 of query tokens as they are: zeros count nothing."""
    table = query.astype(float) @ units(document).T
    table[:, ~document.any(axis=1)] = -np.inf
    best = table.max(axis=1, initial=-np.inf)
    return best[best > -np.inf].sum()


def rounded(query):
    """Unit query tokens as the kernel sees them."""
    return units(query).astype(F32).astype(BF16)


def pack(kernel, query):
    packed = np.full((-(-len(query) // 32), (query.shape[1] + 1) // 2, 64), 0x7FC0, U16)
    assert kernel("maxsim_bf16").pack_query(query, packed) == -1
    return packed, len(query)


def norms(kernel, values):
    out = np.empty(len(values), F32)
    if values.dtype == np.uint8:
        kernel("maxsim").inverse_norms_codes(values, out)
    else:
        kernel("maxsim_bf16").inverse_norms(values, out)
    return out


def score(kernel, query, values, starts=(0,), counts=None):
    starts = np.array(starts, np.int64)
    counts = np.array([len(values)] if counts is None else counts, np.int64)
    family, sums = kernel("maxsim_bf16"), np.full(len(starts), np.nan, F32)
    scorer = family.score_codes if values.dtype == np.uint8 else family.score
    scorer(*pack(kernel, query), values, norms(kernel, values), starts, counts, sums)
    return sums


def test_every_bfloat16_decodes_to_its_value(kernel):
    every, values = np.arange(2**16).astype(U16), np.empty(2**16, F32)
    kernel("maxsim_bf16").decode(every, values)
    np.testing.assert_array_equal(values, floats(every))


def test_values_round_like_an_independent_implementation(kernel):
    bits = np.random.default_rng(1).integers(0, 2**32, 100_000, np.uint32)
    edges = (np.arange(2**16, dtype=np.uint32) << 16)[:, None] + [0x7FFF, 0x8000, 0x8001]
    values = np.concatenate([bits, edges.ravel().astype(np.uint32)]).view(F32)
    found = np.empty(len(values), U16)
    kernel("maxsim_bf16").encode(values, found)
    number = ~np.isnan(values)
    np.testing.assert_array_equal(found[number], halves(values[number]))
    assert np.isnan(floats(found[~number])).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -3.4e38])
def test_encoding_finds_what_bfloat16_cannot_hold(kernel, bad):
    values, found = np.ones(300, F32), np.empty(300, U16)
    assert kernel("maxsim_bf16").encode(values, found) == -1
    values[[123, 200]] = bad
    assert kernel("maxsim_bf16").encode(values, found) == 123


@pytest.mark.parametrize(("count", "dim"), [(1, 1), (5, 6), (33, 128), (40, 301)])
def test_packed_queries_are_pairs_of_rounded_unit_tokens(kernel, count, dim):
    query = tokens(count, dim)
    packed, _ = pack(kernel, query)
    rows = floats(packed).reshape(len(packed), -1, 32, 2).transpose(0, 2, 1, 3)
    rows = rows.reshape(len(packed) * 32, -1)
    np.testing.assert_allclose(rows[:count, :dim], units(query), rtol=ROUNDING * 1.01)
    assert not rows[count:].any()
    assert not rows[:, dim:].any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_packing_finds_the_first_value_that_is_not_finite(kernel, bad):
    query = tokens(40, 9)
    query[37, 4] = query[38, 2] = bad
    packed = np.empty((2, 5, 64), U16)
    assert kernel("maxsim_bf16").pack_query(query, packed) == 37 * 9 + 4


@pytest.mark.parametrize("dim", [1, 31, 128, 130])
def test_norms_are_those_of_the_same_float32_tokens(kernel, dim):
    values = halves(tokens(9, dim) * F32(10.0) ** np.arange(-36, 36, 8)[:, None].astype(F32))
    values[4] = 0
    values[5, 0] = 0x7F80
    expected = np.empty(9, F32)
    kernel("maxsim").inverse_norms(floats(values), expected)
    np.testing.assert_array_equal(norms(kernel, values), expected)


def test_norms_of_codes_are_those_of_their_values(kernel):
    codes = random_codes(9, 131)
    codes[3], codes[5, 7] = 0x80, 0x7F
    values = codes.view(E4M3).astype(float)
    values[3] = np.nan
    expected = 1 / np.linalg.norm(values, axis=1)
    np.testing.assert_allclose(norms(kernel, codes), expected, rtol=1e-6)


@looped("count", [*range(26), 64, 257])
def test_documents_of_any_length_score_like_float64(kernel, count):
    query, document = tokens(7, 128), halves(tokens(count, 128, seed=1))
    expected = best_sum(rounded(query), floats(document))
    np.testing.assert_allclose(score(kernel, query, document), [expected], atol=7 * TOLERANCE)


@looped("count", [0, 1, 8, 15, 16, 17, 31, 32, 33, 48, 65, 130])
def test_queries_of_any_length_score_like_float64(kernel, count):
    query, document = tokens(count, 128), halves(tokens(40, 128, seed=1))
    expected = best_sum(rounded(query), floats(document))
    np.testing.assert_allclose(score(kernel, query, document), [expected], atol=130 * TOLERANCE)


@looped("dim", [1, 2, 3, 16, 31, 33, 64, 96, 127, 128, 129, 256, 300, 1024])
def test_tokens_of_any_dimension_score_like_float64(kernel, dim):
    query, document = tokens(5, dim), halves(tokens(19, dim, seed=1))
    expected = best_sum(rounded(query), floats(document))
    np.testing.assert_allclose(score(kernel, query, document), [expected], atol=5 * TOLERANCE)


@looped("dim", [1, 16, 63, 100, 128, 130, 256])
@looped("count", [0, 1, 11, 26])
def test_codes_score_like_float64(kernel, count, dim):
    query, codes = tokens(6, dim), random_codes(count, dim)
    expected = best_sum(rounded(query), codes.view(E4M3).astype(F32))
    np.testing.assert_allclose(score(kernel, query, codes), [expected], atol=6 * TOLERANCE)


def test_every_code_is_read_as_its_value(kernel):
    codes, query = np.arange(256, dtype=np.uint8)[:, None], np.ones((1, 1), F32)
    values = np.nan_to_num(codes[:, 0].view(E4M3).astype(F32))
    found = score(kernel, query, codes, np.arange(256), np.ones(256))
    np.testing.assert_array_equal(found, np.sign(values))
    both = np.stack([values, np.full(256, 2, F32)], axis=1).astype(E4M3).view(np.uint8)
    found = score(kernel, np.eye(2, dtype=F32)[:1], both, np.arange(256), np.ones(256))
    np.testing.assert_allclose(found, values / np.hypot(values, 2), rtol=1e-6)


@pytest.mark.parametrize("dim", [32, 128, 1024])
def test_a_cosine_is_off_by_no_more_than_the_rounding_of_the_query(kernel, dim):
    document = tokens(50, dim, seed=1)
    query = np.concatenate([tokens(20, dim), document[:5], np.eye(dim, dtype=F32)[:5]])
    query[20:] *= F32(1 + 2**-8 + 2**-12)
    exact = best_sum(units(query), floats(halves(document)))
    found = score(kernel, query, halves(document))[0]
    assert abs(found - exact) <= 30 * (ROUNDING + TOLERANCE)


@looped("dim", [8, 128, 200])
@looped("magnitude", [1e-39, 1e-30, 1e-12, 1e12, 1e18, 1e38])
def test_any_finite_magnitude_scores_as_if_it_were_one(kernel, dim, magnitude):
    query, document = tokens(9, dim).clip(-3, 3), tokens(26, dim, seed=1).clip(-3, 3)
    far = np.array(document * magnitude, F32)
    far[::3] = document[::3]
    expected = best_sum(rounded(query), floats(halves(far)))
    np.testing.assert_allclose(score(kernel, query, halves(far)), [expected], rtol=1e-5)
    large = np.array(query * magnitude, F32)
    expected = best_sum(rounded(large), floats(halves(document)))
    np.testing.assert_allclose(score(kernel, large, halves(document)), [expected], rtol=1e-5)


@pytest.mark.parametrize("dim", [5, 128])
def test_zero_tokens_are_never_matched(kernel, dim):
    query, document = -np.abs(tokens(4, dim)), halves(np.abs(tokens(15, dim, seed=1)))
    document[[0, 3, 14]] = 0
    document[5, 2] = 0x7FC0
    document[6, 1] = 0x7F80
    rest = np.delete(floats(document), [5, 6], axis=0)
    expected = best_sum(rounded(query), rest)
    assert expected < 0
    np.testing.assert_allclose(score(kernel, query, document), [expected], rtol=1e-5)
    assert score(kernel, query, np.zeros((3, dim), U16)) == [0]


def test_zero_and_nan_codes_are_never_matched(kernel):
    codes = np.full((14, 128), 0x38, np.uint8)
    codes[3], codes[9, 5] = 0x80, 0x7F
    np.testing.assert_allclose(score(kernel, -np.ones((2, 128), F32), codes), -2, rtol=ROUNDING)


def test_zero_query_tokens_count_nothing(kernel):
    query, document = tokens(6, 128), halves(tokens(10, 128, seed=1))
    query[[0, 5]] = 0
    expected = best_sum(rounded(query[1:5]), floats(document))
    np.testing.assert_allclose(score(kernel, query, document), [expected], atol=6 * TOLERANCE)


@pytest.mark.parametrize("values", [halves(tokens(300, 128, seed=1)), random_codes(300, 100)])
def test_a_document_scores_the_same_in_any_batch(kernel, values):
    query = tokens(33, values.shape[1])
    starts, counts = [0, 100, 7, 0, 250, 300], [300, 1, 20, 5, 50, 0]
    together = score(kernel, query, values, starts, counts)
    apart = [
        score(kernel, query, values[start : start + count])[0]
        for start, count in zip(starts, counts)
    ]
    assert together.tolist() == apart


def at(level):
    return lambda family: dispatch.load(family, level)


@pytest.mark.parametrize("count", [1, 12, 40])
@pytest.mark.parametrize("dim", [1, 96, 128, 301])
def test_levels_with_fma_return_the_same_bits(count, dim):
    query, document = tokens(40, dim), tokens(count, dim, seed=1)
    document[0] *= F32(1e-30)
    # Products far below float32's range: the instruction flushes them, so all levels must.
    tiny = query * F32(2.0) ** np.resize(np.arange(0, -120, -7), dim).astype(F32)
    spread = document * F32(2.0) ** np.resize(np.arange(-120, 0, 7), dim).astype(F32)
    for a, b in [
        (query, halves(document)),
        (tiny, halves(spread)),
        (tiny, random_codes(count, dim)),
    ]:
        assert len({score(at(level), a, b).tobytes() for level in FUSING}) <= 1


def test_the_state_of_the_processor_is_left_as_it_was(kernel):
    score(kernel, tokens(2, 8), halves(tokens(3, 8)))
    assert np.float32(1e-40) * np.float32(0.5) != 0


@looped(
    ("starts", "counts"),
    [([-1], [1]), ([0], [-1]), ([0], [11]), ([10], [1]), ([11], [0]), ([0], [2**62])],
)
@looped("values", [halves(tokens(10, 4)), random_codes(10, 4)])
def test_documents_outside_the_values_are_refused(kernel, values, starts, counts):
    with pytest.raises(ValueError, match="document at"):
        score(kernel, tokens(2, 4), values, starts, counts)


def test_shapes_must_agree(kernel):
    family, packed = kernel("maxsim_bf16"), np.zeros((1, 2, 64), U16)
    none, sums, values = np.zeros(0, np.int64), np.zeros(0, F32), halves(tokens(2, 4))
    with pytest.raises(ValueError, match="halves"):
        family.encode(np.zeros(2, F32), np.zeros(3, U16))
    with pytest.raises(ValueError, match="values"):
        family.decode(np.zeros(2, U16), np.zeros(3, F32))
    with pytest.raises(ValueError, match="packed"):
        family.pack_query(tokens(33, 4), packed)
    with pytest.raises(ValueError, match="packed"):
        family.score(packed, 1, halves(tokens(2, 5)), np.zeros(2, F32), none, none, sums)
    with pytest.raises(ValueError, match="query"):
        family.score(packed, 33, values, np.zeros(2, F32), none, none, sums)
    with pytest.raises(ValueError, match="norms"):
        family.score(packed, 1, values, np.zeros(1, F32), none, none, sums)
    with pytest.raises(ValueError, match="out"):
        family.inverse_norms(values, np.zeros(3, F32))
