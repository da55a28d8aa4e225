"""A small corpus of four embedders, its codebook and its store, made once by the commands."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from cgcython.cli import main

PROFILE = """
E1 = { dimension = 32, method = "pq8" }
E6 = { dimension = 1000, method = "sparse_native" }
E8 = { dimension = 24, method = "float8_e4m3" }
E12 = { dimension = 16, method = "token_pruning" }
"""
MEMORIES, QUERIES = 40, 6


@pytest.fixture
def cli(capsys):
    """Return a function that runs the command and returns code, out, err and json."""

    def run(*words):
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return SimpleNamespace(code=code, out=out, err=err, json=_parsed(out))

    return run


def _parsed(out):
    try:
        return json.loads(out)
    except ValueError:
        return None


@pytest.fixture(scope="session")
def work(tmp_path_factory):
    """Return the folder of the corpus: profile.toml, *.npz, models, store and shards."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "profile.toml").write_text(PROFILE)
    rng = np.random.default_rng(5)
    centres = rng.standard_normal((20, 32))
    np.savez(folder / "train.npz", E1=_around(centres, 600, rng))
    corpus = _corpus(centres, MEMORIES, rng)
    np.savez(folder / "corpus.npz", **corpus, **_tokens(np.arange(0, MEMORIES, 2), rng))
    queries = {name: corpus[name][:QUERIES] for name in ("E1", "E8")}
    np.savez(folder / "queries.npz", **queries)
    np.save(folder / "qrels.npy", [[row, row, 2] for row in range(QUERIES)])
    # 8 bytes lose more than 5 % of anything but clusters; the noise here is small.
    _must("train", "E1", "--input", folder / "train.npz", *_place(folder), "--bytes", 8)
    _must("encode", folder / "corpus.npz", *_place(folder), "--store", folder / "store")
    shards = "--out", folder / "shards", "--shard-size", 16
    _must("encode", folder / "corpus.npz", *_place(folder), *shards)
    return folder


def _place(folder):
    return "--models", folder / "models", "--profile", folder / "profile.toml"


def _must(*words):
    assert main([str(word) for word in words]) == 0


def _around(centres, count, rng):
    rows = centres[rng.integers(0, len(centres), count)]
    return (rows + 0.05 * rng.standard_normal(rows.shape)).astype(np.float32)


def _corpus(centres, count, rng):
    indices = [np.sort(rng.permutation(1000)[:nnz]) for nnz in rng.integers(0, 30, count)]
    return {
        "E1": _around(centres, count, rng),
        "E8": rng.standard_normal((count, 24)).astype(np.float32),
        "E6.indptr": np.cumsum([0, *map(len, indices)]),
        "E6.indices": np.concatenate(indices),
        "E6.weights": rng.uniform(0.5, 2, sum(map(len, indices))).astype(np.float16),
    }


def _tokens(rows, rng):
    lengths = rng.integers(1, 9, len(rows))
    return {
        "E12.values": rng.standard_normal((lengths.sum(), 16)).astype(np.float32),
        "E12.offsets": np.cumsum([0, *lengths]),
        "E12.rows": rows,
    }


@pytest.fixture(scope="session")
def models(work):
    """Return the arguments that name the codebooks and the profile."""
    return _place(work)
