"""SparseCodec: exact pairs, compact strings, and the 10 % rule."""

import struct
from types import SimpleNamespace

import numpy as np
import pytest
from looping import looped
from sparse_rows import sparse_vector

from cgcython.codecs.sparse import SparseCodec
from cgcython.codecs.sparse_layouts import NAMES
from cgcython.errors import (
    DimensionMismatch,
    InvalidInput,
    InvalidQuantizedData,
    NonFiniteValue,
    SparseTooDense,
)
from cgcython.metadata import Float8Metadata, SparseMetadata
from cgcython.records import QuantizedEmbedding, SparseVector

DIM = 1000
EXACT = "canonical", "compact_f32"
pytestmark = pytest.mark.usefixtures("level")


def record(data, nnz, layout="canonical", dim=DIM):
    return QuantizedEmbedding(SparseCodec.method, dim, data, SparseMetadata(dim, nnz, layout))


@looped("layout", EXACT)
@looped("nnz", [0, 1, 50, 100])
def test_round_trips_are_exact(layout, nnz):
    vector, codec = sparse_vector(nnz), SparseCodec(DIM, layout)
    encoded = codec.encode(vector)
    assert codec.decode(encoded) == vector
    assert encoded.metadata == SparseMetadata(DIM, nnz, layout)
    assert codec.loss(vector, codec.decode(encoded)) == pytest.approx(0, abs=1e-15)


def test_canonical_bytes_are_a_count_and_pairs():
    vector = sparse_vector()
    pairs = zip(vector.indices.tolist(), vector.weights.tolist())
    expected = struct.pack("<I", 50) + b"".join(struct.pack("<If", *pair) for pair in pairs)
    assert SparseCodec(DIM).encode(vector).data == expected


def test_f16_weights_are_numpys_halves():
    vector, codec = sparse_vector(), SparseCodec(DIM, "compact_f16")
    decoded = codec.decode(codec.encode(vector))
    np.testing.assert_array_equal(decoded.indices, vector.indices)
    np.testing.assert_array_equal(decoded.weights, vector.weights.astype(np.float16))
    assert codec.loss(vector, decoded) < 1e-6


@pytest.mark.parametrize("weight", [1e-5, -1e-5, 1e-45])
def test_tiny_weights_beside_large_ones_stay_in_f16(weight):
    codec, vector = SparseCodec(DIM, "compact_f16"), sparse_vector()
    vector.weights[20] = weight
    encoded = codec.encode(vector)
    assert encoded.metadata.layout == "compact_f16"
    most = np.abs(vector.weights).max()
    np.testing.assert_allclose(codec.decode(encoded).weights, vector.weights, atol=most * 2**-11)


@pytest.mark.parametrize("weight", [65520, -65520, 3e38])
def test_weights_beyond_f16_keep_a_vector_in_f32(weight):
    codec, vector = SparseCodec(DIM, "compact_f16"), sparse_vector()
    vector.weights[20] = weight
    encoded = codec.encode(vector)
    assert encoded.metadata.layout == "compact_f32"
    assert codec.decode(encoded) == vector
    batch = codec.encode_batch([sparse_vector(), vector, sparse_vector()])
    assert [codec.row(batch, i).metadata.layout[-3:] for i in range(3)] == ["f16", "f32", "f16"]


@pytest.mark.parametrize("largest", [1.0, 65520, -3e38, 1e-44])
def test_eight_bits_hold_any_weights(largest):
    codec, vector = SparseCodec(DIM, "compact_u8"), sparse_vector()
    vector.weights[20] = largest
    encoded = codec.encode(vector)
    assert encoded.metadata.layout == "compact_u8"
    found, roots = (
        np.copysign(np.sqrt(np.abs(weights)), weights)
        for weights in (codec.decode(encoded).weights.astype(float), vector.weights.astype(float))
    )
    np.testing.assert_allclose(found, roots, rtol=1e-6, atol=np.ptp(roots) / 510 * 1.0001)


def test_pairs_of_lists_are_sorted():
    codec = SparseCodec(DIM)
    assert codec.encode(([7, 2, 5], [1, 2, 3])) == codec.encode(([2, 5, 7], [2.0, 3.0, 1.0]))


@pytest.mark.parametrize("layout", NAMES)
def test_exactly_ten_percent_passes_and_one_more_does_not(layout):
    codec = SparseCodec(DIM, layout)
    assert codec.encode(sparse_vector(100)).metadata.nnz == 100
    with pytest.raises(SparseTooDense, match=r"101 of 1000 values are non-zero \(10.1 %\)"):
        codec.encode(sparse_vector(101))
    with pytest.raises(SparseTooDense):
        codec.encode_batch([sparse_vector(3), sparse_vector(101)])


def test_ten_percent_is_counted_in_whole_numbers():
    nine = SparseVector([0, 1], [1, 1], 19)
    with pytest.raises(SparseTooDense):
        SparseCodec(19).encode(nine)
    assert SparseCodec(20).encode(SparseVector([0, 1], [1, 1], 20)).metadata.nnz == 2


@looped(
    ("indices", "weights", "error"),
    [
        ([3, 3], [1, 2], InvalidInput),
        ([3, DIM], [1, 2], InvalidInput),
        ([-1, 3], [1, 2], InvalidInput),
        ([2**32 + 3], [1], InvalidInput),
        ([1.5], [1], InvalidInput),
        ([1, 2], [1], DimensionMismatch),
        ([[1, 2]], [1, 2], DimensionMismatch),
        (5, 1, DimensionMismatch),
        ([1, 2], [1, np.nan], NonFiniteValue),
        ([1, 2], [1, 1e300], NonFiniteValue),
    ],
)
@looped("layout", NAMES)
def test_unsound_vectors_are_refused(layout, indices, weights, error):
    codec = SparseCodec(DIM, layout)
    with pytest.raises(error):
        codec.encode((indices, weights))
    with pytest.raises(error):
        codec.encode_batch([sparse_vector(), (indices, weights)])


def test_vectors_of_another_dimension_are_refused():
    with pytest.raises(DimensionMismatch, match="expected 1000"):
        SparseCodec(DIM).encode(sparse_vector(dim=DIM + 1))
    with pytest.raises(InvalidInput, match=r"SparseVector\(indices, weights, 1000\)"):
        SparseCodec(DIM).encode(np.zeros(DIM))


@pytest.mark.parametrize("fields", [{"dim": 0}, {"dim": 2**32}, {"dim": 5, "layout": "gaps"}])
def test_a_codec_needs_a_dimension_and_a_known_layout(fields):
    with pytest.raises(InvalidInput):
        SparseCodec(**fields)


@pytest.mark.parametrize("layout", NAMES)
def test_wrong_lengths_are_refused_with_both_lengths(layout):
    codec = SparseCodec(DIM, layout)
    good = codec.encode(sparse_vector())
    for data in (good.data[:-1], good.data + b"\0", b""):
        with pytest.raises(InvalidQuantizedData) as caught:
            codec.decode(record(data, 50, layout))
        expected = len(good.data), len(data)
        assert (caught.value.expected_bytes, caught.value.actual_bytes) == expected


@looped("nnz", [-1, 51, 1001, 2**31, 2**80, 1.0, None, "5"])
@looped("layout", NAMES)
def test_counts_that_do_not_fit_are_refused(layout, nnz):
    codec = SparseCodec(DIM, layout)
    with pytest.raises(InvalidQuantizedData):
        codec.decode(record(codec.encode(sparse_vector()).data, nnz, layout))


@pytest.mark.parametrize("layout", NAMES)
def test_flipped_bits_are_refused_or_give_a_sound_vector(layout):
    codec = SparseCodec(DIM, layout)
    good = codec.encode(sparse_vector(9))
    for bit in range(8 * len(good.data)):
        data = bytearray(good.data)
        data[bit >> 3] ^= 1 << (bit & 7)
        try:
            vector = codec.decode(record(data, 9, layout))
        except InvalidQuantizedData:
            continue
        assert vector == SparseVector(vector.indices, vector.weights, DIM)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (struct.pack("<IIfIf", 3, 1, 1.0, 2, 1.0), "count"),
        (struct.pack("<IIfIf", 2, 2, 1.0, 2, 1.0), "ascend"),
        (struct.pack("<IIfIf", 2, 2, 1.0, DIM, 1.0), "ascend within"),
        (struct.pack("<IIfIf", 2, 1, 1.0, 2, np.inf), "finite"),
    ],
)
def test_the_reason_of_a_refusal_is_told(data, reason):
    out = np.empty(2, np.uint32), np.empty(2, np.float32)
    with pytest.raises(InvalidQuantizedData, match=reason):
        SparseCodec(DIM).decode(record(data, 2))
    with pytest.raises(InvalidQuantizedData, match=reason):
        SparseCodec(DIM).decode(record(data, 2), out=out)


def test_records_of_other_codecs_are_refused():
    good = SparseCodec(DIM).encode(sparse_vector())
    with pytest.raises(DimensionMismatch):
        SparseCodec(DIM + 1).decode(good)
    other = QuantizedEmbedding(good.method, DIM, good.data, Float8Metadata(1.0))
    with pytest.raises(InvalidQuantizedData):
        SparseCodec(DIM).decode(other)
    for wrong in (SparseMetadata(DIM, 50, "gaps"), SparseMetadata(DIM - 1, 50)):
        with pytest.raises(InvalidQuantizedData):
            SparseCodec(DIM).decode(QuantizedEmbedding(good.method, DIM, good.data, wrong))


def test_decoding_fills_given_arrays():
    codec, vector = SparseCodec(DIM), sparse_vector()
    out = np.empty(50, np.uint32), np.empty(50, np.float32)
    decoded = codec.decode(codec.encode(vector), out=out)
    assert decoded == vector
    assert decoded.indices is out[0]
    with pytest.raises(InvalidInput, match="out"):
        codec.decode(codec.encode(vector), out=(out[0][:-1], out[1]))


def test_sizes_are_known_before_encoding():
    sizes = [SparseCodec(30522, layout).expected_size() for layout in NAMES]
    assert sizes == [4 + 8 * 1526, 4245, 7297, 2727]
    assert SparseCodec(30522).expected_size(count=2) == 20


def test_loss_is_one_minus_cosine():
    codec = SparseCodec(DIM)
    a, b = SparseVector([1, 2], [3, 4], DIM), SparseVector([2, 5], [4, 3], DIM)
    assert codec.loss(a, b) == pytest.approx(1 - 16 / 25)
    none = SparseVector([], [], DIM)
    assert [codec.loss(none, none), codec.loss(a, none)] == [0.0, 1.0]


def test_zeros_that_are_listed_count_as_zeros(level):
    """As a CountVectorizer or a dense vector with all its positions has them."""
    weights = np.zeros(1000, np.float32)
    weights[::50] = 1.5
    codec, expected = SparseCodec(1000), SparseVector(np.arange(0, 1000, 50), [1.5] * 20, 1000)
    listed = np.arange(1000), weights
    quantized = codec.encode(listed)
    assert (codec.decode(quantized), quantized.metadata.nnz) == (expected, 20)
    indptr = [0, 0, 1000, 1000, 2000]
    columns = indptr, np.tile(listed[0], 2), np.tile(weights, 2), 1000
    batch = codec.encode_batch(columns)
    assert batch.columns["nnz"].tolist() == [0, 20, 0, 20]
    assert codec.rows(batch)[1] == codec.rows(codec.encode_batch([expected]))[0] == quantized


def test_weights_of_csr_columns_may_be_integers_and_columns_masked_are_not_taken():
    codec = SparseCodec(100)
    counts = np.array([2, 1, 7], np.int64)
    batch = codec.encode_batch(([0, 2, 3], [5, 9, 3], counts, 100))
    assert codec.decode_batch(batch)[2].tolist() == [2.0, 1.0, 7.0]
    masked = np.ma.masked_array([2.0, 1.0, 7.0], [0, 1, 0])
    with pytest.raises(InvalidInput, match="value 1 masked"):
        codec.encode_batch(([0, 2, 3], [5, 9, 3], masked, 100))


def test_what_is_no_quantized_embedding_is_refused():
    for stranger in (SimpleNamespace(metadata={}), 3, None):
        with pytest.raises(InvalidInput, match="expected a QuantizedEmbedding"):
            SparseCodec(DIM).decode(stranger)
