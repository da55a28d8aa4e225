"""A store gives back what it was given, under the id it was given, or nothing."""

import os
import subprocess
import sys
from uuid import UUID, uuid4

import numpy as np
import pytest

from cgcython.base import ModelId
from cgcython.errors import (
    BudgetExceeded,
    CodebookMissing,
    DimensionMismatch,
    InvalidInput,
    QuantizationError,
    StoreUnavailable,
)
from cgcython.fingerprint import QuantizedFingerprint
from cgcython.store import RecordStore

ONE, TWO, THREE = (UUID(int=i) for i in (1, 2, 3))


@pytest.fixture
def store(memories, tmp_path):
    with RecordStore.open(tmp_path / "s", memories.codebooks, memories.profile) as store:
        yield store


def test_what_was_stored_is_retrieved(store, memories):
    memory = memories.make(1)
    store.store(ONE, memory)
    expected = memory.encode(memories.router)
    assert store.quantized(ONE) == expected
    assert store.retrieve(ONE) == expected.decode(memories.router)


def test_an_unknown_id_gives_none(store):
    assert store.retrieve(ONE) is None
    assert store.quantized(ONE) is None
    assert store.quantized(ONE, "E1") is None
    assert store.get_stored_size(ONE) is None
    assert store.delete(ONE) is False
    assert ONE not in store


@pytest.mark.parametrize("name", [ONE, ONE.bytes, str(ONE), str(ONE).upper(), bytearray(ONE.bytes)])
def test_ids_are_uuids_bytes_or_canonical_text(store, memories, name):
    store.store(name, memories.make(1))
    assert list(store) == [ONE]
    assert name in store


@pytest.mark.parametrize("name", [1.0, "", True, b"short", "x" * 513, 2**64, None])
def test_other_ids_are_refused(store, memories, name):
    with pytest.raises(InvalidInput, match="id"):
        store.store(name, memories.make(1))
    with pytest.raises(InvalidInput, match="id"):
        store.retrieve(name)


def test_storing_twice_replaces_and_leaves_nothing_behind(store, memories):
    store.store(ONE, memories.make(1))
    store.store(ONE, memories.make(2, ["E2", "E9"]))
    assert store.quantized(ONE) == memories.make(2, ["E2", "E9"]).encode(memories.router)
    assert store.quantized(ONE, "E1") is None
    report = store.verify()
    assert (report.records, report.sections) == (1, 2)


def test_a_deleted_record_is_gone(store, memories):
    store.store(ONE, memories.make(1))
    store.store(TWO, memories.make(2))
    assert store.delete(ONE) is True
    assert store.retrieve(ONE) is None
    assert (len(store), store.verify().sections) == (1, 5)


def test_an_empty_fingerprint_is_a_record(store):
    store.store_quantized([(ONE, QuantizedFingerprint({}))])
    assert ONE in store
    assert len(store.retrieve(ONE)) == 0
    assert store.verify().records == 1


def test_the_stored_size_is_that_of_the_record(store, memories):
    store.store(ONE, memories.make(1))
    quantized = memories.make(1).encode(memories.router)
    assert store.get_stored_size(ONE) == len(quantized.to_bytes())
    assert store.verify().stored_bytes == len(quantized.to_bytes())


def test_one_embedder_is_read_alone(store, memories):
    store.store(ONE, memories.make(1))
    store._keeper.files.write(deletes=[("sections", bytes([ModelId.HDC]) + ONE.bytes)])
    assert store.quantized(ONE, "E2") == store.router.quantize_fingerprint(memories.make(1))[1]


def test_many_are_stored_as_one_by_one(store, memories, tmp_path):
    ids, calls = [uuid4() for _ in range(7)], []
    pairs = [(one, memories.make(i)) for i, one in enumerate(ids)]
    count = store.store_many(pairs, batch_size=3, num_threads=2, progress=calls.append)
    assert (count, calls) == (7, [3, 3, 1])
    assert sorted(store) == sorted(ids)
    for one, memory in pairs:
        assert store.quantized(one) == memory.encode(memories.router)
    retrieved = store.retrieve_many([*ids, ONE], num_threads=3)
    assert retrieved == [*map(store.retrieve, ids), None]


def test_a_batch_with_a_bad_memory_writes_nothing(store, memories):
    bad = memories.make(2)
    bad._parts[ModelId.HDC] = np.zeros(21, np.float32)
    with pytest.raises(DimensionMismatch, match="E9") as caught:
        store.store_many([(ONE, memories.make(1)), (TWO, bad)])
    assert caught.value.__notes__ == ["(fingerprint 1 of the batch)"]
    assert len(store) == 0


def test_a_record_over_budget_is_not_written(store, memories):
    with pytest.raises(BudgetExceeded):
        store.store(ONE, memories.make(1), budget_bytes=100)
    assert len(store) == 0


def test_one_embedder_scans_alone_in_the_order_of_ids(store, memories):
    store.store_many([(one, memories.make(one.int)) for one in (THREE, ONE)])
    store.store(TWO, memories.make(2, ["E2"]))
    found = list(store.scan("E9"))
    assert [UUID(bytes=key) for key, _ in found] == [ONE, THREE]
    assert found[0][1] == store.quantized(ONE, "E9")


def test_a_store_carries_its_codebooks_and_profile(memories, tmp_path):
    with RecordStore.open(tmp_path / "s", memories.codebooks, memories.profile) as store:
        store.store(ONE, memories.make(1))
        before = store.retrieve(ONE)
    with RecordStore.open(tmp_path / "s") as store:
        assert store.profile == memories.profile
        assert store.retrieve(ONE) == before
        store.store(TWO, memories.make(1))
        assert store.quantized(TWO) == store.quantized(ONE)


def test_codebooks_come_from_a_folder_too(memories, tmp_path):
    book = memories.codebooks[ModelId.SEMANTIC]
    book.save(tmp_path / "models/pq8_codebooks/Semantic_codebook.safetensors")
    with RecordStore.open(tmp_path / "s", tmp_path / "models", memories.profile) as store:
        store.store(ONE, memories.make(1))
        assert store.quantized(ONE, "E1").metadata.codebook_id == book.codebook_id


def test_a_codebook_of_another_embedder_is_refused(memories, tmp_path):
    book = memories.codebooks[ModelId.SEMANTIC].with_facts({"model": "Causal"})
    book.save(tmp_path / "models/pq8_codebooks/Semantic_codebook.safetensors")
    for codebooks in ({"E1": book}, tmp_path / "models"):
        with pytest.raises(InvalidInput, match="trained for E5 Causal"):
            RecordStore.open(tmp_path / "s", codebooks, memories.profile)


def test_generations_of_codebooks_live_side_by_side(memories, tmp_path):
    with RecordStore.open(tmp_path / "s", memories.codebooks, memories.profile) as store:
        store.store(ONE, memories.make(1))
        before = store.retrieve(ONE)
    with RecordStore.open(tmp_path / "s", memories.other_codebooks) as store:
        store.store(TWO, memories.make(1))
        assert store.retrieve(ONE) == before
        assert store.retrieve(TWO) != before
        ids = {store.quantized(one, "E1").metadata.codebook_id for one in (ONE, TWO)}
        assert len(ids) == 2
        store.verify()


def test_without_a_codebook_the_error_names_the_remedy(memories, tmp_path):
    with RecordStore.open(tmp_path / "s", profile=memories.profile) as store:
        with pytest.raises(CodebookMissing, match="cgcython train"):
            store.store(ONE, memories.make(1))
        store.store(ONE, memories.make(1, ["E9"]))


def test_another_profile_is_refused(memories, tmp_path):
    RecordStore.open(tmp_path / "s", profile=memories.profile).close()
    with pytest.raises(StoreUnavailable, match="another profile"):
        RecordStore.open(tmp_path / "s", profile="default")


def test_a_codebook_of_other_dimensions_is_refused(memories, tmp_path):
    with pytest.raises(DimensionMismatch):
        RecordStore.open(tmp_path / "s", memories.codebooks, "default")


def test_read_only_reads_beside_a_writer_and_writes_nothing(store, memories):
    store.store(ONE, memories.make(1))
    with RecordStore.open(store.path, read_only=True) as reader:
        assert reader.retrieve(ONE) == store.retrieve(ONE)
        for write in (lambda: reader.store(TWO, memories.make(2)), lambda: reader.delete(ONE)):
            with pytest.raises(StoreUnavailable, match="read_only"):
                write()


def test_a_missing_store_is_made_only_when_asked(tmp_path):
    for how in ({"create": False}, {"read_only": True}):
        with pytest.raises(StoreUnavailable, match="no store"):
            RecordStore.open(tmp_path / "s", **how)
    assert not (tmp_path / "s").exists()


def test_a_folder_of_other_things_is_left_alone(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(StoreUnavailable, match="neither a store nor an empty folder"):
        RecordStore.open(tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["letter.txt"]


def test_a_closed_store_says_so(memories, tmp_path):
    store = RecordStore.open(tmp_path / "s", memories.codebooks, memories.profile)
    store.close()
    store.close()
    for use in (lambda: store.retrieve(ONE), lambda: list(store), lambda: store.delete(ONE)):
        with pytest.raises(StoreUnavailable, match="closed"):
            use()


def test_a_backup_is_a_store_of_its_own(store, memories, tmp_path):
    store.store(ONE, memories.make(1))
    store.backup(tmp_path / "copy")
    store.delete(ONE)
    with RecordStore.open(tmp_path / "copy") as copy:
        assert copy.quantized(ONE) == memories.make(1).encode(memories.router)
        copy.verify()


@pytest.mark.parametrize("how", ["read_only", "follow"])
def test_a_backup_by_a_reader_has_what_the_reader_has(store, memories, tmp_path, how):
    store.store(ONE, memories.make(1))
    with RecordStore.open(store.path, **{how: True}) as reader:
        store.store(TWO, memories.make(2))
        store.compact()  # which takes away the log that the reader has in memory
        reader.backup(tmp_path / "copy")
    with RecordStore.open(tmp_path / "copy") as copy:
        assert ONE in copy
        copy.verify()


def test_a_store_whose_folder_was_moved_away_says_so(store, memories, tmp_path):
    store.store(ONE, memories.make(1))
    store.path.rename(tmp_path / "moved")
    with pytest.raises(QuantizationError, match="No such file"):
        store.compact()
    store.close()
    with RecordStore.open(tmp_path / "moved") as moved:
        assert ONE in moved


def test_a_relative_path_in_a_folder_that_is_gone_is_refused(tmp_path, monkeypatch):
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    with pytest.raises(StoreUnavailable, match="current folder is gone"):
        RecordStore.open("s")


def test_a_backup_overwrites_nothing(store, tmp_path):
    (tmp_path / "copy").mkdir()
    with pytest.raises(StoreUnavailable, match="exists"):
        store.backup(tmp_path / "copy")
    assert list((tmp_path / "copy").iterdir()) == []


def test_a_failed_backup_leaves_nothing(store, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(StoreUnavailable, match="disk full"):
        store.backup(tmp_path / "copy")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["s"]


def test_writes_are_durable_when_asked(memories, tmp_path):
    with RecordStore.open(tmp_path / "s", profile=memories.profile, durability="sync") as store:
        store.store(ONE, memories.make(1, ["E9"]))
        assert store._keeper.files._write_options.sync is True


def test_without_rocksdict_the_error_names_the_extra(tmp_path):
    script = (
        "import sys; sys.modules['rocksdict'] = None\n"
        "from cgcython.store import RecordStore\n"
        f"RecordStore.open({str(tmp_path / 's')!r})"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "pip install cgcython[store]" in done.stderr
    assert "StoreUnavailable" in done.stderr


def test_a_store_shows_what_it_is(store, memories, tmp_path):
    store.store_many((UUID(int=number), memories.make(number)) for number in range(3))
    assert repr(store) == f"RecordStore('{store.path}', about 3 records, durability='wal')"
    with RecordStore.open(store.path, read_only=True) as reader:
        assert repr(reader).endswith("about 3 records, read_only=True)")
    with RecordStore.open(store.path, follow=True) as follower:
        assert repr(follower).endswith("about 3 records, follow=True)")
    store.close()
    assert repr(store) == f"RecordStore('{store.path}', closed)"


@pytest.mark.parametrize("hold", ["ids", "scan", "infos", "snapshot", "error"])
def test_nothing_unfinished_keeps_a_store_from_being_opened_again(memories, tmp_path, hold):
    store = RecordStore.open(tmp_path / "s", memories.codebooks, memories.profile)
    store.store_many((UUID(int=i + 1), memories.make(i)) for i in range(9))
    moment = store.snapshot()
    begin = {"ids": store.ids, "scan": lambda: store.scan("E9"), "infos": store.infos}
    rows = begin.get(hold, lambda: moment.__enter__().scan("E9"))()
    next(rows)
    store.close()
    caught = None
    if hold == "error":
        with pytest.raises(StoreUnavailable, match="closed") as caught:
            list(rows)
    with RecordStore.open(store.path) as again:
        assert len(again) == 9
    if caught is None:
        with pytest.raises(StoreUnavailable, match="closed"):
            list(rows)
