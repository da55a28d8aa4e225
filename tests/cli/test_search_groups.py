"""`search` over groups of shards: the hits of one process, and what is left out is said."""

import json
import shutil
from pathlib import Path

import pytest

OPTIONS = (
    [],
    ["--embedders", "E8"],
    ["--embedders", "E8", "--rerank", "E1", "--oversample", 2],
    ["--weights", "E8=3,E1=0.5", "-k", 3],
)


@pytest.fixture
def shards(work, tmp_path):
    """Return a folder of the memories of `work`, in three shards."""
    return Path(shutil.copytree(work / "shards", tmp_path / "shards"))


@pytest.fixture
def search(cli, work, shards):
    return lambda *words: cli("search", work / "queries.npz", "--store", shards, "--json", *words)


@pytest.mark.parametrize("words", OPTIONS, ids=str)
def test_groups_find_what_one_searcher_finds(search, words):
    assert search(*words, "--groups", 3).out == search(*words).out


def test_a_damaged_shard_stops_the_search_or_is_left_out(search, shards):
    path = shards / "shard-00002.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-100] + bytes(100))
    stopped, left_out = search("--groups", 2), search("--groups", 2, "--on-damage", "skip")
    assert (stopped.code, stopped.out, left_out.code) == (5, "", 5)
    assert "shard-00002.safetensors" in stopped.err
    assert "shard-00002.safetensors was left out" in left_out.err
    ids = {hit["id"] for line in left_out.out.splitlines() for hit in json.loads(line)["hits"]}
    assert ids
    assert not ids & set(range(32, 40))


def test_a_folder_that_lacks_a_shard_is_searched_when_asked(search, shards):
    (shards / "shard-00001.safetensors").unlink()
    for words in ([], ["--groups", 2]):
        refused, found = search(*words), search(*words, "--partial")
        assert refused.code == 5
        assert "--partial" in refused.err
        assert found.code == 0
        assert "shard-00001.safetensors is missing" in found.err


@pytest.mark.parametrize(
    "words", [["--groups", 2], ["--on-damage", "skip"], ["--partial"], ["--cache", "x"]]
)
def test_what_is_for_shards_is_refused_for_a_store(cli, work, words):
    result = cli("search", work / "queries.npz", "--store", work / "store", *words)
    assert result.code == 2
    assert "no folder of shards" in result.err
    assert "; leave out --" in result.err


def test_workers_are_those_of_a_scheduler(search):
    result = search("--workers", 2)
    assert result.code == 2
    assert "--scheduler" in result.err


def test_shards_keep_no_metadata(search):
    assert search("--groups", 2, "--metadata").code == 2
