"""What a release wrote that gave rows UUIDs goes on with them; what is new has integers."""

import shutil
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from cgcython import ModelId, ShardWriter, StoreWriter, open_corpus
from cgcython.corpus import memory_ids
from cgcython.corpus.memory_ids import row_uuid
from cgcython.corpus.reading import ShardReader
from cgcython.store import RecordStore
from cgcython.store.keepers.rocksdb.format import FREE, PLAIN, read_version

GOLDEN = Path(__file__).parents[1] / "golden" / "v2" / "store"
ROWS = [UUID(bytes=row_uuid(row)) for row in range(3)]
X = np.random.default_rng(0).standard_normal((3, 20)).astype(np.float32)


@pytest.fixture
def old(tmp_path):
    shutil.copytree(GOLDEN, tmp_path / "store")
    return tmp_path / "store"


def resumed(path):
    """Write the corpus with `resume`, and return the writer and the ids that are new."""
    with RecordStore.open(path, read_only=True) as store:
        before, profile = set(store), store.profile
    dimension = profile[ModelId.HDC].dimension
    rows = np.resize(X, (3, dimension)).astype(np.float32)
    with StoreWriter(path, resume=True) as writer:
        writer.write_all(open_corpus({ModelId.HDC: rows}, profile))
    with RecordStore.open(path, read_only=True) as store:
        return writer, set(store) - before, read_version(store._keeper.files)


def test_a_store_whose_rows_are_uuids_goes_on_with_them(old):
    with RecordStore.open(old) as store:
        memory = {ModelId.HDC: np.ones(store.profile[ModelId.HDC].dimension)}
        store.store_many([(ROWS[0], memory), (ROWS[1], memory)])
    writer, new, version = resumed(old)
    assert (writer.skipped, new, version) == (2, {ROWS[2]}, PLAIN)


def test_another_store_takes_integers(old):
    writer, new, version = resumed(old)
    assert (writer.skipped, new, version) == (0, {0, 1, 2}, FREE)
    writer, new, _ = resumed(old)
    assert (writer.skipped, new) == (3, set())


def test_a_folder_whose_rows_are_uuids_goes_on_with_them(tmp_path, memories, monkeypatch):
    corpus = open_corpus({"E9": X}, memories.profile)

    def write(path, **options):
        with ShardWriter(path, profile=memories.profile, **options) as writer:
            writer.write_all(open_corpus({"E9": X}, memories.profile))
        chunks = ShardReader(path).decoded(None, 1)
        return writer.skipped, [key for chunk in chunks for key in chunk.keys]

    assert write(tmp_path / "new") == (0, corpus.ids[:])
    with monkeypatch.context() as earlier:
        earlier.setattr(memory_ids, "row_id", row_uuid)
        write(tmp_path / "old", shard_size=2)
    (tmp_path / "old" / "shard-00001.safetensors").unlink()
    assert write(tmp_path / "old", shard_size=2) == (2, [one.bytes for one in ROWS])
