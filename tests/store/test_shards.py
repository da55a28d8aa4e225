"""Shards: columns in, the same columns mapped out, damage and hostile metadata refused."""

import json
from zlib import crc32

import numpy as np
import pytest

from cgcython import checksums
from cgcython.base import ModelId
from cgcython.errors import FileUnavailable, StorageCorruption, UnknownMethod, UnsupportedVersion
from cgcython.router import QuantizationRouter
from cgcython.store import shards
from cgcython.store.key_columns import KeyColumn
from cgcython.tensors import read_tensors, write_tensors

RNG = np.random.default_rng(2)
ROUTER = QuantizationRouter()
IDS = RNG.integers(0, 256, (5, 16), np.uint8)
BATCHES = {
    ModelId.GRAPH: (RNG.standard_normal((5, 384)), None),
    ModelId.HDC: (RNG.standard_normal((5, 1024)), None),
    ModelId.SPARSE: ((np.arange(6), np.arange(5), np.ones(5, np.float32), 30522), None),
    ModelId.LATE_INTERACTION: ([RNG.standard_normal((n, 128)) for n in (3, 8)], np.array([1, 4])),
}


@pytest.fixture
def shard():
    parts = {
        one: shards.ShardPart(ROUTER.quantize_batch(one, values, compact=True), rows)
        for one, (values, rows) in BATCHES.items()
    }
    return shards.Shard(KeyColumn.of_uuids(IDS), parts, {"first": 0})


@pytest.fixture
def path(shard, tmp_path):
    shards.write_shard(tmp_path / "shard-00000.safetensors", shard)
    return tmp_path / "shard-00000.safetensors"


def test_what_was_written_is_read(shard, path):
    found = shards.read_shard(path)
    assert found.facts == shards.read_facts(path) == {"first": 0}
    np.testing.assert_array_equal(found.ids.arrays(free=False)["ids"], IDS)
    for one, (batch, rows) in found.parts.items():
        expected = shard.parts[one].batch
        assert (batch.method, batch.original_dim) == (expected.method, expected.original_dim)
        assert dict(batch.shared) == pytest.approx(dict(expected.shared))
        for name, column in expected.columns.items():
            np.testing.assert_array_equal(batch.columns[name], column)
        np.testing.assert_array_equal(rows is None, shard.parts[one].rows is None)


def test_columns_are_mapped_and_decode(path):
    batch = shards.read_shard(path).parts[ModelId.GRAPH].batch
    assert not batch.columns["codes"].flags.writeable
    decoded = ROUTER.dequantize_batch(batch)
    np.testing.assert_allclose(decoded, BATCHES[ModelId.GRAPH][0], atol=0.3)


def test_columns_lie_where_the_file_is_mapped(path):
    owner = shards.read_shard(path).parts[ModelId.HDC].batch.columns["codes"]
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    assert isinstance(owner, np.memmap)


def test_row_bytes_add_up_to_the_columns(shard):
    for batch, _ in shard.parts.values():
        extra = 8 * ("offsets" in batch.columns)  # n rows have n + 1 offsets
        assert shards.row_bytes(batch).sum() + extra == batch.nbytes


def test_a_flipped_bit_anywhere_in_the_arrays_is_damage(path):
    whole = path.read_bytes()
    start = 8 + int.from_bytes(whole[:8], "little")
    for at in RNG.integers(start, len(whole), 40):
        content = bytearray(whole)
        content[at] ^= 1 << int(at % 8)
        path.write_bytes(content)
        with pytest.raises(StorageCorruption):
            shards.read_shard(path)


def test_a_flipped_bit_anywhere_in_the_header_is_damage_or_harmless(path, shard, part):
    whole = path.read_bytes()
    for at in part(range(8 + int.from_bytes(whole[:8], "little")), 6):
        content = bytearray(whole)
        content[at] ^= 1 << at % 8
        path.write_bytes(content)
        try:
            found = shards.read_shard(path)
        except StorageCorruption:
            continue
        assert found.facts == shard.facts
        for one, (batch, _) in shard.parts.items():
            other = found.parts[one].batch
            np.testing.assert_equal(dict(other.columns), dict(batch.columns))
            assert (other.shared, other.original_dim) == (batch.shared, batch.original_dim)


@pytest.mark.parametrize("size", [0, 7, 8, 100, -1])
def test_a_file_cut_short_is_damage(path, size):
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(StorageCorruption):
        shards.read_shard(path)


def rewritten(path, change):
    """Write the shard again, its arrays and texts changed and its checksums made to fit."""
    arrays, texts = read_tensors(path)
    arrays = {name: np.array(array) for name, array in arrays.items()}
    about = {key: json.loads(text) for key, text in texts.items()}
    change(arrays, about)
    texts = {
        key: value if isinstance(value, str) and key in shards.KIND.texts else json.dumps(value)
        for key, value in about.items()
    }
    found = {name: checksums.of_array(array) for name, array in arrays.items()}
    found |= {key: crc32(texts[key].encode()) for key in shards.KIND.texts if key in texts}
    write_tensors(path, arrays, {**texts, "crc32": json.dumps(found)})


def changed(name, change):
    return lambda arrays, about: arrays.__setitem__(name, change(arrays[name]))


def said(embedder, key, value):
    return lambda arrays, about: about["embedders"][embedder].__setitem__(key, value)


HOSTILE = {
    "offsets beyond the data": lambda a, t: a["E6.offsets"].__setitem__(-1, 10**12),
    "offsets that go back": lambda a, t: a["E6.offsets"].__setitem__(1, 10**6),
    "no offsets": changed("E6.offsets", lambda one: one[:0]),
    "offsets of halves": changed("E6.offsets", lambda one: one.astype("f8")),
    "rows outside": lambda a, t: a["E12.rows"].__setitem__(-1, 5),
    "rows that repeat": lambda a, t: a["E12.rows"].__setitem__(-1, 1),
    "rows below zero": lambda a, t: a["E12.rows"].__setitem__(0, -1),
    "rows of halves": changed("E12.rows", lambda one: one.astype("f8")),
    "rows in a matrix": changed("E12.rows", lambda one: one[None]),
    "a missing column": lambda a, t: a.pop("E8.scales"),
    "a column too many": lambda a, t: a.__setitem__("E8.more", a["E8.scales"]),
    "columns of nobody": lambda a, t: a.__setitem__("E2.codes", a["E8.codes"]),
    "columns of two lengths": changed("E8.scales", lambda one: one[:3]),
    "codes of float64": changed("E8.codes", lambda one: one.astype("f8")),
    "codes in three dimensions": changed("E9.codes", lambda one: one[..., None]),
    "codes that are too narrow": changed("E9.codes", lambda one: one[:, 1:]),
    "signed counts": changed("E6.nnz", lambda one: one.view("i4")),
    "a list for a method": said("E8", "method", ["float8_e4m3"]),
    "another method": said("E8", "method", "binary"),
    "a dimension in words": said("E8", "dimension", "384"),
    "no dimension": said("E8", "dimension", 0),
    "another dimension": said("E8", "dimension", 385),
    "a threshold in words": said("E9", "shared", {"threshold": "0"}),
    "no threshold": said("E9", "shared", {}),
    "more than a threshold": said("E9", "shared", {"threshold": 0.0, "more": 1}),
    "an unknown layout": said("E12", "shared", {"threshold": 1.0, "layout": "compact"}),
    "a list for what is shared": said("E12", "shared", ["threshold", "layout"]),
    "an unknown embedder": lambda a, t: t["embedders"].__setitem__("E99", {}),
    "an embedder by another name": lambda a, t: t["embedders"].__setitem__("Graph", {}),
    "no embedder at all": lambda a, t: t.__setitem__("embedders", []),
    "deep embedders": lambda a, t: t.__setitem__("embedders", "[" * 50_000),
    "NaN": lambda a, t: t.__setitem__("facts", '{"first": NaN}'),
    "no ids": lambda a, t: a.pop("ids"),
    "ids of fifteen bytes": changed("ids", lambda one: one[:, :15]),
    "ids of floats": changed("ids", lambda one: one.astype("f4")),
    "another format": lambda a, t: t.__setitem__("format", "other"),
    "no version": lambda a, t: t.pop("version"),
    "no facts": lambda a, t: t.pop("facts"),
    "facts that are a list": lambda a, t: t.__setitem__("facts", [1]),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_contents_that_contradict_themselves_are_damage(path, change):
    rewritten(path, change)
    with pytest.raises(StorageCorruption):
        shards.read_shard(path)


def test_a_method_of_a_package_that_is_missing_is_not_damage(path):
    rewritten(path, said("E8", "method", "zip"))
    with pytest.raises(UnknownMethod, match="got zip; correct the name, or install the package"):
        shards.read_shard(path)


@pytest.mark.parametrize("memories", [None, "5", 5.0, -1, 2**70, True])
def test_a_shard_that_does_not_count_memories_is_damage(path, memories):
    rewritten(path, lambda arrays, about: about["facts"].__setitem__("memories", memories))
    with pytest.raises(StorageCorruption, match="memories"):
        shards.count_memories(path)


def test_a_shard_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileUnavailable, match="shard-00009"):
        shards.read_shard(tmp_path / "shard-00009.safetensors")


def test_equal_shards_have_equal_bytes(shard, path):
    backwards = shard._replace(parts=dict(reversed(shard.parts.items())))
    shards.write_shard(path.with_name("again"), backwards)
    assert shards.read_shard(path.with_name("again")).facts == {"first": 0}
    shards.write_shard(path.with_name("twice"), shards.read_shard(path))
    assert path.with_name("twice").read_bytes() == path.read_bytes()


def test_a_later_version_is_named(path):
    rewritten(path, lambda arrays, about: about.__setitem__("version", 4))
    with pytest.raises(UnsupportedVersion, match="version 4, this release reads 1 and 2 and 3"):
        shards.read_shard(path)


def test_failing_to_write_leaves_the_old_file(path, shard, monkeypatch):
    before = path.read_bytes()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        shards.write_shard(path, shard)
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == [path.name]
