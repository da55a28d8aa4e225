"""Cosines and MaxSim as the specification words them; NumPy's float64 is the witness."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensor_stand_in import Tensor, needing_gradient

from cgcython import (
    DimensionMismatch,
    InvalidInput,
    NonFiniteValue,
    PreparedQuery,
    TokenAlignment,
    TokenArray,
    TokenEmbeddings,
    approximate_max_sim,
    cosine_similarity,
    max_sim,
    max_sim_batch,
    symmetric_max_sim,
    token_alignments,
)

F32 = np.float32
COUNTS = [0, 1, 5, 12, 13, 0, 40, 3]


def tokens(n, dim=128, seed=0):
    return np.random.default_rng(seed).standard_normal((n, dim), dtype=F32)


def documents(dim=128):
    return [tokens(count, dim, seed) for seed, count in enumerate(COUNTS, 1)]


def expected(query, document):
    """The definition, in float64, for tokens that all have a direction."""
    if not len(query) or not len(document):
        return 0.0
    a, b = query.astype(float), document.astype(float)
    lengths = np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(b, axis=1)
    return (a @ b.T / lengths).max(axis=1).mean().clip(0, 1)


def test_identical_sequences_score_one():
    both = [[1, 0, 0], [0, 1, 0]]
    assert max_sim(both, both) == pytest.approx(1, abs=1e-6)


def test_orthogonal_tokens_score_zero():
    assert max_sim([[1, 0]], [[0, 1]]) == pytest.approx(0, abs=1e-6)


def test_symmetric_is_the_average_of_both_directions():
    a, b = [[1.0, 0.0], [0.5, 0.5]], [[0.0, 1.0], [0.7, 0.3]]
    assert symmetric_max_sim(a, b) == (max_sim(a, b) + max_sim(b, a)) / 2


def test_empty_sides_give_zero_and_no_alignments(level):
    nothing = np.array([])  # as JSON has it
    for query, document in (([], [[1, 0]]), ([[1, 0]], nothing), (nothing, [[1, 0]]), ([], [])):
        assert max_sim(query, document) == 0.0
        assert symmetric_max_sim(query, document) == 0.0
        assert approximate_max_sim(query, document, 0.5) == 0.0
        assert token_alignments(query, document) == []


@pytest.mark.parametrize("dim", [3, 128, 200])
def test_scores_are_those_of_float64(level, dim):
    query = tokens(34, dim)
    for document in documents(dim):
        assert max_sim(query, document) == pytest.approx(expected(query, document), abs=1e-6)


def test_the_mean_is_clamped_and_the_sum_is_not(level):
    query, document = [[1, 0], [1, 0]], [[-1, 0]]
    assert max_sim(query, document) == 0.0
    assert max_sim_batch(query, [document]).tolist() == [0.0]
    assert max_sim_batch(query, [document], reduction="sum").tolist() == [-2.0]


def test_padding_is_never_matched(level):
    query, document = [[-1, 0], [0, 0]], [[1, 0], [0, 0]]
    assert max_sim_batch(query, [document], reduction="sum").tolist() == [-1.0]
    assert token_alignments(query, document) == [(0, 0, -1.0), (1, -1, 0.0)]
    assert token_alignments([[1, 0]], [[0, 0]]) == [TokenAlignment(0, -1, 0.0)]


def test_alignments_take_the_lowest_of_equal_tokens(level):
    assert token_alignments([[1, 0]], [[0, 1], [2, 0], [1, 0]]) == [TokenAlignment(0, 1, 1.0)]


def test_alignments_of_chosen_documents_are_those_of_each(level):
    query, together = tokens(40), TokenArray.from_list(documents())
    found = token_alignments(query, together.take([6, 0, 3]))
    assert found == [token_alignments(query, documents()[i]) for i in (6, 0, 3)]
    coded = together.quantize("e4m3").take([6])
    assert token_alignments(query, coded) == token_alignments(query, coded.dequantize())


def test_symmetric_scores_of_many_documents_are_those_of_each(level):
    query, together = tokens(40), TokenArray.from_list(documents())
    expected_scores = [symmetric_max_sim(query, document) for document in documents()]
    np.testing.assert_allclose(symmetric_max_sim(query, together), expected_scores, rtol=1e-6)


def test_alignments_add_up_to_the_sum(level):
    query, document = tokens(40), tokens(70, seed=1)
    found = token_alignments(query, document)
    assert [one.query_token_idx for one in found] == list(range(40))
    total = max_sim_batch(query, [document], reduction="sum")[0]
    assert sum(one.similarity for one in found) == pytest.approx(total, rel=1e-6)


@pytest.mark.parametrize("magnitude", [1e-44, 1e-30, 1e18, 3e37])
def test_cosines_hold_at_any_magnitude(level, magnitude):
    query, document = tokens(9).clip(-3, 3), tokens(20, seed=1).clip(-3, 3)
    scaled = (document * magnitude).astype(F32)
    assert max_sim(query, scaled) == pytest.approx(expected(query, scaled), rel=1e-5)
    assert max_sim(scaled, query) == pytest.approx(expected(scaled, query), rel=1e-5)
    assert cosine_similarity([magnitude, 0], [magnitude, magnitude]) == pytest.approx(0.5**0.5)


def test_cosine_similarity_of_vectors(level):
    assert cosine_similarity([1, 2], [-2, -4]) == pytest.approx(-1)
    assert cosine_similarity([0, 0], [1, 1]) == 0.0
    with pytest.raises(DimensionMismatch):
        cosine_similarity([1, 2], [1, 2, 3])


FORMS = {
    "lists": np.ndarray.tolist,
    "rows": list,
    "float64": lambda x: x.astype(float),
    "strided": lambda x: np.repeat(x, 2, axis=0)[::2],
    "fortran": np.asfortranarray,
    "record": TokenEmbeddings,
    "tensor": Tensor,
    "gradient": needing_gradient,
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_tokens_may_come_in_any_form(form):
    query, document = tokens(5), tokens(9, seed=1)
    assert max_sim(form(query), form(document)) == max_sim(query, document)
    assert token_alignments(form(query), form(document)) == token_alignments(query, document)
    batch = max_sim_batch(form(query), [form(document)])
    assert batch.tolist() == max_sim_batch(query, [document]).tolist()


@pytest.mark.parametrize("form", [np.asarray, Tensor, needing_gradient])
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_narrow_floats_count_as_their_values(dtype, form):
    narrow = tokens(4).astype(dtype)
    wide = narrow.astype(F32)
    assert max_sim(form(narrow), tokens(6)) == max_sim(wide, tokens(6))


@pytest.mark.parametrize("score", [max_sim, symmetric_max_sim, token_alignments])
def test_different_dimensions_raise(score):
    with pytest.raises(DimensionMismatch):
        score(tokens(2, 128), tokens(2, 64))
    with pytest.raises(DimensionMismatch):
        max_sim_batch(tokens(2, 128), [tokens(2, 64)])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("dim", [8, 128])
def test_values_that_are_not_finite_are_refused(level, dim, bad):
    good, broken = tokens(3, dim), tokens(3, dim)
    broken[1, 2] = bad
    for query, document in ((good, broken), (broken, good)):
        with pytest.raises(NonFiniteValue, match=str(dim + 2)):
            max_sim(query, document)
        with pytest.raises(NonFiniteValue):
            max_sim_batch(query, [document])


def test_a_document_scores_the_same_in_any_batch_order_and_number_of_threads(level):
    query, together = tokens(40), TokenArray.from_list(documents())
    scores = max_sim_batch(query, together)
    backwards = max_sim_batch(query, documents()[::-1])
    assert scores.tolist() == backwards[::-1].tolist()
    for part in (slice(2, 5), slice(None, None, -1), slice(1, None, 2)):
        assert scores[part].tolist() == max_sim_batch(query, together[part]).tolist()
    chosen = [6, 0, 6, 2]
    assert scores[chosen].tolist() == max_sim_batch(query, together.take(chosen)).tolist()
    for threads in (2, 3, 20):
        assert max_sim_batch(query, together, num_threads=threads).tolist() == scores.tolist()
    for document, score in zip(documents(), scores):
        assert F32(max_sim(query, document)) == pytest.approx(score, rel=1e-7)


def test_a_prepared_query_is_the_query():
    prepared = PreparedQuery.of(tokens(40))
    expected_scores = max_sim_batch(tokens(40), documents())
    assert max_sim_batch(prepared, documents()).tolist() == expected_scores.tolist()


def test_many_queries_score_as_one_by_one():
    queries = TokenArray.from_list([tokens(3), tokens(33, seed=9), tokens(0)])
    table = max_sim_batch(queries, documents())
    assert table.shape == (3, len(COUNTS))
    for query, row in zip(queries, table):
        assert row.tolist() == max_sim_batch(query, documents()).tolist()
    ids, best = max_sim_batch(queries, documents(), k=2)
    assert ids.shape == best.shape == (3, 2)


def test_no_queries_have_no_scores_and_no_best():
    found = TokenArray.from_list(documents())
    assert max_sim_batch(found[:0], found).shape == (0, len(COUNTS))
    ids, best = max_sim_batch(found[:0], found, k=3)
    assert (ids.shape, ids.dtype, best.shape, best.dtype) == ((0, 3), np.int64, (0, 3), F32)


@pytest.mark.parametrize("threshold", [np.nan, "0.5", None])
def test_a_threshold_is_a_number(threshold):
    with pytest.raises(InvalidInput, match="min_score_threshold: expected a number"):
        approximate_max_sim([[1, 0]], [[1, 0]], threshold)


def test_the_best_documents_come_first_and_ties_keep_the_lower_index(level):
    scores = max_sim_batch(tokens(4), documents() * 2)
    order = np.argsort(-scores, kind="stable")
    ids, best = max_sim_batch(tokens(4), documents() * 2, k=5)
    assert ids.tolist() == order[:5].tolist()
    assert best.tolist() == scores[order[:5]].tolist()
    assert len(max_sim_batch(tokens(4), documents(), k=99)[0]) == len(COUNTS)


def test_codes_are_scored_where_they_lie(level):
    codes = np.random.default_rng(1).integers(0, 0x7F, (60, 128)).astype(np.uint8)
    decoded = codes.view(ml_dtypes.float8_e4m3fn).astype(F32)
    offsets = [0, 20, 20, 60]
    scores = max_sim_batch(PreparedQuery.of(tokens(8), fine=True), TokenArray(codes, offsets))
    expected_scores = max_sim_batch(tokens(8), TokenArray(decoded, offsets))
    np.testing.assert_allclose(scores, expected_scores, atol=1e-6)


def test_codes_are_no_query():
    codes = TokenArray(np.zeros((3, 128), np.uint8), [0, 3])
    with pytest.raises(InvalidInput, match=r"tokens: expected float32 values.*got e4m3 codes"):
        max_sim_batch(codes, documents())


@pytest.mark.parametrize("k", [-1, 1.5, "x"])
def test_a_number_of_documents_is_whole(k):
    with pytest.raises(InvalidInput, match="k: expected 0 or more"):
        max_sim_batch(tokens(1), documents(), k=k)


def test_reductions_have_names():
    with pytest.raises(InvalidInput, match="reduction"):
        max_sim_batch(tokens(1), documents(), reduction="median")


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    threshold=st.floats(allow_nan=False),
    shift=st.floats(-2, 2),
    counts=st.tuples(st.integers(0, 9), st.integers(0, 9)),
)
def test_the_approximation_is_within_five_percent_and_never_above(seed, threshold, shift, counts):
    rng = np.random.default_rng(seed)
    query, document = (rng.standard_normal((n, 6)).astype(F32) + F32(shift) for n in counts)
    exact, found = max_sim(query, document), approximate_max_sim(query, document, threshold)
    assert 0.95 * exact <= found <= exact


def test_masked_tokens_are_refused(level):
    masked = np.ma.masked_array(tokens(3), np.arange(3 * 128).reshape(3, 128) == 1)
    for pair in ((masked, tokens(3)), (tokens(3), masked)):
        with pytest.raises(InvalidInput, match="value 1 masked"):
            max_sim(*pair)
