"""Folders of shards, with a manifest and as releases before it wrote them, are read for ever."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from cgcython import ShardWriter, open_corpus
from cgcython.corpus import shard_job
from cgcython.corpus.reading import decoded_arrays, open_reader
from cgcython.errors import UsageError
from cgcython.search.shards import ShardSearcher
from cgcython.store import shards
from cgcython.store.shard_checking import check_shards
from cgcython.store.shard_manifest import job_path, manifest_bytes, manifest_path, read_manifest

V4, V5 = (Path(__file__).with_name(name) for name in ("v4_shards", "v5_shards"))
MOMENT = 10**18  # the time of the inputs, in nanoseconds, that the shards tell


@pytest.fixture
def folder(tmp_path):
    """Return a copy of the folder, beside its inputs."""
    shutil.copy(V4 / "inputs.npz", tmp_path)
    os.utime(tmp_path / "inputs.npz", ns=(MOMENT, MOMENT))
    return shutil.copytree(V4 / "shards", tmp_path / "shards")


def resume(folder, shard_size=2):
    corpus = open_corpus(str(folder.parent / "inputs.npz"), V4 / "profile.toml")
    with ShardWriter(folder, folder, shard_size=shard_size) as writer:
        writer.write_all(corpus)
    return writer


def test_it_is_searched_and_decoded(folder):
    with np.load(V4 / "inputs.npz") as inputs:
        own = {"E9": inputs["E9"][3], "E1": inputs["E1"][3]}
        assert ShardSearcher(folder).search(own, 1)[0].id == 3
        with open_reader(folder) as reader:
            found = decoded_arrays(reader)
        assert np.sign(found["E9"]).tolist() == np.sign(inputs["E9"]).tolist()
    assert found["E12.rows"].tolist() == [0, 1, 4]


def test_it_is_verified_by_what_its_shards_say(folder):
    report = check_shards(folder)
    assert (report.problems, report.shards, report.records) == ({}, 3, 5)
    shards.shard_path(folder, 1).unlink()
    (folder / "pq8_codebooks" / "Semantic_codebook.safetensors").unlink()
    found = [Path(one).name for one in check_shards(folder).problems]
    assert found == ["Semantic_codebook.safetensors", "shard-00001.safetensors"]


def test_it_is_resumed_by_the_stamps_of_its_inputs(folder):
    shards.shard_path(folder, 1).unlink()
    assert (resume(folder).skipped, resume(folder).skipped) == (3, 5)
    assert [one.rows for one in read_manifest(folder).entries] == [2, 2, 1]
    assert check_shards(folder).problems == {}
    for number in (0, 2):
        name = f"shard-0000{number}.safetensors"
        assert (folder / name).read_bytes() == (V4 / "shards" / name).read_bytes()


def test_others_are_refused(folder):
    os.utime(folder.parent / "inputs.npz", ns=(MOMENT, MOMENT + 1))
    with pytest.raises(UsageError, match="other inputs"):
        resume(folder)
    os.utime(folder.parent / "inputs.npz", ns=(MOMENT, MOMENT))
    with pytest.raises(UsageError, match="other inputs"):
        resume(folder, shard_size=3)
    assert {one.name for one in folder.iterdir()} == {one.name for one in (V4 / "shards").iterdir()}


@pytest.fixture
def newer(tmp_path):
    """Return the corpus of a folder with a manifest, and where it is to be written."""
    shutil.copy(V5 / "inputs.npz", tmp_path)
    os.utime(tmp_path / "inputs.npz", ns=(MOMENT, MOMENT))
    return open_corpus(str(tmp_path / "inputs.npz"), V5 / "profile.toml"), tmp_path / "shards"


@pytest.fixture
def contents():
    """Return a function from a folder to the bytes of all files below it."""
    return lambda folder: {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_folder_with_a_manifest_is_written_with_the_same_bytes(newer, contents):
    corpus, folder = newer
    assert check_shards(V5 / "shards").problems == {}
    expected = contents(V5 / "shards")
    manifest = read_manifest(V5 / "shards")
    assert manifest_bytes(manifest) == manifest_path(V5 / "shards").read_bytes()
    ShardWriter(folder, shard_size=2).write_all(corpus)
    assert contents(folder) == expected


def test_an_unfinished_job_goes_on_without_reading_again(newer, contents, monkeypatch):
    corpus, folder = newer
    shutil.copytree(V5 / "shards", folder)
    manifest_path(folder).unlink()
    shards.shard_path(folder, 1).unlink()
    shutil.copy(V5 / "job.json", job_path(folder))
    monkeypatch.setattr(shard_job, "input_checksums", None)
    with ShardWriter(folder, shard_size=2) as writer:
        writer.write(corpus, 0, 2)
        assert job_path(folder).read_bytes() == (V5 / "job.json").read_bytes()
        writer.write(corpus, 2, 4)
    assert contents(folder) == contents(V5 / "shards")
