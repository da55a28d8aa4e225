"""A folder of shards is whole, or a check names what is wrong with it and the remedy."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from cgcython import ModelId, ShardWriter, open_corpus
from cgcython.codecs.codebook_file import codebook_path
from cgcython.errors import StorageCorruption
from cgcython.store import shards
from cgcython.store.shard_checking import check_shards
from cgcython.store.shard_folder import has_shards, require_whole, why_partial
from cgcython.store.shard_manifest import MANIFEST_KIND, job_path, manifest_path


@pytest.fixture(scope="module")
def corpus(memories):
    """Return 20 memories of two embedders."""
    rng = np.random.default_rng(3)
    arrays = {"E1": rng.standard_normal((20, 16)), "E9": rng.standard_normal((20, 20))}
    return open_corpus(arrays, memories.profile)


@pytest.fixture(scope="module")
def whole(corpus, memories, tmp_path_factory):
    """Return a folder of the three shards of the corpus."""
    folder = tmp_path_factory.mktemp("whole") / "out"
    ShardWriter(folder, memories.codebooks, shard_size=8).write_all(corpus)
    return folder


@pytest.fixture
def folder(whole, tmp_path):
    """Return a copy of the folder."""
    return shutil.copytree(whole, tmp_path / "out")


def flip(path, at=-100):
    content = bytearray(path.read_bytes())
    content[at] ^= 0x10
    path.write_bytes(content)


def test_a_whole_folder_is_sound(folder):
    told = []
    report = check_shards(folder, told.append)
    assert (report.problems, report.shards, report.records, told) == ({}, 3, 20, [8, 8, 4])
    assert report.stored_bytes > 20 * 8
    assert (has_shards(folder), why_partial(folder)) == (True, None)


def remove_shard(folder, memories):
    shards.shard_path(folder, 1).unlink()
    return {"shard-00001.safetensors": "it is missing; run the same cgcython encode again"}


def remove_all_shards(folder, memories):
    for path in shards.shard_paths(folder):
        path.unlink()
    return {f"shard-0000{i}.safetensors": "it is missing" for i in range(3)}


def exchange_shards(folder, memories):
    shutil.copy(shards.shard_path(folder, 0), shards.shard_path(folder, 1))
    return {"shard-00001.safetensors": "not those that the manifest tells; delete it and run"}


def damage_shard(folder, memories):
    flip(shards.shard_path(folder, 2))
    return {"shard-00002.safetensors": "delete it and run the same cgcython encode again"}


def add_shard(folder, memories):
    shutil.copy(shards.shard_path(folder, 2), shards.shard_path(folder, 3))
    return {"shard-00003.safetensors": "the manifest has no such shard; move it"}


def remove_codebook(folder, memories):
    codebook_path(folder, "Semantic").unlink()
    return {"Semantic_codebook.safetensors": "it is missing; restore it, or run"}


def exchange_codebook(folder, memories):
    memories.other_codebooks[ModelId.SEMANTIC].save(codebook_path(folder, "Semantic"))
    return {"Semantic_codebook.safetensors": "not the one that made these codes; restore it"}


def damage_codebook(folder, memories):
    flip(codebook_path(folder, "Semantic"))
    return {"Semantic_codebook.safetensors": "restore it, or run"}


def remove_profile(folder, memories):
    (folder / shards.PROFILE).unlink()
    return {"profile.toml": "it is missing; restore it, or run"}


def exchange_profile(folder, memories):
    (folder / shards.PROFILE).write_text('E9 = { dimension = 20, method = "binary" }')
    return {"profile.toml": "it is not the one of these shards; restore it"}


def damage_profile(folder, memories):
    (folder / shards.PROFILE).write_bytes(b"\xff")
    return {"profile.toml": "it does not read"}


def damage_manifest(folder, memories):
    flip(manifest_path(folder))
    return {"manifest.json": "run the same cgcython encode again: it writes a new one"}


def leave_unfinished(folder, memories):
    manifest_path(folder).unlink()
    job_path(folder).write_text("{}")
    shards.shard_path(folder, 1).unlink()
    return {"job.json": "its format", "out": "its job is unfinished: 2 of ? shards are there; run"}


WRONG = [
    remove_shard,
    remove_all_shards,
    exchange_shards,
    damage_shard,
    add_shard,
    remove_codebook,
    exchange_codebook,
    damage_codebook,
    remove_profile,
    exchange_profile,
    damage_profile,
    damage_manifest,
    leave_unfinished,
]


@pytest.mark.parametrize("make_wrong", WRONG)
def test_what_is_wrong_is_named_with_the_remedy(make_wrong, folder, memories):
    expected = make_wrong(folder, memories)
    found = check_shards(folder).problems
    assert {path.rpartition("/")[2] for path in found} == set(expected)
    for path, reason in found.items():
        assert expected[path.rpartition("/")[2]] in reason


@pytest.mark.parametrize("make_wrong", WRONG)
def test_the_remedy_makes_the_folder_what_it_was(make_wrong, folder, whole, corpus, memories):
    make_wrong(folder, memories)
    for path, reason in check_shards(folder).problems.items():
        if "; delete it and" in reason:
            Path(path).unlink()
        elif "; move it to another folder" in reason:
            Path(path).rename(folder.parent / "elsewhere")
    ShardWriter(folder, memories.codebooks, shard_size=8).write_all(corpus)
    assert check_shards(folder).problems == {}
    for path in whole.rglob("*.*"):
        assert (folder / path.relative_to(whole)).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("make_wrong", [remove_shard, leave_unfinished])
def test_a_partial_folder_is_not_taken_for_a_whole_one(make_wrong, folder, memories):
    make_wrong(folder, memories)
    with pytest.raises(StorageCorruption, match=r"is missing|are there") as refusal:
        require_whole(folder)
    assert f"cgcython encode --out {folder} again" in refusal.value.__notes__[0]


def test_the_count_of_an_unfinished_job_is_told_where_it_is_known(corpus, memories, tmp_path):
    with ShardWriter(tmp_path, memories.codebooks, shard_size=8) as writer:
        writer.write(corpus, 8, 16)
    assert why_partial(tmp_path) == "its job is unfinished: 1 of 3 shards are there"
    assert list(check_shards(tmp_path).problems) == [str(tmp_path)]
    ShardWriter(tmp_path, memories.codebooks, shard_size=8).write_all(corpus)
    assert check_shards(tmp_path).problems == {}


def test_many_missing_shards_are_named_in_part(tmp_path):
    assert not has_shards(tmp_path)
    (tmp_path / shards.PROFILE).write_text('E9 = { dimension = 20, method = "binary" }')
    entries = [[i, i, 1, "ab" * 32] for i in range(3000)]
    names = "number", "first", "rows", "sha256"
    about = {
        "memories": 3000,
        "shard_size": 1,
        "codebooks": {},
        "profile_sha256": "ab" * 32,
        "entries": [dict(zip(names, one)) for one in entries],
    }
    MANIFEST_KIND.write(manifest_path(tmp_path), about)
    assert has_shards(tmp_path)
    assert why_partial(tmp_path).endswith("shard-00002.safetensors and 2997 others are missing")
    assert len(check_shards(tmp_path).problems) == 1001


def test_names_that_are_none_are_told(folder):
    manifest_path(folder).unlink()
    path = shards.shard_path(folder, 1)
    shard = shards.read_shard(path)
    facts = {**shard.facts, "codebooks": {"../../etc/passwd": 5, "E1": [], "": 7}}
    shards.write_shard(path, shard._replace(facts=facts))
    found = check_shards(folder).problems
    assert {one.rpartition("/")[2] for one in found} == {"out", "Semantic_codebook.safetensors"}
