"""A folder of shards without a manifest, as releases before it wrote, is read for ever."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from cgcython import ShardWriter, open_corpus
from cgcython.corpus.reading import decoded_arrays, open_reader
from cgcython.errors import UsageError
from cgcython.search.shards import ShardSearcher
from cgcython.store import shards
from cgcython.store.shard_checking import check_shards
from cgcython.store.shard_manifest import read_manifest

V4 = Path(__file__).with_name("v4_shards")
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
