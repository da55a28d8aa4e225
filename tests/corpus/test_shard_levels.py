"""Real embeddings become the same bytes at every processor level, and on any number of threads."""

import numpy as np
import pytest

from cgcython import PQ8Codebook, ShardWriter, kernels, open_corpus
from cgcython.codecs.residual_codebook import RQ8Codebook
from cgcython.kernels import dispatch

PROFILE = """
E1 = { dimension = 384, method = "pq8" }
E6 = { dimension = 30522, method = "sparse_native" }
E8 = { dimension = 384, method = "float8_e4m3" }
E9 = { dimension = 1152, method = "binary" }
E12 = { dimension = 128, method = "token_pruning" }
six = { dimension = 384, method = "scalar", bits = 6 }
two = { dimension = 384, method = "scalar", bits = 2 }
residual = { dimension = 384, method = "rq8" }
pooled = { dimension = 128, method = "token_pruning", pruning_ratio = 0.5, pool = true }
"""


@pytest.fixture(scope="module")
def books(data):
    """Return codebooks of nothing learned: a rotation, a mean, and centroids drawn from data."""
    rng = np.random.default_rng(17)
    rows = np.load(data / "train.npz")["t384"][:256].astype(np.float32)
    rotation, _ = np.linalg.qr(rng.standard_normal((384, 384)))
    mean, rotation = rows.mean(0), rotation.astype(np.float32)
    turned = (rows - mean) @ rotation
    pieces = turned.reshape(256, 48, 8).transpose(1, 0, 2)
    stages = np.stack([turned / 2**stage for stage in range(8)])
    return {
        "E1": PQ8Codebook(pieces, rotation, mean),
        "residual": RQ8Codebook(stages, rotation, mean),
    }


@pytest.fixture(scope="module")
def corpus(data, tmp_path_factory):
    """Return 430 memories of the Cranfield collection, in all methods."""
    pooled, sparse, tokens = (
        np.load(data / f"{name}_cranfield.npz") for name in ("pooled", "sparse", "tokens")
    )
    rows = pooled["docs384"][:430]
    indptr = sparse["d_indptr"][:431]
    arrays = dict.fromkeys(("E1", "E8", "six", "two", "residual"), rows)
    arrays |= {"E9": pooled["docs1152"][:430], "E6.indptr": indptr}
    arrays |= {
        f"E6.{to}": sparse[of][: indptr[-1]]
        for to, of in (("indices", "d_idx"), ("weights", "d_w"))
    }
    for name in ("E12", "pooled"):
        arrays |= {f"{name}.values": tokens["doc_tok"], f"{name}.offsets": tokens["doc_off"]}
    path = tmp_path_factory.mktemp("levels") / "p.toml"
    path.write_text(PROFILE)
    return open_corpus(arrays, path)


@pytest.mark.real
def test_every_level_and_number_of_threads_writes_the_same_bytes(corpus, books, tmp_path):
    before, found = kernels.level, {}
    try:
        for level in [one for one in dispatch.available() if one != "reference"]:
            dispatch.use(level)
            for threads in (1, 2):
                out = tmp_path / f"{level}-{threads}"
                how = {"shard_size": 200, "budget_bytes": None, "num_threads": threads}
                ShardWriter(out, books, **how).write_all(corpus)
                files = sorted(path for path in out.rglob("*") if path.is_file())
                found[out.name] = [path.read_bytes() for path in files]
    finally:
        dispatch.use(before)
    first = next(iter(found.values()))
    assert len(first) == 7  # three shards, two codebooks, the profile, the manifest
    assert [name for name, files in found.items() if files != first] == []
