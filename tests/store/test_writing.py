"""Writing keeps what it should: times, metadata, the parts of a record nobody touched."""

import threading
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import numpy as np
import pytest

from cgcython.base import ModelId
from cgcython.errors import BudgetExceeded, InvalidInput, StorageCorruption
from cgcython.fingerprint import DEFAULT_BUDGET_BYTES
from cgcython.records import SparseVector
from cgcython.store import RecordStore, trash

ONE, TWO, THREE = (UUID(int=i) for i in (1, 2, 3))
SECOND = 1_000_000


@pytest.fixture
def store(memories, tmp_path):
    with RecordStore.open(tmp_path / "s", memories.codebooks, memories.profile) as store:
        yield store


def test_a_replaced_record_keeps_when_it_was_created_and_its_metadata(store, memories):
    store.store(ONE, memories.make(1), metadata={"source": "a"}, timestamp=5 * SECOND)
    first = store.info(ONE)
    assert (first.created, first.updated) == (5 * SECOND, 5 * SECOND)
    store.store(ONE, memories.make(1))
    again = store.info(ONE)
    assert (again.created, again.metadata) == (5 * SECOND, {"source": "a"})
    assert again.content_hash == first.content_hash
    assert again.updated > first.updated
    store.store(ONE, memories.make(2), metadata={})
    other = store.info(ONE)
    assert (other.created, other.metadata) == (5 * SECOND, {})
    assert other.content_hash != first.content_hash


def test_a_timestamp_is_a_datetime_of_some_zone_or_microseconds(store, memories):
    moment = datetime(2024, 5, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    store.store(ONE, memories.make(1), timestamp=moment)
    assert store.info(ONE).created == int(moment.timestamp()) * SECOND
    for bad in (datetime(2024, 5, 1), -1, "today"):
        with pytest.raises(InvalidInput):
            store.store(ONE, memories.make(1), timestamp=bad)


def test_an_unknown_id_has_no_info(store):
    assert store.info(ONE) is None


def test_many_take_metadata_as_a_third_part(store, memories):
    store.store_many([(ONE, memories.make(1)), (TWO, memories.make(2), {"n": 2})])
    assert [store.info(one).metadata for one in (ONE, TWO)] == [{}, {"n": 2}]


def test_storing_again_mends_a_damaged_record(store, memories):
    store.store(ONE, memories.make(1))
    store._keeper.files.write([("records", ONE.bytes, b"CGFP damaged")])
    store.store(ONE, memories.make(1, ["E9"]))
    assert store.quantized(ONE) == memories.make(1, ["E9"]).encode(memories.router)
    store.verify()


def test_one_embedder_is_updated_without_the_others(store, memories):
    store.store(ONE, memories.make(1), metadata={"a": 1})
    before, info, position = store.quantized(ONE), store.info(ONE), store.journal.position()
    store._keeper.files.write(deletes=[("sections", bytes([ModelId.HDC]) + ONE.bytes)])
    value = memories.make(2)[ModelId.TEMPORAL_RECENT]
    assert store.update(ONE, {"E2": value}) is True
    assert store.quantized(ONE, "E2") == memories.make(2).encode(memories.router)["E2"]
    assert store.quantized(ONE, "E1") == before["E1"]
    after = store.info(ONE)
    assert (after.created, after.metadata) == (info.created, info.metadata)
    assert after.updated >= info.updated
    assert after.content_hash != info.content_hash
    assert store.journal.changes_since(position, "E2") == [ONE.bytes]
    assert store.journal.changes_since(position, "E1") == []


def test_an_update_adds_and_takes_away_embedders(store, memories):
    memory = memories.make(1)
    store.store(ONE, memories.make(1, ["E1", "E2"]))
    assert store.update(ONE, {"E9": memory["E9"], "E1": None, "E12": None}) is True
    assert store.quantized(ONE) == memories.make(1, ["E2", "E9"]).encode(memories.router)
    store.verify()
    assert store.update(TWO, {"E9": memory["E9"]}) is False
    assert TWO not in store


def test_an_update_keeps_to_the_budget_of_the_record(store, memories):
    store.store(ONE, memories.make(1))
    long, before = {"E12": memories.make(2, ["E12"], tokens=200)["E12"]}, store.quantized(ONE)
    store.update(ONE, long, budget_bytes=None)
    free, finest = store.get_stored_size(ONE), store.quantized(ONE, "E12")
    for budget in (free, free - 1, free * 3 // 4):
        store.store(ONE, memories.make(1))
        assert store.update(ONE, long, budget_bytes=budget) is True
        assert store.get_stored_size(ONE) <= budget
        assert all(store.quantized(ONE, one) == before[one] for one in ("E1", "E2", "E6", "E9"))
        assert (store.quantized(ONE, "E12") == finest) is (budget == free)
    store.verify()


def test_an_update_beyond_the_budget_changes_nothing(store, memories):
    store.store(ONE, memories.make(1))
    before, size = store.quantized(ONE), store.get_stored_size(ONE)
    long = {"E12": memories.make(2, ["E12"], tokens=512)["E12"]}
    with pytest.raises(BudgetExceeded) as caught:
        store.update(ONE, long, budget_bytes=size)
    assert store.quantized(ONE) == before
    smallest = caught.value.smallest_bytes
    assert caught.value.budget_bytes == size < smallest
    assert store.update(ONE, long, budget_bytes=smallest) is True  # as the error says
    assert store.get_stored_size(ONE) == smallest


def test_the_budget_of_an_update_is_that_of_store(store, memories):
    store.store(ONE, {"E2": memories.make(1)["E2"]})
    tokens = np.random.default_rng(0).standard_normal((512, 8)).astype(np.float32)
    weights = SparseVector(np.arange(40), np.arange(1.0, 41), 400)
    for many in ({"E12": tokens}, {"E12": np.tile(tokens, (4, 1)), "E6": weights}):
        assert store.update(ONE, many) is True
        assert store.get_stored_size(ONE) <= DEFAULT_BUDGET_BYTES


def test_what_takes_no_room_is_updated_in_a_record_over_the_budget(store, memories):
    store.store(ONE, memories.make(1), budget_bytes=None)
    assert store.update(ONE, {}, metadata={"a": 1}, budget_bytes=1) is True
    assert store.update(ONE, {"E9": None}, budget_bytes=1) is True
    for bad in (-1, 1.5, "x"):
        with pytest.raises(InvalidInput, match="budget_bytes"):
            store.update(ONE, {}, budget_bytes=bad)


def test_an_update_changes_metadata_alone(store, memories):
    store.store(ONE, memories.make(1))
    position = store.journal.position()
    assert store.update(ONE, {}, metadata={"seen": True}, timestamp=7) is True
    assert store.journal.changes_since(position) == [ONE.bytes]
    assert store.journal.changes_since(position, "E9") == []
    assert store.info(ONE)[1:2] + store.info(ONE)[3:] == (7, {"seen": True})
    store.verify()


def test_soft_deleted_records_are_gone_and_come_back_as_they_were(store, memories):
    store.store(ONE, memories.make(1), metadata={"a": 1})
    before, info = store.quantized(ONE), store.info(ONE)
    assert store.delete(ONE, soft=True) is True
    assert store.quantized(ONE) is None
    assert (list(store), list(store.scan("E9")), list(store.trash())) == ([], [], [ONE])
    assert store.delete(ONE, soft=True) is False
    position = store.journal.position()
    assert store.restore(ONE) is True
    assert (store.quantized(ONE), store.info(ONE)) == (before, info)
    assert store.journal.changes_since(position) == [ONE.bytes]
    assert store.trash() == {}
    assert store.restore(ONE) is False
    store.verify()


def test_a_record_stored_since_is_not_replaced_by_one_from_the_trash(store, memories):
    store.store(ONE, memories.make(1))
    store.delete(ONE, soft=True)
    store.store(ONE, memories.make(2))
    assert store.restore(ONE) is False
    assert store.quantized(ONE) == memories.make(2).encode(memories.router)
    assert list(store.trash()) == [ONE]


def test_deleting_for_good_empties_the_trash_of_an_id(store, memories):
    store.store_many((one, memories.make(one.int)) for one in (ONE, TWO))
    store.delete_many([ONE, TWO], soft=True)
    store.store(TWO, memories.make(5))
    assert store.delete(ONE) is True
    assert store.delete(TWO) is True
    assert store.delete(TWO) is False
    assert store.trash() == {}


def test_purging_keeps_what_was_deleted_within_the_window(store, memories, monkeypatch):
    store.store_many((one, memories.make(one.int)) for one in (ONE, TWO, THREE))
    now = trash.microseconds()
    for one, age in ((ONE, 3600), (TWO, 60)):
        monkeypatch.setattr(trash.time, "time_ns", lambda age=age: (now - age * SECOND) * 1000)
        store.delete(one, soft=True)
    monkeypatch.setattr(trash.time, "time_ns", lambda: now * 1000)
    assert store.purge(older_than=timedelta(minutes=30)) == 1
    assert list(store.trash()) == [TWO]
    assert store.purge(older_than=61) == 0
    assert store.purge() == 1
    assert store.restore(TWO) is False
    assert list(store) == [THREE]
    for bad in (-1, "1 h", None):
        with pytest.raises(InvalidInput, match="older_than"):
            store.purge(older_than=bad)


def test_a_damaged_record_in_the_trash_is_named(store, memories):
    store.store(ONE, memories.make(1))
    store.delete(ONE, soft=True)
    value = bytearray(store._keeper.files.get("trash", ONE.bytes))
    value[-20] ^= 1
    store._keeper.files.write([("trash", ONE.bytes, bytes(value))])
    with pytest.raises(StorageCorruption, match="in the trash") as caught:
        store.restore(ONE)
    assert caught.value.ids == (ONE,)
    assert store.delete(ONE) is True


def test_many_are_deleted_at_once(store, memories):
    store.store_many((one, memories.make(one.int)) for one in (ONE, TWO, THREE))
    position = store.journal.position()
    assert store.delete_many([THREE, ONE, ONE, UUID(int=9)]) == 2
    assert list(store) == [TWO]
    assert store.journal.changes_since(position) == [ONE.bytes, THREE.bytes]
    assert store.delete_many([]) == 0


def test_infos_are_those_of_each_record_in_order(store, memories):
    for i in (3, 1, 2):
        store.store(UUID(int=i), memories.make(i), metadata={"number": i} if i > 1 else None)
    found = list(store.infos())
    assert found == [(UUID(int=i), store.info(UUID(int=i))) for i in (1, 2, 3)]
    assert [info.metadata for _, info in found] == [{}, {"number": 2}, {"number": 3}]
    assert list(store.infos("01")) == []
    with store.snapshot() as view:
        store.delete(UUID(int=2))
        assert list(view.infos()) == found


def test_infos_name_a_damaged_record(store, memories):
    store.store_many((UUID(int=i), memories.make(i)) for i in (1, 2, 3))
    store._keeper.files.write([("records", UUID(int=2).bytes, b"CGFP\x01garbage")])
    infos = store.infos()
    assert next(infos)[0] == UUID(int=1)
    with pytest.raises(StorageCorruption, match=str(UUID(int=2))) as caught:
        next(infos)
    assert caught.value.ids == (UUID(int=2),)


def test_ids_are_listed_by_how_they_begin(store, memories):
    ids = [UUID(f"{start}0000-0000-4000-8000-000000000000") for start in ("0a00", "0ab0", "0ab1")]
    store.store_many((one, memories.make(1, ["E9"])) for one in ids)
    assert list(store.ids()) == ids
    assert list(store.ids("0ab")) == ids[1:]
    assert list(store.ids("0AB10000-0")) == ids[2:]
    assert list(store.ids(b"\x0a\xb0")) == [ids[1]]
    assert list(store.ids(ids[0].bytes)) == list(store.ids(str(ids[0]))) == ids[:1]
    for other in ("xyz", "0a000000000", str(ids[0]) + "0"):
        assert list(store.ids(other)) == []
    for bad in (b"0" * 17, 7, "x" * 513):
        with pytest.raises(InvalidInput, match="prefix"):
            store.ids(bad)


def test_reading_beside_writing_threads_never_sees_half_a_record(store, memories):
    versions = [memories.make(seed, ["E2", "E9"]).encode(memories.router) for seed in range(3)]
    store.store_quantized([(ONE, versions[0])])
    stop = threading.Event()

    def write():
        while not stop.is_set():
            for one in versions:
                store.store_quantized([(ONE, one)])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(1500):
            assert store.quantized(ONE) in versions
    finally:
        stop.set()
        writer.join()


def test_a_backup_while_another_thread_writes_is_a_sound_store(store, memories, tmp_path):
    records = [memories.make(seed, ["E2", "E9"]).encode(memories.router) for seed in range(10)]
    stop, written = threading.Event(), []

    def write():
        number = 0
        while not stop.is_set():
            store.store_quantized((UUID(int=number * 10 + i), records[i]) for i in range(10))
            written.append(number)
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for copy in range(3):
            before = len(written)
            store.backup(tmp_path / f"copy{copy}")
            after = len(written) + 1
            with RecordStore.open(tmp_path / f"copy{copy}") as opened:
                count = opened.verify().records
                assert count % 10 == 0
                assert before <= count // 10 <= after
    finally:
        stop.set()
        writer.join()


def test_moments_are_utc():
    assert trash.microseconds(datetime(1970, 1, 2, tzinfo=UTC)) == 86400 * SECOND


def refilled(rows):
    """Yield items whose embeddings and metadata lie in the same objects again and again."""
    buffer, indices, metadata = np.empty(1024, np.float32), np.zeros(2, np.uint32), {"of": {}}
    for number, row in enumerate(rows):
        buffer[:], indices[:] = row, (number, number + 9)
        metadata["of"]["row"] = number
        sparse = SparseVector(indices, buffer[:2], dimension=30522)
        yield UUID(int=number), {"E9": buffer, "E6": sparse}, metadata


def test_a_generator_may_refill_what_it_yields(tmp_path):
    rows = np.random.default_rng(0).standard_normal((5, 1024)).astype(np.float32)
    with RecordStore.open(tmp_path / "s") as store:
        assert store.store_many(refilled(rows), batch_size=3) == 5
        for number, row in enumerate(rows):
            found = store.retrieve(UUID(int=number))
            assert np.array_equal(found["E9"] >= 0, row >= 0)
            assert found["E6"].indices.tolist() == [number, number + 9]
            assert store.info(UUID(int=number)).metadata == {"of": {"row": number}}


@pytest.mark.parametrize("item", [(), (ONE,), (ONE, {}, None, 1), 5, None])
def test_an_item_is_an_id_a_fingerprint_and_perhaps_metadata(store, item):
    for items in ([item], iter([item])):
        with pytest.raises(InvalidInput, match=r"item: expected \(id, fingerprint\) or"):
            store.store_many(items)


@pytest.mark.parametrize("batch_size", [0, -1, 1.5, None])
def test_a_batch_has_one_item_or_more(store, memories, batch_size):
    with pytest.raises(InvalidInput, match="batch_size: expected 1 or more"):
        store.store_many([(ONE, memories.make(1))], batch_size=batch_size)
    with pytest.raises(InvalidInput, match="batch_size: expected 1 or more"):
        store.reencode("E1", memories.codebooks[ModelId.SEMANTIC], batch_size=batch_size)


@pytest.mark.parametrize("other", [None, 5, "x", b"x" * 16])
def test_what_has_no_items_is_refused_before_anything_is_written(store, other):
    for call in (
        lambda: store.store_many(other),
        lambda: store.store_quantized(other),
        lambda: store.delete_many(other),
        lambda: store.retrieve_many(other),
        lambda: store.encode(other),
        lambda: store.update(ONE, other),
        lambda: store.store_quantized([(ONE, {})]),
        lambda: store.store_quantized([ONE]),
    ):
        with pytest.raises(InvalidInput):
            call()


def test_progress_that_cannot_be_told_is_refused_before_any_work(store, memories):
    for call in (
        lambda: store.store_many([(ONE, memories.make(1))], progress=5),
        lambda: store.verify(progress="x"),
    ):
        with pytest.raises(InvalidInput, match="progress: expected a function"):
            call()
    assert store.retrieve(ONE) is None


def test_nothing_is_kept_in_the_trash_of_a_record_that_is_gone_by_now(store, memories, monkeypatch):
    store.store(ONE, memories.make(1))
    monkeypatch.setattr(store, "_record_bytes", lambda _: None)  # as after another's delete
    assert store.delete(ONE, soft=True) is False
    assert store.trash() == {}
