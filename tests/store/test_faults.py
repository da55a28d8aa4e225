"""What killing, tearing and flipping do to a store: nothing acknowledged is lost in silence."""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import pytest

from cgcython.base import ModelId
from cgcython.errors import CodebookMissing, StorageCorruption, StoreUnavailable
from cgcython.store import RecordStore
from cgcython.store.keepers.rocksdb import Database, acknowledged
from cgcython.store.keepers.rocksdb.layout import COPIES

COUNT = 120
# Opening a database waits for the disk several times: in memory, hundreds of openings take seconds.
MEMORY = next((one for one in [Path("/dev/shm")] if os.access(one, os.W_OK)), None)
WRITER = """
import runpy, sys
from uuid import UUID
from cgcython.store import RecordStore
made = runpy.run_path(sys.argv[1])["make_memories"]()
with RecordStore.open(sys.argv[2], made.codebooks, made.profile) as store:
    for number in range(int(sys.argv[3]), 1_000_000):
        batch = range(number * 40, number * 40 + 40)
        store.store_many((UUID(int=i + 1), made.make(i % 50)) for i in batch)
        print(number, flush=True)
"""
HERE = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def folder():
    with tempfile.TemporaryDirectory(dir=MEMORY) as path:
        yield Path(path)


@pytest.fixture
def tmp_path():
    with tempfile.TemporaryDirectory(dir=MEMORY) as path:
        yield Path(path)


@pytest.fixture(scope="module")
def flushed(memories, folder):
    """Return a store whose records lie in table files."""
    path = folder / "flushed"
    with RecordStore.open(path, memories.codebooks, memories.profile) as store:
        store.store_many((UUID(int=i + 1), memories.make(i, tokens=200)) for i in range(COUNT))
        store._keeper.files.flush()
    return path


@pytest.fixture(scope="module")
def killed(memories, folder):
    """Return a store whose records lie in the log, as a killed process leaves it."""
    path = folder / "killed"
    with RecordStore.open(path, memories.codebooks, memories.profile) as store:
        for i in range(COUNT):
            # The kill came before the last write was acknowledged.
            noted = (path / acknowledged.NAME).read_bytes()
            store.store(UUID(int=i + 1), memories.make(i))
        shutil.copytree(path, path.with_name("copy"))
    (path.with_name("copy") / acknowledged.NAME).write_bytes(noted)
    return path.with_name("copy")


@pytest.fixture
def copy(tmp_path):
    return lambda path: Path(shutil.copytree(path, tmp_path / "store"))


def flip(path, at, bit=0):
    with open(path, "r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1 << bit]))


def stored_or_error(store, one):
    try:
        return store.quantized(one)
    except StorageCorruption as error:
        return error


def log_of(path):
    return max(path.glob("*.log"), key=lambda one: one.stat().st_size)


def largest_table(path):
    return max(path.glob("*.sst"), key=lambda one: one.stat().st_size)


def start_writer(path, number):
    command = [sys.executable, "-c", WRITER, str(HERE / "memories.py"), str(path), str(number)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_kills_lose_nothing_acknowledged(memories, tmp_path):
    rng, path, acknowledged = random.Random(6), tmp_path / "s", -1
    for _ in range(4):
        writer = start_writer(path, acknowledged + 1)
        acknowledged = int(writer.stdout.readline())
        time.sleep(rng.uniform(0, 0.3))
        os.kill(writer.pid, signal.SIGKILL)
        acknowledged = max([acknowledged, *map(int, writer.communicate()[0].split())])
        with RecordStore.open(path) as store:
            report = store.verify()
            assert report.records in (40 * (acknowledged + 1), 40 * (acknowledged + 2))
            last = 40 * (acknowledged + 1)
            expected = memories.make((last - 1) % 50).encode(memories.router)
            assert store.quantized(UUID(int=last)) == expected


def test_a_flipped_byte_in_the_log_is_never_served_in_silence(killed, copy):
    path, rng = copy(killed), random.Random(1)
    log = log_of(path)
    sound = log.read_bytes()
    for _ in range(60):
        log.write_bytes(sound)
        flip(log, rng.randrange(len(sound)), rng.randrange(8))
        with pytest.raises(StorageCorruption, match="store"):
            RecordStore.open(path)


def test_a_flipped_length_in_the_last_write_is_found(killed, copy):
    path = copy(killed)
    log = log_of(path)
    sound = log.read_bytes()
    for at in range(len(sound) - 600, len(sound), 11):
        log.write_bytes(sound)
        flip(log, at, at % 8)
        with pytest.raises(StorageCorruption):
            RecordStore.open(path)


def test_an_unfinished_last_write_is_dropped_and_told(killed, copy, caplog):
    path, rng = copy(killed), random.Random(2)
    log = log_of(path)
    sound = log.read_bytes()
    for _ in range(5):
        shutil.rmtree(path)
        shutil.copytree(killed, path)
        log.write_bytes(sound[: len(sound) - rng.randrange(1, 300)])
        caplog.clear()
        with RecordStore.open(path) as store:
            assert store.verify().records == COUNT - 1
        assert "unfinished write" in caplog.text


@pytest.mark.parametrize("kept", [0, 0.3, 0.9, None])
def test_a_log_without_its_end_is_no_interrupted_write(killed, copy, kept):
    path = copy(killed)
    log = log_of(path)
    if kept is None:
        log.unlink()
    else:
        os.truncate(log, int(log.stat().st_size * kept))
    for _ in range(2):  # it stays damage, however often it is opened
        with pytest.raises(StorageCorruption, match="acknowledged changes of keys are missing"):
            RecordStore.open(path)


@pytest.fixture
def several_logs(memories, tmp_path):
    """Return a store whose last writes lie in several logs, as a killed process leaves it."""
    path = tmp_path / "live"
    with RecordStore.open(path, memories.codebooks, memories.profile) as store:
        for i in range(30):
            store.store(UUID(int=i + 1), memories.make(i))
            if i % 10 == 9:
                store._keeper.files._families["records"].flush()  # alone: it begins another log
        store.store(UUID(int=31), memories.make(30))
        return Path(shutil.copytree(path, tmp_path / "store"))


@pytest.mark.parametrize("which", range(4))
@pytest.mark.parametrize("damage", ["removed", "cut off", "its end is zeros", "a page is zeros"])
def test_no_log_of_several_is_missed(several_logs, which, damage):
    log = sorted(several_logs.glob("*.log"))[which]
    sound = log.read_bytes()
    cut = len(sound) * 2 // 3
    if damage == "removed":
        log.unlink()
    else:
        zeros = {"cut off": 0, "a page is zeros": 40}.get(damage, len(sound) - cut)
        rest = sound[cut + zeros :] if damage == "a page is zeros" else b""
        log.write_bytes(sound[:cut] + bytes(zeros) + rest)
    with pytest.raises(StorageCorruption):
        RecordStore.open(several_logs)


def test_logs_that_are_not_needed_may_be_gone(several_logs, memories):
    # A kill while RocksDB removes old logs may leave an older one than the first that is needed.
    (first, *_) = sorted(several_logs.glob("*.log"))
    stale = bytearray(first.read_bytes())
    stale[7] -= 3  # the sequence number of its first batch
    (several_logs / "000002.log").write_bytes(stale)
    with RecordStore.open(several_logs) as store:
        assert store.verify().records == 31


def test_a_flipped_byte_in_a_table_is_named_and_the_rest_stays_readable(
    flushed, copy, memories, tmp_path
):
    path = copy(flushed)
    table = largest_table(path)
    flip(table, table.stat().st_size // 2)
    with RecordStore.open(path) as store:
        with pytest.raises(StorageCorruption) as caught:
            store.verify()
        damaged = set(caught.value.ids)
        assert 1 <= len(damaged) < COUNT // 2
        for one in store:
            expected = memories.make(one.int - 1, tokens=200).encode(memories.router)
            if one in damaged:
                with pytest.raises(StorageCorruption, match=str(one)) as error:
                    store.quantized(one)
                assert error.value.ids == (one,)
            else:
                assert store.quantized(one) == expected


def test_a_flipped_byte_anywhere_in_the_tables_is_never_a_wrong_answer(flushed, copy, memories):
    rng = random.Random(3)
    for _ in range(25):
        path = copy(flushed)
        table = rng.choice(sorted(path.glob("*.sst")))
        flip(table, rng.randrange(table.stat().st_size), rng.randrange(8))
        with suppress(StorageCorruption), RecordStore.open(path) as store:
            for one in [UUID(int=i) for i in range(1, COUNT + 1, 13)]:
                found = stored_or_error(store, one)
                if isinstance(found, StorageCorruption):
                    assert found.ids == (one,)
                else:
                    assert found == memories.make(one.int - 1, tokens=200).encode(memories.router)
        shutil.rmtree(path)


@pytest.mark.parametrize("kept", [0, 10, 0.5, -1])
def test_a_torn_table_is_damage(flushed, copy, kept):
    path = copy(flushed)
    table = largest_table(path)
    size = table.stat().st_size
    os.truncate(table, int(size * kept) if 0 < kept < 1 else kept % size)
    with pytest.raises(StorageCorruption), RecordStore.open(path) as store:
        store.verify()


@pytest.mark.parametrize("pattern", ["*.sst", "MANIFEST-*", "CURRENT"])
def test_a_file_that_is_gone_is_damage_and_no_new_store(flushed, copy, pattern):
    path = copy(flushed)
    max(path.glob(pattern), key=lambda one: one.stat().st_size).unlink()
    with pytest.raises(StorageCorruption):
        RecordStore.open(path)


@pytest.mark.parametrize("name", ["MANIFEST-*", "CURRENT"])
def test_a_flipped_byte_in_the_catalogue_is_damage(flushed, copy, name):
    path = copy(flushed)
    (found,) = path.glob(name)
    flip(found, found.stat().st_size // 2)
    with pytest.raises(StorageCorruption):
        RecordStore.open(path)


def damaged_section(store, one, model_id, change):
    key = bytes([model_id]) + one.bytes
    section = bytearray(store._keeper.files.get("sections", key))
    change(section)
    store._keeper.files.write([("sections", key, bytes(section))])


def test_a_section_that_changed_behind_the_database_is_named(flushed, copy):
    bad, other = UUID(int=5), UUID(int=6)
    with RecordStore.open(copy(flushed)) as store:
        damaged_section(store, bad, ModelId.HDC, lambda section: section.__setitem__(15, 255))
        with pytest.raises(StorageCorruption, match=str(bad)):
            store.retrieve(bad)
        assert store.quantized(bad, "E2") is not None
        assert store.retrieve(other) is not None
        with pytest.raises(StorageCorruption, match="E9 is damaged") as caught:
            store.verify()
        assert caught.value.ids == (bad,)


def test_missing_orphaned_and_foreign_sections_are_named(flushed, copy):
    missing, foreign, orphan = UUID(int=7), UUID(int=8), UUID(int=9999)
    with RecordStore.open(copy(flushed)) as store:
        e9 = bytes([ModelId.HDC])
        sound = store._keeper.files.get("sections", e9 + UUID(int=1).bytes)
        puts = [("sections", e9 + one.bytes, sound) for one in (foreign, orphan)]
        store._keeper.files.write(puts, [("sections", e9 + missing.bytes)])
        problems = store.check().problems
    assert problems[missing] == ["E9 is missing"]
    assert "another record" in problems[foreign][0]
    assert problems[orphan] == ["E9 is of no record"]
    assert len(problems) == 3


def test_ids_behind_a_damaged_block_of_manifests_are_found(flushed, copy):
    path = copy(flushed)
    (table,) = [one for one in path.glob("*.sst") if b"CGFP" in one.read_bytes()]
    flip(table, table.read_bytes().index(b"CGFP") + 20)
    with RecordStore.open(path) as store:
        report = store.check()
    named = [one for one, reasons in report.problems.items() if "manifest is damaged" in reasons[0]]
    assert report.records == COUNT
    assert named == [UUID(int=i + 1) for i in range(COUNT)]  # they fit into one block


def test_a_stretch_after_a_damaged_one_is_scanned_again(flushed, copy, monkeypatch):
    monkeypatch.setattr("cgcython.store.verify.STRETCH", 7)
    monkeypatch.setattr("cgcython.store.keepers.rocksdb.around_damage.ASKED", 7)
    path = copy(flushed)
    table = largest_table(path)
    flip(table, table.stat().st_size // 2)
    with RecordStore.open(path) as store:
        damaged = {one for one in store if isinstance(stored_or_error(store, one), Exception)}
        report = store.check()
    assert set(report.problems) == damaged
    assert report.records == COUNT


def test_a_damaged_manifest_is_named(flushed, copy):
    bad = UUID(int=3)
    with RecordStore.open(copy(flushed)) as store:
        store._keeper.files.write([("records", bad.bytes, b"CGFP\x01garbage")])
        with pytest.raises(StorageCorruption, match=str(bad)):
            store.retrieve(bad)
        assert list(store.check().problems) == [bad]
        store.delete(bad)
        assert store.verify().records == COUNT - 1


def test_codes_whose_codebook_is_gone_are_named(flushed, copy):
    path = copy(flushed)
    files = Database(path)
    keys = [key for key, _ in files.scan("meta", b"codebook/")]
    files.write(deletes=[(family, key) for key in keys for family in ("meta", COPIES)])
    files.close()
    with RecordStore.open(path) as store:
        assert store.quantized(UUID(int=1)) is not None
        with pytest.raises(CodebookMissing, match="0x"):
            store.retrieve(UUID(int=1))
        with pytest.raises(StorageCorruption, match=r"the codebook 0x.* cannot be read") as caught:
            store.verify()
        assert len(caught.value.ids) == COUNT


def test_a_second_process_is_told_the_remedy(flushed, copy):
    path = copy(flushed)
    script = f"from cgcython.store import RecordStore; RecordStore.open({str(path)!r})"
    with RecordStore.open(path):
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "StoreUnavailable" in done.stderr
    assert "read_only=True" in done.stderr


@pytest.mark.parametrize("version", [b"cgcython store 4", b"cgcython store 0", b"other", b""])
def test_another_format_version_is_refused(flushed, copy, version):
    path = copy(flushed)
    files = Database(path)
    files.write([("meta", b"format", version)])
    files.close()
    with pytest.raises(StoreUnavailable, match="this release reads 1, 2 and 3"):
        RecordStore.open(path)


def test_another_database_is_left_alone(tmp_path):
    rocksdict = pytest.importorskip("rocksdict")
    rocksdict.Rdict(str(tmp_path / "db")).close()
    with pytest.raises(StoreUnavailable, match="not a store"):
        RecordStore.open(tmp_path / "db")
