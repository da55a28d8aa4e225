"""Columns of mapped shards find what a store of the same records finds, bit for bit."""

import shutil

import numpy as np
import pytest

from cgcython.base import Profile
from cgcython.codecs.binary import BinaryCodec
from cgcython.codecs.codebook import PQ8Codebook
from cgcython.codecs.codebook_file import codebook_path
from cgcython.codecs.float8 import Float8Codec
from cgcython.codecs.pq8 import PQ8Codec
from cgcython.codecs.residual_codebook import RQ8Codebook
from cgcython.codecs.rq8 import RQ8Codec
from cgcython.codecs.scalar import ScalarCodec
from cgcython.codecs.sparse import SparseCodec
from cgcython.codecs.sparse_layouts import NAMES as SPARSE_LAYOUTS
from cgcython.codecs.token_layouts import NAMES as TOKEN_LAYOUTS
from cgcython.codecs.token_pruning import TokenPruningCodec
from cgcython.corpus.shard_records import copy_shards
from cgcython.errors import InvalidQuantizedData, StorageCorruption
from cgcython.records import SparseVector
from cgcython.search import shard_columns
from cgcython.search.shards import ShardSearcher
from cgcython.search.store import FingerprintStore
from cgcython.store import shards
from cgcython.store.ids import as_key
from cgcython.store.key_columns import KeyColumn
from cgcython.store.shard_file import CHECKED, KIND
from cgcython.tensors import BLOCKS, block_checksums

RNG = np.random.default_rng(17)
SIZE, DIM = 24, 32  # memories of a shard, and values
SPARSE_DIM = 500
PROFILE = Profile.from_toml(
    """
E1 = { dimension = 32, method = "pq8" }
E5 = { dimension = 32, method = "rq8" }
E6 = { dimension = 500, method = "sparse_native" }
E8 = { dimension = 32, method = "float8_e4m3" }
E9 = { dimension = 32, method = "binary", threshold = 0.1 }
E11 = { dimension = 30, method = "scalar", bits = 6 }
E12 = { dimension = 8, method = "token_pruning" }
"""
)
BOOKS = {
    "E1": PQ8Codebook(RNG.standard_normal((4, 256, 8), np.float32)),
    "E5": RQ8Codebook(RNG.standard_normal((8, 256, 20)), np.eye(DIM, 20), np.full(DIM, 0.1)),
}
IDS = [
    lambda i: np.random.default_rng(i).bytes(16),
    lambda i: f"doc-{97 * i % 1000}",
    lambda i: (i - 40) * 10**6,
    lambda i: f"fifteen bytes {i % 10}" if i % 3 else f"\N{SNOWMAN} {i}",
]


def sparse(count):
    """Return vectors, some with weights that f16 does not hold, one of zeros."""
    vectors = []
    for i in range(count):
        indices = RNG.choice(SPARSE_DIM, i % 9, replace=False)
        weights = RNG.random(len(indices)) + 0.1
        vectors.append(SparseVector(indices, weights * (1e-6 if i % 5 == 4 else 1), SPARSE_DIM))
    return vectors


def tokens(count):
    texts = [RNG.standard_normal((i % 7, 8), np.float32) for i in range(count)]
    texts[-1][:1] *= 1e-6  # whose scale is no normal f16
    return texts


def batches(number):
    """Return the batch of each embedder in a shard; layouts differ from one to the next."""
    vectors = RNG.standard_normal((SIZE, DIM), np.float32)
    vectors[3] = 0
    layout = TOKEN_LAYOUTS[number % len(TOKEN_LAYOUTS)]
    return {
        "E1": PQ8Codec(BOOKS["E1"]).encode_batch(vectors),
        "E5": RQ8Codec(BOOKS["E5"]).encode_batch(vectors),
        "E6": SparseCodec(SPARSE_DIM, SPARSE_LAYOUTS[number % 4]).encode_batch(sparse(SIZE)),
        "E8": Float8Codec(DIM).encode_batch(vectors),
        "E9": BinaryCodec(DIM, 0.1).encode_batch(vectors),
        "E11": ScalarCodec(30, 6).encode_batch(vectors[:, :30]),
        "E12": TokenPruningCodec(8, 1.0, layout=layout).encode_batch(tokens(SIZE)),
    }


def part(number, name, batch):
    """Return the part of an embedder, which some memories of some shards lack."""
    if number % 3 or name == "E8":
        return shards.ShardPart(batch)
    rows = np.flatnonzero(RNG.random(SIZE) < 0.7)
    return shards.ShardPart(batch[rows], rows)


def write(folder, number, ids):
    parts = {
        PROFILE.embedder(name): part(number, name, batch) for name, batch in batches(number).items()
    }
    keys = KeyColumn.of(list(map(as_key, ids)))
    facts = {"memories": SIZE, "first": SIZE * number}
    shards.write_shard(shards.shard_path(folder, number), shards.Shard(keys, parts, facts))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder of seven shards; two memories of the last have the ids of earlier ones."""
    path = tmp_path_factory.mktemp("shards")
    (path / shards.PROFILE).write_text(PROFILE.to_toml())
    for name, book in BOOKS.items():
        target = codebook_path(path, PROFILE.embedder(name).title)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(book.to_bytes())
    for number in range(7):
        ids = [IDS[number % 4](SIZE * number + i) for i in range(SIZE)]
        if number == 6:
            ids[5], ids[8] = IDS[0](7), IDS[1](SIZE + 3)
        write(path, number, ids)
    return path


@pytest.fixture(scope="module")
def store(folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "store"
    copy_shards(folder, path)
    with FingerprintStore.open(path, read_only=True) as store:
        yield store


@pytest.fixture(params=[0, 1 << 30], ids=["mapped", "copied"])
def searcher(request, folder, monkeypatch):
    for name in ("MAPPED", "COPIED"):
        monkeypatch.setattr(shard_columns, name, request.param)
    monkeypatch.setattr(ShardSearcher, "sections", None)  # no row is read by itself
    with ShardSearcher(folder) as searcher:
        yield searcher


def query():
    rng = np.random.default_rng(3)
    indices = np.arange(0, SPARSE_DIM, 11)
    vector = rng.standard_normal(DIM)
    return {
        **dict.fromkeys(("E1", "E5", "E8", "E9"), vector),
        "E6": SparseVector(indices, rng.random(len(indices)) + 0.1, SPARSE_DIM),
        "E11": vector[:30],
        "E12": rng.standard_normal((5, 8)),
    }


QUERY = query()
ZEROS = {
    **{name: np.zeros_like(QUERY[name]) for name in QUERY if name != "E6"},
    "E6": SparseVector(np.array([], np.uint32), np.array([], np.float32), SPARSE_DIM),
}


@pytest.mark.parametrize("name", QUERY)
def test_an_embedder_alone_ranks_as_in_a_store(searcher, store, name):
    for asked in (QUERY, ZEROS):
        for metric in ("cosine", "dot"):
            how = {"embedders": [name], "metric": metric}
            assert searcher.search(asked, 9, **how) == store.search(asked, 9, **how)
    everything = {"k": 1000, "embedders": [name]}
    assert searcher.search(QUERY, **everything) == store.search(QUERY, **everything)


@pytest.mark.parametrize("k", [3, 40, 1000])
def test_rankings_are_fused_as_in_a_store(searcher, store, k):
    ways = [{}, {"weights": {"E8": 3, "E12": 0.5}}, {"embedders": ["E6", "E9"]}]
    for how in ways:
        assert searcher.search(QUERY, k, **how) == store.search(QUERY, k, **how)


@pytest.mark.parametrize("name", QUERY)
def test_an_embedder_that_is_not_loaded_reranks_as_in_a_store(searcher, store, name):
    others = [one for one in ("E8", "E9") if one != name][:1]
    how = {"embedders": others, "rerank": name, "oversample": 3}
    assert searcher.search(QUERY, 8, **how) == store.search(QUERY, 8, **how)
    assert list(searcher._columns._columns) == list(map(PROFILE.embedder, others))


def test_many_queries_filters_and_guides_find_the_same(searcher, store):
    rows = np.random.default_rng(4).standard_normal((5, DIM))
    many = [one.search_many({"E8": rows, "E9": rows}, 6).hits for one in (searcher, store)]
    assert many[0] == many[1]
    among = list(store.ids())[::3]
    for how in ({"among": among}, {"approximate": True}, {"among": among, "rerank": "E12"}):
        asked = {name: QUERY[name] for name in QUERY if name != "E12" or "rerank" in how}
        assert searcher.search(asked, 6, **how) == store.search(asked, 6, **how)


def test_every_part_is_that_of_the_record(searcher, store):
    for record_id in list(store.ids())[::5]:
        for name in QUERY:
            assert searcher.quantized(record_id, name) == store.quantized(record_id, name)


def test_scan_yields_each_memory_once(searcher, store):
    for name in QUERY:
        found = list(searcher.scan(PROFILE.embedder(name)))
        assert dict(found) == dict(store.scan(PROFILE.embedder(name)))
        assert len(found) == len(dict(found))


def test_codes_lie_where_the_file_is_mapped(folder, monkeypatch):
    monkeypatch.setattr(shard_columns, "MAPPED", 0)
    with ShardSearcher(folder) as searcher:
        for name in ("E1", "E8", "E9", "E11"):
            column = searcher._columns.get(PROFILE.embedder(name))
            assert len(column._mapped) == 7 - len(searcher._shards.places.replaced) == 4


def test_embedders_of_all_memories_share_the_order_of_keys(folder, monkeypatch):
    monkeypatch.setattr(shard_columns, "MAPPED", 0)
    with ShardSearcher(folder, numbers=[1, 2, 4]) as searcher:
        names = ("E1", "E8", "E9", "E5")
        first, *others = (searcher._columns.get(PROFILE.embedder(name)) for name in names)
        assert all(one.order is first.order for one in others)
    with ShardSearcher(folder, numbers=[1, 2, 3]) as searcher:  # 3 has not all of E9
        orders = [searcher._columns.get(PROFILE.embedder(name)).order for name in ("E8", "E9")]
        assert orders[0] is not orders[1]


# What no encoder writes, with checksums that fit.


def spoil(path, name, at, value):
    """Change a byte of an array of a shard, and seal it anew."""
    arrays, texts = KIND.read(path)
    arrays = {key: np.array(one) for key, one in arrays.items() if key != BLOCKS}
    arrays[name].reshape(-1).view(np.uint8)[at] = value
    KIND.write(path, {**arrays, BLOCKS: block_checksums(arrays)}, texts, CHECKED)


SPOILT = {
    "a code that is NaN": ("E8.codes", 40, 0x7F),
    "a scale that is infinite": ("E8.scales", slice(0, 4), list(b"\0\0\x80\x7f")),
    "a scale below zero": ("E11.scales", 1, 0xFF),
    "padding that is set": ("E11.codes", 22, 0xFF),
    "indices that do not ascend": ("E6.data", slice(60, 80), 0xFF),
    "another count of non-zeros": ("E6.nnz", 8, 1),
    "another layout of a vector": ("E6.layouts", 9, 3),
    "an unknown layout": ("E6.layouts", 9, 77),
    "a bitmap of more tokens": ("E12.data", slice(0, 12), 0xFF),
    "another count of tokens": ("E12.original_tokens", 8, 9),
}


@pytest.mark.parametrize("number", [4, 5])
@pytest.mark.parametrize("change", SPOILT.values(), ids=SPOILT)
def test_what_no_encoder_writes_is_left_out_as_it_is_row_by_row(
    folder, tmp_path, monkeypatch, caplog, change, number
):
    shutil.copytree(folder, tmp_path / "spoilt")
    spoil(shards.shard_path(tmp_path / "spoilt", number), *change)
    name, outcomes = change[0].partition(".")[0], []
    for loaded in (shard_columns.ShardColumns._loaded, shard_columns.Columns._loaded):
        monkeypatch.setattr(shard_columns.ShardColumns, "_loaded", loaded)
        with ShardSearcher(tmp_path / "spoilt") as searcher:
            try:
                outcomes.append(searcher.search(QUERY, 999, embedders=[name]))
            except (StorageCorruption, InvalidQuantizedData) as error:
                outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]
    told = [record.getMessage() for record in caplog.records]
    assert len(told) in (0, 2)
    assert len(set(told)) < 2
