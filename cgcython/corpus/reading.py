"""What `encode` wrote, opened again: a store or a folder of shards."""

from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cgcython.base import Profile
from cgcython.errors import UsageError
from cgcython.router import QuantizationRouter
from cgcython.search import FingerprintStore
from cgcython.search.shards import ShardSearcher
from cgcython.store import shards
from cgcython.store.opening import has_database

CHUNK = 1024


class Chunk(NamedTuple):
    """Some memories: their ids (16 bytes each), and (embedder, rows, embeddings) columns."""

    ids: list
    columns: list


@contextmanager
def open_store(path):
    """Yield the store in a folder, which must be one, for reading."""
    with FingerprintStore.open(path, read_only=True) as store:
        yield store


@contextmanager
def open_searcher(path):
    """Yield what can be searched in a folder: a store, or shards."""
    if shards.shard_paths(path):
        yield ShardSearcher(path)
    else:
        with open_store(path) as store:
            yield store


@contextmanager
def open_source(path):
    """Yield the StoreSource or ShardSource of a folder."""
    if shards.shard_paths(path):
        yield ShardSource(path)
    elif Path(path).is_dir() and not has_database(path):
        raise UsageError(f"{path}: neither a store nor a folder of shards")
    else:
        with open_store(path) as store:
            yield StoreSource(store)


class StoreSource:
    """The records of a store."""

    def __init__(self, store):
        self.store = store

    def __len__(self):
        return len(self.store)

    def decoded(self, embedders, num_threads):
        """Yield Chunks; raises StorageCorruption at a damaged record."""
        ids = iter(self.store)
        while some := list(islice(ids, CHUNK)):
            memories = self.store.retrieve_many(some, num_threads)
            found = {}
            for row, memory in enumerate(memories):
                for model_id in memory:
                    rows, values = found.setdefault(model_id, ([], []))
                    rows.append(row)
                    values.append(memory[model_id])
            wanted = [one for one in found if embedders is None or one in embedders]
            columns = [(one, np.array(found[one][0]), found[one][1]) for one in wanted]
            yield Chunk([one.bytes for one in some], columns)


class ShardSource:
    """The columns of a folder of shards."""

    def __init__(self, folder):
        self.paths = shards.shard_paths(folder)
        profile = Path(folder) / shards.PROFILE
        self.profile = Profile.named(str(profile))
        self.router = QuantizationRouter(folder, str(profile))

    def __len__(self):
        return shards.read_facts(self.paths[0])["memories"]

    def decoded(self, embedders, num_threads):
        """Yield Chunks; raises StorageCorruption at a damaged shard."""
        for path in self.paths:
            shard = shards.read_shard(path)
            columns = []
            for model_id, (batch, rows) in shard.parts.items():
                if embedders is None or model_id in embedders:
                    values = self._values(batch, num_threads)
                    rows = np.arange(len(batch)) if rows is None else np.asarray(rows)
                    columns.append((model_id, rows, values))
            yield Chunk([one.tobytes() for one in shard.ids], columns)

    def _values(self, batch, num_threads):
        if "offsets" not in batch.columns:
            return self.router.dequantize_batch(batch, num_threads)
        codec = self.router.encoders[batch.method].decoder(batch)
        return [codec.decode(codec.row(batch, i)) for i in range(len(batch))]
