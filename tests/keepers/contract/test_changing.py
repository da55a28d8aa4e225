"""Records are changed in part, deleted and brought back, and keep what nobody touched."""

from datetime import UTC, datetime, timedelta

import pytest
from keepers.contract.cases import ALL_IDS, IDS

from cgcython.errors import InvalidInput

ONE, TWO, THREE = IDS[:3]
SECOND = 1_000_000
ODD_METADATA = {
    "z": 1,
    "a": {"deep": [None, True, {"\0": "x\0y"}]},
    "": "",
    "ü\U0001f600": "\u2028'\"\\",
    "big": 2**80,
    "exact": 2**53 + 1,
    "tiny": 5e-324,
    "huge": 1.7976931348623157e308,
    "half": 0.1,
    "minus": -0.0,
}


def test_a_replaced_record_keeps_when_it_was_created_and_its_metadata(store, memories):
    store.store(ONE, memories.make(1), metadata={"source": "a"}, timestamp=5 * SECOND)
    first = store.info(ONE)
    assert (first.created, first.updated) == (5 * SECOND, 5 * SECOND)
    store.store(ONE, memories.make(1))
    again = store.info(ONE)
    assert (again.created, again.metadata) == (5 * SECOND, {"source": "a"})
    assert again.content_hash == first.content_hash
    assert again.updated > first.updated
    store.store(ONE, memories.make(2), metadata={}, timestamp=datetime(2024, 5, 1, tzinfo=UTC))
    other = store.info(ONE)
    assert (other.created, other.metadata) == (5 * SECOND, {})
    assert other.updated == datetime(2024, 5, 1, tzinfo=UTC).timestamp() * SECOND
    assert other.content_hash != first.content_hash


def test_metadata_come_back_as_they_were(store, memories, open_store):
    store.store(ONE, memories.make(1), metadata=ODD_METADATA)
    store.update(ONE, {"E9": None})
    store.close()
    found = open_store().info(ONE).metadata
    assert found == ODD_METADATA
    assert list(found) == list(ODD_METADATA)
    assert str(found["minus"]) == "-0.0"


def test_one_embedder_is_updated_without_the_others(store, memories):
    store.store(ONE, memories.make(1), metadata={"a": 1})
    before, info = store.quantized(ONE), store.info(ONE)
    assert store.update(ONE, {"E2": memories.make(2)["E2"]}) is True
    after = store.quantized(ONE)
    assert after["E2"] == memories.make(2).encode(memories.router)["E2"]
    assert all(after[one] == before[one] for one in ("E1", "E6", "E9", "E12"))
    again = store.info(ONE)
    assert (again.created, again.metadata) == (info.created, info.metadata)
    assert again.updated >= info.updated
    assert again.content_hash != info.content_hash
    assert store.verify().sections == 5


def test_an_update_adds_and_takes_away_embedders(store, memories):
    store.store(ONE, memories.make(1, ["E1", "E2"]))
    assert store.update(ONE, {"E9": memories.make(1)["E9"], "E1": None, "E12": None}) is True
    assert store.quantized(ONE) == memories.make(1, ["E2", "E9"]).encode(memories.router)
    assert store.update(TWO, {"E9": memories.make(1)["E9"]}) is False
    assert TWO not in store
    report = store.verify()
    assert (report.records, report.sections) == (1, 2)


def test_an_update_changes_metadata_alone(store, memories):
    store.store(ONE, memories.make(1))
    before = store.quantized(ONE)
    assert store.update(ONE, {}, metadata={"seen": True}, timestamp=7) is True
    assert store.info(ONE).metadata == {"seen": True}
    assert store.info(ONE).updated == 7
    assert store.quantized(ONE) == before
    assert list(store.ids(where={"seen": True})) == [ONE]


def test_a_deleted_record_is_gone(filled):
    assert filled.delete(ONE) is True
    assert filled.delete(ONE) is False
    assert filled.retrieve(ONE) is None
    assert ONE not in filled
    assert filled.trash() == {}
    report = filled.verify()
    assert (len(filled), report.records, report.sections) == (29, 29, 145)


def test_many_are_deleted_at_once(filled, memories):
    assert filled.delete_many([*IDS[:20], ONE, "unknown"]) == 20
    assert sorted(filled) == IDS[20:]
    assert {hit.id for hit in filled.search(memories.make(3), k=30)} == set(IDS[20:])
    assert filled.delete_many([]) == 0
    assert filled.verify().records == 10


def test_softly_deleted_records_come_back_as_they_were(store, memories):
    items = [(one, memories.make(n), {"n": n}) for n, one in enumerate(ALL_IDS)]
    store.store_many(items)
    before = {one: (store.quantized(one), store.info(one)) for one in ALL_IDS}
    started = datetime.now(UTC).timestamp() * SECOND
    assert store.delete_many(ALL_IDS, soft=True) == len(ALL_IDS)
    assert list(store) == list(store.scan("E9")) == store.search(memories.make(1)) == []
    assert list(store.ids(where={"n": {"$gte": 0}})) == []
    trash = store.trash()
    assert set(trash) == set(ALL_IDS)
    assert all(abs(at - started) < 3600 * SECOND for at in trash.values())
    assert store.delete(ALL_IDS[0], soft=True) is False
    assert [store.restore(one) for one in ALL_IDS] == [True] * len(ALL_IDS)
    assert {one: (store.quantized(one), store.info(one)) for one in ALL_IDS} == before
    assert store.trash() == {}
    assert store.restore(ALL_IDS[0]) is False
    assert store.search(memories.make(1), k=1)[0].id == ALL_IDS[1]
    assert store.verify().records == len(ALL_IDS)


def test_a_record_stored_since_is_not_replaced_from_the_trash(store, memories):
    store.store(ONE, memories.make(1))
    store.delete(ONE, soft=True)
    store.store(ONE, memories.make(2))
    assert store.restore(ONE) is False
    assert store.quantized(ONE) == memories.make(2).encode(memories.router)
    assert list(store.trash()) == [ONE]
    assert store.delete(ONE, soft=True) is True
    assert store.restore(ONE) is True
    assert store.quantized(ONE) == memories.make(2).encode(memories.router)


def test_deleting_for_good_empties_the_trash_of_an_id(store, memories):
    store.store_many((one, memories.make(one.int % 100)) for one in (ONE, TWO, THREE))
    store.delete_many([ONE, TWO], soft=True)
    store.store(TWO, memories.make(5))
    assert store.delete_many([ONE, TWO]) == 2
    assert store.delete(TWO) is False
    assert store.trash() == {}
    assert (store.restore(ONE), store.restore(TWO)) == (False, False)
    assert list(store) == [THREE]


def test_purging_keeps_what_was_deleted_within_the_window(store, memories):
    store.store_many((one, memories.make(1)) for one in (ONE, TWO, THREE))
    store.delete_many([ONE, TWO], soft=True)
    assert store.purge(older_than=timedelta(minutes=30)) == 0
    assert store.restore(TWO) is True
    assert store.purge() == 1
    assert store.restore(ONE) is False
    assert store.trash() == {}
    assert sorted(store) == [TWO, THREE]
    for bad in (-1, "1 h", None):
        with pytest.raises(InvalidInput, match="older_than"):
            store.purge(older_than=bad)


def test_records_that_meet_conditions_are_deleted(filled):
    assert filled.delete_where({"lang": "de"}) == 10
    assert filled.delete_where({"lang": "de"}) == 0
    assert filled.delete_where({"n": {"$lt": 2}}, soft=True) == 1
    assert list(filled.trash()) == [TWO]
    assert len(filled) == 19
    with pytest.raises(InvalidInput, match="where: expected one condition"):
        filled.delete_where({})
