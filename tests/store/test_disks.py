"""A full disk and a folder that cannot be written: told with the remedy, and nothing is lost."""

import os
import shutil
import sys
import tempfile
from pathlib import Path
from uuid import UUID

import pytest

from cgcython.errors import StoreUnavailable
from cgcython.search import FingerprintStore
from cgcython.store import RecordStore
from cgcython.store.keepers.rocksdb import acknowledged

sys.path.insert(0, str(Path(__file__).parents[2] / "asv_bench"))
fault_disks = pytest.importorskip("fault_disks")

BATCH = 20


@pytest.fixture
def disk(tmp_path):
    """Return the folder of a disk of a few megabytes."""
    with skipping(), fault_disks.small_disk(tmp_path) as path:
        yield path


class skipping:
    """Skip the test where nothing can be mounted."""

    def __enter__(self):
        pass

    def __exit__(self, kind, error, _):
        if kind is fault_disks.NotMounted:
            pytest.skip(f"nothing can be mounted here: {error}")


@pytest.fixture
def full(disk, memories):
    """Return a store that filled its disk, its path, how many it took, and the refusal."""
    path = disk / "store"
    (disk / "ballast").write_bytes(bytes(3 << 20))
    records = [memories.make(seed, tokens=60).encode(memories.router) for seed in range(BATCH)]
    store = RecordStore.open(path, memories.codebooks, memories.profile)
    count, refusal = write_until_refused(store, records)
    fault_disks.fill(disk / "ballast")
    yield store, path, count, str(refusal)
    store.close()


def write_until_refused(store, records):
    for count in range(0, 1_000_000, BATCH):
        try:
            store.store_quantized((UUID(int=count + i + 1), one) for i, one in enumerate(records))
        except StoreUnavailable as error:
            return count, error


def require_all(store, memories, count):
    assert store.verify().records == count
    for one in (0, count // 2, count - 1):
        expected = memories.make(one % BATCH, tokens=60).encode(memories.router)
        assert dict(store.quantized(UUID(int=one + 1)).items()) == dict(expected.items())


def test_a_full_disk_is_told_with_its_remedy(full, memories):
    store, path, count, refusal = full
    assert f"store {path}: its disk is full" in refusal
    assert "free some of it, then close the store and open it again" in refusal
    require_all(store, memories, count)  # reading goes on
    with pytest.raises(StoreUnavailable, match="its disk is full"):
        store.delete(UUID(int=1))
    assert UUID(int=1) in store


def test_what_was_acknowledged_on_a_full_disk_is_there_afterwards(full, memories, caplog):
    store, path, count, _ = full
    store.close()
    assert "is in its log" in caplog.text
    with RecordStore.open(path, read_only=True) as reader:
        require_all(reader, memories, count)
    with pytest.raises(StoreUnavailable, match="its disk is full"):
        RecordStore.open(path)
    path.with_name("ballast").unlink()
    for total in (count, count + 1):
        with RecordStore.open(path) as again:
            require_all(again, memories, count) if total == count else again.verify()
            assert len(again) == total
            again.store(UUID(int=count + 1), memories.make(1))


def test_a_note_that_could_not_be_written_is_no_alarm(full, memories, caplog):
    store, path, count, _ = full
    copy = Path(shutil.copytree(path, path.parents[1] / "killed"))  # as a kill leaves it now
    noted = acknowledged.read_reach(copy)
    assert noted.sequence == store._keeper.files._rdict.latest_sequence_number()
    with RecordStore.open(copy) as again:
        require_all(again, memories, count)


def test_a_backup_to_a_full_disk_leaves_nothing(full):
    store, path, _, _ = full
    before = set(path.parent.iterdir())
    with pytest.raises(StoreUnavailable, match="its disk is full"):
        store.backup(path.with_name("backup"))
    assert set(path.parent.iterdir()) == before


def test_no_store_is_made_on_a_full_disk(disk):
    fault_disks.fill(disk / "ballast")
    with pytest.raises(StoreUnavailable, match="its disk is full"):
        RecordStore.open(disk / "store")
    assert [one.name for one in disk.iterdir()] == ["ballast"]


@pytest.fixture
def made(memories, tmp_path):
    """Return the path of a store whose last records lie in its log, as a kill leaves it."""
    with RecordStore.open(tmp_path / "live", memories.codebooks, memories.profile) as store:
        store.store_many((UUID(int=i + 1), memories.make(i, tokens=60)) for i in range(10))
        store._keeper.files.flush()
        store.store_many((UUID(int=i + 1), memories.make(i, tokens=60)) for i in range(10, 20))
        return Path(shutil.copytree(tmp_path / "live", tmp_path / "folder/store"))


@pytest.fixture
def unwritable(made):
    """Return that path, in a folder where this process may not write."""
    if os.geteuid():
        for one in (made, made.parent):
            one.chmod(0o555)
        yield made
        for one in (made, made.parent):
            one.chmod(0o755)
    else:  # root may write wherever the file system lets it
        with skipping(), fault_disks.unwritable(made.parent):
            yield made


@pytest.mark.parametrize("kind", [RecordStore, FingerprintStore])
def test_a_store_that_cannot_be_written_is_read(unwritable, memories, kind):
    before = {one.name: one.read_bytes() for one in unwritable.iterdir()}
    for options in ({}, {"follow": True}):
        with pytest.raises(StoreUnavailable, match="open it with read_only=True"):
            kind.open(unwritable, **options)
    with kind.open(unwritable, read_only=True) as store:
        require_all(store, memories, 20)
        with pytest.raises(StoreUnavailable, match="read_only=True"):
            store.delete(UUID(int=1))
        with store.snapshot() as view:
            assert len(view) == 20
    assert {one.name: one.read_bytes() for one in unwritable.iterdir()} == before


def test_reading_what_cannot_be_written_leaves_nothing_behind(unwritable, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    RecordStore.open(unwritable, read_only=True).close()
    with pytest.raises(StoreUnavailable, match="another profile"):
        RecordStore.open(unwritable, profile="contextgraph-2026", read_only=True)
    assert list((tmp_path / "temporary").iterdir()) == []


def test_no_store_is_made_where_nothing_can_be_written(unwritable):
    with pytest.raises(StoreUnavailable, match="choose another folder"):
        RecordStore.open(unwritable.parent / "new")
