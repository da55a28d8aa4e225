"""Shards are searched as the store of the same memories is."""

import numpy as np

from cgcython.base import ModelId
from cgcython.cli import main
from cgcython.search.shards import ShardSearcher
from cgcython.search.store import FingerprintStore


def test_shards_give_the_hits_of_a_store(tmp_path):
    rng = np.random.default_rng(3)
    np.savez(
        tmp_path / "corpus.npz",
        E8=rng.standard_normal((50, 24)),
        E9=rng.standard_normal((50, 1024)),
    )
    (tmp_path / "profile.toml").write_text(
        'E8 = { dimension = 24, method = "float8_e4m3" }\n'
        'E9 = { dimension = 1024, method = "binary" }\n'
    )
    words = ["encode", str(tmp_path / "corpus.npz"), "--profile", str(tmp_path / "profile.toml")]
    assert main([*words, "--store", str(tmp_path / "store")]) == 0
    assert main([*words, "--out", str(tmp_path / "shards"), "--shard-size", "16"]) == 0
    shards = ShardSearcher(tmp_path / "shards")
    query = {"E8": rng.standard_normal(24), "E9": rng.standard_normal(1024)}
    with FingerprintStore.open(tmp_path / "store") as store:
        expected = store.search(query, k=7)
        assert shards.search(query, k=7) == expected
        one = expected[0].id
        assert shards.quantized(one, ModelId.HDC) == store.quantized(one, ModelId.HDC)
