"""The best rows of E4M3 codes are those that a scan of all finds, to the bit."""

import numpy as np
import pytest
from e4m3_calls import cosine_rows, encode_rows, rows
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_arrays import packed_codes
from looping import looped

from cgcython.kernels import dispatch

F32, U8 = np.float32, np.uint8
COMPILED = [level for level in dispatch.available() if level != "reference"]


@np.errstate(all="ignore")  # as compiled kernels do
def scanned(module, query, codes, scales):
    """Return one over the length of each row, and the score of each row."""
    norms, scores = np.empty((2, len(codes)), F32)
    module.inverse_norms(codes, norms)
    if scales is None:
        module.cosine_rows(query, codes, norms, scores)
    else:
        module.dot_rows(query, codes, scales, scores)
    return norms, scores


def best(kernel, query, codes, scales=None, k=10, within=0.0, room=None, least=-np.inf):
    norms = scanned(kernel("e4m3"), query, codes, scales)[0]
    found = np.empty(room or len(codes), np.int64), np.empty(room or len(codes), F32)
    count = kernel("e4m3_best").best(query, codes, norms, scales, k, within, least, *found)
    return count if count < 0 else (found[0][:count], found[1][:count])


def best_of_many(kernel, queries, codes, scales=None, k=10, within=0.0, room=None, least=-np.inf):
    norms, count = scanned(kernel("e4m3"), queries[0], codes, scales)[0], len(queries)
    packed = packed_codes(count, queries.shape[1])
    kernel("e4m3_best").pack(queries, scales is None, *packed)
    shape = count, room or len(codes)
    found, scores, held = np.empty(shape, np.int64), np.empty(shape, F32), np.empty(count, np.int64)
    known = np.full(count, least)
    kernel("e4m3_best").best_many(
        *packed, codes, norms, scales, k, within, known, found, scores, held
    )
    return [(found[i, :n], scores[i, :n]) if n >= 0 else -1 for i, n in enumerate(held.tolist())]


def require_best(kernel, query, codes, scales=None, k=10, within=0.0):
    """Compare one query, and three together, with scans of all rows of the same level."""
    queries = np.stack([query, query[::-1], -query])
    one = best(kernel, query, codes, scales, k, within)
    many = best_of_many(kernel, queries, codes, scales, k, within)
    for asked, found in zip([query, *queries], [one, *many], strict=True):
        scores = scanned(kernel("e4m3"), asked, codes, scales)[1]
        expected = np.flatnonzero(scores > -np.inf)
        if len(expected) >= k:
            last = float(np.sort(scores[expected])[-k])
            expected = expected[scores[expected] >= last - within]
        np.testing.assert_array_equal(found[0], expected)
        np.testing.assert_array_equal(found[1], scores[expected])


def loader(level):
    return lambda family: dispatch.load(family, level)


@looped("dim", [1, 3, 63, 64, 65, 200, 384, 2100])
def test_the_best_are_those_of_a_scan(kernel, dim):
    values, query = rows(700, dim), rows(1, dim, 3, seed=1)[0]
    codes, scales = encode_rows(kernel, values)
    require_best(kernel, query, codes)
    require_best(kernel, query, codes, scales, k=3)
    require_best(kernel, query, codes, within=0.01)


@looped("magnitude", [1e-38, 1e-20, 1, 1e20, 3e37])
@pytest.mark.parametrize("spread", [0, 30])
def test_ranges_do_not_matter(kernel, magnitude, spread):
    rng = np.random.default_rng(spread)
    values = rows(600, 100) * 10.0 ** -rng.integers(0, spread + 1, (600, 1))
    codes, scales = encode_rows(kernel, values.astype(F32))
    query = rows(1, 100, magnitude, 2)[0] * 10.0 ** -rng.integers(0, spread + 1, 100)
    for factor in (1, 1e-30, 1e30, -1):
        require_best(kernel, query.astype(F32), codes, scales * F32(factor))
    require_best(kernel, query.astype(F32), codes)


@pytest.mark.parametrize(
    "codes",
    [
        np.zeros((600, 70), U8),
        np.full((600, 70), 0x7E, U8),
        np.random.default_rng(1).integers(0, 8, (600, 70), U8),
        np.random.default_rng(2).integers(0, 256, (600, 70), U8),
        np.where(np.random.default_rng(3).random((600, 70)) < 0.03, 0xFE, 1).astype(U8),
        np.repeat(np.random.default_rng(4).integers(0, 0x7F, (3, 70), U8), 200, axis=0),
    ],
    ids=["zeros", "peaks", "below normal", "any, NaN too", "few large", "equal rows"],
)
def test_codes_of_all_kinds(kernel, codes):
    query = rows(1, 70, seed=5)[0]
    for scales in (None, np.full(600, 3e38, F32), np.full(600, 1e-44, F32)):
        require_best(kernel, query, codes, scales)


def test_a_query_of_zeros_finds_every_row(kernel):
    codes = encode_rows(kernel, rows(600, 64))[0]
    found, scores = best(kernel, np.zeros(64, F32), codes)
    assert len(found) == 600
    assert not scores.any()


@looped("dim", [64, 384])
def test_a_query_that_rounds_down_everywhere_misses_no_row(kernel, dim):
    # Each value loses almost half a unit of bfloat16, so that estimates are .4 % low; the best row
    # comes after rows that score .2 % less, and are exact while nothing is known.
    query = np.full(dim, 1 + 2.0**-8 - 2.0**-20, F32)
    codes = np.full((900, dim), 0x38, U8)
    codes[:, : dim // 16] = 0x3B
    codes[800] = 0x38
    assert best(kernel, query, codes, k=1)[0].tolist() == [800]
    require_best(kernel, query, codes, k=1)


def test_a_query_of_whole_numbers_and_halves_misses_no_row(kernel):
    # As above, for whole numbers of a query's peak / 127: all but the peak round down by a half.
    query = np.full(256, 10.499, F32)
    query[0] = 127
    codes = np.full((900, 256), 0x7E, U8)
    codes[:, 0] = 0x7A
    codes[800] = 0x7E
    assert best(kernel, query, codes, k=1)[0].tolist() == [800]
    require_best(kernel, query, codes, k=1)


def test_codes_below_normal_are_estimated_too_low_and_found(kernel):
    codes = np.full((900, 64), 0xB8, U8)
    codes[:, :34] = 0x38
    codes[800] = 7
    assert best(kernel, np.ones(64, F32), codes, k=1)[0].tolist() == [800]
    require_best(kernel, np.ones(64, F32), codes, k=1)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 17, 64, 129]), st.integers(1, 40))
def test_any_codes_and_queries(seed, dim, k):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 256, (int(rng.integers(257, 700)), dim), U8)
    codes[:, rng.random(dim) < rng.random()] &= rng.integers(0, 256, dtype=U8)
    query = (rng.standard_normal(dim) * 10.0 ** rng.integers(-37, 37)).astype(F32)
    query[rng.random(dim) < rng.random() / 2] *= F32(10.0 ** rng.integers(-9, 1))
    scales = (np.abs(rng.standard_normal(len(codes))) * 10.0 ** rng.integers(-30, 30)).astype(F32)
    for level in COMPILED[-2:]:
        require_best(loader(level), query, codes, None, k)
        require_best(loader(level), query, codes, scales, k)


def test_levels_find_the_same(kernel):
    codes, query = encode_rows(kernel, rows(2000, 96))[0], rows(1, 96, seed=3)[0]
    found = best(kernel, query, codes)
    expected = best(loader("reference"), query, codes)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-6)


def test_too_little_room_is_said(kernel):
    codes = np.full((600, 64), 0x38, U8)
    assert best(kernel, np.ones(64, F32), codes, room=599) == -1
    assert len(best(kernel, np.ones(64, F32), codes, room=600)[0]) == 600
    codes, queries = encode_rows(kernel, rows(600, 64))[0], rows(3, 64, seed=1)
    queries[1] = 0
    found = best_of_many(kernel, queries, codes, room=100)
    assert [one == -1 for one in found] == [False, True, False]


@pytest.mark.parametrize("count", [1, 16, 17, 32, 33, 100, 256])
def test_any_number_of_queries_together(kernel, count):
    codes, queries = encode_rows(kernel, rows(301, 70))[0], rows(count, 70, seed=8)
    for query, found in zip(queries, best_of_many(kernel, queries, codes, k=3), strict=True):
        expected = best(kernel, query, codes, k=3)
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1], expected[1])


@looped("least", [-2.0, 0.05, 0.2, 0.9])
def test_rows_below_what_is_known_are_left_out(kernel, least):
    codes, query = encode_rows(kernel, rows(900, 96))[0], rows(1, 96, seed=3)[0]
    scores = cosine_rows(kernel, query, codes)
    expected = np.flatnonzero(scores >= max(np.sort(scores)[-10], least))
    assert best(kernel, query, codes, least=least)[0].tolist() == expected.tolist()
    many = best_of_many(kernel, np.stack([query] * 3), codes, least=least)
    assert [one[0].tolist() for one in many] == [expected.tolist()] * 3


def test_many_queries_tell_what_the_best_of_more_rows_must_reach(kernel):
    codes, queries = encode_rows(kernel, rows(400, 32))[0], rows(2, 32, seed=3)
    norms, packed, least = np.empty(400, F32), packed_codes(2, 32), np.array([-np.inf, 0.9])
    kernel("e4m3").inverse_norms(codes, norms)
    kernel("e4m3_best").pack(queries, True, *packed)
    place = np.zeros((2, 400), np.int64), np.zeros((2, 400), F32), np.zeros(2, np.int64)
    kernel("e4m3_best").best_many(*packed, codes, norms, None, 10, 0.25, least, *place)
    scores = cosine_rows(kernel, queries[0], codes)
    assert least.tolist() == [float(np.sort(scores)[-10]) - 0.25, 0.9]


def test_rows_without_a_number_do_not_rank(kernel):
    codes = np.full((300, 8), 0x38, U8)
    codes[:290, 3] = 0x7F
    found, scores = best(kernel, np.ones(8, F32), codes, k=20)
    assert found.tolist() == list(range(290, 300))
    np.testing.assert_array_equal(scores, cosine_rows(kernel, np.ones(8, F32), codes[290:]))


def test_shapes_are_checked(kernel):
    codes, norms, out = np.zeros((4, 8), U8), np.zeros(4, F32), (np.zeros(4, int), np.zeros(4, F32))
    one = kernel("e4m3_best").best
    with pytest.raises(ValueError, match="a row of codes holds 8, query holds 7"):
        one(np.zeros(7, F32), codes, norms, None, 1, 0.0, 0.0, *out)
    with pytest.raises(ValueError, match="inverse_norms holds 3, codes holds 4"):
        one(np.zeros(8, F32), codes, norms[:3], None, 1, 0.0, 0.0, *out)
    with pytest.raises(ValueError, match="scales holds 3, codes holds 4"):
        one(np.zeros(8, F32), codes, norms, np.zeros(3, F32), 1, 0.0, 0.0, *out)
    with pytest.raises(ValueError, match="scores holds 3, rows holds 4"):
        one(np.zeros(8, F32), codes, norms, None, 1, 0.0, 0.0, out[0], out[1][:3])
    with pytest.raises(ValueError, match="k is 0, expected 1 or more"):
        one(np.zeros(8, F32), codes, norms, None, 0, 0.0, 0.0, *out)
    packed = packed_codes(3, 8)
    several = np.zeros((3, 4), int), np.zeros((3, 4), F32), np.zeros(3, int)
    many, pack = kernel("e4m3_best").best_many, kernel("e4m3_best").pack
    with pytest.raises(ValueError, match="a row of laid holds 64, a query holds 128"):
        many(*packed, np.zeros((4, 65), U8), norms, None, 1, 0.0, np.zeros(3), *several)
    with pytest.raises(ValueError, match="least holds 2, queries holds 3"):
        many(*packed, codes, norms, None, 1, 0.0, np.zeros(2), *several)
    with pytest.raises(ValueError, match="held holds 2, queries holds 3"):
        many(*packed, codes, norms, None, 1, 0.0, np.zeros(3), *several[:2], several[2][:2])
    everything = [np.zeros((257, *one.shape[1:]), one.dtype) for one in several]
    with pytest.raises(ValueError, match="laid holds 257 queries, expected up to 256"):
        many(*packed_codes(257, 8), codes, norms, None, 1, 0.0, np.zeros(257), *everything)
    with pytest.raises(ValueError, match="a line of numbers holds 64, the lanes holds 128"):
        pack(np.zeros((3, 8), F32), True, *packed[:2], packed[2][:, :, :64].copy(), packed[3])
    wide = np.zeros((1, 4097), U8)
    with pytest.raises(ValueError, match="query holds 4097, expected up to 4096"):
        one(np.zeros(4097, F32), wide, norms[:1], None, 1, 0.0, 0.0, *out)
