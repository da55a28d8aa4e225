"""Every byte of the frame: read by struct alone, damaged everywhere, and hostile."""

import struct
import tracemalloc
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgcython import frames
from cgcython.base import ModelId, QuantizationMethod
from cgcython.errors import (
    InvalidInput,
    InvalidQuantizedData,
    QuantizationError,
    StorageCorruption,
    UnsupportedVersion,
)
from cgcython.metadata import (
    BinaryMetadata,
    Float8Metadata,
    PQ8Metadata,
    RQ8Metadata,
    ScalarMetadata,
    SparseMetadata,
    TokenPruningMetadata,
)
from cgcython.records import QuantizedEmbedding

HEAD = "<BBII"


def example(method, dimension, data, metadata):
    return QuantizedEmbedding(QuantizationMethod(method), dimension, data, metadata)


def sparse(layout, data):
    return example("sparse_native", 9, data, SparseMetadata(9, 1, layout))


def tokens(layout, data):
    return example("token_pruning", 2, data, TokenPruningMetadata(3, 2, 0.5, layout))


# One of each layout: its number, its metadata by struct, the record.
EXAMPLES = [
    (1, struct.pack("<ff", 0.5, 2), example("float8_e4m3", 3, b"abc", Float8Metadata(0.5, 2.0))),
    (2, struct.pack("<f", 0.25), example("binary", 9, b"\xff\x80", BinaryMetadata(0.25))),
    (3, struct.pack("<IB", 77, 8), example("pq8", 16, b"12345678", PQ8Metadata(77, 8))),
    (4, b"", sparse("canonical", struct.pack("<IIf", 1, 5, 2))),
    (5, struct.pack("<I", 1), sparse("compact_f16", b"???")),
    (6, struct.pack("<I", 1), sparse("compact_f32", b"???")),
    (7, struct.pack("<IIf", 3, 2, 0.5), tokens("canonical", struct.pack("<I6f", 2, *range(6)))),
    (8, struct.pack("<IIf", 3, 2, 0.5), tokens("compact_e4m3", bytes(1 + 2 * 4 + 2 * 2))),
    (9, struct.pack("<IIf", 3, 2, 0.5), tokens("compact_f32", bytes(1 + 2 * 2 * 4))),
    (10, struct.pack("<IIf", 3, 2, 0.5), tokens("compact_int4", bytes(1 + 2 * 4 + 2))),
    (11, struct.pack("<IIf", 3, 2, 0.5), tokens("compact_int2", bytes(1 + 2 * 4 + 2))),
    (12, struct.pack("<I", 1), sparse("compact_u8", b"???")),
    (13, struct.pack("<IIf", 3, 2, 0.5), tokens("compact_int4_f16", bytes(1 + 2 * 2 + 2))),
    (14, struct.pack("<IIf", 3, 2, 0.5), tokens("compact_int2_f16", bytes(1 + 2 * 2 + 2))),
    (16, struct.pack("<Beb", 6, 0.5, -3), example("scalar", 3, b"abc", ScalarMetadata(6, 0.5, -3))),
    (20, struct.pack("<IB", 77, 8), example("rq8", 16, b"12345678", RQ8Metadata(77, 8))),
]  # fmt: skip
RECORDS = [record for *_, record in EXAMPLES]
each_record = pytest.mark.parametrize("record", RECORDS, ids=lambda one: str(one.metadata))


def sealed(body):
    return body + struct.pack("<I", crc32(body))


def framed(payload, number, dimension, embedder=0xFF, length=None):
    length = len(payload) if length is None else length
    return b"CGQE\x01" + sealed(struct.pack(HEAD, embedder, number, dimension, length) + payload)


@pytest.mark.parametrize(("number", "metadata", "record"), EXAMPLES)
def test_every_byte_is_where_the_format_says(number, metadata, record):
    expected = framed(metadata + record.data, number, record.original_dim)
    assert record.to_bytes() == expected
    assert QuantizedEmbedding.from_bytes(expected) == record


def test_every_layout_has_an_example_here():
    known = [layout.number for layout in frames.known_layouts()]
    assert known == [number for number, *_ in EXAMPLES]


@pytest.mark.parametrize("model_id", [None, *ModelId])
def test_a_section_names_its_embedder(model_id):
    section = frames.write_section(RECORDS[0], model_id)
    assert section[0] == (0xFF if model_id is None else model_id)
    found, fields = frames.read_section(section)
    assert (found, QuantizedEmbedding(*fields)) == (model_id, RECORDS[0])


@each_record
def test_takes_any_bytes_like_object(record):
    for kind in (bytearray, memoryview):
        assert QuantizedEmbedding.from_bytes(kind(record.to_bytes())) == record


@each_record
def test_every_flipped_bit_is_noticed(record):
    whole = record.to_bytes()
    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(StorageCorruption):
            QuantizedEmbedding.from_bytes(damaged)


@each_record
def test_every_missing_or_added_byte_is_noticed(record):
    whole = record.to_bytes()
    others = [whole[:n] for n in range(len(whole))] + [whole + b"\0", b"\0" + whole, whole * 2]
    for other in others:
        with pytest.raises(StorageCorruption):
            QuantizedEmbedding.from_bytes(other)


@pytest.mark.parametrize("record", ["CGQE", 5, None, [1]])
def test_refuses_what_is_no_bytes(record):
    with pytest.raises(InvalidInput, match="expected bytes"):
        QuantizedEmbedding.from_bytes(record)


def test_says_when_a_later_release_wrote_a_record():
    with pytest.raises(UnsupportedVersion, match="it has version 2, this release reads 1"):
        QuantizedEmbedding.from_bytes(b"CGQE\x02" + RECORDS[0].to_bytes()[5:])


@pytest.mark.parametrize(("number", "embedder"), [(0, 0xFF), (127, 0xFF), (1, 13), (1, 31)])
def test_refuses_layouts_and_embedders_it_does_not_know(number, embedder):
    with pytest.raises(StorageCorruption, match=f"layout {number} of embedder {embedder}"):
        QuantizedEmbedding.from_bytes(framed(bytes(11), number, 3, embedder))


@pytest.mark.parametrize(
    ("number", "dimension", "payload", "said"),
    [
        (1, 3, struct.pack("<ff", 1, 0) + b"ab", "expected 3 bytes, got 2"),
        (1, 2**32 - 1, struct.pack("<ff", 1, 0), "expected 4294967295 bytes, got 0"),
        (1, 0, struct.pack("<ff", 1, 0), "dimension is 0"),
        (1, 1, struct.pack("<ff", float("nan"), 0) + b"a", "scale is nan"),
        (1, 1, struct.pack("<ff", 1, float("inf")) + b"a", "bias is inf"),
        (1, 3, b"123", "expected 8 bytes, got 3"),
        (2, 9, struct.pack("<f", 0) + b"a", "expected 2 bytes, got 1"),
        (3, 9, struct.pack("<IB", 7, 8) + b"1234567", "expected 8 bytes, got 7"),
        (3, 9, struct.pack("<IB", 7, 0), "no subvectors"),
        (4, 9, b"", "expected 4 bytes, got 0"),
        (4, 9, struct.pack("<I", 2**32 - 1), "expected 34359738364 bytes, got 4"),
        (4, 1, struct.pack("<I", 2) + bytes(16), "2 non-zeros of 1"),
        (5, 9, struct.pack("<I", 10), "10 non-zeros of 9"),
        (7, 1, struct.pack("<IIfI", 1, 2, 1, 2) + bytes(16), "2 of 1 tokens kept"),
        (7, 1, struct.pack("<IIfI", 3, 2, 1, 1) + bytes(16), "the data count 1, the metadata 2"),
        (8, 2, struct.pack("<IIf", 2**32 - 1, 2**32 - 1, 1), "got 0"),
        (9, 2, struct.pack("<IIf", 9, 0, 1) + b"1", "expected 2 bytes, got 1"),
    ],
)
def test_contents_that_contradict_themselves_are_refused(number, dimension, payload, said):
    hostile = framed(payload, number, dimension)
    tracemalloc.start()
    with pytest.raises(InvalidQuantizedData, match=said):
        QuantizedEmbedding.from_bytes(hostile)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000


@given(st.integers(0, 10), st.integers(0, 2**32 - 1) | st.integers(0, 40), st.binary(max_size=60))
def test_hostile_bytes_raise_nothing_else(number, dimension, payload):
    try:
        record = QuantizedEmbedding.from_bytes(framed(payload, number, dimension))
    except (InvalidQuantizedData, StorageCorruption):
        return
    assert QuantizedEmbedding.from_bytes(record.to_bytes()) == record


@given(st.binary(max_size=60))
def test_noise_raises_storage_corruption(noise):
    for record in (noise, b"CGQE\x01" + noise):
        with pytest.raises(StorageCorruption):
            QuantizedEmbedding.from_bytes(record)


@pytest.mark.parametrize(
    "record",
    [
        example("binary", 3, b"abc", Float8Metadata(1.0)),
        example("float8_e4m3", 3, b"abc", (1.0, 0.0)),
        example("float8_e4m3", 3, b"abc", None),
        example("float8_e4m3", 3, b"ab", Float8Metadata(1.0)),
        example("float8_e4m3", 3, b"abc", Float8Metadata(1e39)),
        example("float8_e4m3", 3, b"abc", Float8Metadata("one")),
        example("pq8", 16, b"12345678", PQ8Metadata(2**32, 8)),
        example("sparse_native", 9, b"", SparseMetadata(9, 0)),
        example("sparse_native", 9, bytes(4), SparseMetadata(8, 0)),
        example("sparse_native", 9, bytes(4), SparseMetadata(9, 0, "none such")),
        example("sparse_native", 9, bytes(4), SparseMetadata(9, 1, "compact_f16")._replace(nnz=-1)),
    ],
    ids=repr,
)  # fmt: skip
def test_nothing_is_written_that_could_not_be_read(record):
    with pytest.raises(QuantizationError):
        record.to_bytes()
