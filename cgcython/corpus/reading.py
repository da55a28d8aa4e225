"""Reads what a corpus was encoded into: a store, or a folder of shards."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cgcython.base import EmbedderId, Profile
from cgcython.corpus.assembling import ColumnAssembler
from cgcython.corpus.memory_ids import id_arrays
from cgcython.errors import UsageError
from cgcython.inputs.columns import Embedding
from cgcython.records import QuantizedBatch
from cgcython.router import QuantizationRouter
from cgcython.search import FingerprintStore
from cgcython.search.shards import ShardSearcher
from cgcython.store import shards
from cgcython.store.ids import as_key
from cgcython.store.opening import has_database
from cgcython.store.places import is_address
from cgcython.store.shard_folder import has_shards, require_whole
from cgcython.store.shard_manifest import read_manifest
from cgcython.types import Array, Int64Array, Progress, StrPath

CHUNK = 1024


class DecodedColumn(NamedTuple):
    """The embeddings of one embedder, and the place of each one's memory in a chunk."""

    model_id: EmbedderId
    rows: Int64Array
    embeddings: list[Embedding]


class DecodedChunk(NamedTuple):
    """Some memories: the keys of their ids and their embeddings, embedder by embedder."""

    keys: list[bytes]
    columns: list[DecodedColumn]


@contextmanager
def open_searcher(
    path: StrPath, partial: bool = False, cache: StrPath | None = None
) -> Iterator[FingerprintStore | ShardSearcher]:
    """Yield what can be searched in a folder: a store, or shards, of which some may be missing.

    `cache` is that of a ShardSearcher.
    """
    if not is_address(path) and has_shards(path):
        with ShardSearcher(path, partial=partial, cache=cache) as searcher:
            yield searcher
    else:
        with FingerprintStore.open(path, read_only=True) as store:
            yield store


def has_any(searcher: FingerprintStore | ShardSearcher, model_id: EmbedderId) -> bool:
    """Return whether any record has an embedding of an embedder that can be read."""
    if isinstance(searcher, ShardSearcher):
        return searcher.has_any(model_id)
    return next(iter(searcher.scan(model_id)), None) is not None


@contextmanager
def open_reader(path: StrPath) -> Iterator["StoreReader | ShardReader"]:
    """Yield the StoreReader or ShardReader of a folder; raises UsageError where it is neither."""
    if is_address(path):
        with FingerprintStore.open(path, read_only=True) as store:
            yield StoreReader(store)
    elif has_shards(path):
        yield ShardReader(path)
    elif Path(path).is_dir() and not has_database(path):
        raise UsageError(f"{path}: neither a store nor a folder of shards")
    else:
        with FingerprintStore.open(path, read_only=True) as store:
            yield StoreReader(store)


class StoreReader:
    """Decodes the records of a store."""

    def __init__(self, store: FingerprintStore) -> None:
        self.store = store

    @property
    def profile(self) -> Profile:
        """The profile of the store."""
        return self.store.profile

    def __len__(self) -> int:
        return len(self.store)

    def decoded(
        self, embedders: Collection[EmbedderId] | None, num_threads: int
    ) -> Iterator[DecodedChunk]:
        """Yield all memories in chunks, with some embedders or, None, with all.

        Raises StorageCorruption at a damaged record.
        """
        ids = iter(self.store)
        while some := list(islice(ids, CHUNK)):
            found: dict[EmbedderId, tuple[list[int], list[Embedding]]] = {}
            for row, memory in enumerate(self.store.retrieve_many(some, num_threads)):
                for model_id, embedding in (memory or {}).items():
                    if embedders is None or model_id in embedders:
                        rows, embeddings = found.setdefault(model_id, ([], []))
                        rows.append(row)
                        embeddings.append(embedding)
            columns = [
                DecodedColumn(model_id, np.array(rows, np.int64), embeddings)
                for model_id, (rows, embeddings) in found.items()
            ]
            yield DecodedChunk(list(map(as_key, some)), columns)


class ShardReader:
    """Decodes the columns of a folder of shards."""

    def __init__(self, folder: StrPath) -> None:
        self.folder, self.paths = Path(folder), shards.shard_paths(folder)
        self.profile = shards.read_profile(folder)
        self.router = QuantizationRouter(folder, self.profile)

    def __len__(self) -> int:
        manifest = read_manifest(self.folder)
        if manifest is not None:
            return manifest.memories
        return shards.count_memories(self.paths[0]) if self.paths else 0

    def decoded(
        self, embedders: Collection[EmbedderId] | None, num_threads: int
    ) -> Iterator[DecodedChunk]:
        """Yield all memories in chunks, with some embedders or, None, with all.

        Raises StorageCorruption at a damaged shard, and before the first where one is missing.
        """
        require_whole(self.folder)
        for path in self.paths:
            shard, columns = shards.read_shard(path), []
            for model_id, (batch, rows) in shard.parts.items():
                if embedders is None or model_id in embedders:
                    rows = np.arange(len(batch)) if rows is None else np.asarray(rows)
                    embeddings = self._decoded(batch, num_threads)
                    columns.append(DecodedColumn(model_id, rows, embeddings))
            yield DecodedChunk(shard.ids.keys(), columns)

    def _decoded(self, batch: QuantizedBatch, num_threads: int) -> list[Embedding]:
        if "offsets" not in batch.columns:
            return list(self.router.dequantize_batch(batch, num_threads))
        codec = self.router.decoder(batch)
        return [codec.decode(codec.row(batch, i)) for i in range(len(batch))]


def decoded_arrays(
    reader: StoreReader | ShardReader,
    embedders: Collection[EmbedderId] | None = None,
    num_threads: int = 1,
    progress: Progress | None = None,
) -> dict[str, Array]:
    """Return the arrays of all memories, `E1`, `E6.indptr`, ..., and ids, as `open_corpus` reads.

    Of pruned tokens those that were kept come back. `progress` is called with the number of
    memories of each chunk. Raises StorageCorruption, and UsageError for an embedder that no memory
    has.
    """
    assemblers: dict[EmbedderId, ColumnAssembler] = {}
    keys: list[bytes] = []
    for chunk in reader.decoded(embedders, num_threads):
        for model_id, rows, embeddings in chunk.columns:
            assembler = assemblers.setdefault(model_id, ColumnAssembler())
            assembler.add(embeddings, rows + len(keys))
        keys.extend(chunk.keys)
        if progress is not None:
            progress(len(chunk.keys))
    missing = set(embedders or ()) - assemblers.keys()
    if missing:
        raise UsageError(f"no memory has {', '.join(one.short for one in sorted(missing))}")
    arrays: dict[str, Array] = {}
    for model_id, assembler in sorted(assemblers.items()):
        arrays |= assembler.arrays(model_id.short, len(keys))
    return arrays | id_arrays(keys)
