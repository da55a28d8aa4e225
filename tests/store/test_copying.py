"""A copy of a store has its bytes, wherever it lies; interrupted, it goes on and loses nothing."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from store.copies import KINDS, content, fill

from cgcython.errors import InvalidInput, StorageCorruption, StoreUnavailable
from cgcython.search import FingerprintStore
from cgcython.store import copying
from cgcython.store.copy_tally import tally
from cgcython.store.copying import copy_store
from cgcython.store.keeper import Change
from cgcython.store.opening import open_keeper

HERE = Path(__file__).parents[1]
COPIER = """
import sys
from cgcython.store import copying
copying.BATCH, copying.SAVED_EVERY = 8, 0
tell = lambda count: print(count, flush=True)
print(copying.copy_store(sys.argv[1], sys.argv[2], progress=tell).digest)
"""


@pytest.fixture
def source(memories, tmp_path):
    fill(tmp_path / "source", memories)
    return tmp_path / "source"


def test_a_copy_has_every_byte(source, memories, tmp_path):
    told, read = [], []
    found = copy_store(source, tmp_path / "copy", progress=told.append, verifying=read.append)
    assert (found.records, found.trashed) == (251, 50)
    assert (sum(told), sum(read)) == (301, 602)
    assert content(tmp_path / "copy") == content(source)
    with FingerprintStore.open(source) as one, FingerprintStore.open(tmp_path / "copy") as other:
        assert list(one.infos()) == list(other.infos())
        assert one.trash() == other.trash()
        assert one.statistics().codebooks == other.statistics().codebooks
        assert one.search(memories.make(7), k=30) == other.search(memories.make(7), k=30)
        assert other.verify().records == 251
        assert other.restore(KINDS[2](13)) is True


def test_a_digest_is_of_all_that_there_is(source, memories, tmp_path):
    keeper, _ = open_keeper(source, None, read_only=True, create=False)
    keeper.add_embedders(map(int, memories.profile))
    found = {tally(keeper).digest}
    keeper.close()
    for change in (
        lambda store: store.delete(6),
        lambda store: store.purge(),
        lambda store: store.update("2", {}, metadata={"n": 2}),
        lambda store: store.update("2", {"E2": None}),
        lambda store: store.use_codebooks(memories.codebooks),
    ):
        with FingerprintStore.open(source) as store:
            change(store)
        found.add(copy_store(source, tmp_path / str(len(found))).digest)
    assert len(found) == 6


def test_a_copy_that_is_killed_goes_on(memories, tmp_path):
    source, target = tmp_path / "source", tmp_path / "copy"
    fill(source, memories)
    command = [sys.executable, "-c", COPIER, str(source), str(target)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        before = sum(int(process.stdout.readline()) for _ in range(5))
        process.kill()
    assert process.returncode == -signal.SIGKILL
    with pytest.raises(StoreUnavailable, match=r"unfinished copy of .*cgcython store copy"):
        FingerprintStore.open(target)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout.splitlines()[0]) >= before - 8
    assert content(target) == content(source)


def interrupt(source, target, monkeypatch, after=3):
    monkeypatch.setattr(copying, "BATCH", 16)
    told = []

    def stop(count):
        told.append(count)
        if len(told) == after:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(copying, "SAVED_EVERY", 0)
        with pytest.raises(KeyboardInterrupt):
            copy_store(source, target, progress=stop)


@pytest.mark.parametrize("is_known", [True, False])
def test_what_changes_between_two_runs_is_copied_too(
    source, memories, tmp_path, monkeypatch, is_known
):
    interrupt(source, tmp_path / "copy", monkeypatch)
    with FingerprintStore.open(source) as store:
        first = list(store)[:20]
        store.delete_many(first[:5])
        store.delete_many(first[5:10], soft=True)
        store.store_many((one, memories.make(1, ["E2"])) for one in first[10:15])
        store.purge()
        store.delete(first[15], soft=True)
        store.reencode("E1", memories.codebooks[0])
        store.drop_codebooks()
        if not is_known:
            store.journal.forget() if hasattr(
                store.journal, "forget"
            ) else store._keeper.forget_changes()
    copy_store(source, tmp_path / "copy")
    assert content(tmp_path / "copy") == content(source)


def test_what_is_written_meanwhile_is_copied_too(source, memories, tmp_path, monkeypatch):
    """As of a keeper that others write and that has no moments."""
    keeper, profile = open_keeper(source, None, read_only=False, create=False)
    keeper.add_embedders([*map(int, profile.storable)])
    scan, writes = keeper.scan_records, iter([True])

    def scan_and_write(stripe=None):
        rows = list(scan(stripe))
        if next(writes, False):
            keeper.purge([key for key, _ in keeper.scan_gone()][:9])
            keeper.write([Change(key, None, {}, one.head, one.sections) for key, one in rows[:7]])
        return iter(rows)

    monkeypatch.setattr(keeper, "scan_records", scan_and_write)
    found = copying.copy_records(keeper, profile, tmp_path / "copy")
    keeper.close()
    assert (found.records, found.trashed) == (244, 41)
    assert content(tmp_path / "copy") == content(source)


def test_a_place_that_has_a_store_is_left_alone(source, memories, tmp_path):
    fill(tmp_path / "other", memories, 6)
    before = content(tmp_path / "other")
    for target in (tmp_path / "other", source):
        with pytest.raises(StoreUnavailable, match=r"already|has it open"):
            copy_store(source, target)
    assert content(tmp_path / "other") == before
    with pytest.raises(StoreUnavailable, match="no store"):
        copy_store(tmp_path / "none", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_copy_goes_on_from_its_own_source_alone(source, memories, tmp_path, monkeypatch):
    interrupt(source, tmp_path / "copy", monkeypatch)
    fill(tmp_path / "other", memories, 6)
    with pytest.raises(StoreUnavailable, match="unfinished copy of"):
        copy_store(tmp_path / "other", tmp_path / "copy")
    with pytest.raises(StoreUnavailable, match="unfinished copy of"):
        copy_store(tmp_path / "copy", tmp_path / "third")
    copy_store(source, tmp_path / "copy")
    assert content(tmp_path / "copy") == content(source)


def test_damaged_records_are_named_and_stop_a_copy(source, memories, tmp_path):
    with FingerprintStore.open(source) as store:
        key = KINDS[2](3).bytes
        store._keeper.files.write(deletes=[("sections", b"\x08" + key)])
    with pytest.raises(StorageCorruption, match="same again") as caught:
        copy_store(source, tmp_path / "copy")
    assert caught.value.ids == (KINDS[2](3),)
    with FingerprintStore.open(source) as store:
        store.delete(KINDS[2](3))
    assert copy_store(source, tmp_path / "copy").records == 250


def test_what_cannot_be_told_is_refused(source, tmp_path):
    with pytest.raises(InvalidInput, match="progress: expected a function"):
        copy_store(source, tmp_path / "copy", progress=5)
    assert not (tmp_path / "copy").exists()
