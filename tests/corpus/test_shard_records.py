"""A folder of shards becomes a store with the same codes."""

import numpy as np
import pytest

from cgcython import FingerprintStore, InvalidInput, ShardWriter, StoreUnavailable, open_corpus
from cgcython.corpus.shard_records import copy_shards
from cgcython.search.shards import ShardSearcher
from cgcython.store import copying, shards


@pytest.fixture
def folder(corpus, memories, tmp_path):
    with ShardWriter(tmp_path / "shards", memories.codebooks, shard_size=8) as writer:
        writer.profile = memories.profile
        writer.write_all(corpus)
    return tmp_path / "shards"


def test_a_store_of_shards_has_their_codes(folder, memories, tmp_path):
    told, read = [], []
    found = copy_shards(folder, tmp_path / "store", progress=told.append, verifying=read.append)
    assert (found.records, found.trashed, sum(told), sum(read)) == (20, 0, 20, 40)
    searcher = ShardSearcher(folder)
    with FingerprintStore.open(tmp_path / "store") as store:
        assert store.profile == memories.profile
        assert store.verify().sections == 70
        for embedder in ("E1", "E6", "E9", "E12"):
            expected = dict(searcher.scan(store.profile.embedder(embedder)))
            assert dict(store.scan(embedder)) == expected
        query = {"E9": memories.make(3)["E9"], "E1": memories.make(3)["E1"]}
        assert store.search(query, k=20) == searcher.search(query, k=20)
        assert store.info(0).metadata == {}
        store.store("new", memories.make(1))


def test_an_interrupted_copy_of_shards_goes_on(folder, tmp_path, monkeypatch):
    def stop(count):
        raise KeyboardInterrupt

    monkeypatch.setattr(copying, "SAVED_EVERY", 0)
    expected = copy_shards(folder, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        copy_shards(folder, tmp_path / "store", progress=stop)
    with pytest.raises(StoreUnavailable, match="unfinished copy"):
        FingerprintStore.open(tmp_path / "store")
    assert copy_shards(folder, tmp_path / "store") == expected


def test_of_memories_with_one_id_the_last_one_is_copied(memories, tmp_path):
    rows = np.random.default_rng(0).standard_normal((4, 20)).astype(np.float32)
    for first, ids in ((0, ["a", "b"]), (2, ["c", "a"])):
        corpus = open_corpus({"E9": rows[first : first + 2], "ids": ids}, memories.profile)
        with ShardWriter(tmp_path / f"part-{first}", {}, profile=memories.profile) as writer:
            writer.write_all(corpus)
    (tmp_path / "part-0").rename(tmp_path / "shards")
    shards.shard_path(tmp_path / "part-2", 0).rename(shards.shard_path(tmp_path / "shards", 1))
    (tmp_path / "shards" / "manifest.json").unlink()  # as in a folder of an earlier release
    assert copy_shards(tmp_path / "shards", tmp_path / "store").records == 3
    with FingerprintStore.open(tmp_path / "store") as store:
        assert store.search({"E9": rows[3]}, k=1)[0].id == "a"


def test_a_folder_without_shards_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="one with shards"):
        copy_shards(tmp_path, tmp_path / "store")
    assert not (tmp_path / "store").exists()
