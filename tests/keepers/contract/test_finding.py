"""Records are listed, scanned and searched; the columns of a search keep step with all writes."""

from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keepers.contract.cases import ALL_IDS, IDS, about
from search.metadata.plain_where import holds
from search.metadata.strategies import FEW_METADATA, FEW_WHERE, METADATA, WHERE

from cgcython.errors import InvalidInput
from cgcython.search import FingerprintStore
from cgcython.store.ids import as_key, id_of

ONE, TWO, THREE = IDS[:3]


def in_order(ids, promises):
    """Return ids as a store lists them, or sorted where it does not promise an order."""
    return list(ids) if promises.ordered else sorted(ids, key=as_key)


def test_ids_are_listed_by_how_they_begin(store, memories, promises):
    names = [
        UUID(f"{start}-0000-4000-8000-{n:012}") for n, start in enumerate(("0a000000", "0ab00000"))
    ]
    texts = ["mail/12", "mail/7", "mailbox", "note"]
    store.store_many((one, memories.make(1, ["E9"])) for one in [*names, *texts, 7, -7])
    expected = {
        "": [-7, 7, *texts, *names],
        "mail/": texts[:2],
        "0a": names,
        "0AB": names[1:],
        "0a0000000": [],
        str(names[0]): names[:1],
        b"\x0a\xb0": names[1:],
        names[0].bytes: names[:1],
        "7": [],
        "x": [],
    }
    for prefix, wanted in expected.items():
        wanted = sorted(wanted, key=as_key)
        assert in_order(store.ids(prefix), promises) == wanted
        assert in_order((one for one, _ in store.infos(prefix)), promises) == wanted
    for bad in (b"0" * 17, 7, "x" * 513):
        with pytest.raises(InvalidInput, match="prefix"):
            store.ids(bad)


def test_ids_of_all_kinds_are_in_the_order_of_their_keys(store, memories, promises):
    for one in reversed(ALL_IDS):
        store.store(one, memories.make(1, ["E9"]))
    assert in_order(store, promises) == ALL_IDS
    assert in_order(map(id_of, dict(store.scan("E9"))), promises) == ALL_IDS
    assert len(store) == len(ALL_IDS)


def test_infos_are_those_of_each_record(filled, promises):
    found = dict(filled.infos())
    assert in_order(found, promises) == IDS
    assert all(found[one] == filled.info(one) for one in IDS)
    assert [found[one].metadata for one in IDS] == [*map(about, range(30))]


def test_one_embedder_is_scanned_alone(filled, memories):
    filled.store(TWO, memories.make(2, ["E2"]))
    filled.delete(THREE)
    found = dict(filled.scan("E9"))
    assert set(map(id_of, found)) == {ONE, *IDS[3:]}
    assert all(filled.quantized(id_of(key), "E9") == one for key, one in found.items())
    damaged = []
    assert {key for key, _ in filled.sections("E9", damaged)} == set(found)
    assert damaged == []
    assert list(filled.scan("E1")) != list(filled.scan("E2"))


def test_a_stored_fingerprint_finds_itself(filled, memories):
    for embedders in (None, ["E1"], ["E2"], ["E6"], ["E9"], ["E12"]):
        for number in (0, 11, 29):
            hit = filled.search(memories.make(number), k=1, embedders=embedders)[0]
            assert hit.id == IDS[number]
            assert hit.similarity > 0.99


WAYS = [
    {},
    {"weights": {"E1": 2, "E9": 0}},
    {"metric": "dot"},
    {"rerank": "E12"},
    {"where": {"lang": "de"}},
    {"among": IDS[:9], "where": {"tags": "t1"}},
    {"num_threads": 2, "with_metadata": True},
]


def test_searches_find_what_a_folder_of_the_same_records_finds(filled, memories, tmp_path):
    records = [(one, memories.make(n), about(n)) for n, one in enumerate(IDS)]
    where = tmp_path / "same"
    with FingerprintStore.open(where, memories.codebooks, memories.profile) as same:
        same.store_many(reversed(records))
        for how in WAYS:
            for query in (memories.make(4), memories.make(77)):
                expected = same.search(query, 12, **how)
                found = filled.search(query, 12, **how)
                assert found == expected
                assert [hit.metadata for hit in found] == [hit.metadata for hit in expected]


def test_many_queries_find_what_each_finds_alone(filled, memories):
    queries = [memories.make(n) for n in (2, 5, 90)]
    arrays = {"E9": np.stack([one["E9"] for one in queries]), "E12": [q["E12"] for q in queries]}
    found = filled.search_many(arrays, 4, where={"n": {"$gte": 1}}, with_metadata=True)
    for row, query in enumerate(queries):
        alone = filled.search({"E9": query["E9"], "E12": query["E12"]}, 4, where={"n": {"$gte": 1}})
        assert list(found.ids[row]) == [hit.id for hit in alone]
        assert found.metadata[row][0] == filled.info(alone[0].id).metadata


CONDITIONS = {
    "equal": ({"n": 7}, {7}),
    "text": ({"lang": "de"}, {*range(0, 30, 3)}),
    "both": ({"lang": "de", "n": {"$gt": 20}}, {21, 24, 27}),
    "from and below": ({"n": {"$gte": 28, "$lt": 30}}, {28, 29}),
    "any of": ({"n": {"$in": [1, 2, 99]}}, {1, 2}),
    "other": ({"n": {"$ne": 5}}, {*range(30)} - {5}),
    "none of": ({"lang": {"$nin": ["de"]}}, {n for n in range(30) if n % 3}),
    "there": ({"lang": {"$exists": True}}, {*range(30)}),
    "not there": ({"none": {"$exists": False}}, {*range(30)}),
    "in a list": ({"tags": "t2"}, {*range(2, 30, 5)}),
    "or": ({"$or": [{"n": 1}, {"lang": "de", "n": {"$lt": 4}}]}, {0, 1, 3}),
    "not": ({"$not": {"lang": "de"}}, {n for n in range(30) if n % 3}),
    "another type": ({"n": "7"}, set()),
    "nothing": ({"lang": None}, set()),
}


def test_conditions_choose_records(filled):
    for name, (where, expected) in CONDITIONS.items():
        wanted = {IDS[n] for n in expected}
        assert set(filled.ids(where=where)) == wanted, name
        assert {one for one, _ in filled.infos(where=where)} == wanted, name


def test_changed_metadata_are_found_at_once(filled, memories):
    assert list(filled.ids(where={"lang": "fr"})) == []
    filled.store(IDS[4], memories.make(4), metadata={"lang": "fr"})
    filled.update(IDS[5], {"E9": memories.make(9)["E9"]}, metadata={"lang": "fr"})
    assert set(filled.ids(where={"lang": "fr"})) == {IDS[4], IDS[5]}
    assert {hit.id for hit in filled.search(memories.make(4), where={"lang": "fr"})} == {*IDS[4:6]}
    filled.store(IDS[4], memories.make(4))
    filled.delete(IDS[5])
    assert list(filled.ids(where={"lang": "fr"})) == [IDS[4]]


def test_writes_show_in_the_next_search(filled, memories):
    query = memories.make(4)
    assert filled.search(query, k=1)[0].id == IDS[4]
    filled.delete(IDS[4], soft=True)
    assert IDS[4] not in {hit.id for hit in filled.search(query, k=30)}
    filled.restore(IDS[4])
    assert filled.search(query, k=1)[0].id == IDS[4]
    filled.store("new", memories.make(200))
    assert filled.search(memories.make(200), k=1)[0].id == "new"
    filled.update("new", {"E9": None, "E2": memories.make(201)["E2"]})
    assert "new" not in {hit.id for hit in filled.search(query, k=40, embedders=["E9"])}
    assert filled.search(memories.make(201, ["E2"]), k=1)[0].id == "new"


def test_columns_keep_step_with_the_writes_of_another_handle(filled, memories, beside):
    other, query = beside(), memories.make(300)
    assert other.search(query, k=1)[0].similarity < 0.9
    filled.store("new", query, metadata={"lang": "fr"})
    filled.update(ONE, {"E9": memories.make(301)["E9"]})
    filled.delete(TWO)
    other.catch_up()
    assert other.search(query, k=1) == filled.search(query, k=1)
    assert other.search(query, k=40) == filled.search(query, k=40)
    assert other.search(memories.make(301, ["E9"]), k=1)[0].id == ONE
    assert list(other.ids(where={"lang": "fr"})) == ["new"]


@pytest.mark.parametrize(
    ("metadata", "where"), [(METADATA, WHERE), (FEW_METADATA, FEW_WHERE)], ids=["many", "few"]
)
def test_conditions_mean_what_the_definition_says(store, memories, metadata, where):
    record = memories.make(1, ["E9"]).encode(memories.router)

    @settings(max_examples=10, deadline=None, derandomize=True, database=None)
    @given(st.lists(metadata, min_size=4, max_size=12), st.lists(where, min_size=8, max_size=8))
    def compare(records, conditions):
        store.delete_many(store)
        store.store_quantized((n, record.with_info(metadata=one)) for n, one in enumerate(records))
        for one in conditions:
            expected = {n for n, metadata in enumerate(records) if holds(one, metadata)}
            assert set(store.ids(where=one)) == expected, one

    compare()
