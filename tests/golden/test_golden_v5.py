"""Shards of version 3, which have checksums of blocks, are read for ever and written the same."""

import json
from pathlib import Path

import numpy as np
import pytest

from cgcython.search.shards import ShardSearcher
from cgcython.store.shard_file import CHECKED, KIND
from cgcython.store.shards import read_shard, shard_paths, write_shard
from cgcython.tensors import BLOCKS

V5 = Path(__file__).with_name("v5_shards")
EXPECTED = json.loads((V5 / "expected.json").read_text())
PATHS = shard_paths(V5 / "shards")


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_shard_keeps_its_ids_and_columns(path):
    shard, expected = read_shard(path), dict(EXPECTED["shards"][path.name])
    keys = shard.ids.keys()
    assert [key.hex() for key in keys] == expected.pop("keys")
    found = {
        one.short: {name: column.tobytes().hex() for name, column in batch.columns.items()}
        for one, (batch, _) in shard.parts.items()
    }
    assert found == expected


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_equal_shards_are_written_with_equal_bytes(path, tmp_path):
    opened = KIND.open(path)
    assert opened.version == CHECKED
    assert BLOCKS in opened.arrays
    write_shard(tmp_path / "again", read_shard(path))
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_searches_find_what_they_found():
    inputs = np.load(V5 / "inputs.npz")
    with ShardSearcher(V5 / "shards") as searcher:
        for name, expected in EXPECTED["hits"].items():
            query = inputs["E12.values"][:2] if name == "E12" else inputs[name][1]
            hits = searcher.search({name: query}, 5)
            scores = [hit.scores[searcher.profile.embedder(name)] for hit in hits]
            assert [str(hit.id) for hit in hits] == [one for one, _ in expected]
            np.testing.assert_allclose(scores, [score for _, score in expected], atol=2e-6)
