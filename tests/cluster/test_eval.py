"""Evaluations on workers print the figures of one process."""

import json

import numpy as np
import pytest

from cgcython.cli import main

pytestmark = pytest.mark.cluster
RNG = np.random.default_rng(11)
ROWS, TIMES = 300, {"encode_us", "scan_ns"}


@pytest.fixture
def cli(capsys):
    """Return a function that runs a command and returns the rows that it prints, without times."""

    def run(*words):
        assert main([*map(str, words), "--json"]) == 0
        rows = json.loads(capsys.readouterr().out)["rows"]
        return [{name: one for name, one in row.items() if name not in TIMES} for row in rows]

    return run


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Return the names of a corpus and of queries, in the working directory."""
    monkeypatch.chdir(tmp_path)
    E9 = RNG.standard_normal((ROWS, 1024), dtype=np.float32)
    tokens = RNG.standard_normal((2 * ROWS, 128), dtype=np.float32)
    offsets = np.arange(0, 2 * ROWS + 1, 2)
    np.savez("corpus.npz", **{"E9": E9, "E12.values": tokens, "E12.offsets": offsets})
    some = {"E12.values": tokens[:10], "E12.offsets": offsets[:6]}
    np.savez("queries.npz", E9=E9[:5] + 0.3, **some)
    np.save("qrels.npy", [[query, query, 1] for query in range(5)])
    return "corpus.npz", "--queries", "queries.npz", "--qrels", "qrels.npy"


def test_embedders_are_ranked_by_workers(cli, files, address):
    here = cli("eval", *files)
    assert cli("eval", *files, "--scheduler", address) == here
    assert [row["embedder"] for row in here] == ["E9", "E12", "fused"]


def test_records_of_a_folder_are_read_by_workers(cli, files, address, capsys):
    assert main(["encode", files[0], "--store", "store"]) == 0
    capsys.readouterr()
    stored = ["--store", "store"]
    assert cli("eval", *files, *stored, "--scheduler", address) == cli("eval", *files, *stored)


def test_methods_are_measured_by_workers(cli, address, tmp_path):
    nnz = RNG.integers(3, 9, 40)
    arrays = {
        "E6.indptr": np.cumsum([0, *nnz]),
        "E6.indices": np.concatenate([np.sort(RNG.permutation(30522)[:n]) for n in nnz]),
        "E6.weights": RNG.uniform(0.1, 2, nnz.sum()).astype(np.float32),
    }
    np.savez(tmp_path / "sparse.npz", **arrays)
    words = ["eval", "methods", tmp_path / "sparse.npz", "--queries", tmp_path / "sparse.npz"]
    assert cli(*words, "--scheduler", address) == cli(*words)
