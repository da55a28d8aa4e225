"""What was acknowledged is noted: a file that was cut off is told from an interrupted write."""

import os
import shutil

import pytest

from cgcython.errors import StorageCorruption, UnsupportedVersion
from cgcython.store.keepers.rocksdb import Database, acknowledged, recovery
from cgcython.store.keepers.rocksdb.creation import create


def write_some(path, sync=False):
    """Write ten keys and return the open database."""
    create(path, {b"format": b"test"})
    files = Database(path, sync=sync)
    for number in range(10):
        files.write([("records", b"key %d" % number, b"value")])
    return files


@pytest.fixture
def stopped(tmp_path):
    """Return a database as the end of its process leaves it."""

    def stop(sync=False):
        files = write_some(tmp_path / "live", sync)
        path = shutil.copytree(tmp_path / "live", tmp_path / "stopped")
        files.close()
        return path

    return stop


def cut_log(path):
    (log,) = [one for one in path.glob("*.log") if one.stat().st_size]
    os.truncate(log, log.stat().st_size // 2)


def restart_machine(monkeypatch, tmp_path):
    (tmp_path / "boot_id").write_text("00000000-0000-0000-0000-000000000001")
    monkeypatch.setattr(acknowledged, "_BOOT_ID", tmp_path / "boot_id")


def test_it_notes_the_last_sequence_number(tmp_path):
    files = write_some(tmp_path / "db")
    assert acknowledged.read_reach(tmp_path / "db").sequence == 11
    files.close()
    reach = acknowledged.read_reach(tmp_path / "db")
    assert (reach.sequence, reach.flags) == (11, acknowledged.CLOSED)


def test_after_a_kill_everything_noted_must_be_there(stopped):
    path = stopped()
    cut_log(path)
    with pytest.raises(StorageCorruption, match="the last 5 acknowledged changes"):
        Database(path)


def test_after_the_machine_stopped_missing_writes_are_told(stopped, monkeypatch, tmp_path, caplog):
    path = stopped()
    cut_log(path)
    restart_machine(monkeypatch, tmp_path)
    Database(path).close()
    assert "the machine stopped" in caplog.text
    caplog.clear()
    Database(path).close()
    assert not caplog.text


def test_writes_that_waited_for_the_disk_survive_the_machine(stopped, monkeypatch, tmp_path):
    path = stopped(sync=True)
    cut_log(path)
    restart_machine(monkeypatch, tmp_path)
    with pytest.raises(StorageCorruption, match="acknowledged"):
        Database(path)


def test_a_catalogue_that_was_cut_off_is_damage_and_no_table_is_dropped(tmp_path):
    path = tmp_path / "db"
    write_some(path).close()
    tables = sorted(path.glob("*.sst"))
    (catalogue,) = path.glob("MANIFEST-*")
    for length in range(0, catalogue.stat().st_size, 40):
        copy = shutil.copytree(path, tmp_path / "copy", dirs_exist_ok=True)
        os.truncate(copy / catalogue.name, length)
        with pytest.raises(StorageCorruption, match="catalogue"):
            Database(copy)
        assert sorted(one.name for one in copy.glob("*.sst")) == [one.name for one in tables]


def test_a_backup_notes_how_far_it_reaches(tmp_path):
    files = write_some(tmp_path / "db")
    files.backup(tmp_path / "copy")
    files.close()
    assert acknowledged.read_reach(tmp_path / "copy").sequence == 11
    Database(tmp_path / "copy").close()


@pytest.mark.parametrize("at", range(acknowledged._BYTES))
def test_a_damaged_note_is_told_and_believed_nothing(tmp_path, caplog, at):
    note = acknowledged.Acknowledged(tmp_path, 7, sync=False)
    note.close(7)
    data = bytearray((tmp_path / acknowledged.NAME).read_bytes())
    data[at] ^= 1 << at % 8
    (tmp_path / acknowledged.NAME).write_bytes(data)
    assert acknowledged.read_reach(tmp_path) is None
    assert "is damaged" in caplog.text


def test_a_note_of_a_later_version_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(acknowledged, "VERSION", 2)
    acknowledged.Acknowledged(tmp_path, 7, sync=False).close(7)
    monkeypatch.undo()
    with pytest.raises(UnsupportedVersion, match="it has version 2, this release reads 1"):
        acknowledged.read_reach(tmp_path)


def test_a_catalogue_with_bytes_put_in_is_damage_before_rocksdb_reads_it(tmp_path, part):
    write_some(tmp_path / "db").close()
    (catalogue,) = (tmp_path / "db").glob("MANIFEST-*")
    sound = catalogue.read_bytes()
    for at in part(range(len(sound)), 4):
        catalogue.write_bytes(sound[:at] + b"\r" + sound[at:])
        with pytest.raises(StorageCorruption, match="catalogue"):
            recovery.reach_of(tmp_path / "db")
