"""Text and integers name records as UUIDs do; the first of them gives a store format 3."""

import shutil
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from cgcython import Profile
from cgcython.errors import StorageCorruption, StoreUnavailable
from cgcython.search import FingerprintStore
from cgcython.search.column_files import column_path
from cgcython.store import RecordStore, repair
from cgcython.store.ids import are_free, as_key
from cgcython.store.keepers.rocksdb import format
from cgcython.store.keepers.rocksdb.format import FREE, PLAIN, read_version
from cgcython.store.keepers.rocksdb.journal_entries import are_plain, changed, packed, total

V1 = Path(__file__).parents[1] / "golden" / "v1" / "store"
ONE, TWO = UUID(int=1), UUID(int=2 << 120)
FREE_IDS = [-(2**63), -1, 0, 5, 2**64 - 1, "5", "a", "a\0", "fifteen bytes..", "ä" * 256]
IDS = [ONE, *FREE_IDS, TWO]
EMBEDDERS = ["E1", "E6", "E9"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "s"


@pytest.fixture
def store(memories, path):
    with FingerprintStore.open(path, memories.codebooks, memories.profile) as store:
        yield store


@pytest.fixture
def filled(store, memories):
    items = [(one, memories.make(i, EMBEDDERS), {"n": i}) for i, one in enumerate(IDS)]
    store.store_many(items)
    return store


def version(store):
    return read_version(store._keeper.files)


def test_a_store_has_format_2_until_the_first_other_id(store, memories):
    store.store(ONE, memories.make(1))
    assert version(store) == PLAIN
    store.store("a", memories.make(2))
    assert version(store) == FREE
    store.store(TWO, memories.make(3))
    store.delete("a")
    assert version(store) == FREE


def test_a_store_with_embedders_of_ones_own_begins_with_format_3(path):
    profile = Profile({"minilm": {"dimension": 8, "method": "float8_e4m3"}})
    with FingerprintStore.open(path, profile=profile) as store:
        assert version(store) == FREE
        before = store.journal.position()
        store.store(ONE, {"minilm": np.ones(8)})
        assert store.journal.changes_since(before, "minilm") == [ONE.bytes]
        assert store.journal.changes_since(before, "E9") == []
    assert are_free([], profile)


def test_the_step_is_taken_with_the_write_or_not_at_all(store, memories, monkeypatch):
    def full(*_, **__):
        raise OSError("full")

    with monkeypatch.context() as broken:
        broken.setattr(store._keeper.files, "commit", full)
        with pytest.raises(OSError, match="full"):
            store.store("a", memories.make(1))
    assert (version(store), list(store)) == (PLAIN, [])
    before = store._keeper.files._rdict.latest_sequence_number()
    store.store("a", memories.make(1))
    (position,) = {store._keeper.files._rdict.latest_sequence_number()} - {before}
    assert (version(store), position > before) == (FREE, True)


def test_an_earlier_release_refuses_format_3(filled, path, monkeypatch):
    filled.close()
    monkeypatch.setattr(format, "READS", (1, 2))
    with pytest.raises(StoreUnavailable, match="its format version is 3, this release reads 1 and"):
        RecordStore.open(path)


def test_a_store_of_format_1_stays_as_it_is_until_then(path, memories):
    shutil.copytree(V1, path)
    with FingerprintStore.open(path) as store:
        before = list(store)
        assert version(store) == PLAIN
        memory = store.retrieve(before[0])
        store.store("new", memory)
        assert (version(store), list(store)) == (FREE, [*before, "new"])
        store.verify()
        assert store.search(memory, k=2)[1].similarity > 0.99


def test_each_id_finds_its_own_record(filled, memories):
    assert sorted(IDS, key=as_key) == list(filled) == [one for one, _ in filled.infos()]
    for i, one in enumerate(IDS):
        assert filled.quantized(one) == filled.encode([memories.make(i, EMBEDDERS)])[0]
        assert filled.info(one).metadata == {"n": i}
        assert one in filled
    assert 6 not in filled
    assert "6" not in filled
    assert filled.verify().records == len(IDS)


def test_prefixes_are_of_text_and_of_uuids(filled):
    assert list(filled.ids("a")) == ["a", "a\0"]
    assert list(filled.ids("00000000-")) == [ONE]
    assert list(filled.ids("fifteen")) == ["fifteen bytes.."]
    assert list(filled.ids("0")) == [ONE, TWO]
    assert list(filled.ids("a", where={"n": {"$gte": 8}})) == ["a\0"]


@pytest.mark.parametrize("again", [False, True])
def test_searches_return_ids_as_they_are(filled, path, memories, again):
    if again:
        filled.save_columns(EMBEDDERS)
        filled.close()
        filled = FingerprintStore.open(path, read_only=True)
    for i, one in enumerate(IDS):
        (hit,) = filled.search(memories.make(i, EMBEDDERS), k=1)
        assert (hit.id, type(hit.id)) == (one, type(one))
    some = [ONE, "a", 5, "nothing"]
    query = memories.make(3, EMBEDDERS)
    assert {hit.id for hit in filled.search(query, among=some)} == set(some[:3])
    assert {hit.id for hit in filled.search(query, where={"n": {"$lt": 2}})} == set(IDS[:2])
    (first, *_) = filled.search(query, k=3, embedders=["E1"], weights={"E9": 1.0}, rerank="E9")
    assert first.id == IDS[3]
    filled.close()


def test_columns_of_uuids_take_longer_keys_later(store, path, memories):
    store.store_many((UUID(int=i + 1), memories.make(i, EMBEDDERS)) for i in range(20))
    store.search(memories.make(0, EMBEDDERS))
    store.save_columns(EMBEDDERS)
    long = "x" * 100
    store.store(long, memories.make(50, EMBEDDERS))
    store.delete(UUID(int=3))
    found = {hit.id for hit in store.search(memories.make(50, EMBEDDERS), k=30)}
    assert found == {long, *(UUID(int=i + 1) for i in range(20) if i != 2)}
    assert store.search(memories.make(50, EMBEDDERS), k=1, among=[long, ONE])[0].id == long
    store.delete(long)
    assert long not in {hit.id for hit in store.search(memories.make(50, EMBEDDERS), k=30)}
    assert column_path(path, store.profile.embedder("E9")).exists()


def test_graphs_find_ids_of_all_kinds(filled, memories):
    pytest.importorskip("usearch")
    for i, one in enumerate(IDS):
        assert filled.search({"E9": memories.make(i)["E9"]}, k=1, approximate="graph")[0].id == one
    filled.delete("a")
    filled.store("a\0\0", memories.make(30, EMBEDDERS))
    hits = filled.search({"E9": memories.make(30)["E9"]}, k=1, approximate="graph")
    assert hits[0].id == "a\0\0"


def test_the_trash_keeps_ids(filled):
    assert filled.delete_many(["a", 5, 6, ONE], soft=True) == 3
    assert set(filled.trash()) == {"a", 5, ONE}
    assert filled.restore("a")
    assert not filled.restore("5")
    assert filled.purge() == 2
    assert set(filled) == set(IDS) - {5, ONE}


def test_a_follower_is_told_ids(filled, path, memories):
    with FingerprintStore.open(path, follow=True) as follower:
        filled.store("new", memories.make(1))
        filled.store_many([(TWO, memories.make(2)), (7, memories.make(3))])
        assert follower.catch_up() == sorted(["new", TWO, 7], key=as_key)
        assert "new" in follower


def test_damage_is_named_by_id(filled, path):
    for one in ("a", 5, "5"):
        filled._keeper.files.write(deletes=[("sections", b"\x08" + as_key(one))])
    report = filled.check()
    assert report.problems == {one: ["E9 is missing"] for one in ("a", 5, "5")}
    assert set(report.named) == {"a", "5", "text:5"}
    with pytest.raises(StorageCorruption) as caught:
        filled.verify()
    assert set(caught.value.ids) == {"a", 5, "5"}
    with pytest.raises(StorageCorruption) as caught:
        filled.retrieve("5")
    assert caught.value.ids == ("5",)
    filled.close()
    repaired = repair(path)
    assert (set(repaired.lost), repaired.records) == ({"a", 5, "5"}, len(IDS) - 3)
    with FingerprintStore.open(path) as again:
        assert (version(again), again.verify().records) == (FREE, len(IDS) - 3)


def test_a_repair_without_other_ids_makes_format_2(store, path, memories, tmp_path):
    store.store_many([(ONE, memories.make(1)), ("a", memories.make(2))])
    store.delete("a")
    store.close()
    repair(path, tmp_path / "new")
    with RecordStore.open(tmp_path / "new") as again:
        assert (version(again), list(again)) == (PLAIN, [ONE])


def test_entries_of_both_kinds_tell_what_changed():
    plain = packed(7, {ONE.bytes: 1 << 8, TWO.bytes: 3}, is_plain=True)
    assert (total(plain), changed(plain, 8)) == (7, [ONE.bytes])
    masks = {as_key("a"): 1 << 8 | 1 << 231, ONE.bytes: 0, as_key("x" * 512): 1 << 231}
    assert not are_plain(masks)
    free = packed(7, masks, is_plain=False)
    assert (total(free), changed(free)) == (7, [*masks])
    assert changed(free, 231) == [as_key("a"), as_key("x" * 512)]
    assert changed(free, 8) == [as_key("a")]


@pytest.mark.parametrize("end", [-1, -3, 10, 11])
def test_an_entry_that_is_cut_off_is_damage(end):
    with pytest.raises(StorageCorruption):
        changed(packed(1, {as_key("abc"): 1}, is_plain=False)[:end])
    with pytest.raises(StorageCorruption):
        changed(packed(1, {ONE.bytes: 1}, is_plain=True)[: end - 1])
