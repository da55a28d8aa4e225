"""A prepared filter finds what its ids or conditions do, whatever became of the store since."""

from uuid import UUID

import numpy as np
import pytest

from cgcython.errors import InvalidInput, StoreUnavailable
from cgcython.search import FingerprintStore, merging
from cgcython.search.filters import Filter
from cgcython.search.keys import keys_of

COUNT = 60
IDS = [UUID(int=(number * 2654435761) << 8) for number in range(1, COUNT + 1)]


@pytest.fixture
def store(memories, tmp_path):
    with FingerprintStore.open(tmp_path / "s", memories.codebooks, memories.profile) as store:
        store.store_many((one, memories.make(i), {"n": i}) for i, one in enumerate(IDS))
        yield store


@pytest.mark.parametrize(
    "how",
    [
        {"embedders": ["E2"]},
        {"embedders": ["E2"], "k": 40},
        {"embedders": ["E1"], "metric": "dot"},
        {"embedders": ["E2", "E6", "E12"]},
        {"embedders": ["E9"], "rerank": "E12"},
        {"embedders": ["E2"], "where": {"n": {"$lt": 20}}},
    ],
    ids=str,
)
@pytest.mark.parametrize("count", [0, 3, 30, COUNT])
def test_it_finds_what_its_ids_find(store, memories, count, how):
    prepared, query = store.prepared(among=IDS[:count]), memories.make(5)
    assert len(prepared) == count
    expected = store.search(query, among=IDS[:count], **how)
    assert store.search(query, among=prepared, **how) == expected
    embedders = [*how["embedders"], *([how["rerank"]] if "rerank" in how else [])]
    many = store.search_many({one: [query[one]] * 2 for one in embedders}, among=prepared, **how)
    assert many.hits == [expected] * 2


@pytest.mark.parametrize("smaller", [1, 8, 1 << 30])
@pytest.mark.parametrize("embedders", [["E2"], ["E2", "E9"]])
def test_it_follows_the_store(store, memories, monkeypatch, embedders, smaller):
    monkeypatch.setattr(merging, "SMALLER", smaller)
    monkeypatch.setattr(merging, "SMALL", smaller)
    rng, query = np.random.default_rng(2), memories.make(7, embedders)
    ids = store.prepared(among=IDS[::2])
    where = store.prepared(where={"n": {"$lt": 15}})
    both = store.prepared(where={"n": {"$lt": 15}}, among=ids)
    for step in range(25):
        one = IDS[rng.integers(COUNT)]
        if step % 3:
            store.store(one, memories.make(100 + step, embedders), metadata={"n": step})
        else:
            store.delete(one)
        for prepared, asked in (
            (ids, {"among": IDS[::2]}),
            (where, {"where": {"n": {"$lt": 15}}}),
            (both, {"among": IDS[::2], "where": {"n": {"$lt": 15}}}),
        ):
            expected = store.search(query, 20, **asked)
            assert expected
            assert store.search(query, 20, among=prepared) == expected


def test_members_of_a_scan_are_looked_up_once(store, memories, monkeypatch):
    prepared, query = store.prepared(among=IDS[:9]), memories.make(5, ["E2"])
    expected = store.search(query, among=prepared)
    monkeypatch.setattr(Filter, "_rows_of", None)
    assert store.search(query, among=prepared) == expected


def test_ids_may_be_rows_of_bytes(store, memories):
    rows = np.array([list(one.bytes) for one in [*IDS[4:9], IDS[4]]], np.uint8)
    query = memories.make(5)
    assert store.search(query, among=rows) == store.search(query, among=IDS[4:9])
    np.testing.assert_array_equal(keys_of(rows), keys_of(IDS[4:9]))
    assert len(keys_of(np.empty((0, 16), np.uint8))) == 0


@pytest.mark.parametrize("wrong", [{}, {"where": {}}, {"among": 5}, {"where": {"n": {"$no": 1}}}])
def test_a_filter_of_nothing_is_refused(store, wrong):
    with pytest.raises(InvalidInput):
        store.prepared(**wrong)


def test_a_filter_can_be_shown_when_its_store_is_closed(tmp_path, memories):
    with FingerprintStore.open(tmp_path / "s", profile=memories.profile, codebooks={}) as store:
        store.store_many([(1, memories.make(1, ["E9"]), {"n": 1})])
        prepared = store.prepared(where={"n": 1})
    assert repr(prepared) == "PreparedFilter(1 ids)"
    with pytest.raises(StoreUnavailable, match="it is closed"):
        len(prepared)
