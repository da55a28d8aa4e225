"""A new store is made where the user says, whole or not at all, and by one of many."""

import os
import stat
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest

from cgcython.errors import StoreUnavailable
from cgcython.store import RecordStore, repair
from cgcython.store.keepers.rocksdb import creation, ownership

sys.path.insert(0, str(Path(__file__).parents[2] / "asv_bench"))
fault_disks = pytest.importorskip("fault_disks")

ONE = UUID(int=1)


def works(path, memories):
    """Make a store at a path, and read it again."""
    with RecordStore.open(path, memories.codebooks, memories.profile) as store:
        store.store(ONE, memories.make(1))
    with RecordStore.open(path, read_only=True) as store:
        return store.verify().records == 1


def test_an_empty_folder_is_used_as_it_is(memories, tmp_path, monkeypatch):
    (tmp_path / "s").mkdir()
    os.symlink(tmp_path / "s", tmp_path / "link")
    before = (tmp_path / "s").stat().st_ino
    monkeypatch.chdir(tmp_path / "s")
    assert works(tmp_path / "link", memories)
    assert works(".", memories)
    assert (tmp_path / "s").stat().st_ino == before
    assert Path("CURRENT").exists()


def test_a_link_to_nowhere_says_where_the_folder_is_made(memories, tmp_path):
    os.symlink(tmp_path / "later" / "s", tmp_path / "link")
    assert works(tmp_path / "link", memories)
    assert (tmp_path / "later" / "s" / "CURRENT").exists()


def test_a_mount_point_is_a_folder_too(memories, tmp_path):
    try:
        with fault_disks.small_disk(tmp_path) as disk:
            (disk / "lost+found").mkdir(exist_ok=True)
            assert works(disk, memories)
    except fault_disks.NotMounted as error:
        pytest.skip(f"nothing can be mounted here: {error}")


@pytest.mark.parametrize("given", [True, False])
def test_a_failed_first_run_leaves_nothing(memories, tmp_path, monkeypatch, given):
    path = tmp_path / "above" / "s"
    if given:
        path.mkdir(parents=True)

    def fail(folder, _):
        (folder / "MANIFEST-000001").touch()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(creation, "_make", fail)
        with pytest.raises(KeyboardInterrupt):
            RecordStore.open(path, profile=memories.profile)
    left = list(tmp_path.rglob("*"))
    assert left == ([tmp_path / "above", path] if given else [])
    assert works(path, memories)


@pytest.mark.parametrize("given", [True, False])
def test_ctrl_c_once_the_folder_is_locked_leaves_nothing(memories, tmp_path, monkeypatch, given):
    path, take = tmp_path / "s", ownership.Ownership._take
    if given:
        path.mkdir()

    def interrupted(self, folder):
        monkeypatch.setattr(ownership.Ownership, "_take", take)
        take(self, folder)
        raise KeyboardInterrupt

    monkeypatch.setattr(ownership.Ownership, "_take", interrupted)
    with pytest.raises(KeyboardInterrupt):
        RecordStore.open(path, profile=memories.profile)
    assert list(tmp_path.rglob("*")) == ([path] if given else [])
    assert works(path, memories)


def test_a_maker_that_was_killed_leaves_a_folder_to_begin_anew_in(memories, tmp_path):
    made = RecordStore.open(tmp_path / "s", memories.codebooks, memories.profile)
    made.close()
    (tmp_path / "s" / "UNFINISHED").touch()
    for name in ("CURRENT", "ACKNOWLEDGED"):
        (tmp_path / "s" / name).unlink()
    with pytest.raises(StoreUnavailable, match="there is no store"):
        RecordStore.open(tmp_path / "s", read_only=True)
    assert works(tmp_path / "s", memories)
    assert not (tmp_path / "s" / "UNFINISHED").exists()


def test_other_things_in_the_folder_of_a_killed_maker_are_left_alone(memories, tmp_path):
    (tmp_path / "s").mkdir()
    for name in ("UNFINISHED", "letter.txt"):
        (tmp_path / "s" / name).touch()
    with pytest.raises(StoreUnavailable, match="neither a store nor an empty folder"):
        RecordStore.open(tmp_path / "s", profile=memories.profile)
    assert (tmp_path / "s" / "letter.txt").exists()


MAKER = """
import sys
from cgcython.errors import StoreUnavailable
from cgcython.store import RecordStore
print("ready", flush=True)
sys.stdin.readline()
try:
    with RecordStore.open(sys.argv[1]) as store:
        print("opened", len(store))
except StoreUnavailable as error:
    print("refused", error.reason)
"""


def test_of_many_makers_one_makes_it(tmp_path):
    command = [sys.executable, "-W", "ignore", "-c", MAKER, str(tmp_path / "s")]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    makers = [subprocess.Popen(command, text=True, **pipes) for _ in range(4)]
    assert all(one.stdout.readline() == "ready\n" for one in makers)
    for one in makers:
        one.stdin.write("\n")
        one.stdin.flush()
    said = [one.communicate() for one in makers]
    assert all(not errors for _, errors in said), said
    assert any(out == "opened 0\n" for out, _ in said)
    assert all(out == "opened 0\n" or "has it open" in out for out, _ in said)
    assert [one.name for one in tmp_path.iterdir()] == ["s"]


def modes(path):
    """Return the modes of a folder and of its files, but those that another folder shares."""
    files = [one for one in path.rglob("*") if one.is_file() and one.stat().st_nlink == 1]
    return {stat.S_IMODE(path.stat().st_mode)}, {stat.S_IMODE(one.stat().st_mode) for one in files}


def test_a_private_store_stays_private(memories, tmp_path):
    before = os.umask(0o077)
    try:
        assert works(tmp_path / "s", memories)
        assert modes(tmp_path / "s") == ({0o700}, {0o600})
        os.umask(0o022)
        with RecordStore.open(tmp_path / "s") as store:
            store.backup(tmp_path / "copy")
        assert modes(tmp_path / "copy") == ({0o700}, {0o600})
        for table in (tmp_path / "copy").glob("MANIFEST-*"):
            table.write_bytes(b"")
        repair(tmp_path / "copy")
        assert modes(tmp_path / "copy") == ({0o700}, {0o600})
    finally:
        os.umask(before)


def test_a_folder_name_that_is_not_utf8_is_refused(tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    with pytest.raises(StoreUnavailable, match=r"caf\\xe9: its name is not UTF-8") as caught:
        RecordStore.open(path)
    str(caught.value).encode()
    assert list(tmp_path.iterdir()) == []
