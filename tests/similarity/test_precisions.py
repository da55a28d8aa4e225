"""Every precision scores where it lies; decoding first and scoring in float64 is the witness."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from looping import looped

from cgcython import PQ8Codebook, PreparedQuery, TokenArray, max_sim, max_sim_batch
from cgcython.similarity.scorers import SCORERS

F32 = np.float32
ROUNDING = 1e-6
# The largest number that a value of the query becomes; float32 where it stays what it is.
LIMITS = dict.fromkeys(("int8", "int4", "int2", "hadamard_sign", "sign"), (127, 32512))
COUNTS = [0, 1, 5, 12, 13, 0, 40, 3, 65]
DIMS = [8, 32, 128, 160]


def tokens(n, dim=128, seed=0):
    return np.random.default_rng(seed).standard_normal((n, dim), dtype=F32)


def codebook(dim):
    rng = np.random.default_rng(1)
    return PQ8Codebook(rng.standard_normal((dim // 8, 256, 8), dtype=F32))


def documents(precision, dim=128, counts=COUNTS):
    values = TokenArray(tokens(sum(counts), dim, seed=1), np.cumsum([0, *counts]))
    if precision == "sign":
        return plain_signs(values)
    return values.quantize(precision, codebook(dim) if precision == "pq" else None)


def plain_signs(array):
    """Signs of values as they are, which are read for ever and no longer made."""
    codes = np.packbits(array.values >= 0, axis=1)
    return TokenArray(codes, array.offsets, "sign", dim=array.dim)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def expected(query, decoded):
    """The definition in float64, for tokens that all have a direction."""
    query = unit(query.astype(float))
    best = [(query @ unit(one.astype(float)).T).max(axis=1, initial=-1) for one in decoded]
    return np.clip([one.mean() for one in best], 0, 1)


def bound(precision, query, fine=False):
    """How far the mean may be from decode-then-score; docs/LATE_INTERACTION.md says why."""
    if precision in ("bfloat16", "e4m3") and not fine:
        return 2.0**-8
    if precision not in LIMITS:
        return ROUNDING
    lengths, peaks = np.linalg.norm(query, axis=1), np.abs(query).max(axis=1)
    error = query.shape[1] ** 0.5 * peaks / (2 * LIMITS[precision][fine] * lengths)
    return (error / np.sqrt(1 - error**2 / 2)).mean() + ROUNDING


@looped("dim", DIMS)
@looped("num_query", [1, 31, 33, 70])
@looped("precision", SCORERS)
def test_scores_are_those_of_decoded_tokens(level, precision, num_query, dim):
    together, query = documents(precision, dim), tokens(num_query, dim)
    found = max_sim_batch(query, together)
    witness = expected(query, together.dequantize())
    np.testing.assert_allclose(found, witness, rtol=0, atol=bound(precision, query))


@pytest.mark.parametrize("magnitude", [1e-12, 1, 1e12])
def test_rotated_codebooks_with_a_mean_are_looked_up(level, magnitude):
    rng = np.random.default_rng(3)
    rotation = np.linalg.qr(rng.standard_normal((40, 24)))[0]
    centroids = magnitude * rng.standard_normal((6, 256, 4))
    book = PQ8Codebook(centroids, rotation, magnitude * rng.standard_normal(40))
    together = TokenArray(
        rng.integers(0, 256, (70, 6)).astype(np.uint8), [0, 30, 30, 70], "pq", codebook=book
    )
    query = tokens(40, 40)
    found = max_sim_batch(query, together)
    np.testing.assert_allclose(found, expected(query, together.dequantize()), atol=2e-6)


@pytest.mark.parametrize("precision", SCORERS)
def test_long_queries_meet_long_documents(precision):
    together, query = documents(precision, counts=[1024, 1, 700]), tokens(1024)
    found = max_sim_batch(query, together)
    witness = expected(query, together.dequantize())
    np.testing.assert_allclose(found, witness, rtol=0, atol=bound(precision, query))


@pytest.mark.parametrize("precision", ["e4m3", *LIMITS])
def test_a_fine_query_comes_as_near_as_float32(level, precision):
    together, query = documents(precision), tokens(40)
    witness = expected(query, together.dequantize())
    found = max_sim_batch(PreparedQuery.of(query, fine=True), together)
    np.testing.assert_allclose(found, witness, rtol=0, atol=bound(precision, query, fine=True))
    np.testing.assert_allclose(found, witness, rtol=0, atol=5e-6)


@pytest.mark.parametrize("precision", sorted(SCORERS.keys() - {"pq"}))
def test_tokens_of_zeros_are_never_matched(level, precision):
    values, query = tokens(6), tokens(3, seed=1)
    values[2] = 0
    scored = TokenArray(values, [0, 2, 3, 6]).quantize(precision)
    scores = max_sim_batch(query, scored)
    if "sign" not in precision:  # whose zeros are bits like any other
        assert scores[1] == 0.0
    rest = TokenArray(np.delete(values, 2, axis=0), [0, 2, 5]).quantize(precision)
    assert scores[[0, 2]].tolist() == max_sim_batch(query, rest).tolist()


@settings(deadline=None, max_examples=30)
@given(data=st.data(), precision=st.sampled_from(sorted(SCORERS)))
def test_a_document_scores_the_same_in_any_company(data, precision):
    counts = data.draw(st.lists(st.integers(0, 30), min_size=1, max_size=12))
    together, query = documents(precision, 32, counts), tokens(data.draw(st.integers(1, 70)), 32)
    scores = max_sim_batch(query, together)
    ids = data.draw(st.lists(st.integers(0, len(counts) - 1), max_size=20))
    threads = data.draw(st.integers(1, 4))
    some = max_sim_batch(query, together.take(ids), num_threads=threads)
    assert some.tolist() == scores[ids].tolist()
    moved = max_sim_batch(query, together.take(ids).compact(), num_threads=threads)
    assert moved.tolist() == scores[ids].tolist()


@pytest.mark.parametrize("precision", SCORERS)
def test_a_query_is_packed_once_for_each_precision(precision):
    query = PreparedQuery.of(tokens(40))
    together = documents(precision)
    before = max_sim_batch(query, together).tolist()
    known = dict(vars(query))
    assert max_sim_batch(query, together).tolist() == before
    assert vars(query).keys() == known.keys()
    assert all(vars(query)[name] is one for name, one in known.items())


@pytest.mark.parametrize("precision", SCORERS)
def test_the_best_of_each_precision_come_first(precision):
    together, query = documents(precision), tokens(9)
    scores = max_sim_batch(query, together, reduction="sum")
    ids, best = max_sim_batch(query, together, reduction="sum", k=4)
    assert ids.tolist() == np.argsort(-scores, kind="stable")[:4].tolist()
    assert best.tolist() == scores[ids].tolist()


@pytest.mark.parametrize("dim", [32, 128])
def test_a_fast_package_agrees_on_unit_tokens(dim):
    maxsim_cpu = pytest.importorskip("maxsim_cpu")
    query, *some = (unit(tokens(n, dim, seed=n)) for n in (32, 50, 200))
    found = max_sim_batch(query, some, reduction="sum")
    theirs = maxsim_cpu.maxsim_scores_variable(query, some)
    np.testing.assert_allclose(found, theirs, rtol=1e-5)
    assert max_sim(query, some[0]) == pytest.approx(theirs[0] / 32, rel=1e-5)
