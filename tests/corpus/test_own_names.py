"""Arrays, corpora and shards of embedders that users named."""

import numpy as np
import pytest

from cgcython import FingerprintStore, PQ8Codebook, ShardWriter, StoreWriter, open_corpus
from cgcython.corpus.reading import ShardReader, decoded_arrays
from cgcython.errors import InvalidInput, StoreUnavailable, UsageError
from cgcython.search.shards import ShardSearcher

RNG = np.random.default_rng(4)
ROWS = {
    "bge-v1.5": {"dimension": 8, "method": "pq8"},
    "bge-v1": {"dimension": 8, "method": "float8_e4m3"},
    "tok.v2": {"dimension": 4, "method": "token_pruning"},
    "E9": {"dimension": 8, "method": "binary"},
}
X = RNG.standard_normal((6, 8)).astype(np.float32)
ARRAYS = {
    "E9": X,
    "bge-v1": X,
    "bge-v1.5": X,
    "tok.v2.values": RNG.standard_normal((12, 4)).astype(np.float32),
    "tok.v2.offsets": np.arange(0, 13, 2),
}
BOOKS = {"bge-v1.5": PQ8Codebook(RNG.standard_normal((8, 256, 1)).astype(np.float32))}


@pytest.fixture
def corpus():
    return open_corpus(ARRAYS, ROWS)


def test_names_with_dots_are_told_from_parts_of_arrays(corpus, tmp_path):
    assert [one.short for one in corpus] == ["E9", "bge-v1.5", "bge-v1", "tok.v2"]
    assert "bge-v1" in corpus
    assert "bge-v2" not in corpus
    np.save(tmp_path / "rows.npy", X)
    named = open_corpus(f"bge-v1.5={tmp_path / 'rows.npy'}", ROWS)
    assert len(named["bge-v1.5"].embeddings) == 6


def test_an_unknown_name_is_told_with_its_row():
    row = r'bge = \{ dimension = 8, method = "float8_e4m3" \}'
    with pytest.raises(InvalidInput, match=rf"the nearest is bge-v1\), or a profile .* {row}"):
        open_corpus({"bge": X}, ROWS)


def test_shards_have_the_names(corpus, tmp_path):
    with ShardWriter(tmp_path / "out", BOOKS) as writer:
        writer.write_all(corpus)
    searcher = ShardSearcher(tmp_path / "out")
    hits = searcher.search({"bge-v1.5": X[2], "bge-v1": X[2]}, 1)
    assert {one.short for one in hits[0].scores} == {"bge-v1.5", "bge-v1"}
    found = decoded_arrays(ShardReader(tmp_path / "out"), ["bge-v1"])
    np.testing.assert_allclose(found["bge-v1"], X, rtol=0.1, atol=0.05)
    other = {**ROWS, "bge-v1": {"dimension": 8, "method": "binary"}}
    with pytest.raises(UsageError, match="bge-v1: method is float8_e4m3, not binary"):
        ShardWriter(tmp_path / "out", BOOKS).write_all(open_corpus(ARRAYS, other))


def test_a_store_takes_a_corpus_of_its_names_whatever_their_order(corpus, tmp_path):
    with StoreWriter(tmp_path / "store", BOOKS) as writer:
        writer.write_all(corpus)
    turned = open_corpus(ARRAYS, dict(reversed(ROWS.items())))
    with StoreWriter(tmp_path / "store") as writer:
        writer.write_all(turned)
    with FingerprintStore.open(tmp_path / "store") as store:
        assert len(store) == 6
        assert store.verify().sections == 24
        assert store.search({"bge-v1": X[4]}, 1)[0].scores["bge-v1"] > 0.99
    with pytest.raises(StoreUnavailable, match=r"bge-v1\.5, bge-v1, tok\.v2 left out"):
        StoreWriter(tmp_path / "store", profile={"E9": ROWS["E9"]})
