"""The file of an index is believed only as it was written; whatever it is, filters answer right."""

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from uuid import UUID

import pytest

from cgcython.errors import InvalidInput, StorageCorruption, StoreUnavailable
from cgcython.search import FingerprintStore
from cgcython.search.metadata import filling, index_file
from cgcython.search.metadata import index as index_module
from cgcython.store.reading import RecordReader

COUNT = 40
EVEN = {"even": True}


@pytest.fixture(scope="module")
def made(memories, tmp_path_factory):
    """Return a store that has an index in a file."""
    path = tmp_path_factory.mktemp("made") / "s"
    with FingerprintStore.open(path, memories.codebooks, memories.profile) as store:
        fill(store, memories, range(COUNT))
        assert len(list(store.ids(where=EVEN))) == COUNT // 2
    return path


@pytest.fixture
def path(made, tmp_path):
    return shutil.copytree(made, tmp_path / "s")


@pytest.fixture
def reads(monkeypatch):
    """Return the list of times that all metadata are read."""
    seen, read = [], RecordReader._metadata_texts

    def spy(reader, keys=None):
        if keys is None:
            seen.append(1)
        return read(reader, keys)

    monkeypatch.setattr(RecordReader, "_metadata_texts", spy)
    return seen


def fill(store, memories, numbers):
    store.store_many(
        (UUID(int=n + 1), memories.make(n, ["E9"]), {"n": n, "even": n % 2 == 0}) for n in numbers
    )


def found(path, where=EVEN, read_only=True):
    with FingerprintStore.open(path, read_only=read_only) as store:
        return [one.int - 1 for one in store.ids(where=where)]


def file_of(path):
    return path / "columns" / "metadata.sqlite"


def test_nothing_is_read_again(path, reads):
    assert found(path) == list(range(0, COUNT, 2))
    assert found(path, read_only=False) == list(range(0, COUNT, 2))
    assert reads == []


def test_what_was_written_since_is_applied(path, memories, reads):
    with FingerprintStore.open(path) as store:
        store.delete(UUID(int=1))
        store.store(UUID(int=2), memories.make(1, ["E9"]), metadata={"even": True})
        fill(store, memories, [100])
    assert found(path) == [1, *range(2, COUNT, 2), 100]
    assert reads == []


def test_a_file_behind_many_changes_is_written_anew_on_close(path, memories, reads, monkeypatch):
    monkeypatch.setattr(index_module, "FEW_CHANGES", 3)
    before = file_of(path).read_bytes()
    with FingerprintStore.open(path) as store:
        fill(store, memories, range(90, 100))
        store.delete(UUID(int=1))
        wanted = list(store.ids(where=EVEN))
    assert file_of(path).read_bytes() != before
    with FingerprintStore.open(path, read_only=True) as store:
        monkeypatch.setattr(store.journal, "changes_since", None)
        assert list(store.ids(where=EVEN)) == wanted
    assert reads == []


def damaged_copies(data):
    """Yield what may be in the place of a file."""
    yield from (
        b"",
        b"SQLite format 3\0",
        data[:100],
        data[: len(data) // 2],
        data[:-1],
        data + b"x",
    )
    yield os.urandom(len(data))
    for place in range(0, len(data), len(data) // 30):
        yield data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :]


def test_any_damage_is_noticed_and_mended(path, reads):
    data = file_of(path).read_bytes()
    for number, one in enumerate(damaged_copies(data), 1):
        file_of(path).write_bytes(one)
        assert found(path, {"n": {"$lt": 5}}) == list(range(5))
        assert len(reads) == number
    assert found(path, read_only=False) == list(range(0, COUNT, 2))
    reads.clear()
    assert found(path) == list(range(0, COUNT, 2))
    assert reads == []


def sealed(path, *statements):
    """Alter a file as someone does who knows its form."""
    database = sqlite3.connect(path, isolation_level=None)
    for one in statements:
        database.execute(*one) if isinstance(one, tuple) else database.execute(one)
    database.close()
    index_file._seal(path)


HOSTILE = {
    "another version": "UPDATE facts SET value = 99 WHERE name = 'version'",
    "another format": "UPDATE facts SET value = 'x' WHERE name = 'format'",
    "no position": "DELETE FROM facts WHERE name = 'position'",
    "a position that is text": "UPDATE facts SET value = 'abc' WHERE name = 'position'",
    "no rows": "UPDATE facts SET value = -1 WHERE name = 'rows'",
    "fewer rows": "UPDATE facts SET value = 3 WHERE name = 'rows'",
    "too many rows": "UPDATE facts SET value = 1 << 60 WHERE name = 'rows'",
    "keys of no width": "UPDATE keys SET width = 0",
    "keys of another width": "UPDATE keys SET width = 7",
    "keys of a great width": "UPDATE keys SET width = 1 << 40",
    "keys that do not ascend": "UPDATE keys SET keys = zeroblob(length(keys))",
    "no keys": "UPDATE keys SET keys = NULL",
    "text for keys": "UPDATE keys SET keys = 'text'",
    "rows that are text": "UPDATE postings SET rows = 'text'",
    "rows that are numbers": "UPDATE postings SET rows = 5",
    "rows cut off": "UPDATE postings SET rows = x'0000'",
    "rows beyond all": "UPDATE postings SET rows = x'ffffffff'",
    "another table": "CREATE TABLE more (x)",
    "a view in place": "ALTER TABLE keys RENAME TO others",
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON facts BEGIN SELECT 1; END",
}


@pytest.mark.parametrize("statement", HOSTILE.values(), ids=HOSTILE)
def test_hostile_content_is_made_anew(path, statement, reads):
    sealed(file_of(path), statement)
    assert found(path) == list(range(0, COUNT, 2))
    assert len(reads) == 1


def test_a_file_that_is_cut_while_it_is_open_is_made_anew(path, reads):
    with FingerprintStore.open(path, read_only=True) as store:
        assert len(list(store.ids(where=EVEN))) == COUNT // 2
        os.truncate(file_of(path), 4096)
        assert len(list(store.ids(where={"even": False}))) == COUNT // 2
    assert len(reads) == 1


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink("/dev/zero", path)])
def test_what_is_no_file_is_no_obstacle(path, make, caplog):
    file_of(path).unlink()
    make(file_of(path))
    assert found(path) == found(path, read_only=False) == list(range(0, COUNT, 2))
    assert "the index of metadata was not saved" in caplog.text


def test_the_file_of_another_store_is_ignored(path, memories, tmp_path, reads):
    with FingerprintStore.open(tmp_path / "t", memories.codebooks, memories.profile) as store:
        fill(store, memories, range(4))
    (tmp_path / "t" / "columns").mkdir()
    shutil.copy(file_of(path), file_of(tmp_path / "t"))
    assert found(tmp_path / "t") == [0, 2]
    assert len(reads) == 1


def test_copies_that_were_written_apart_do_not_share_files(path, memories, tmp_path):
    other = shutil.copytree(path, tmp_path / "other")
    with FingerprintStore.open(other) as store:
        store.store(UUID(int=1), memories.make(0, ["E9"]), metadata={})
        list(store.ids(where=EVEN))
        store._metadata_index()._save(store._index._base)
    with FingerprintStore.open(path) as store:
        store.delete(UUID(int=7))
    shutil.copy(file_of(other), file_of(path))
    assert found(path) == [n for n in range(0, COUNT, 2) if n != 6]


def test_a_store_that_cannot_be_written_to_has_an_index_all_the_same(path):
    shutil.rmtree(path / "columns")
    assert found(path) == list(range(0, COUNT, 2))
    assert not (path / "columns").exists()


def test_a_follower_sees_what_the_writer_wrote(path, memories):
    with FingerprintStore.open(path) as writer, FingerprintStore.open(path, follow=True) as reader:
        assert len(list(reader.ids(where=EVEN))) == COUNT // 2
        fill(writer, memories, [50, 52])
        assert len(list(writer.ids(where=EVEN))) == COUNT // 2 + 2
        assert len(list(reader.ids(where=EVEN))) == COUNT // 2
        reader.catch_up()
        assert len(list(reader.ids(where=EVEN))) == COUNT // 2 + 2


def test_the_umask_is_kept_and_nothing_else_is_left(path, tmp_path):
    shutil.rmtree(path / "columns")
    before = os.umask(0o077)
    try:
        found(path, read_only=False)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file_of(path).stat().st_mode) == 0o600
    assert os.listdir(path / "columns") == ["metadata.sqlite"]


def test_an_interruption_leaves_nothing(path, monkeypatch):
    shutil.rmtree(path / "columns")

    def interrupted(*_):
        raise KeyboardInterrupt

    with FingerprintStore.open(path) as store:
        with monkeypatch.context() as patched:
            patched.setattr(filling, "entries_of_text", interrupted)
            with pytest.raises(KeyboardInterrupt):
                store.ids(where=EVEN)
        assert not (path / "columns").exists()
        assert len(list(store.ids(where=EVEN))) == COUNT // 2


def test_a_full_disk_is_told_and_the_answer_comes(path, monkeypatch, caplog):
    shutil.rmtree(path / "columns")

    def full(*_):
        raise sqlite3.OperationalError("database or disk is full")

    with FingerprintStore.open(path) as store:
        monkeypatch.setattr(index_file, "finish", full)
        assert len(list(store.ids(where=EVEN))) == COUNT // 2
    assert "database or disk is full" in caplog.text
    assert not (path / "columns").exists()


def test_no_room_anywhere_is_an_error_of_this_package(path, monkeypatch):
    def full(*_):
        raise sqlite3.OperationalError("database or disk is full")

    file_of(path).unlink()
    monkeypatch.setattr(index_module.Postings, "add", full)
    with pytest.raises(StoreUnavailable, match="its metadata cannot be indexed: database or disk"):
        found(path)


def test_damaged_metadata_are_named(path, monkeypatch):
    with FingerprintStore.open(path) as store:
        key = UUID(int=3).bytes
        damaged = bytearray(store._keeper.files.get("records", key))
        damaged[-1] ^= 1
        store._keeper.files.write([("records", key, bytes(damaged))])
    file_of(path).unlink()
    with pytest.raises(StorageCorruption, match="metadata of 1 records") as raised:
        found(path)
    assert raised.value.ids == (UUID(int=3),)


def test_compacting_leaves_nothing_of_what_was_deleted(path, memories):
    with FingerprintStore.open(path) as store:
        store.store(UUID(int=2), memories.make(1, ["E9"]), metadata={"name": "a secret"})
        file_of(path).unlink()
        list(store.ids(where=EVEN))
        store.compact()
        assert b"a secret" in file_of(path).read_bytes()
        store.delete(UUID(int=2))
        store.compact()
        assert b"a secret" not in file_of(path).read_bytes()
        assert list(store.ids(where={"name": {"$exists": True}})) == []


def test_compacting_makes_no_index_that_nobody_asked_for(path):
    file_of(path).unlink()
    with FingerprintStore.open(path) as store:
        store.compact()
    assert not file_of(path).exists()


def test_compacting_with_damaged_metadata_leaves_no_file(path):
    with FingerprintStore.open(path) as store:
        store.delete(UUID(int=1))
        value = bytearray(store._keeper.files.get("records", UUID(int=3).bytes))
        value[-1] ^= 1
        store._keeper.files.write([("records", UUID(int=3).bytes, bytes(value))])
        store.compact()
        assert not file_of(path).exists()
        with pytest.raises(StorageCorruption, match="metadata of 1 records"):
            store.ids(where=EVEN)


def test_a_python_without_sqlite_says_so(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cgcython.search.metadata.index", None)
    with pytest.raises(InvalidInput, match="where: expected a Python that has the module sqlite3"):
        found(path)


WRITER = """
import sys
from uuid import UUID
import numpy as np
from cgcython import FingerprintStore
from cgcython.search.metadata import index
index.FEW_CHANGES = 0
ones = np.ones(20, np.float32)
for turn in range(6):
    with FingerprintStore.open(sys.argv[1]) as store:
        for number in range(5):
            store.store(UUID(int=1000 + number), {"E9": ones}, metadata={"turn": turn})
        assert len(list(store.ids(where={"turn": turn}))) == 5
        store.compact()
"""


def test_a_reader_beside_a_process_that_writes_the_file_again_and_again(path):
    with subprocess.Popen([sys.executable, "-c", WRITER, path]) as writer:
        seen = []
        while writer.poll() is None:
            with FingerprintStore.open(path, read_only=True) as store:
                assert len(list(store.ids(where=EVEN))) == COUNT // 2
                turns = [
                    info.metadata["turn"] for _, info in store.infos(where={"turn": {"$gt": -1}})
                ]
                seen.append(min(turns, default=-1))
    assert writer.returncode == 0
    assert seen == sorted(seen)
