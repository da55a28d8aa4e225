"""What of a corpus is compared: every embedder, its codes made now or taken from a store."""

import numpy as np
import pytest

from cgcython import ModelId, QuantizationRouter, RecordStore, StoreWriter, open_corpus
from cgcython.errors import UsageError
from cgcython.evaluation.comparison import compare
from cgcython.evaluation.corpora import contenders, tokens_of

RNG = np.random.default_rng(4)
ARRAYS = {
    "E9": RNG.standard_normal((12, 1024)),
    "E12.values": RNG.standard_normal((9, 128)),
    "E12.offsets": [0, 4, 9],
    "E12.rows": [2, 5],
}


@pytest.fixture
def corpus():
    return open_corpus(ARRAYS)


def test_codes_of_a_store_compare_as_those_made_now(corpus, tmp_path):
    with StoreWriter(tmp_path / "store") as writer:
        writer.write_all(corpus)
    queries = corpus.fingerprints(0, 3)
    now = compare(contenders(corpus, QuantizationRouter()), queries)
    with RecordStore.open(tmp_path / "store", read_only=True) as store:
        stored = compare(contenders(corpus, store.router, store=store), queries)
    assert [row.embedder for row in now] == ["E9", "E12", "fused"]
    for one, other in zip(now, stored):
        assert (one.bytes_each, one.loss, one.overlap10) == (
            other.bytes_each,
            other.loss,
            other.overlap10,
        )


def test_a_memory_that_the_store_does_not_have_is_named(corpus, tmp_path):
    with StoreWriter(tmp_path / "store") as writer:
        writer.write_all(open_corpus({"E9": ARRAYS["E9"][:5]}))
    with RecordStore.open(tmp_path / "store", read_only=True) as store:
        found = contenders(open_corpus({"E9": ARRAYS["E9"]}), store.router, store=store)
        with pytest.raises(UsageError, match="memory 5 of the corpus is not in"):
            compare(found, [{ModelId.HDC: ARRAYS["E9"][0]}])


def test_an_embedder_without_embeddings_is_refused():
    with pytest.raises(UsageError, match="E9 has no embeddings"):
        contenders(open_corpus({"E9": np.empty((0, 1024))}), QuantizationRouter())


def test_tokens_stand_at_their_memories(corpus):
    found = tokens_of(corpus)
    assert found.counts.tolist() == [0, 0, 4, 0, 0, 5] + [0] * 6
    np.testing.assert_array_equal(found[2], ARRAYS["E12.values"][:4].astype(np.float32))
    with pytest.raises(UsageError, match="E12=FILE:values,offsets"):
        tokens_of(open_corpus({"E9": ARRAYS["E9"]}))


def test_records_of_an_earlier_codebook_are_read_by_it(memories, tmp_path):
    rows = np.random.default_rng(1).standard_normal((12, 16), dtype=np.float32)
    corpus = open_corpus({"E1": rows}, memories.profile)
    with StoreWriter(tmp_path / "store", memories.codebooks) as writer:
        writer.write_all(corpus)
    queries = corpus.fingerprints(0, 3)
    before = compare(contenders(corpus, memories.router), queries)
    with RecordStore.open(tmp_path / "store", memories.other_codebooks) as store:
        (row,) = compare(contenders(corpus, store.router, store=store), queries)
    assert (row.loss, row.overlap10) == (before[0].loss, before[0].overlap10)
