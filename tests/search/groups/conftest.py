"""Folders of shards whose memories are alike in many ways, and a runner that keeps no order."""

import pickle
import random
from types import SimpleNamespace

import numpy as np
import pytest

from cgcython import ModelId, Profile, ShardWriter, SparseVector, open_corpus
from cgcython.codecs.codebook import PQ8Codebook
from cgcython.runners import result_or_error

PROFILE = Profile.from_toml(
    """
    E1 = { dimension = 16, method = "pq8" }
    E2 = { dimension = 8, method = "float8_e4m3" }
    E6 = { dimension = 400, method = "sparse_native" }
    E9 = { dimension = 16, method = "binary" }
    E12 = { dimension = 4, method = "token_pruning" }
    """
)

CODEBOOK = PQ8Codebook(np.random.default_rng(1).standard_normal((8, 256, 2), dtype=np.float32))


def coded(seed, count):
    """Return vectors for E1: the first queries of a seed are the first memories of it."""
    return np.random.default_rng([seed, 1]).standard_normal((count, 16), dtype=np.float32)


def few_rows(rng, count, share):
    """Return some of the rows, a `share` of all about, one at least."""
    return np.sort(rng.choice(count, max(1, int(share * count)), replace=False))


def arrays_of(seed, count, share=1.0, kinds=None):
    """Return the arrays of `count` memories in a random order of ids.

    A `share` of them has E9, and E12. Of `kinds` different embeddings, many are equal, and some are
    zeros.
    """
    rng = np.random.default_rng(seed)
    dense = rng.standard_normal((kinds or count, 8), dtype=np.float32)
    if kinds:
        dense[0] = 0
    chosen = np.arange(count) if kinds is None else rng.integers(0, kinds, count)
    rows, with_tokens = few_rows(rng, count, share), few_rows(rng, count, share)
    words = rng.integers(0, 4, count)
    return {
        "E1": coded(seed, kinds or count)[chosen],
        "E2": dense[chosen],
        "E6.indptr": np.cumsum([0, *words]),
        "E6.indices": np.concatenate([np.sort(rng.permutation(40)[:n]) for n in words]),
        "E6.weights": rng.integers(1, 3, words.sum()).astype(np.float32),
        "E9": rng.standard_normal((len(rows), 16), dtype=np.float32),
        "E9.rows": rows,
        "E12.values": rng.standard_normal((2 * len(with_tokens), 4), dtype=np.float32),
        "E12.offsets": 2 * np.arange(len(with_tokens) + 1),
        "E12.rows": with_tokens,
        "ids": np.frombuffer(rng.bytes(16 * count), np.uint8).reshape(count, 16),
    }


def queries_of(seed, count=3):
    """Return as many queries of all embedders, the first one zeros in E2."""
    rng = np.random.default_rng(seed)
    dense = rng.standard_normal((count, 8), dtype=np.float32)
    dense[0] = 0
    indices = np.sort(rng.permutation(40)[:9])
    sparse = [SparseVector(indices, np.ones(9), 400) for _ in range(count)]
    tokens = list(rng.standard_normal((count, 3, 4), dtype=np.float32))
    binary = rng.standard_normal((count, 16), dtype=np.float32)
    return {"E1": coded(seed, count), "E2": dense, "E6": sparse, "E9": binary, "E12": tokens}


def write(folder, arrays, shard_size):
    """Write the shards of arrays, and return the folder."""
    books = {ModelId.SEMANTIC: CODEBOOK}
    writer = ShardWriter(folder, books, profile=PROFILE, shard_size=shard_size)
    writer.write_all(open_corpus(arrays, PROFILE))
    return folder


class Shuffled:
    """Runs all items, as if on other machines, and yields them in any order."""

    dashboard = None

    def __init__(self, seed=0, num_workers=3):
        self._random, self.num_workers = random.Random(seed), num_workers

    def run(self, function, items):
        items = list(items)
        self._random.shuffle(items)
        for item in items:
            sent = pickle.loads(pickle.dumps((function, item)))
            yield item, pickle.loads(pickle.dumps(result_or_error(*sent)))


@pytest.fixture(scope="session")
def cases():
    """Return what makes folders, queries and runners."""
    return SimpleNamespace(
        arrays_of=arrays_of, queries_of=queries_of, write=write, shuffled=Shuffled
    )
