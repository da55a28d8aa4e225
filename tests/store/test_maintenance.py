"""What a store says of itself, and how it is kept small."""

from uuid import UUID

import pytest

from cgcython.base import ModelId
from cgcython.errors import InvalidInput, StoreUnavailable
from cgcython.store import RecordStore, statistics

IDS = [UUID(int=i + 1) for i in range(30)]


@pytest.fixture
def store(memories, tmp_path):
    with RecordStore.open(tmp_path / "s", memories.codebooks, memories.profile) as store:
        store.store_many((one, memories.make(one.int)) for one in IDS)
        store.store(IDS[0], memories.make(1, ["E9"]))
        yield store


def test_counted_statistics_are_those_of_the_records(store):
    store.delete(IDS[1], soft=True)
    found = store.statistics(exact=True)
    sizes = [store.get_stored_size(one) for one in store]
    assert (found.exact, found.records, found.record_bytes) == (True, 29, sum(sizes))
    assert (found.trashed, found.trash_bytes > 100) == (1, True)
    parts = {part.embedder: part for part in found.parts}
    assert (parts[ModelId.HDC].sections, parts[ModelId.SEMANTIC].sections) == (29, 28)
    assert parts[ModelId.HDC].layout == "binary"
    assert parts[ModelId.SPARSE].layout == "sparse_native compact_f16"
    expected = sum(len(section) for _, section in store.sections(ModelId.HDC, []))
    assert parts[ModelId.HDC].bytes == expected
    assert found.database_bytes == sum(one.stat().st_size for one in store.path.iterdir())


def test_estimates_of_few_records_are_exact_and_of_many_near(store, memories, monkeypatch):
    assert store.statistics()._replace(exact=True) == store.statistics(exact=True)
    monkeypatch.setattr(statistics, "SAMPLE", 10)
    store._keeper.files.flush()
    near, exact = store.statistics(), store.statistics(exact=True)
    assert near.records == pytest.approx(exact.records, rel=0.2)
    assert near.record_bytes == pytest.approx(exact.record_bytes, rel=0.3)


def test_an_empty_store_has_statistics(memories, tmp_path):
    with RecordStore.open(tmp_path / "empty", profile=memories.profile) as store:
        for exact in (False, True):
            found = store.statistics(exact)
            assert (found.records, found.record_bytes, found.parts) == (0, 0, [])


def table_bytes(store):
    return sum(one.stat().st_size for one in store.path.glob("*.sst"))


def test_compacting_frees_what_was_deleted(store, memories):
    for _ in range(3):
        store.store_many((one, memories.make(one.int, tokens=300)) for one in IDS)
        store._keeper.files.flush()
    store.delete_many(IDS[1:])
    before = table_bytes(store)
    assert store.compact() > before / 2
    assert table_bytes(store) < before / 4
    assert list(store) == IDS[:1]
    store.verify()


def test_readers_compact_nothing(store):
    reader = RecordStore.open(store.path, read_only=True)
    with reader, pytest.raises(StoreUnavailable, match="read_only"):
        reader.compact()


def test_durability_is_one_of_two(store, tmp_path):
    with pytest.raises(InvalidInput, match="wal or sync"):
        RecordStore.open(tmp_path / "other", durability="none")
