"""Shards are searched as the store of the same memories is."""

from uuid import UUID

import numpy as np
import pytest

from cgcython.base import ModelId
from cgcython.cli import main
from cgcython.search.shards import ShardSearcher
from cgcython.search.store import FingerprintStore

COUNT, WITH_TOKENS = 50, np.arange(3, 50, 4)
PROFILE = """
E8 = { dimension = 24, method = "float8_e4m3" }
E9 = { dimension = 1024, method = "binary" }
E12 = { dimension = 8, method = "token_pruning" }
"""


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Return a store and a ShardSearcher of the same memories."""
    path, rng = tmp_path_factory.mktemp("both"), np.random.default_rng(3)
    corpus = {
        "E8": rng.standard_normal((COUNT, 24)),
        "E9": rng.standard_normal((COUNT, 1024)),
        "E12.values": rng.standard_normal((4 * len(WITH_TOKENS), 8)),
        "E12.offsets": np.arange(len(WITH_TOKENS) + 1) * 4,
        "E12.rows": WITH_TOKENS,
    }
    np.savez(path / "corpus.npz", **corpus)
    (path / "profile.toml").write_text(PROFILE)
    words = ["encode", str(path / "corpus.npz"), "--profile", str(path / "profile.toml")]
    assert main([*words, "--store", str(path / "store")]) == 0
    assert main([*words, "--out", str(path / "shards"), "--shard-size", "16"]) == 0
    with FingerprintStore.open(path / "store") as store:
        yield store, ShardSearcher(path / "shards")


@pytest.fixture
def query():
    rng = np.random.default_rng(4)
    return {
        "E8": rng.standard_normal(24),
        "E9": rng.standard_normal(1024),
        "E12": rng.standard_normal((5, 8)),
    }


def test_shards_give_the_hits_of_a_store(both, query):
    store, shards = both
    for embedders in (["E8", "E9", "E12"], ["E12"]):
        expected = store.search(query, k=7, embedders=embedders)
        assert shards.search(query, k=7, embedders=embedders) == expected


@pytest.mark.parametrize("rerank", ["E9", "E12"])
def test_shards_rerank_as_a_store_does(both, query, rerank):
    store, shards = both
    how = {"embedders": ["E8"], "rerank": rerank, "oversample": 3}
    assert ShardSearcher(shards.path).search(query, 5, **how) == store.search(query, 5, **how)


def test_every_part_of_every_memory_is_found_by_its_id(both):
    store, shards = both
    for record_id in store.ids():
        for model_id in store.profile:
            assert shards.quantized(record_id, model_id) == store.quantized(record_id, model_id)


def test_what_is_not_there_is_none(both):
    store, shards = both
    without_tokens = list(store.ids())[:COUNT]
    found = [shards.quantized(one, ModelId.LATE_INTERACTION) for one in without_tokens]
    assert sum(one is not None for one in found) == len(WITH_TOKENS)
    for unknown in (UUID(int=0), UUID(int=2**128 - 1)):
        assert shards.quantized(unknown, "E8") is None
    assert shards.quantized(without_tokens[0], "E1") is None


def test_its_repr_tells_where_and_what(both):
    _, shards = both
    assert repr(shards) == f"ShardSearcher({str(shards.path)!r}, shards=4, E8, E9, E12)"


def test_many_queries_find_what_each_finds_alone(both):
    store, searcher = both
    rows = np.random.default_rng(8).standard_normal((3, 24))
    found = searcher.search_many({"E8": rows}, 4)
    assert found.hits == [searcher.search({"E8": row}, 4) for row in rows]
    np.testing.assert_array_equal(found.ids, store.search_many({"E8": rows}, 4).ids)
