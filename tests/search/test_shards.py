"""Shards are searched as the store of the same memories is."""

import errno
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from cgcython.base import ModelId
from cgcython.cli import main
from cgcython.errors import FileUnavailable, InvalidInput, StorageCorruption, StoreUnavailable
from cgcython.search import shard_columns
from cgcython.search.chosen_shards import ChosenShard
from cgcython.search.shards import ShardSearcher
from cgcython.search.store import FingerprintStore
from cgcython.store.ids import as_key, id_of
from cgcython.store.shard_manifest import job_path, manifest_path
from cgcython.store.shards import read_shard, shard_path, shard_paths

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


# Which shards of a folder are searched.


@pytest.fixture
def folder(both, tmp_path):
    """Return a copy of the folder of shards, which may be changed."""
    return shutil.copytree(both[1].path, tmp_path / "shards")


def found_by(searcher, query):
    return {hit.id for hit in searcher.search({"E8": query["E8"]}, COUNT)}


def test_shards_of_some_numbers_are_searched_alone(both, query, folder):
    ids = [one.ids.keys() for one in map(read_shard, shard_paths(folder))]
    for numbers in ([1], [0, 3], np.array([2, 0]), []):
        searcher = ShardSearcher(folder, numbers=numbers)
        expected = [key for number in numbers for key in ids[number]]
        assert {as_key(one) for one in found_by(searcher, query)} == set(expected)


@pytest.mark.parametrize("numbers", [[4], [0, -1], ["0"], [1.5], 3, [2**70]])
def test_numbers_of_no_shard_are_refused(folder, numbers):
    with pytest.raises(InvalidInput, match="numbers"):
        ShardSearcher(folder, numbers=numbers)


def test_a_missing_shard_is_named_and_the_others_are_searched_when_asked_for(folder, query):
    for number in (1, 2):
        shard_path(folder, number).unlink()
    expected = "shard-00001.safetensors, shard-00002.safetensors are missing; partial=True"
    with pytest.raises(StorageCorruption, match=expected):
        ShardSearcher(folder)
    with pytest.raises(StorageCorruption, match=r"shard-00001\.safetensors is missing"):
        ShardSearcher(folder, numbers=[0, 1])
    assert len(found_by(ShardSearcher(folder, partial=True), query)) == COUNT - 32
    assert len(found_by(ShardSearcher(folder, numbers=[0]), query)) == 16
    assert len(found_by(ShardSearcher(folder, numbers=[0, 1], partial=True), query)) == 16


def test_a_folder_whose_job_is_unfinished_is_refused(folder, query):
    manifest_path(folder).rename(job_path(folder))
    with pytest.raises(StorageCorruption, match="unfinished: run it again to the end, or partial"):
        ShardSearcher(folder)
    assert len(found_by(ShardSearcher(folder, partial=True), query)) == COUNT


def test_a_folder_of_an_earlier_release_has_the_shards_that_are_there(folder, query):
    manifest_path(folder).unlink()
    shard_path(folder, 3).unlink()
    assert len(found_by(ShardSearcher(folder), query)) == 48


def test_a_shard_that_the_manifest_does_not_list_is_not_searched(folder, query):
    shutil.copy(shard_path(folder, 0), shard_path(folder, 4))
    assert len(found_by(ShardSearcher(folder), query)) == COUNT


def test_a_shard_in_the_place_of_another_is_refused(folder, query):
    shutil.copy(shard_path(folder, 0), shard_path(folder, 1))
    with pytest.raises(StorageCorruption, match=r"shard-00001.*from 0 on, the manifest 16 .*16 on"):
        ShardSearcher(folder).search({"E8": query["E8"]})


# Bytes that are not what was written.


def damage(path, name):
    """Flip a bit in the middle of an array of a shard."""
    content = bytearray(path.read_bytes())
    behind = 8 + int.from_bytes(content[:8], "little")
    start, stop = json.loads(content[8:behind])[name]["data_offsets"]
    content[behind + (start + stop) // 2] ^= 4
    path.write_bytes(content)


def test_damage_of_one_embedder_is_told_when_it_is_searched_and_of_no_other(folder, query):
    damage(shard_path(folder, 2), "E8.codes")
    searcher = ShardSearcher(folder)
    assert searcher.search({"E9": query["E9"]}, 3)
    for _ in range(2):
        with pytest.raises(StorageCorruption, match=r"shard-00002.*the checksum of E8\.codes"):
            searcher.search({"E8": query["E8"]}, 3)


@pytest.mark.parametrize("name", ["E12.data", "E12.offsets", "E12.rows", "E12.original_tokens"])
def test_damage_is_told_by_reranking(folder, query, name):
    for number in range(3):
        damage(shard_path(folder, number), name)
    with pytest.raises(StorageCorruption, match="shard-0000"):
        ShardSearcher(folder).search(query, 20, embedders=["E8"], rerank="E12")


def test_a_file_that_is_cut_short_is_told_before_it_is_read(folder, query, monkeypatch):
    monkeypatch.setattr(shard_columns, "MAPPED", 0)
    searcher = ShardSearcher(folder)
    assert searcher.search({"E8": query["E8"]}, 3)
    memory = id_of(read_shard(shard_path(folder, 1)).ids.keys()[0])
    os.truncate(shard_path(folder, 1), 100)
    for asked in ({"embedders": ["E8"]}, {"embedders": ["E9"]}):
        with pytest.raises(StorageCorruption, match=r"shard-00001.*cut short to 100 of"):
            searcher.search(query, 3, **asked)
    with pytest.raises(StorageCorruption, match="cut short"):
        searcher.quantized(memory, "E12")


def test_more_shards_than_files_may_be_open_are_refused_with_a_remedy(folder, query, monkeypatch):
    def refused(self):
        raise FileUnavailable(path=self.path, reason=os.strerror(errno.EMFILE))

    searcher = ShardSearcher(folder)
    with monkeypatch.context() as patched:
        patched.setattr(ChosenShard, "open", refused)
        with pytest.raises(FileUnavailable, match="Too many open files") as told:
            searcher.search({"E9": query["E9"]})
    assert "4 shards keeps a file open: raise the limit, `ulimit -n`" in told.value.__notes__[0]
    assert searcher.search({"E9": query["E9"]})


# Its life.


def test_closing_lets_the_files_go(folder, query):
    with ShardSearcher(folder) as searcher:
        searcher.search(query, 3)
        assert mapped_in(folder)
    assert not mapped_in(folder)
    for call in (lambda: searcher.search(query, 3), lambda: searcher.quantized(UUID(int=1), "E8")):
        with pytest.raises(StoreUnavailable, match="was closed; make another"):
            call()
    searcher.close()


def mapped_in(folder):
    """Return the lines of the maps of this process that are of a folder's files."""
    return [
        line for line in Path("/proc/self/maps").read_text().splitlines() if str(folder) in line
    ]


def test_threads_search_at_the_same_time(both, query):
    _, shards = both
    expected = shards.search(query, 9)
    for _ in range(5):
        fresh = ShardSearcher(shards.path)
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(fresh.search, [query] * 16, [9] * 16))
        assert all(one == expected for one in found)


def test_a_forked_child_goes_on_searching(both, query):
    _, shards = both
    expected, fresh = shards.search(query, 9), ShardSearcher(shards.path)
    fresh.search({"E8": query["E8"]}, 2)
    with fresh._shards._lock, fresh._columns._reading:  # which the child finds free
        child = os.fork()
        if child == 0:
            os._exit(0 if fresh.search(query, 9) == expected else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
