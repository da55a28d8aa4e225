"""A shard's file is checked as far as it is read."""

import numpy as np
import pytest

from cgcython.base import ModelId
from cgcython.codecs.float8 import Float8Codec
from cgcython.codecs.token_pruning import TokenPruningCodec
from cgcython.errors import StorageCorruption
from cgcython.store import shards
from cgcython.store.key_columns import KeyColumn
from cgcython.store.shard_file import CHECKED, KIND, ShardFile
from cgcython.tensors import BLOCKS

COUNT = 1200
ROWS = np.arange(0, COUNT, 3)
RNG = np.random.default_rng(6)
DENSE = Float8Codec(384).encode_batch(RNG.standard_normal((COUNT, 384), np.float32))
TOKENS = TokenPruningCodec(64, 1.0, layout="compact_e4m3").encode_batch(
    [RNG.standard_normal((1 + i % 9, 64), np.float32) for i in range(len(ROWS))]
)


@pytest.fixture
def path(tmp_path):
    parts = {
        ModelId.GRAPH: shards.ShardPart(DENSE),
        ModelId.LATE_INTERACTION: shards.ShardPart(TOKENS, ROWS),
    }
    ids = KeyColumn.of_uuids(RNG.integers(0, 256, (COUNT, 16), np.uint8))
    shards.write_shard(tmp_path / "shard", shards.Shard(ids, parts, {}))
    return tmp_path / "shard"


def of_version_2(path):
    """Write a shard as the release before did, without checksums of blocks."""
    arrays, texts = KIND.read(path)
    arrays = {name: np.array(one) for name, one in arrays.items() if name != BLOCKS}
    ids = KeyColumn.of_uuids(arrays.pop("ids"))
    KIND.write(path, {**arrays, **ids.arrays(free=True)}, texts, "2")


def flip(path, name, row):
    """Flip a bit of a row of an array."""
    content, file = bytearray(path.read_bytes()), KIND.open(path)
    array = file.arrays[name]
    whole, own = np.array(array), array[row : row + 1].tobytes()
    at = content.index(whole.tobytes()) + row * len(own)
    content[at] ^= 2
    path.write_bytes(content)


@pytest.mark.parametrize("rewrite", [lambda path: None, of_version_2], ids=["3", "2"])
def test_some_memories_are_those_of_the_whole(path, rewrite):
    rewrite(path)
    file = ShardFile(path)
    memories = np.array([0, 1, 3, 4, 600, 1197, 1199])
    dense, tokens = (file.some(one, memories) for one in file.embedders)
    np.testing.assert_array_equal(dense.rows, memories)
    np.testing.assert_array_equal(dense.batch.columns["codes"], DENSE.columns["codes"][memories])
    np.testing.assert_array_equal(tokens.rows, [0, 3, 600, 1197])
    expected = TOKENS[[0, 1, 200, 399]].columns
    for name, column in tokens.batch.columns.items():
        np.testing.assert_array_equal(column, expected[name])
    assert file.some(ModelId.LATE_INTERACTION, np.array([1, 2])) is None
    assert file.some(ModelId.HDC, memories) is None


def test_damage_of_other_rows_does_not_matter_to_some_but_to_all(path):
    flip(path, "E8.codes", 1100)
    file = ShardFile(path)
    assert file.some(ModelId.GRAPH, np.array([3])) is not None
    with pytest.raises(StorageCorruption, match=r"shard is damaged: .*block 6 of E8\.codes"):
        file.some(ModelId.GRAPH, np.array([3, 1100]))
    with pytest.raises(StorageCorruption, match=r"the checksum of E8\.codes differs"):
        file.part(ModelId.GRAPH)
    assert file.part(ModelId.LATE_INTERACTION) is not None


def test_without_checksums_of_blocks_all_rows_of_the_embedder_are_compared(path):
    of_version_2(path)
    flip(path, "E8.codes", 1100)
    file = ShardFile(path)
    with pytest.raises(StorageCorruption, match=r"the checksum of E8\.codes differs"):
        file.some(ModelId.GRAPH, np.array([3]))
    assert file.some(ModelId.LATE_INTERACTION, np.array([3])) is not None


@pytest.mark.parametrize("name", ["ids", BLOCKS])
def test_ids_and_checksums_are_compared_when_it_is_opened(path, name):
    flip(path, name, 1)
    with pytest.raises(StorageCorruption, match=f"the checksum of {name} differs"):
        ShardFile(path)


@pytest.mark.parametrize("version", ["2", CHECKED])
def test_checksums_of_blocks_belong_to_their_version(path, version):
    arrays, texts = KIND.read(path)
    arrays = {name: np.array(one) for name, one in arrays.items()}
    if version == CHECKED:
        del arrays[BLOCKS]
    KIND.write(path, arrays, texts, version)
    with pytest.raises(StorageCorruption, match="blocks"):
        ShardFile(path)
