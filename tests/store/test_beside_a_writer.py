"""A store is never called damaged because another process, or another thread, writes to it."""

import sys
import threading
from pathlib import Path
from uuid import UUID

import pytest

from cgcython.store import RecordStore

sys.path.insert(0, str(Path(__file__).parents[2] / "asv_bench"))
beside_a_writer = pytest.importorskip("beside_a_writer")

OPENS = 20  # .ci/run readers makes 300


def test_opens_beside_a_writer_never_call_a_sound_store_damaged(tmp_path):
    assert beside_a_writer.run(tmp_path / "s", OPENS) == {"sound": OPENS}


def test_verify_and_statistics_tell_of_one_moment_while_threads_write(memories, tmp_path):
    stop = threading.Event()

    def write(store):
        while not stop.is_set():
            store.store_many((UUID(int=i + 1), memories.make(i)) for i in range(30))
            store.delete_many([UUID(int=i + 1) for i in range(0, 30, 3)])
            store.compact()

    with RecordStore.open(tmp_path / "s", memories.codebooks, memories.profile) as store:
        writer = threading.Thread(target=write, args=(store,))
        writer.start()
        try:
            for _ in range(30):
                assert store.check().problems == {}
                found = store.statistics(exact=True)
                assert found.records in (0, 20, 30)
        finally:
            stop.set()
            writer.join()
