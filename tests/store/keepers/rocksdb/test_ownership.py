"""One process, and within it one database, writes to a folder, however its path is spelled."""

import os
import shutil
import subprocess
import sys
from uuid import UUID

import pytest

from cgcython.errors import StoreUnavailable
from cgcython.store import RecordStore, repair

ONE, TWO = UUID(int=1), UUID(int=2)
OPEN = """
import sys
from cgcython.errors import StoreUnavailable
from cgcython.store import RecordStore
try:
    with RecordStore.open(sys.argv[1]) as store:
        print(len(store))
except StoreUnavailable as error:
    print(error.reason)
"""


@pytest.fixture
def store(tmp_path, memories):
    with RecordStore.open(tmp_path / "s", memories.codebooks, memories.profile) as store:
        store.store(ONE, memories.make(1))
        yield store


def elsewhere(path):
    """Return what another process says when it opens a store to write."""
    command = [sys.executable, "-W", "ignore", "-c", OPEN, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def spellings(path):
    link = path.with_name("link")
    os.symlink(path, link)
    return [path, link, path.parent / "s" / ".." / "s", os.path.relpath(path)]


def test_a_second_open_is_refused_by_whatever_path(store, tmp_path):
    for path in spellings(tmp_path / "s"):
        with pytest.raises(StoreUnavailable, match="this process already has it open"):
            RecordStore.open(path)
    assert elsewhere(tmp_path / "link").startswith("another process has it open")


def test_a_relative_path_stays_where_it_was(memories, tmp_path, monkeypatch):
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with RecordStore.open("s", memories.codebooks, memories.profile) as store:
        monkeypatch.chdir(tmp_path / "there")
        store.store(ONE, memories.make(1))
        store.compact()
        store.store(TWO, memories.make(2))
        assert store.path == tmp_path / "here" / "s"
    assert list((tmp_path / "there").iterdir()) == []
    with RecordStore.open(tmp_path / "here" / "s") as store:
        assert store.verify().records == 2


def test_copying_the_folder_keeps_the_lock_and_carries_none(store, tmp_path):
    copy = shutil.copytree(tmp_path / "s", tmp_path / "copy")
    assert elsewhere(tmp_path / "s").startswith("another process has it open")
    assert elsewhere(copy) == "1\n"


def test_a_repair_of_an_open_store_is_refused_and_keeps_the_lock(store, memories, tmp_path):
    with pytest.raises(StoreUnavailable, match="this process already has it open"):
        repair(tmp_path / "s", dry_run=True)
    assert elsewhere(tmp_path / "s").startswith("another process has it open")
    store.store(TWO, memories.make(2))
    store.close()
    assert elsewhere(tmp_path / "s") == "2\n"


def test_readers_take_no_lock(store, tmp_path):
    with RecordStore.open(tmp_path / "s", read_only=True) as one:
        assert len(one) == 1
    store.close()
    with RecordStore.open(tmp_path / "s", follow=True):
        assert elsewhere(tmp_path / "s") == "1\n"


def test_a_failed_open_gives_the_folder_back(store, memories, tmp_path):
    store.close()
    with pytest.raises(StoreUnavailable, match="another profile"):
        RecordStore.open(tmp_path / "s", profile="default")
    assert elsewhere(tmp_path / "s") == "1\n"


def test_a_folder_is_not_taken_for_one_that_was_deleted_open(memories, tmp_path):
    left = RecordStore.open(tmp_path / "s", memories.codebooks, memories.profile)
    shutil.rmtree(tmp_path / "s")
    for number in range(20):  # an inode that was free would be given to one of them
        RecordStore.open(tmp_path / str(number), memories.codebooks, memories.profile).close()
    left.close()


def test_a_store_of_an_earlier_release_has_no_lock_file_until_it_is_written_to(store, tmp_path):
    store.close()
    (tmp_path / "s" / "cgcython.lock").unlink()
    with RecordStore.open(tmp_path / "s", read_only=True) as reader:
        assert len(reader) == 1
    assert not (tmp_path / "s" / "cgcython.lock").exists()
    with RecordStore.open(tmp_path / "s"):
        assert elsewhere(tmp_path / "s").startswith("another process has it open")
