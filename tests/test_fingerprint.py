"""A fingerprint is a mapping; its record is believed only when every byte is as it was written."""

import struct
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgcython.base import ModelId, Profile, QuantizationMethod
from cgcython.codecs.codebook import PQ8Codebook
from cgcython.codecs.sparse import SparseCodec
from cgcython.errors import (
    BudgetExceeded,
    InvalidInput,
    NonFiniteValue,
    StorageCorruption,
    UnsupportedVersion,
)
from cgcython.fingerprint import Fingerprint, QuantizedFingerprint
from cgcython.records import SparseVector, TokenEmbeddings
from cgcython.router import QuantizationRouter


@pytest.fixture(scope="module")
def record(memories):
    return memories.make(0, ["E2", "E9"]).encode(memories.router).to_bytes()


ENTRIES = 28  # bytes of a manifest before them


def read(data):
    return QuantizedFingerprint.from_bytes(bytes(data))


def resealed(data):
    """Damage the manifest cannot see, as someone would who knows the format."""
    end = ENTRIES + 5 * data[5]
    return data[:end] + struct.pack("<I", crc32(data[:end])) + data[end + 4 :]


def test_it_is_a_mapping_in_the_order_of_the_embedders():
    fingerprint = Fingerprint({"E9": [1.0], 1: [2.0], ModelId.SEMANTIC: [3.0]})
    assert list(fingerprint) == [0, 1, 8]
    assert fingerprint[ModelId.HDC].dtype == np.float32
    assert ModelId.GRAPH not in fingerprint


def test_its_parts_answer_to_every_name_of_their_embedder():
    fingerprint = Fingerprint({"E9": [1.0]})
    assert fingerprint["E9"] is fingerprint["hdc"] is fingerprint[8] is fingerprint[ModelId.HDC]
    assert "E9" in fingerprint
    assert "E99" not in fingerprint
    assert fingerprint.get("E2") is None


@pytest.mark.parametrize("parts", [None, 5, "x", [1], {"E9": [1.0], ModelId.HDC: [2.0]}])
def test_it_refuses_what_is_not_one_value_for_each_embedder(parts):
    with pytest.raises(InvalidInput, match="fingerprint"):
        Fingerprint(parts)


@pytest.mark.parametrize("data", [None, "x", 5])
def test_a_record_is_read_from_bytes_only(data):
    with pytest.raises(InvalidInput, match="expected bytes"):
        QuantizedFingerprint.from_bytes(data)


def test_it_equals_one_of_the_same_values(memories):
    assert memories.make(3) == memories.make(3)
    assert memories.make(3) != memories.make(4)
    assert memories.make(3) != memories.make(3, ["E2"])
    assert Fingerprint({"E6": SparseVector([1], [1.0], 4)}) != Fingerprint({"E6": [1.0]})


def test_it_takes_tokens_as_the_encoders_do():
    tokens = [[1.0, 0.0], [0.0, 1.0]]
    assert Fingerprint({"E12": TokenEmbeddings(tokens)}) == Fingerprint({"E12": tokens})


def test_it_refuses_what_is_not_finite_and_names_the_embedder():
    with pytest.raises(NonFiniteValue, match="E9") as caught:
        Fingerprint({"E9": [0.0, np.nan]})
    assert (caught.value.index, caught.value.model_id) == (1, ModelId.HDC)


@pytest.mark.parametrize("name", ["E14", 13, -1, None])
def test_it_refuses_an_embedder_there_is_not(name):
    with pytest.raises(InvalidInput):
        Fingerprint({name: [1.0]})


def test_a_record_round_trips(memories):
    quantized = memories.make(1).encode(memories.router)
    assert read(quantized.to_bytes()) == quantized
    assert len(quantized.to_bytes()) == quantized.size_bytes
    assert quantized.decode(memories.router).keys() == memories.make(1).keys()


def test_times_and_metadata_travel_with_a_record(memories):
    quantized = memories.make(1).encode(memories.router, metadata={"source": "notes.md"})
    found = read(quantized.to_bytes())
    assert found.info == quantized.info
    assert found.info.metadata == {"source": "notes.md"}
    assert found.to_bytes() == quantized.to_bytes()


def test_equal_embeddings_have_equal_content_hashes(memories):
    one, same, other = (memories.make(seed).encode(memories.router) for seed in (1, 1, 2))
    assert one.info.content_hash == same.info.content_hash != other.info.content_hash
    again = one.with_info(created=1, metadata={"a": 2})
    assert again == one
    assert again.info == one.info._replace(created=1, metadata={"a": 2})


def test_metadata_does_not_count_in_the_budget(memories):
    size = memories.make(1).encode(memories.router).size_bytes
    quantized = memories.make(1).encode(memories.router, size, metadata={"a": "x" * 1000})
    assert quantized.within(size).size_bytes == size + len('{"a":""}') + 1000


def test_a_record_of_nothing_round_trips():
    assert read(QuantizedFingerprint({}).to_bytes()) == QuantizedFingerprint({})


def test_it_is_encoded_in_compact_layouts(memories):
    quantized = memories.make(1).encode(memories.router)
    assert quantized[ModelId.SPARSE].metadata.layout == "compact_f16"
    assert quantized[ModelId.LATE_INTERACTION].metadata.layout == "compact_e4m3"


def test_weights_too_small_for_f16_are_kept_in_f32(memories):
    vector = SparseVector([1, 5], [1e-9, 1e-8], 400)
    quantized = Fingerprint({"E6": vector}).encode(memories.router)
    assert quantized[ModelId.SPARSE].metadata.layout == "compact_f32"
    assert SparseCodec(400).decode(quantized[ModelId.SPARSE]) == vector


def test_encoding_twice_changes_nothing_more(memories):
    once = memories.make(1, ["E1", "E2", "E6", "E9"]).encode(memories.router)
    assert once.decode(memories.router).encode(memories.router) == once


def test_a_record_over_its_budget_is_refused_with_both_sizes(memories):
    memory = memories.make(1)
    size = memory.encode(memories.router).size_bytes
    with pytest.raises(BudgetExceeded, match=str(size)) as caught:
        memory.encode(memories.router, budget_bytes=size - 1)
    assert (caught.value.budget_bytes, caught.value.smallest_bytes) == (size - 1, size)
    assert memory.encode(memories.router, budget_bytes=size).size_bytes == size


def test_no_budget_takes_any_size(memories):
    tokens = np.ones((9000, 8), np.float32)
    memory = Fingerprint({"E12": tokens})
    with pytest.raises(BudgetExceeded):
        memory.encode(memories.router)
    assert memory.encode(memories.router, budget_bytes=None).size_bytes > 20_000


def test_every_flipped_bit_is_found(record):
    for at in range(8 * len(record)):
        damaged = bytearray(record)
        damaged[at // 8] ^= 1 << at % 8
        with pytest.raises(StorageCorruption):
            read(damaged)


def test_every_truncation_and_extension_is_found(record):
    for end in range(len(record)):
        with pytest.raises(StorageCorruption):
            read(record[:end])
    with pytest.raises(StorageCorruption, match="1 bytes follow"):
        read(record + b"\0")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_other_bytes_are_refused(data):
    for candidate in (data, b"CGFP\x01" + data, b"CGFP\x02" + data):
        with pytest.raises(StorageCorruption):
            read(candidate)


def test_flags_of_a_later_version_are_refused(record):
    with pytest.raises(UnsupportedVersion, match="flags 0x100"):
        read(resealed(record[:7] + b"\x01" + record[8:]))


def test_sections_of_another_record_do_not_pass(memories):
    one, other = (memories.make(seed, ["E9"]).encode(memories.router) for seed in (1, 2))
    with pytest.raises(StorageCorruption, match="another record"):
        read(one.manifest + other.sections[ModelId.HDC])


def test_a_huge_length_allocates_nothing(record):
    start = ENTRIES + 5 * 2 + 4
    huge = record[: start + 6] + b"\xff\xff\xff\xff" + record[start + 10 :]
    with pytest.raises(StorageCorruption, match="cut off"):
        read(huge)


def full_memory():
    """Return a memory of the default profile: 32 tokens, E6 and E13 at 5 %."""
    rng, parts = np.random.default_rng(5), {}
    for model_id, row in Profile.named().items():
        if row.method is QuantizationMethod.SPARSE_NATIVE:
            indices = np.sort(rng.choice(row.dimension, row.dimension // 20, replace=False))
            weights = rng.uniform(0.1, 3, len(indices))
            parts[model_id] = SparseVector(indices, weights, row.dimension)
        elif row.method is QuantizationMethod.TOKEN_PRUNING:
            parts[model_id] = rng.standard_normal((32, row.dimension))
        else:
            parts[model_id] = rng.standard_normal(row.dimension)
    return Fingerprint(parts)


@pytest.mark.parametrize(("subvectors", "limit"), [(8, 14_000), (64, 14_400)])
def test_all_thirteen_take_the_bytes_the_specification_allows(subvectors, limit):
    books = {
        one: PQ8Codebook(np.random.default_rng(one).random((subvectors, 256, dim // subvectors)))
        for one, dim in ((0, 1024), (4, 768), (6, 1536), (9, 768))
    }
    quantized = full_memory().encode(QuantizationRouter(books))
    assert len(quantized) == 13
    assert quantized.size_bytes == 13_433 + 4 * (subvectors - 8) <= limit
