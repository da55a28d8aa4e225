"""Many queries at once find what each finds alone, in arrays of a row per query."""

from uuid import UUID

import numpy as np
import pytest
import scipy.sparse

from cgcython import TokenArray
from cgcython.base import ModelId
from cgcython.errors import DimensionMismatch, InvalidInput, NonFiniteValue
from cgcython.search import FingerprintStore

COUNT, QUERIES = 40, 7


@pytest.fixture(scope="module")
def store(memories, tmp_path_factory):
    path = tmp_path_factory.mktemp("many") / "s"
    with FingerprintStore.open(path, memories.codebooks, memories.profile) as store:
        store.store_many(
            (UUID(int=n + 1), memories.make(n, ["E1", "E9", "E12"] if n % 4 else ["E9"]), {"n": n})
            for n in range(COUNT)
        )
        yield store


@pytest.fixture(scope="module")
def queries(memories):
    return [memories.make(100 + n, ["E1", "E9", "E12"]) for n in range(QUERIES)]


def columns(queries, *embedders):
    return {one: [query[one] for query in queries] for one in embedders}


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"num_threads": 3},
        {"embedders": ["E1", "E9"], "weights": {"E1": 2}},
        {"embedders": "E9", "metric": "dot"},
        {"embedders": "E9", "approximate": True, "num_threads": 2},
        {"embedders": "E9", "rerank": "E12", "oversample": 2},
        {"where": {"n": {"$lt": 20}}, "among": [UUID(int=n + 1) for n in range(10, 30)]},
        {"among": []},
        {"k": 60},
    ],
    ids=str,
)
def test_each_query_finds_what_it_finds_alone(store, queries, how):
    found = store.search_many(columns(queries, "E1", "E9", "E12"), **how)
    assert found.hits == [store.search(query, **how) for query in queries]
    assert len(found) == QUERIES
    for row, hits in enumerate(found.hits):
        few = found.counts[row]
        assert found[row] == hits
        assert few == len(hits)
        assert found.ids[row, :few].tolist() == [hit.id for hit in hits]
        assert found.similarities[row, :few].tolist() == [np.float32(h.similarity) for h in hits]
        for one, scores in found.embedder_scores.items():
            wanted = [hit.scores.get(one, np.nan) for hit in hits]
            np.testing.assert_array_equal(scores[row, :few], wanted)


def test_rows_of_fewer_hits_say_so(store, queries):
    found = store.search_many(
        columns(queries, "E9"), 5, where={"n": {"$lt": 2}}, with_metadata=True
    )
    for array in (found.ids, found.scores, found.similarities, found.metadata):
        assert array.shape == (QUERIES, 5)
    assert found.counts.tolist() == [2] * QUERIES
    assert set(found.ids[:, 2:].flat) == set(found.metadata[:, 2:].flat) == {None}
    assert np.isnan(found.scores[:, 2:]).all()
    assert np.isnan(found.similarities[:, 2:]).all()
    assert not np.isnan(found.scores[:, :2]).any()
    assert [one["n"] for one in found.metadata[0, :2]] == [one.int - 1 for one in found.ids[0, :2]]


def test_the_score_of_one_embedder_is_its_own(store, queries):
    found = store.search_many(columns(queries, "E9"), 3)
    np.testing.assert_array_equal(found.scores, found.embedder_scores[ModelId.HDC])
    assert found.metadata is None


def test_scores_of_several_are_their_weighted_mean(store, queries):
    found = store.search_many(columns(queries, "E1", "E9"), COUNT, weights={"E1": 3})
    for row, hits in enumerate(found.hits):
        for score, hit in zip(found.scores[row], hits):
            weights = {one: 3 if one is ModelId.SEMANTIC else 1 for one in hit.scores}
            mean = np.average(list(hit.scores.values()), weights=list(weights.values()))
            assert score == pytest.approx(mean, rel=1e-6)


def test_arrays_of_all_kinds_are_rows(store, queries, memories):
    matrix = np.array([query["E9"] for query in queries])
    wanted = store.search_many(columns(queries, "E9")).ids
    for given in (matrix, matrix.astype(np.float64), matrix.tolist(), list(matrix)):
        np.testing.assert_array_equal(store.search_many({"E9": given}).ids, wanted)
    tokens = [query["E12"] for query in queries]
    wanted = store.search_many({"E12": tokens}).ids
    for given in (np.stack(tokens), TokenArray.from_list(tokens)):
        np.testing.assert_array_equal(store.search_many({"E12": given}).ids, wanted)


def test_sparse_matrices_are_rows(memories, tmp_path):
    vectors = [memories.make(n, ["E6"])["E6"] for n in range(5)]
    matrix = scipy.sparse.lil_matrix((5, 400), dtype=np.float32)
    for row, one in enumerate(vectors):
        matrix[row, one.indices] = one.weights
    with FingerprintStore.open(tmp_path / "s", {}, memories.profile) as store:
        store.store_many((UUID(int=n + 1), {"E6": one}) for n, one in enumerate(vectors))
        wanted = store.search_many({"E6": vectors}, 2).ids
        for given in (matrix, matrix.tocsr(), matrix.tocsc(), matrix.tocoo()):
            np.testing.assert_array_equal(store.search_many({"E6": given}, 2).ids, wanted)
        assert [one.int for one in wanted[:, 0]] == [1, 2, 3, 4, 5]


def test_no_queries_have_no_hits(store):
    found = store.search_many({"E9": np.empty((0, 20))}, 4)
    assert (found.ids.shape, found.scores.shape, found.hits) == ((0, 4), (0, 4), [])


@pytest.mark.parametrize(
    ("queries", "message"),
    [
        ({}, "arrays: expected one embedder or more"),
        ([[1, 2]], "arrays: expected a mapping"),
        ({"E9": np.zeros(20)}, "expected numbers in 2 dimensions"),
        ({"E9": 5}, "embeddings: expected"),
        ({"E9": np.ones((2, 20)), "E1": np.ones((3, 16))}, "E9: expected 3 rows, as E1 has, got 2"),
        (
            {"E9": [np.ones(20), None]},
            "queries of E9: expected one for.*got none in row 1",
        ),
    ],
    ids=str,
)
def test_what_is_no_batch_is_refused(store, queries, message):
    with pytest.raises(InvalidInput, match=message):
        store.search_many(queries)


@pytest.mark.parametrize("k", [0, 65_537, 2**40, 1.5])
def test_k_is_a_number_that_arrays_have_room_for(store, queries, k):
    with pytest.raises(InvalidInput, match="k: expected 1 to 65536"):
        store.search_many(columns(queries, "E9"), k)


@pytest.mark.parametrize(("row", "threads"), [(0, 1), (3, 1), (6, 3)])
def test_errors_say_which_query_they_are_about(store, queries, row, threads):
    rows = [query["E9"] for query in queries]
    rows[row] = np.full(20, np.nan)
    with pytest.raises(NonFiniteValue) as raised:
        store.search_many({"E9": rows}, num_threads=threads)
    assert raised.value.__notes__ == [f"(query {row} of the batch)"]
    rows[row] = np.ones(21)
    with pytest.raises(DimensionMismatch) as raised:
        store.search_many({"E9": rows})
    assert raised.value.__notes__ == [f"(row {row})"]
