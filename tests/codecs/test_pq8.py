"""PQ-8 records: one byte per part, decoded by the codebook that made them and no other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgcython.codecs.codebook import PQ8Codebook
from cgcython.codecs.pq8 import PQ8Codec
from cgcython.errors import CodebookMissing, InvalidQuantizedData
from cgcython.records import QuantizedEmbedding

RNG = np.random.default_rng(40)
CODEC = PQ8Codec(PQ8Codebook(RNG.standard_normal((8, 256, 4), dtype=np.float32)))
OTHER = PQ8Codec(PQ8Codebook(RNG.standard_normal((8, 256, 4), dtype=np.float32)))
ROWS = RNG.standard_normal((30, 32), dtype=np.float32)


def test_a_record_is_eight_bytes_and_names_its_codebook():
    record = CODEC.encode(ROWS[0])
    assert record.size_bytes == CODEC.expected_size() == 8
    assert record.compression_ratio == 16
    assert record.metadata == (CODEC.codebook.codebook_id, 8)


@pytest.mark.usefixtures("level")
def test_a_decoded_embedding_is_its_own_code():
    for row in ROWS:
        record = CODEC.encode(row)
        assert CODEC.encode(CODEC.decode(record)) == record


@settings(deadline=None, max_examples=50)
@given(st.binary(min_size=8, max_size=8))
def test_any_eight_bytes_round_trip(data):
    record = QuantizedEmbedding(CODEC.method, 32, data, CODEC.metadata)
    assert CODEC.encode(CODEC.decode(record)) == record


def test_codes_of_another_codebook_are_refused():
    with pytest.raises(CodebookMissing) as caught:
        CODEC.decode(OTHER.encode(ROWS[0]))
    assert caught.value.codebook_id == OTHER.codebook.codebook_id
    with pytest.raises(CodebookMissing):
        CODEC.decode_batch(OTHER.encode_batch(ROWS))


@pytest.mark.parametrize("length", [0, 7, 9, 10_000])
def test_other_lengths_are_refused(length):
    with pytest.raises(InvalidQuantizedData, match=f"got {length}"):
        CODEC.decode(QuantizedEmbedding(CODEC.method, 32, bytes(length), CODEC.metadata))


def test_batches_may_reuse_their_memory():
    batch, back = CODEC.encode_batch(ROWS), np.empty_like(ROWS)
    again = CODEC.encode_batch(ROWS[::-1], out=batch)
    assert again.columns["codes"] is batch.columns["codes"]
    assert CODEC.decode_batch(again, out=back) is back
    np.testing.assert_array_equal(back[0], CODEC.decode(CODEC.encode(ROWS[-1])))


def test_what_a_rotation_turns_beyond_float32_is_refused():
    centroids = np.full((8, 256, 1), 3e38, np.float32)
    book = PQ8Codebook(centroids, np.full((8, 8), 1.0, np.float32), np.zeros(8, np.float32))
    codec = PQ8Codec(book)
    record = QuantizedEmbedding(codec.method, 8, bytes(8), codec.metadata)
    for out in (None, np.empty(8, np.float32)):
        with pytest.raises(InvalidQuantizedData, match="not finite"):
            codec.decode(record, out)
