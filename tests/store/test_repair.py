"""Repair keeps what is good, names what is lost and why, and never touches what it reads."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from uuid import UUID

import pytest

from cgcython.base import ModelId
from cgcython.errors import StorageCorruption, StoreUnavailable
from cgcython.store import RecordStore, repair
from cgcython.store.keepers.rocksdb import Database, acknowledged
from cgcython.store.keepers.rocksdb.journal import WritableJournal
from cgcython.store.keepers.rocksdb.layout import COPIES

COUNT = 40
MEMORY = next((one for one in [Path("/dev/shm")] if os.access(one, os.W_OK)), None)
BAD, GONE = UUID(int=5), UUID(int=6)


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(dir=MEMORY) as path:
        yield Path(path)


@pytest.fixture(scope="module")
def made(memories):
    """Return a folder with a store that was closed and one whose process was killed."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as path:
        live = Path(path, "closed")
        with RecordStore.open(live, memories.codebooks, memories.profile) as store:
            store.store_many((UUID(int=i + 1), memories.make(i)) for i in range(COUNT))
            store._keeper.files.flush()
            for i in range(10):
                store.store(UUID(int=i + 1), memories.make(i + 100))
            store.delete(UUID(int=COUNT), soft=True)
            shutil.copytree(live, Path(path, "killed"))
        yield Path(path)


@pytest.fixture
def copy(made, folder):
    return lambda kind: Path(shutil.copytree(made / kind, folder / "store"))


@pytest.fixture
def damaged(copy):
    """Return a store with one damaged and one missing section."""
    path = copy("closed")
    files = Database(path)
    e9 = bytes([ModelId.HDC])
    files.write([("sections", e9 + BAD.bytes, b"rubbish")], [("sections", e9 + GONE.bytes)])
    files.close()
    return path


def expected(memories, one):
    seed = one.int - 1 + 100 * (one.int <= 10)
    return memories.make(seed).encode(memories.router)


def require_sound(path, memories, without=()):
    with RecordStore.open(path) as store:
        report = store.verify()
        ids = {UUID(int=i + 1) for i in range(COUNT - 1)} - set(without)
        assert set(store) == ids
        assert report.records == len(ids)
        for one in ids:
            assert store.quantized(one) == expected(memories, one)


def listing(path):
    return {one.name: one.read_bytes() for one in path.iterdir() if not one.name.startswith("LO")}


def test_a_sound_store_is_left_as_it_is(copy, memories):
    path = copy("closed")
    before = listing(path)
    report = repair(path)
    assert report.ok
    assert report.path is None
    assert report.records == COUNT - 1
    assert listing(path) == before
    assert list(path.parent.iterdir()) == [path]


def test_damaged_records_are_left_out_and_named(damaged, memories):
    report = repair(damaged)
    assert set(report.lost) == {BAD, GONE}
    assert "E9 is damaged" in report.lost[BAD][0]
    assert report.lost[GONE] == ["E9 is missing"]
    assert not report.ok
    require_sound(damaged, memories, without=[BAD, GONE])
    assert report.damaged.name.startswith("store.damaged-")
    assert len(RecordStore.open(report.damaged)) == COUNT - 1


def test_sound_parts_of_damaged_records_can_be_kept(damaged, memories):
    report = repair(damaged, keep_parts=True)
    assert not report.lost
    assert set(report.partial) == {BAD, GONE}
    with RecordStore.open(damaged) as store:
        assert store.verify().records == COUNT - 1
        part = store.quantized(BAD)
        assert "E9" not in part
        assert part["E2"] == expected(memories, BAD)["E2"]


def test_times_and_metadata_are_kept(copy, memories):
    path = copy("closed")
    with RecordStore.open(path) as store:
        store.update(BAD, {}, metadata={"a": 1})
        before = store.info(BAD)
    repair(path, path.with_name("new"))
    with RecordStore.open(path.with_name("new")) as store:
        assert store.info(BAD) == before
        assert store.restore(UUID(int=COUNT))


def test_a_dry_run_writes_nothing(damaged):
    before = listing(damaged)
    report = repair(damaged, dry_run=True)
    assert set(report.lost) == {BAD, GONE}
    assert report.path is None
    assert listing(damaged) == before
    assert list(damaged.parent.iterdir()) == [damaged]


def test_with_out_nothing_is_moved(damaged, memories):
    before, out = listing(damaged), damaged.with_name("new")
    report = repair(damaged, out)
    assert (report.path, report.damaged) == (out, None)
    assert listing(damaged) == before
    require_sound(out, memories, without=[BAD, GONE])
    with pytest.raises(StoreUnavailable, match="choose a new folder"):
        repair(damaged, out)


@pytest.mark.parametrize("pattern", ["CURRENT", "MANIFEST-*"])
@pytest.mark.parametrize("damage", ["removed", "cut off", "flipped"])
@pytest.mark.parametrize("kind", ["closed", "killed"])
def test_a_lost_catalogue_costs_no_record(copy, memories, pattern, damage, kind):
    path = copy(kind)
    (catalogue,) = path.glob(pattern)
    data = bytearray(catalogue.read_bytes())
    data[len(data) // 2] ^= 4
    if damage == "removed":
        catalogue.unlink()
    else:
        catalogue.write_bytes(data if damage == "flipped" else data[: len(data) * 2 // 3])
    with pytest.raises(StorageCorruption):
        RecordStore.open(path)
    report = repair(path)
    assert report.ok
    require_sound(path, memories)


def test_a_removed_table_costs_only_its_records(copy, memories):
    path = copy("killed")
    (table,) = [one for one in path.glob("*.sst") if b"sections" in one.read_bytes()]
    table.unlink()
    report = repair(path)
    first = {UUID(int=i + 1) for i in range(10)}  # they were stored again, into the log
    assert set(report.lost) == {UUID(int=i + 1) for i in range(10, COUNT - 1)}
    with RecordStore.open(path) as store:
        assert set(store) == first
        store.verify()


@pytest.mark.parametrize("family", [b"sections", b"records"])
def test_without_catalogue_and_a_table_what_is_left_is_kept(copy, memories, family):
    path = copy("killed")
    (path / "CURRENT").unlink()
    for table in path.glob("*.sst"):
        if family in table.read_bytes():
            table.unlink()
    report = repair(path)
    assert len(report.lost) + report.records == COUNT - 1
    with RecordStore.open(path) as store:
        assert store.verify().records == report.records


def test_a_record_whose_last_change_is_damaged_is_not_what_it_was_before(copy, memories):
    path = copy("killed")
    log = max(path.glob("*.log"), key=lambda one: one.stat().st_size)
    data = bytearray(log.read_bytes())
    data[data.index(UUID(int=4).bytes) + 60] ^= 1
    log.write_bytes(data)
    report = repair(path)
    assert set(report.lost) == {UUID(int=4)}
    require_sound(path, memories, without=report.lost)


def test_writes_that_were_cut_off_are_counted(copy, memories):
    path = copy("killed")
    log = max(path.glob("*.log"), key=lambda one: one.stat().st_size)
    os.truncate(log, log.stat().st_size // 2)
    report = repair(path)
    assert "acknowledged changes of keys" in report.losses[0]
    with RecordStore.open(path) as store:
        store.verify()


def test_a_lost_profile_has_to_be_named(copy, memories):
    path = copy("closed")
    files = Database(path)
    files.write(deletes=[(family, b"profile") for family in ("meta", COPIES)])
    files.close()
    with pytest.raises(StorageCorruption, match="--profile"):
        repair(path)
    repair(path, profile=memories.profile)
    require_sound(path, memories)


def test_an_interrupted_repair_leaves_the_store_untouched(damaged, monkeypatch):
    before = listing(damaged)
    monkeypatch.setattr(WritableJournal, "reset", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        repair(damaged)
    assert listing(damaged) == before
    assert list(damaged.parent.iterdir()) == [damaged]


def test_a_swap_that_fails_is_undone(damaged, monkeypatch):
    before, rename = listing(damaged), os.rename

    def fail_for_the_new(source, target):
        if Path(source).name == "new":
            raise OSError("no")
        rename(source, target)

    monkeypatch.setattr(os, "rename", fail_for_the_new)
    with pytest.raises((OSError, StoreUnavailable)):
        repair(damaged)
    monkeypatch.undo()
    assert listing(damaged) == before


def test_a_store_that_is_open_elsewhere_is_refused(copy):
    path = copy("closed")
    script = f"from cgcython.store import repair; repair({str(path)!r})"
    with RecordStore.open(path):
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "another process has it open" in done.stderr


def test_a_folder_without_a_store_is_refused(tmp_path):
    with pytest.raises(StoreUnavailable, match="no store"):
        repair(tmp_path)


def test_the_repaired_store_notes_its_own_writes(damaged):
    repair(damaged)
    assert acknowledged.read_reach(damaged).flags & acknowledged.CLOSED
