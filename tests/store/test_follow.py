"""Other processes read beside the one that writes, and come up to date when they ask."""

import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest

from cgcython.errors import StoreUnavailable
from cgcython.search import FingerprintStore
from cgcython.store import RecordStore

ONE, TWO, THREE = (UUID(int=i) for i in (1, 2, 3))
WRITER = """
import runpy, sys
from uuid import UUID
from cgcython.store import RecordStore
made = runpy.run_path(sys.argv[1])["make_memories"]()
with RecordStore.open(sys.argv[2], made.codebooks, made.profile) as store:
    for line in sys.stdin:
        command, number = line.split()
        one = UUID(int=int(number))
        if command == "store":
            store.store(one, made.make(int(number)))
        elif command == "delete":
            store.delete(one)
        elif command == "reencode":
            store.reencode("E1", made.other_codebooks[0])
        elif command == "flush":
            store._keeper.files.flush()
            store.compact()
        print(command, flush=True)
"""
MEMORIES = Path(__file__).parents[1] / "memories.py"


@pytest.fixture
def writer(tmp_path):
    """Return a function that has another process write, and waits until it has."""
    command = [sys.executable, "-c", WRITER, str(MEMORIES), str(tmp_path / "s")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, **pipes)

    def write(command, one=ONE):
        process.stdin.write(f"{command} {one.int}\n")
        process.stdin.flush()
        assert process.stdout.readline() == f"{command}\n"

    yield write
    process.communicate()


def test_a_follower_sees_what_another_process_wrote_once_it_catches_up(writer, memories, tmp_path):
    writer("store", ONE)
    with FingerprintStore.open(tmp_path / "s", follow=True) as store:
        assert list(store) == [ONE]
        writer("store", TWO)
        writer("delete", ONE)
        assert list(store) == [ONE]
        with store.snapshot() as view:
            assert store.catch_up() == [ONE, TWO]
            assert list(store) == [TWO]
            assert list(view) == [ONE]
        assert store.quantized(TWO) == memories.make(2).encode(memories.router)
        assert store.catch_up() == []
        store.verify()


def test_searches_of_a_follower_follow(writer, memories, tmp_path):
    writer("store", ONE)
    with FingerprintStore.open(tmp_path / "s", follow=True) as store:
        assert [hit.id for hit in store.search(memories.make(2))] == [ONE]
        writer("store", TWO)
        store.catch_up()
        assert [hit.id for hit in store.search(memories.make(2))] == [TWO, ONE]
        writer("delete", TWO)
        writer("reencode")
        store.catch_up()
        assert [hit.id for hit in store.search(memories.make(2))] == [ONE]
        assert len(store.statistics().codebooks[0]) == 2


@pytest.mark.parametrize("change", ["delete", "reencode"])
def test_a_follower_sees_what_was_written_to_tables_before_it_caught_up(
    writer, memories, tmp_path, change
):
    writer("store", ONE)
    writer("store", TWO)
    with FingerprintStore.open(tmp_path / "s", follow=True) as store:
        rows = store.scan("E2")
        before = next(rows)
        assert store.catch_up() == []
        writer(change, ONE)
        writer("flush")
        assert store.catch_up() == ([ONE] if change == "delete" else [ONE, TWO])
        with FingerprintStore.open(tmp_path / "s", read_only=True) as now:
            assert list(store) == list(now)
            assert [store.quantized(one, "E1") for one in store] == [
                now.quantized(one, "E1") for one in now
            ]
        assert before[0] == ONE.bytes
        assert [key for key, _ in rows] == [TWO.bytes]


def test_a_follower_outlives_files_that_the_writer_compacted_away(writer, memories, tmp_path):
    for one in (ONE, TWO):
        writer("store", one)
        writer("flush")
    with RecordStore.open(tmp_path / "s", follow=True) as store:
        writer("store", THREE)
        writer("flush")
        assert list(store) == [ONE, TWO]
        assert store.retrieve(ONE) is not None
        assert store.catch_up() == [THREE]
        assert list(store) == [ONE, TWO, THREE]


def test_a_follower_writes_nothing(writer, memories, tmp_path):
    writer("store", ONE)
    with RecordStore.open(tmp_path / "s", follow=True) as store:
        with pytest.raises(StoreUnavailable, match="read_only"):
            store.delete(ONE)
        path = store._keeper.files._session._own.path
        assert path.is_dir()
    assert not path.exists()


def test_only_followers_catch_up(writer, memories, tmp_path):
    writer("store", ONE)
    with RecordStore.open(tmp_path / "s", read_only=True) as store:
        with pytest.raises(StoreUnavailable, match="follow=True"):
            store.catch_up()
        assert list(store) == [ONE]
