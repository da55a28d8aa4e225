"""Shards searched where they are mapped: loading a column, and reranking without loading one.

A column costs at most 1.5 us a memory, whose checksum is a part of that; inverted lists and tokens,
which are copied, cost what making them costs. The pages of the file are in memory.
"""

import tempfile
from functools import cache
from pathlib import Path
from statistics import median
from time import process_time

import numpy as np

from cgcython import ModelId, SparseVector
from cgcython.codecs.codebook_file import codebook_path
from cgcython.records import QuantizedBatch
from cgcython.search.shards import ShardSearcher
from cgcython.store import shards
from cgcython.store.key_columns import KeyColumn

from .columns import RandomColumns
from .gates import at_least, at_most
from .stopwatch import times_as_fast

MEMORIES, DRAWN, TOKENS = 1 << 15, 1 << 11, 32
NON_ZEROS = 100
EMBEDDERS = ("E1", "E8", "E9", "E6", "E12")
RNG = np.random.default_rng(17)
_KEPT = []  # temporary folders, which last as long as the process


def sparse_vector():
    indices = np.sort(RNG.choice(30522, NON_ZEROS, replace=False))
    return SparseVector(indices, RNG.random(NON_ZEROS) + 0.1, 30522)


def drawn(model_id, vectors):
    """Return embeddings of an embedder; tokens of texts that are up to TOKENS long."""
    if model_id is ModelId.SPARSE:
        return [sparse_vector() for _ in range(DRAWN)]
    if model_id is ModelId.LATE_INTERACTION:
        lengths = RNG.integers(TOKENS // 2, TOKENS + 1, DRAWN)
        return [RNG.standard_normal((one, 128), np.float32) for one in lengths]
    return vectors


@cache
def folder():
    """Return a folder of one shard, whose memories are DRAWN ones again and again."""
    _KEPT.append(tempfile.TemporaryDirectory())
    path, source = Path(_KEPT[-1].name), RandomColumns(DRAWN, ())
    router, parts = source.router, {}
    for model_id in map(ModelId.parse, EMBEDDERS):
        is_dense = model_id not in (ModelId.SPARSE, ModelId.LATE_INTERACTION)
        rows = drawn(model_id, source.vectors(model_id, DRAWN) if is_dense else None)
        batch = router.quantize_batch(model_id, rows, compact=True)
        whole = QuantizedBatch.concatenate([batch] * (MEMORIES // DRAWN))
        parts[model_id] = shards.ShardPart(whole)
    ids = KeyColumn.of_uuids(RNG.integers(0, 256, (MEMORIES, 16), np.uint8))
    (path / shards.PROFILE).write_text(router.profile.to_toml())
    book = codebook_path(path, ModelId.SEMANTIC.title)
    book.parent.mkdir()
    book.write_bytes(router.codebooks[ModelId.SEMANTIC].to_bytes())
    facts = {"memories": MEMORIES, "first": 0}
    shards.write_shard(shards.shard_path(path, 0), shards.Shard(ids, parts, facts))
    return path


def load(name):
    """Load a column of a fresh searcher, whose ids were read before; return its us a memory."""
    with ShardSearcher(folder()) as searcher:
        assert len(searcher._shards.places.keys) == MEMORIES
        start = process_time()
        searcher._columns.get(ModelId.parse(name))
        return (process_time() - start) / MEMORIES * 1e6


def us_a_memory(name):
    load(name)
    return median(load(name) for _ in range(5))


def rerank_ms():
    with ShardSearcher(folder()) as searcher:
        searcher.search({"E9": QUERY["E9"]}, 10)
        start = process_time()
        searcher.search(QUERY, 10, embedders=["E9"], rerank="E12")
        return (process_time() - start) * 1e3


def rerank():
    """Search a fresh searcher by one embedder, and order the shortlist by tokens."""
    with ShardSearcher(folder()) as searcher:
        searcher.search(QUERY, 10, embedders=["E9"], rerank="E12")


def search_tokens():
    """Search a fresh searcher by its tokens, which loads their column."""
    with ShardSearcher(folder()) as searcher:
        searcher.search(QUERY, 10, embedders=["E12"])


QUERY = {"E9": RNG.standard_normal(1024), "E12": RNG.standard_normal((20, 128))}


@at_most(1.5, "us a memory")
def track_pq8():
    return us_a_memory("E1")


@at_most(1.5, "us a memory")
def track_float8():
    return us_a_memory("E8")


@at_most(1.5, "us a memory")
def track_binary():
    return us_a_memory("E9")


@at_most(6, "us a memory")
def track_sparse():
    return us_a_memory("E6")


@at_most(6, "us a memory")
def track_tokens():
    return us_a_memory("E12")


@at_most(50, "ms")
def track_rerank_beside_bits():
    """Return the CPU time of a search whose first embedder alone is loaded."""
    return median(rerank_ms() for _ in range(5))


@at_least(3, "times as fast as searching tokens")
def track_rerank():
    rerank()
    return times_as_fast(rerank, search_tokens, rounds=5)
