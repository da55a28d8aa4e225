"""A search finds what was stored first, and only what is there now."""

import shutil
from uuid import UUID

import numpy as np
import pytest

from cgcython.base import ModelId
from cgcython.errors import DimensionMismatch, InvalidInput, StorageCorruption, StoreUnavailable
from cgcython.fingerprint import Fingerprint
from cgcython.records import SparseVector
from cgcython.search import FingerprintStore, Hit, merging

COUNT = 60
IDS = [UUID(int=(i * 2654435761) << 8) for i in range(1, COUNT + 1)]


@pytest.fixture(scope="module")
def filled(memories, tmp_path_factory):
    path = tmp_path_factory.mktemp("search") / "s"
    with FingerprintStore.open(path, memories.codebooks, memories.profile) as store:
        store.store_many((one, memories.make(i)) for i, one in enumerate(IDS))
    return path


@pytest.fixture
def store(filled, tmp_path):
    with FingerprintStore.open(shutil.copytree(filled, tmp_path / "s")) as store:
        yield store


def found(hits):
    return [hit.id for hit in hits]


@pytest.mark.parametrize("embedders", [None, *(["E1"], ["E2"], ["E6"], ["E9"], ["E12"])])
def test_a_stored_fingerprint_finds_itself_first(store, memories, embedders):
    for number in range(0, COUNT, 7):
        for query in (memories.make(number), store.retrieve(IDS[number])):
            hit = store.search(query, k=1, embedders=embedders)[0]
            assert hit.id == IDS[number]
            assert hit.similarity > 0.99


def test_a_hit_tells_its_scores_by_embedder(store, memories):
    first, second = store.search(memories.make(3), k=2)
    assert isinstance(first, Hit)
    assert set(first.scores) == set(memories.profile)
    assert first.scores[ModelId.HDC] == 1.0
    assert second.similarity < first.similarity <= 1.0


def test_similarity_is_the_weighted_mean_of_like_with_like(store, memories):
    weights = {"E2": 3.0, "E9": 1.0}
    hit = store.search(memories.make(3), 2, embedders=weights, weights=weights)[1]
    stored, query = store.retrieve(hit.id), store.retrieve(IDS[3])
    a, b = (np.float64(one[ModelId.TEMPORAL_RECENT]) for one in (stored, query))
    cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    bits = np.mean(stored[ModelId.HDC] == query[ModelId.HDC])
    assert hit.similarity == pytest.approx((3 * cosine + bits) / 4, rel=1e-5)


def test_a_single_embedder_ranks_by_its_score(store, memories):
    scores = [hit.scores[1] for hit in store.search(memories.make(5), COUNT, embedders=["E2"])]
    assert len(scores) == COUNT
    assert scores == sorted(scores, reverse=True)


def test_records_without_an_embedder_do_not_rank_there(store, memories):
    partial = UUID(int=1)
    store.store(partial, memories.make(90, ["E2", "E9"]))
    assert partial not in found(store.search(memories.make(90), COUNT + 1, embedders=["E1"]))
    hit = store.search(memories.make(90, ["E1", "E2", "E9"]), k=1, weights={"E1": 0.01})[0]
    assert hit.id == partial
    assert set(hit.scores) == {ModelId.TEMPORAL_RECENT, ModelId.HDC}
    assert hit.similarity > 0.99


def test_a_query_of_some_embedders_searches_those(store, memories):
    hit = store.search(memories.make(8, ["E9"]), k=1)[0]
    assert (hit.id, list(hit.scores)) == (IDS[8], [ModelId.HDC])


ZEROS = {
    "E2": np.zeros(12),
    "E6": SparseVector([], [], 400),
    "E9": np.zeros(20),
    "E12": np.zeros((3, 8)),
}


@pytest.mark.parametrize("metric", ["cosine", "dot"])
@pytest.mark.parametrize("embedder", ZEROS)
def test_a_stored_embedding_of_zeros_is_its_own_first_hit(store, embedder, metric):
    key, query = UUID(int=2**128 - 1), {embedder: ZEROS[embedder]}  # the last of equals
    store.store(key, query)
    for among in (None, [*IDS, key]):
        first, second = store.search(query, k=2, metric=metric, among=among)
        assert (first.id, first.similarity) == (key, 1.0)
        assert second.similarity < 1


def test_graphs_find_an_embedding_of_zeros_too(store):
    pytest.importorskip("usearch")
    key = UUID(int=2**128 - 1)
    store.store(key, {"E2": ZEROS["E2"]})
    assert store.search({"E2": ZEROS["E2"]}, k=1, approximate="graph")[0].id == key


def test_a_weight_of_zero_ignores_an_embedder(store, memories):
    mixed = Fingerprint({**memories.make(8, ["E9"]), **memories.make(9, ["E2"])})
    assert store.search(mixed, k=1, weights={"E2": 0})[0].id == IDS[8]
    assert store.search(mixed, k=1, weights={"E9": 0.0})[0].id == IDS[9]


@pytest.mark.parametrize(
    "weights", [{"E2": 0, "E9": 0}, {"E9": -1}, {"E9": np.nan}, {"E9": np.inf}, {"E9": "1"}, 0, []]
)
def test_weights_are_numbers_from_zero_and_not_all_of_them_zero(store, memories, weights):
    with pytest.raises(InvalidInput, match="weight"):
        store.search(memories.make(8, ["E2", "E9"]), weights=weights)


def test_writes_show_in_the_next_search(store, memories):
    query = memories.make(4)
    assert store.search(query, k=1)[0].id == IDS[4]
    store.delete(IDS[4])
    assert IDS[4] not in found(store.search(query, k=COUNT))
    new = UUID(int=3)
    store.store(new, query)
    assert store.search(query, k=1)[0].id == new
    store.store(new, memories.make(200))
    assert store.search(memories.make(200), k=1)[0].id == new
    assert store.search(query, k=1)[0].similarity < 0.99


@pytest.mark.parametrize("smaller", [1, 8, 1 << 30])
def test_many_writes_and_searches_equal_a_fresh_store(
    store, memories, tmp_path, monkeypatch, smaller
):
    monkeypatch.setattr(merging, "SMALLER", smaller)
    monkeypatch.setattr(merging, "SMALL", smaller)
    rng = np.random.default_rng(0)
    for step in range(25):
        one = IDS[rng.integers(COUNT)]
        embedders = ["E2", "E9"] if step % 3 else ["E1", "E9"]
        store.delete(one) if step % 4 == 0 else store.store(one, memories.make(step, embedders))
        kept = store.search(memories.make(7), k=COUNT)
    store.close()
    with FingerprintStore.open(store.path, read_only=True) as fresh:
        assert fresh.search(memories.make(7), k=COUNT) == kept


def test_generations_of_codebooks_rank_together(store, memories):
    store.close()
    new = UUID(int=5)
    with FingerprintStore.open(store.path, memories.other_codebooks) as again:
        again.store(new, memories.make(300))
        for memory, one in ((memories.make(300), new), (memories.make(2), IDS[2])):
            hit = again.search(memory, k=1, embedders=["E1"])[0]
            assert hit.id == one
            assert hit.similarity > 0.99
        assert len(again.search(memories.make(2), COUNT + 1, embedders=["E1"])) == COUNT + 1


def test_equals_come_in_the_order_of_ids(store, memories):
    twins = [UUID(int=i) for i in (9, 8)]
    store.store_many((one, memories.make(400)) for one in twins)
    assert found(store.search(memories.make(400), k=2)) == [twins[1], twins[0]]


def test_threads_and_repetition_change_nothing(store, memories):
    once = store.search(memories.make(1), k=20)
    assert store.search(memories.make(1), k=20, num_threads=3) == once


def test_dot_products_rank_long_vectors_first(store, memories):
    query = memories.make(1, ["E2"])
    long = Fingerprint({"E2": 100 * query[ModelId.TEMPORAL_RECENT]})
    store.store(UUID(int=2), long)
    hit = store.search(query, k=1, metric="dot")[0]
    expected = 100 * np.sum(np.square(query[ModelId.TEMPORAL_RECENT]))
    assert (hit.id, hit.scores[1]) == (UUID(int=2), pytest.approx(expected, rel=0.01))
    assert hit.similarity > 0.99


def test_an_empty_store_finds_nothing(memories, tmp_path):
    with FingerprintStore.open(tmp_path / "s", memories.codebooks, memories.profile) as store:
        assert store.search(memories.make(1)) == []


def test_embeddings_of_nothing_find_themselves(store):
    nothing = Fingerprint({"E2": np.zeros(12), "E12": np.empty((0, 8))})
    store.store(UUID(int=4), nothing)
    hits = store.search(nothing, k=COUNT + 1)
    assert [hit.similarity for hit in hits if hit.id == UUID(int=4)] == [1.0]


def test_what_cannot_be_asked_is_refused(store, memories):
    query = memories.make(1, ["E2"])
    for how in ({"embedders": ["E9"]}, {"weights": {"E9": 1}}, {"weights": {"E2": np.nan}}):
        with pytest.raises(InvalidInput):
            store.search(query, **how)
    for bad in (
        {"k": 0},
        {"metric": "l2"},
        {"num_threads": 0},
        {"embedders": ["E99"]},
        {"embedders": 0.5},
    ):
        with pytest.raises(InvalidInput):
            store.search(query, **bad)
    with pytest.raises(InvalidInput, match="weights: expected a mapping"):
        store.search(query, weights=5)
    with pytest.raises(InvalidInput, match="a Fingerprint"):
        store.search([1.0, 2.0])
    with pytest.raises(DimensionMismatch, match="E2"):
        store.search({"E2": [1.0]})


@pytest.mark.parametrize("count", [0, 1, 5, 40])
def test_a_filter_ranks_only_its_ids(store, memories, count):
    query, among = memories.make(3), {*IDS[:count], UUID(int=77)}
    hits = store.search(query, k=COUNT, among=among)
    assert set(found(hits)) == set(IDS[:count])
    for one in set(IDS) - among:
        store.delete(one)
    assert found(store.search(query, k=COUNT)) == found(hits)


def test_a_filter_takes_ids_in_any_form(store, memories):
    query, some = memories.make(3), IDS[2:9]
    expected = store.search(query, among=some)
    for among in ([one.bytes for one in some], {str(one) for one in some}, iter(some)):
        assert store.search(query, among=among) == expected


@pytest.mark.parametrize("loaded", [False, True])
def test_a_reranked_shortlist_is_in_the_order_of_its_scores(store, memories, loaded):
    query = memories.make(11)
    if loaded:
        store.search(query, embedders=["E12"])
    shortlist = found(store.search(query, 12, embedders=["E9"]))
    hits = store.search(query, 4, embedders=["E9", "E12"], rerank="E12", oversample=3)
    full = {hit.id: hit.scores[11] for hit in store.search(query, COUNT, embedders=["E12"])}
    assert found(hits) == sorted(shortlist, key=lambda one: -full[one])[:4]
    assert [hit.scores[11] for hit in hits] == pytest.approx([full[hit.id] for hit in hits])
    assert (hits[0].id, set(hits[0].scores)) == (IDS[11], {8, 11})


def test_reranking_reads_no_column(store, memories):
    store.search(memories.make(11), embedders=["E9"], rerank="E12")
    assert set(store._columns._columns) == {ModelId.HDC}


def test_records_without_the_reranking_embedder_come_last(store, memories):
    query = memories.make(8, ["E9", "E12"])
    store.store(UUID(int=0xFF00), memories.make(8, ["E9"]))
    hits = store.search(query, COUNT + 1, rerank="E12")
    assert hits[0].id == IDS[8]
    assert hits[-1].id == UUID(int=0xFF00)
    assert hits[-1].similarity == 1.0


def test_what_cannot_be_filtered_or_reranked_is_refused(store, memories):
    query = memories.make(1, ["E9", "E12"])
    for wrong, what in (
        ({"among": [None]}, "id: expected a UUID"),
        ({"among": str(IDS[0])}, "among: expected ids"),
        ({"among": 5}, "among: expected ids"),
        ({"rerank": "E2"}, "embedder: expected of the query's E9, E12"),
        ({"rerank": "E12", "embedders": ["E12"]}, "rerank: expected another embedder"),
        ({"rerank": "E12", "oversample": 0}, "oversample: expected 1 or more"),
    ):
        with pytest.raises(InvalidInput, match=what):
            store.search(query, **wrong)


def test_a_closed_store_is_not_searched(store, memories):
    store.search(memories.make(1))
    store.close()
    with pytest.raises(StoreUnavailable, match="it is closed"):
        store.search(memories.make(1))


def test_numbers_of_numpy_and_single_names_are_welcome(store, memories):
    query = memories.make(1)
    expected = store.search(query, k=2, embedders=["E1"], weights={"E1": 2})
    assert store.search(query, np.int64(2), "E1", {"E1": np.float32(2)}) == expected


@pytest.mark.parametrize("weight", [5e-324, 1e308])
def test_only_the_ratio_of_weights_counts(store, memories, weight):
    query = memories.make(1)
    assert store.search(query, weights=dict.fromkeys(query, weight)) == store.search(query)


def test_a_damaged_code_is_named_and_not_served(store, memories):
    key = bytes([ModelId.HDC]) + IDS[6].bytes
    section = bytearray(store._keeper.files.get("sections", key))
    section[15] ^= 1
    store._keeper.files.write([("sections", key, bytes(section))])
    with pytest.raises(StorageCorruption, match="E9 of 1 records") as caught:
        store.search(memories.make(6))
    assert caught.value.ids == (IDS[6],)
    assert store.search(memories.make(6), embedders=["E2"], k=1)[0].id == IDS[6]
