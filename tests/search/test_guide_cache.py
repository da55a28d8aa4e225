"""Guides of shards are kept in a folder beside them, and found by later searchers of the same."""

import shutil
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from cgcython import ShardWriter, open_corpus
from cgcython.search.groups import group, search_groups
from cgcython.search.guides.first_pass import FirstPass
from cgcython.search.shards import ShardSearcher
from cgcython.store.shard_manifest import manifest_path

ROWS = np.random.default_rng(9).standard_normal((300, 64), np.float32)
PROFILE = {"E8": {"dimension": 64, "method": "float8_e4m3"}}


@pytest.fixture(autouse=True)
def _guides_of_few_rows(monkeypatch):
    monkeypatch.setattr(FirstPass, "least_rows", 50)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written") / "shards"
    with ShardWriter(folder, shard_size=100, profile=PROFILE) as writer:
        writer.write_all(open_corpus({"E8": ROWS}, PROFILE))
    return folder


@pytest.fixture
def folder(written, tmp_path):
    return shutil.copytree(written, tmp_path / "shards")


def near(searcher):
    return searcher.search({"E8": ROWS[7]}, 5, approximate=True)


def files_in(cache):
    return sorted(path for path in cache.rglob("*") if path.is_file())


def never_made(*_):
    raise AssertionError("a guide was made")


def test_a_guide_is_made_once_for_all_searchers_of_the_same_shards(folder, tmp_path, monkeypatch):
    first = ShardSearcher(folder, cache=tmp_path / "cache")
    expected = near(first)
    (path,) = files_in(tmp_path / "cache")
    assert path.name == "E8.safetensors"
    near(first)
    monkeypatch.setattr(FirstPass, "of", never_made)
    with ShardSearcher(folder, cache=tmp_path / "cache") as searcher:
        assert near(searcher) == expected
        assert searcher.search({"E8": ROWS[3]}, 300) == first.search({"E8": ROWS[3]}, 300)
        assert str(path) in Path("/proc/self/maps").read_text()
    assert files_in(tmp_path / "cache") == [path]


def test_other_shards_have_other_guides(folder, tmp_path):
    for numbers in (None, [0, 2], [1]):
        near(ShardSearcher(folder, numbers=numbers, cache=tmp_path / "cache"))
    assert len(files_in(tmp_path / "cache")) == 3


def test_groups_of_shards_share_a_cache(folder, tmp_path, monkeypatch):
    queries, how = {"E8": ROWS[:3]}, {"num_groups": 2, "cache": tmp_path / "cache"}
    expected = search_groups(folder, queries, 5, approximate=True, num_groups=2)
    kept = search_groups(folder, queries, 5, approximate=True, **how)
    assert len(files_in(tmp_path / "cache")) == 2
    monkeypatch.setattr(FirstPass, "of", never_made)
    monkeypatch.setattr(group, "_OPEN", OrderedDict())
    found = search_groups(folder, queries, 5, approximate=True, **how)
    assert found.hits == kept.hits == expected.hits


def test_nothing_is_kept_without_a_cache_or_a_manifest(folder, tmp_path):
    before = sorted(folder.rglob("*"))
    near(ShardSearcher(folder))
    manifest_path(folder).unlink()
    near(ShardSearcher(folder, cache=tmp_path / "cache"))
    assert not (tmp_path / "cache").exists()
    assert sorted(folder.rglob("*")) == [one for one in before if one != manifest_path(folder)]


def test_a_damaged_file_is_made_anew(folder, tmp_path):
    expected = near(ShardSearcher(folder, cache=tmp_path / "cache"))
    (path,) = files_in(tmp_path / "cache")
    whole = path.read_bytes()
    path.write_bytes(whole[:-9] + b"x" + whole[-8:])
    assert near(ShardSearcher(folder, cache=tmp_path / "cache")) == expected
    assert path.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_told_once_and_the_search_goes_on(
    folder, tmp_path, caplog
):
    (tmp_path / "cache").write_text("a file")
    searcher = ShardSearcher(folder, cache=tmp_path / "cache")
    assert near(searcher) == near(ShardSearcher(folder)) == near(searcher)
    (told,) = [record.getMessage() for record in caplog.records]
    assert told.startswith("the guides of E8 are not kept: ")
