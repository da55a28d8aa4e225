"""Only records whose metadata meet conditions are found, listed and deleted; hits carry theirs."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from time import sleep
from uuid import UUID

import numpy as np
import pytest

from cgcython.errors import InvalidInput, StorageCorruption, StoreUnavailable
from cgcython.search import FingerprintStore, Hit
from cgcython.search.column import Column
from cgcython.search.shards import ShardSearcher

COUNT = 60


def about(number):
    return {"n": number, "lang": "en" if number % 3 else "de", "tags": ["all", f"t{number % 5}"]}


@pytest.fixture
def store(memories, tmp_path):
    with FingerprintStore.open(tmp_path / "s", memories.codebooks, memories.profile) as store:
        store.store_many((UUID(int=n + 1), memories.make(n), about(n)) for n in range(COUNT))
        yield store


def numbers(hits):
    return [hit.id.int - 1 for hit in hits]


@pytest.mark.parametrize(
    "how",
    [{}, {"rerank": "E12"}, {"approximate": True}, {"approximate": "graph"}, {"metric": "dot"}],
)
def test_conditions_are_met_before_ranking(store, memories, how):
    query = memories.make(4)
    everywhere = store.search(query, COUNT, **how)
    wanted = [one for one in numbers(everywhere) if one % 3 == 0]
    hits = store.search(query, 10, where={"lang": "de"}, **how)
    assert len(hits) == 10
    assert set(numbers(hits)) <= set(wanted)
    among = [UUID(int=one + 1) for one in wanted]
    assert hits == store.search(query, 10, among=among, **how)


def test_where_and_among_are_both_met(store, memories):
    among = [UUID(int=one + 1) for one in (0, 1, 2, 3, 30, 900)]
    hits = store.search(memories.make(4), COUNT, where={"lang": "de"}, among=among)
    assert sorted(numbers(hits)) == [0, 3, 30]
    assert store.search(memories.make(4), where={"lang": "de"}, among=[]) == []
    assert store.search(memories.make(4), where={"lang": "xx"}, among=among) == []


def test_without_conditions_all_records_rank(store, memories):
    query = memories.make(4)
    assert store.search(query, COUNT, where={}) == store.search(query, COUNT)


@pytest.mark.parametrize("wrong", [[], 0, "", np.array([1, 2])])
@pytest.mark.parametrize("method", ["search", "search_many", "prepared"])
def test_what_is_no_object_is_refused_even_if_it_is_empty(store, memories, method, wrong):
    query = memories.make(4, ["E9"])
    given = {"search": query, "search_many": {"E9": [query["E9"]]}, "prepared": [UUID(int=1)]}
    with pytest.raises(InvalidInput, match="where: expected an object of conditions"):
        getattr(store, method)(given[method], where=wrong)


def test_a_few_records_of_many_are_all_found(memories, tmp_path):
    """A filter that keeps 0.1 % still gives k hits, also where graphs find the others."""
    vectors = np.random.default_rng(1).standard_normal((10_000, 20)).astype(np.float32)
    with FingerprintStore.open(tmp_path / "s", profile=memories.profile, codebooks={}) as store:
        store.store_many(
            (UUID(int=n + 1), {"E9": one}, {"rare": n % 1000 == 7}) for n, one in enumerate(vectors)
        )
        for how in ({}, {"approximate": True}, {"approximate": "graph"}):
            hits = store.search({"E9": vectors[0]}, 10, where={"rare": True}, **how)
            assert sorted(numbers(hits)) == list(range(7, 10_000, 1000))


def test_hits_carry_metadata_when_they_are_asked_to(store, memories):
    query = memories.make(4)
    plain = store.search(query, 5)
    hits = store.search(query, 5, with_metadata=True)
    assert [one.metadata for one in hits] == [about(one) for one in numbers(hits)]
    assert hits == plain
    assert [one.metadata for one in plain] == [None] * 5


def test_a_hit_is_three_values_with_or_without_metadata(store, memories):
    (hit,) = store.search(memories.make(4), 1, with_metadata=True)
    record_id, similarity, scores = hit
    assert (record_id, similarity, scores) == (hit.id, hit.similarity, hit.scores)
    assert repr(hit).startswith("Hit(id=UUID(")
    assert repr(hit).endswith(f", metadata={hit.metadata!r})")
    again = pickle.loads(pickle.dumps(hit))
    assert type(again) is Hit
    assert (again, again.metadata) == (hit, hit.metadata)


def test_records_without_metadata_have_empty_ones(store, memories):
    store.store(UUID(int=500), memories.make(500))
    (hit,) = store.search(memories.make(500), 1, with_metadata=True)
    assert (hit.id.int, hit.metadata) == (500, {})


def test_the_metadata_of_a_hit_that_is_damaged_are_named(store, memories):
    key = UUID(int=5).bytes
    value = bytearray(store._keeper.files.get("records", key))
    value[-1] ^= 1
    store._keeper.files.write([("records", key, bytes(value))])
    with pytest.raises(StorageCorruption, match=str(UUID(int=5))):
        store.search(memories.make(4), 1, with_metadata=True)


def test_ids_and_infos_are_those_of_the_conditions(store):
    wanted = [UUID(int=n + 1) for n in range(0, COUNT, 3)]
    assert list(store.ids(where={"lang": "de"})) == wanted
    assert [one for one, _ in store.infos(where={"lang": "de"})] == wanted
    assert all(info.metadata["lang"] == "de" for _, info in store.infos(where={"lang": "de"}))
    prefix = UUID(int=1).bytes[:15] + b"\x01"
    assert list(store.ids(prefix, where={"n": {"$lt": 9}})) == [UUID(int=1)]


def test_a_wrong_condition_is_told_at_the_call(store):
    for call in (store.ids, store.infos, store.delete_where):
        with pytest.raises(InvalidInput, match="where: expected one of"):
            call(where={"n": {"$foo": 1}})


def test_deleting_by_conditions_removes_those_records_alone(store, memories):
    assert store.delete_where({"lang": "de"}) == COUNT // 3
    assert len(store) == COUNT - COUNT // 3
    assert store.delete_where({"lang": "de"}) == 0
    assert set(numbers(store.search(memories.make(4), COUNT))).isdisjoint(range(0, COUNT, 3))
    store.verify()


def test_what_was_softly_deleted_comes_back_with_its_metadata(store):
    assert store.delete_where({"n": {"$lt": 2}}, soft=True) == 2
    assert list(store.ids(where={"n": {"$lt": 3}})) == [UUID(int=3)]
    store.restore(UUID(int=1))
    assert list(store.ids(where={"n": {"$lt": 3}})) == [UUID(int=1), UUID(int=3)]


@pytest.mark.parametrize("where", [{}, None])
def test_deleting_without_a_condition_is_refused(store, where):
    with pytest.raises(InvalidInput, match="where: expected"):
        store.delete_where(where)
    assert len(store) == COUNT


def test_changed_metadata_are_found_at_once(store, memories):
    assert list(store.ids(where={"lang": "fr"})) == []
    store.store(UUID(int=5), memories.make(4), metadata={"lang": "fr"})
    store.update(UUID(int=6), {"E9": memories.make(9)["E9"]}, metadata={"lang": "fr"})
    assert list(store.ids(where={"lang": "fr"})) == [UUID(int=5), UUID(int=6)]
    assert numbers(store.search(memories.make(4), where={"lang": "fr"})) == [4, 5]
    store.store(UUID(int=5), memories.make(4))
    assert list(store.ids(where={"lang": "fr"})) == [UUID(int=5), UUID(int=6)]


def test_a_closed_store_and_a_reader_refuse(store, tmp_path):
    with (
        FingerprintStore.open(tmp_path / "s", read_only=True) as reader,
        pytest.raises(StoreUnavailable, match="read_only"),
    ):
        reader.delete_where({"n": 1})
    list(store.ids(where={"n": 1}))
    store.close()
    for call in (store.ids, store.delete_where):
        with pytest.raises(StoreUnavailable):
            call(where={"n": 1})


def test_shards_say_that_they_keep_no_metadata(memories, tmp_path):
    (tmp_path / "profile.toml").write_text(memories.profile.to_toml())
    searcher = ShardSearcher(tmp_path)
    for how in ({"where": {"a": 1}}, {"with_metadata": True}):
        with pytest.raises(InvalidInput, match="shards keep no metadata"):
            searcher.search({"E9": memories.make(1)["E9"]}, **how)


def test_threads_may_filter_while_others_write(store, memories):
    def write(turn):
        for number in range(10):
            store.store(UUID(int=number + 1), memories.make(number, ["E9"]), metadata={"t": turn})

    def read(_):
        for _ in range(20):
            assert len(list(store.ids(where={"t": {"$exists": False}}))) >= COUNT - 11
            store.delete_where({"n": 59})

    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(write, 1), pool.submit(write, 2), *(pool.submit(read, i) for i in "ab")]
        for one in jobs:
            one.result()
    assert len(list(store.ids(where={"t": {"$in": [1, 2]}}))) == 10


def test_closing_ends_the_filters_of_other_threads(memories, tmp_path):
    def filter_on(store):
        while True:
            store.ids(where={"n": {"$gt": 1}})
            store.search(memories.make(1), 2, where={"n": 5}, with_metadata=True)

    with ThreadPoolExecutor(3) as pool:
        for turn in range(5):
            store = FingerprintStore.open(tmp_path / "s", memories.codebooks, memories.profile)
            store.store_many((UUID(int=n + 1), memories.make(n), {"n": n}) for n in range(20))
            jobs = [pool.submit(filter_on, store) for _ in range(3)]
            sleep(0.02 * turn)
            store.close()
            assert [type(job.exception()) for job in jobs] == [StoreUnavailable] * 3
            assert store._index is None or store._index._base is None


def test_a_filter_that_is_repeated_is_answered_from_memory_until_something_is_written(
    store, memories, monkeypatch
):
    query, where = memories.make(4), {"lang": "de"}
    before = store.search(query, 5, where=where)
    found = []
    find = Column.find

    def spy(column, keys):
        found.append(len(keys))
        return find(column, keys)

    monkeypatch.setattr(Column, "find", spy)
    assert store.search(query, 5, where=where) == before
    assert COUNT // 3 not in found
    store.delete(before[0].id)
    assert before[0] not in store.search(query, 5, where=where)
    assert COUNT // 3 - 1 in found


def test_ids_of_all_kinds_are_filtered(memories, tmp_path):
    ids = ["doc-1", 5, UUID(int=5), "5", "a text of some length " * 10, -7, "fifteen letters"]
    with FingerprintStore.open(tmp_path / "s", memories.codebooks, memories.profile) as store:
        store.store_many((one, memories.make(n), {"n": n}) for n, one in enumerate(ids))
        everything = list(store.ids(where={"n": {"$gte": 0}}))
        assert everything == list(store.ids())
        assert set(everything) == set(ids)
        hits = store.search(memories.make(1), 9, where={"n": {"$in": [0, 1, 4]}})
        assert {hit.id for hit in hits} == {ids[0], ids[1], ids[4]}
        found = store.search_many({"E9": [memories.make(4)["E9"]]}, 1, with_metadata=True)
        assert (found.ids[0, 0], found.metadata[0, 0]) == (ids[4], {"n": 4})
        assert list(store.ids("doc", where={"n": {"$lt": 3}})) == ["doc-1"]
        assert store.delete_where({"n": {"$lt": 3}}) == 3
    with FingerprintStore.open(tmp_path / "s", read_only=True) as store:
        assert set(store.ids(where={"n": {"$gte": 0}})) == set(ids[3:])
