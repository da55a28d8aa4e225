"""TokenPruningCodec: the seeds' records and compact ones, batches of both, hostile bytes."""

import struct

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from looping import looped

from cgcython import ImportanceScoringMethod, TokenArray, TokenPruningCodec, max_sim
from cgcython.codecs import framing
from cgcython.codecs.token_layouts import BITS, NAMES, WITH_F32_SCALES
from cgcython.codecs.token_pooling import pool_tokens
from cgcython.errors import InvalidInput, InvalidQuantizedData, QuantizationError
from cgcython.frames import write_section
from cgcython.metadata import TokenPruningMetadata
from cgcython.records import QuantizedBatch, QuantizedEmbedding

F32 = np.float32
COMPACT = NAMES[1:]
COUNTS = [0, 1, 2, 7, 8, 9, 33, 64]


def tokens(n, dim=16, seed=0):
    return np.random.default_rng(seed).standard_normal((n, dim), dtype=F32)


def record(data, original, kept, layout, dim=2):
    metadata = TokenPruningMetadata(original, kept, 0.5, layout)
    return QuantizedEmbedding(TokenPruningCodec.method, dim, data, metadata)


def test_canonical_bytes_are_count_then_importance_and_vector(level):
    quantized = TokenPruningCodec(2).encode([[1, -2], [0.5, 0], [-3, 1]])
    assert quantized.data == struct.pack("<I3f3f", 2, 2, 1, -2, 3, -3, 1)
    assert quantized.metadata == (3, 2, 0.5, "canonical")


def test_compact_bytes_are_bitmap_then_vectors(level):
    quantized = TokenPruningCodec(2, layout="compact_f32").encode([[1, -2], [0.5, 0], [-3, 1]])
    assert quantized.data == b"\xa0" + struct.pack("<4f", 1, -2, -3, 1)


def test_compact_e4m3_bytes_are_bitmap_scales_and_codes(level):
    quantized = TokenPruningCodec(2, layout="compact_e4m3").encode([[448, -2], [0.5, 0], [-3, 896]])
    assert quantized.data == b"\xa0" + struct.pack("<2f", 1, 2) + bytes.fromhex("7ec0bc7e")


@looped("layout", NAMES)
@looped("method", list(ImportanceScoringMethod)[1:])
@looped("count", COUNTS)
def test_kept_tokens_come_back(level, layout, method, count):
    codec = TokenPruningCodec(16, 0.5, method, layout)
    quantized = codec.encode(tokens(count))
    kept = quantized.metadata.kept_tokens
    assert kept == -(-count // 2)
    assert quantized.size_bytes == codec.expected_size(count)
    decoded = codec.decode(quantized)
    assert decoded.shape == (kept, 16)
    if layout in COMPACT:
        original = tokens(count)[codec.positions(quantized)]
        if layout in BITS:
            # A TokenArray of that precision has the same codes.
            array = TokenArray(original, [0, kept]).quantize(f"int{BITS[layout]}").dequantize()
            off = 2**-11 if layout in WITH_F32_SCALES else 0
            np.testing.assert_allclose(decoded, array.values, rtol=off, atol=off / 100)
            return
        tolerance = 0.0625 if layout == "compact_e4m3" else 0
        np.testing.assert_allclose(decoded, original, rtol=tolerance, atol=tolerance / 10)


def test_codes_are_those_of_an_independent_implementation(level):
    codec = TokenPruningCodec(16, 1.0, layout="compact_e4m3")
    values = tokens(9)
    factors = F32(448) / np.abs(values).max(axis=1, keepdims=True)
    expected = (values * factors).astype(ml_dtypes.float8_e4m3fn).tobytes()
    assert codec.encode(values).data[2 + 4 * 9 :] == expected


def test_a_codec_of_ratio_one_keeps_everything():
    for layout in ("canonical", "compact_f32"):
        codec = TokenPruningCodec(16, 1.0, layout=layout)
        assert np.array_equal(codec.decode(codec.encode(tokens(11))), tokens(11))


def test_positions_are_not_in_canonical_bytes():
    codec = TokenPruningCodec(16)
    with pytest.raises(InvalidInput, match="compact"):
        codec.positions(codec.encode(tokens(3)))


def test_attention_decides_where_it_is_given():
    codec = TokenPruningCodec(2, 0.5, ImportanceScoringMethod.ATTENTION_BASED, "compact_f32")
    quantized = codec.encode([[9, 9], [1, 1], [2, 2], [3, 3]], attention_weights=[0, 0.5, 0.4, 0.1])
    assert codec.positions(quantized).tolist() == [1, 2]


def test_loss_is_one_minus_max_sim():
    codec = TokenPruningCodec(16)
    decoded = codec.decode(codec.encode(tokens(20)))
    assert codec.loss(tokens(20), decoded) == 1 - max_sim(tokens(20), decoded)
    assert codec.loss([], []) == 0.0


@looped("layout", NAMES)
@looped("num_threads", [1, 2, 9])
def test_a_batch_is_its_records(level, layout, num_threads):
    codec = TokenPruningCodec(16, 0.5, ImportanceScoringMethod.COVERAGE, layout)
    documents = [tokens(count, seed=count) for count in COUNTS]
    for form in (documents, TokenArray.from_list(documents)):
        batch = codec.encode_batch(form, num_threads=num_threads)
        records = [codec.row(batch, i) for i in range(len(batch))]
        assert records == [codec.encode(document) for document in documents]
        decoded = codec.decode_batch(batch, num_threads=num_threads)
        for one, quantized in zip(decoded, records):
            assert np.array_equal(one, codec.decode(quantized))


@looped("layout", NAMES)
@looped("num_threads", [1, 2, 9])
def test_a_batch_of_pooled_tokens_is_its_records(level, layout, num_threads):
    codec = TokenPruningCodec(16, 0.5, layout=layout, pool=True)
    documents = [tokens(count, seed=count) for count in COUNTS]
    given = [one.copy() for one in documents]
    batch = codec.encode_batch(documents, num_threads)
    assert codec.rows(batch) == [codec.encode(document) for document in documents]
    for one, before in zip(documents, given):  # tokens are merged in a copy
        assert np.array_equal(one, before)


@pytest.mark.parametrize("ratio", [0.25, 0.5, 1.0])
def test_pooled_tokens_stand_at_their_representatives(ratio):
    codec, embeddings = TokenPruningCodec(16, ratio, layout="compact_f32", pool=True), tokens(33)
    quantized = codec.encode(embeddings)
    pooled, positions = pool_tokens(embeddings, quantized.metadata.kept_tokens)
    assert np.array_equal(codec.decode(quantized), pooled)
    assert np.array_equal(codec.positions(quantized), positions)


def test_pooled_tokens_in_canonical_bytes_are_worth_their_lengths():
    codec = TokenPruningCodec(2, 0.5, pool=True)
    quantized = codec.encode([[2, 0], [0, 1], [4, 0], [0, 1]])
    assert quantized.data == struct.pack("<I3f3f", 2, 3, 3, 0, 1, 0, 1)


def test_pooling_is_asked_for_with_a_truth_value():
    with pytest.raises(InvalidInput, match="pool: expected a bool, got str"):
        TokenPruningCodec(2, pool="yes")


def test_codes_are_not_encoded_as_values():
    codes = TokenArray(np.zeros((3, 4), np.uint8), [0, 3])
    with pytest.raises(InvalidInput, match="expected float32 values"):
        TokenPruningCodec(4).encode_batch(codes)


def test_outputs_are_reused():
    codec = TokenPruningCodec(16)
    batch = codec.encode_batch([tokens(4), tokens(7)])
    again = codec.encode_batch([tokens(4, seed=1), tokens(7, seed=1)], out=batch)
    assert again.columns["data"] is batch.columns["data"]
    values = np.empty((6, 16), F32)
    assert codec.decode_batch(again, out=values).values is values
    one = np.empty((2, 16), F32)
    assert codec.decode(codec.row(again, 0), out=one) is one
    with pytest.raises(InvalidInput, match="out"):
        codec.decode_batch(again, out=np.empty((5, 16), F32))


@pytest.mark.parametrize("layout", NAMES)
@pytest.mark.parametrize("change", [-1, 1, 5])
def test_other_lengths_are_refused(layout, change):
    codec = TokenPruningCodec(16, layout=layout)
    quantized = codec.encode(tokens(9))
    data = quantized.data[:change] if change < 0 else quantized.data + bytes(change)
    with pytest.raises(InvalidQuantizedData) as caught:
        codec.decode(record(data, 9, 5, layout, dim=16))
    assert caught.value.expected_bytes == quantized.size_bytes
    assert caught.value.actual_bytes == len(data)


@pytest.mark.parametrize(
    ("original", "kept", "layout"),
    [
        (2**40, 2**39, "canonical"),
        (2**32 - 1, 2**32 - 1, "compact_e4m3"),
        (1, 2, "compact_f32"),
        (3, -1, "canonical"),
        (3, 2.0, "canonical"),
        (3, None, "canonical"),
        (3, 2, "gzip"),
    ],
)
def test_metadata_that_lie_are_refused_before_anything_is_allocated(original, kept, layout):
    with pytest.raises(InvalidQuantizedData):
        TokenPruningCodec(2).decode(record(bytes(28), original, kept, layout))


HOSTILE = {
    "another count": record(struct.pack("<I3f", 2, 1, 1, 1), 2, 1, "canonical"),
    "a NaN": record(struct.pack("<I3f", 1, 1, 1, np.nan), 2, 1, "canonical"),
    "an infinity": record(b"\x80" + struct.pack("<2f", 1, np.inf), 2, 1, "compact_f32"),
    "too few bits": record(b"\x00" + struct.pack("<2f", 1, 1), 2, 1, "compact_f32"),
    "too many bits": record(b"\xc0" + struct.pack("<2f", 1, 1), 2, 1, "compact_f32"),
    "padding bits": record(b"\x20" + struct.pack("<2f", 1, 1), 2, 1, "compact_f32"),
    "a NaN code": record(b"\x80" + struct.pack("<f", 1) + b"\x7f\x00", 2, 1, "compact_e4m3"),
    "a NaN scale": record(b"\x80" + struct.pack("<f", np.nan) + b"\x7e\x00", 2, 1, "compact_e4m3"),
    "a negative scale": record(b"\x80" + struct.pack("<f", -1) + b"\x07", 2, 1, "compact_int4"),
    "another NaN scale": record(
        b"\x80" + struct.pack("<f", np.nan) + b"\x07", 2, 1, "compact_int2"
    ),
    **{
        f"an f16 scale {scale}": record(
            b"\x80" + struct.pack("<e", scale) + b"\x07", 2, 1, "compact_int2_f16"
        )
        for scale in (np.nan, np.inf, -1)
    },
    "padding codes": record(b"\x80" + struct.pack("<f", 1) + b"\x17", 2, 1, "compact_int2"),
    "a huge scale of 4 bits": record(
        b"\x80" + struct.pack("<f", 3e38) + b"\x0f", 2, 1, "compact_int4"
    ),
    "a huge scale": record(b"\x80" + struct.pack("<f", 1e36) + b"\x7e\x00", 2, 1, "compact_e4m3"),
}


@looped("quantized", HOSTILE.values())
def test_hostile_bytes_are_refused(level, quantized):
    with pytest.raises(InvalidQuantizedData):
        TokenPruningCodec(2).decode(quantized)


@settings(deadline=None)
@given(
    data=st.binary(max_size=80),
    original=st.integers(0, 12),
    kept=st.integers(0, 12),
    layout=st.sampled_from(NAMES),
)
def test_any_bytes_decode_or_raise(data, original, kept, layout):
    try:
        decoded = TokenPruningCodec(2).decode(record(data, original, kept, layout))
    except QuantizationError:
        return
    assert decoded.shape == (kept, 2)
    assert np.isfinite(decoded).all()


def changed(batch, **columns):
    return QuantizedBatch(batch.method, batch.original_dim, batch.columns | columns, batch.shared)


def test_batches_that_lie_are_refused():
    codec = TokenPruningCodec(16, layout="compact_e4m3")
    batch = codec.encode_batch([tokens(4), tokens(7)])
    offsets, originals = batch.columns["offsets"], batch.columns["original_tokens"]
    for lie in (
        {"offsets": offsets[::-1].copy()},
        {"offsets": offsets + 1},
        {"offsets": offsets * 2},
        {"offsets": offsets.astype(np.int32)},
        {"original_tokens": originals + np.uint32(8)},
        {"original_tokens": originals[:1]},
        {"data": batch.columns["data"][1:]},
        {"data": None},
        {"offsets": offsets[:0]},
    ):
        with pytest.raises(InvalidQuantizedData):
            codec.decode_batch(changed(batch, **lie))
    layouts = {"layout": np.array(["compact_e4m3"] * 2)}
    with pytest.raises(InvalidQuantizedData, match="layout array"):
        codec.decode_batch(QuantizedBatch(batch.method, 16, batch.columns, layouts))


@pytest.mark.parametrize("ratio", [0, -1, 1.01, np.nan, "0.5"])
def test_the_part_kept_lies_between_zero_and_one(ratio):
    with pytest.raises(InvalidInput, match="pruning_ratio"):
        TokenPruningCodec(2, ratio)


def test_wide_tokens_have_no_layout_of_4_or_2_bits():
    assert TokenPruningCodec(4096, layout="compact_int2").expected_size(1) == 1 + 4 + 1024
    with pytest.raises(
        InvalidInput, match=r"layout of tokens of 4097 values: expected.*compact_f32, got"
    ):
        TokenPruningCodec(4097, layout="compact_int4")
    with pytest.raises(InvalidQuantizedData, match="layout 'compact_int2'"):
        TokenPruningCodec(4097).decode(record(bytes(1030), 1, 1, "compact_int2", dim=4097))


def test_layouts_and_methods_have_names():
    with pytest.raises(InvalidInput, match="layout"):
        TokenPruningCodec(2, layout="zip")
    with pytest.raises(InvalidInput, match="scoring_method"):
        TokenPruningCodec(2, scoring_method="coverage")


def with_odd_scales():
    """Texts of which two have a token whose scale is no normal f16."""
    texts = [tokens(count, seed=count) for count in (9, 0, 40, 5, 1)]
    texts[2][3] *= 1e-6
    texts[4] *= 1e7
    return texts


@pytest.mark.parametrize("layout", WITH_F32_SCALES)
def test_scales_beyond_f16_are_kept_in_f32(level, layout):
    codec = TokenPruningCodec(16, 1.0, layout=layout)
    wider = TokenPruningCodec(16, 1.0, layout=WITH_F32_SCALES[layout])
    for i, text in enumerate(with_odd_scales()):
        found = codec.encode(text)
        assert found.metadata.layout == (layout, layout, wider.layout, layout, wider.layout)[i]
        assert found.size_bytes <= wider.encode(text).size_bytes
        np.testing.assert_allclose(
            codec.decode(found), wider.decode(wider.encode(text)), 1e-3, 1e-3
        )


@pytest.mark.parametrize("layout", WITH_F32_SCALES)
@pytest.mark.parametrize("num_threads", [1, 3])
def test_rows_of_a_batch_may_have_f32_scales(level, layout, num_threads):
    codec = TokenPruningCodec(16, 0.5, ImportanceScoringMethod.EMBEDDING_MAGNITUDE, layout)
    texts = [tokens(7)] * 70 + with_odd_scales()
    expected = [codec.encode(text) for text in texts]
    batch = codec.encode_batch(texts, num_threads)
    assert codec.rows(batch) == [codec.row(batch, i) for i in range(len(batch))] == expected
    assert codec.rows(batch[[-1, 3, -3]]) == [expected[i] for i in (-1, 3, -3)]
    for one, record in zip(codec.decode_batch(batch, num_threads), expected):
        np.testing.assert_array_equal(one, codec.decode(record))
    sections = [write_section(one, None) for one in expected]
    assert framing.framed(codec.payloads(batch), None).rows == sections
    again = codec.encode_batch(texts, out=batch)
    assert again.columns["data"] is batch.columns["data"]
    with pytest.raises(InvalidInput, match="out"):
        codec.encode_batch(texts[1:], out=batch)


@pytest.mark.parametrize("layout", WITH_F32_SCALES)
def test_batches_whose_bitmaps_contradict_their_sizes_are_refused(layout):
    codec = TokenPruningCodec(16, layout=layout)
    batch = codec.encode_batch(with_odd_scales())
    for row in (0, 2):
        data = batch.columns["data"].copy()
        data[batch.columns["offsets"][row]] ^= 0x80
        broken = QuantizedBatch(batch.method, 16, {**batch.columns, "data": data}, batch.shared)
        with pytest.raises(InvalidQuantizedData, match="do not fit the token counts"):
            codec.decode_batch(broken)
