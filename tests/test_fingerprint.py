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
from cgcython.embedders.ladder import LADDER, steps_for
from cgcython.errors import (
    BudgetExceeded,
    InvalidInput,
    NonFiniteValue,
    StorageCorruption,
    UnsupportedVersion,
)
from cgcython.fingerprint import Fingerprint, QuantizedFingerprint, encode_all
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


@pytest.mark.parametrize("name", ["an embedder", "", 13, -1, None])
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
    assert quantized[ModelId.LATE_INTERACTION].metadata.layout == "compact_int4_f16"


def test_weights_too_small_for_f16_are_kept_in_f32(memories):
    vector = SparseVector([1, 5], [1e-9, 1e-8], 400)
    quantized = Fingerprint({"E6": vector}).encode(memories.router)
    assert quantized[ModelId.SPARSE].metadata.layout == "compact_f32"
    assert SparseCodec(400).decode(quantized[ModelId.SPARSE]) == vector


def test_encoding_twice_changes_nothing_more(memories):
    once = memories.make(1, ["E1", "E2", "E6", "E9"]).encode(memories.router)
    assert once.decode(memories.router).encode(memories.router) == once


def layouts_of(record):
    return tuple(record[one].metadata.layout for one in (ModelId.SPARSE, ModelId.LATE_INTERACTION))


STEPS = [  # weights, tokens, the part of them, and whether it is pooled
    ("compact_f16", "compact_int4_f16", 1.0, False),
    ("compact_u8", "compact_int4_f16", 1.0, False),
    ("compact_u8", "compact_int2_f16", 1.0, False),
    ("compact_u8", "compact_int4_f16", 0.5, True),
    ("compact_u8", "compact_int2_f16", 0.5, True),
    ("compact_u8", "compact_int2_f16", 0.25, True),
]


def records_by_step(memory, router):
    """Return the record at each step."""
    return [QuantizedFingerprint(router.quantize_fingerprint(memory, i)) for i in range(6)]


def sizes_by_step(memory, router):
    """Return the size of a record at each step, by hand."""
    return [one.size_bytes for one in records_by_step(memory, router)]


@pytest.mark.parametrize("tokens", [0, 1, 2, 3, 40, 100, 101, 120])
def test_the_finest_layouts_that_fit_are_taken(memories, tokens):
    memory, larger = memories.make(1, tokens=tokens), 20_000
    records = records_by_step(memory, memories.router)
    for expected in [records[step] for step in steps_for(tokens)]:
        assert expected.size_bytes <= larger
        for budget in {expected.size_bytes, larger - 1} if expected.size_bytes < larger else ():
            assert memory.encode(memories.router, budget) == expected
            assert encode_all([memory], memories.router, budget) == [expected]
        larger = expected.size_bytes


def test_the_steps_of_the_ladder_are_those(memories):
    found, codec = [], memories.router.codec
    for step in range(len(LADDER)):
        weights, tokens = codec(ModelId.SPARSE, step), codec(ModelId.LATE_INTERACTION, step)
        found.append((weights.layout, tokens.layout, tokens.pruning_ratio, tokens.pool))
    assert found == STEPS
    assert LADDER[2] == "all tokens as int2, u8 weights"
    assert LADDER[3] == "a pooled half of the tokens as int4, u8 weights"


def test_a_text_has_the_step_that_keeps_more_of_texts_of_its_length(memories):
    for tokens, layout, kept in ((100, "compact_int2_f16", 100), (101, "compact_int4_f16", 51)):
        memory = memories.make(1, ["E12"], tokens=tokens)
        budget = sizes_by_step(memory, memories.router)[1] - 1
        found = memory.encode(memories.router, budget)[ModelId.LATE_INTERACTION].metadata
        assert (found.layout, found.kept_tokens) == (layout, kept)


def test_a_part_of_tokens_that_is_said_is_kept_at_all_steps(memories):
    router = QuantizationRouter(memories.codebooks, memories.profile, pruning_ratio=0.5)
    codecs = [router.codec("E12", step) for step in range(len(LADDER))]
    assert {(one.pruning_ratio, one.scoring_method.value, one.pool) for one in codecs} == {
        (0.5, "coverage", False)
    }
    layouts = [one.layout.removeprefix("compact_") for one in codecs]
    assert layouts == ["e4m3", "e4m3", "int4", "int4", "int2", "int2"]


def test_what_no_step_changes_stays_the_same(memories):
    memory = memories.make(1, tokens=40)
    finest, smallest = sizes_by_step(memory, memories.router)[::5]
    fine, small = (memory.encode(memories.router, size) for size in (finest, smallest))
    for one in set(fine) - {ModelId.SPARSE, ModelId.LATE_INTERACTION}:
        assert fine.sections[one] == small.sections[one]
    assert read(small.to_bytes()) == small


def test_a_record_that_fits_no_layout_is_refused_with_both_sizes(memories):
    memory = memories.make(1, tokens=40)
    smallest = sizes_by_step(memory, memories.router)[-1]
    with pytest.raises(BudgetExceeded, match=str(smallest)) as caught:
        memory.encode(memories.router, budget_bytes=smallest - 1)
    assert (caught.value.budget_bytes, caught.value.smallest_bytes) == (smallest - 1, smallest)
    dense = memories.make(1, ["E2", "E9"])
    with pytest.raises(BudgetExceeded):
        dense.encode(memories.router, dense.encode(memories.router).size_bytes - 1)


@pytest.mark.parametrize("num_threads", [1, 2, 5])
def test_a_batch_takes_the_step_of_each(memories, num_threads):
    batch = [memories.make(seed, tokens=9 * seed) for seed in range(9)]
    batch.append(memories.make(9, ["E2", "E12"]))
    budget = sizes_by_step(batch[5], memories.router)[2]
    together = encode_all(batch[:6], memories.router, budget, num_threads)
    assert together == [one.encode(memories.router, budget) for one in batch[:6]]
    assert len(set(map(layouts_of, together))) > 1
    with pytest.raises(BudgetExceeded):
        encode_all(batch, memories.router, 300, num_threads)


def test_weights_that_f16_cannot_hold_go_on_to_eight_bits(memories):
    memory = Fingerprint({"E6": SparseVector([1, 5, 7], [1e-9, 1e-8, 1e-8], 400)})
    size = memory.encode(memories.router).size_bytes
    for record in (
        memory.encode(memories.router, size - 1),
        *encode_all([memory], memories.router, size - 1),
    ):
        assert record[ModelId.SPARSE].metadata.layout in ("compact_f16", "compact_u8")
        assert record.size_bytes < size


def test_wide_tokens_keep_their_layout_and_their_budget():
    profile = Profile.from_toml('E12 = { dimension = 5000, method = "token_pruning" }')
    memory = Fingerprint({"E12": np.ones((2, 5000))})
    router = QuantizationRouter(profile=profile)
    assert memory.encode(router)[ModelId.LATE_INTERACTION].metadata.layout == "compact_e4m3"
    with pytest.raises(BudgetExceeded):
        memory.encode(router, 1000)


def test_no_budget_takes_any_size(memories):
    tokens = np.ones((20_000, 8), np.float32)
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


def full_memory(tokens=32):
    """Return a memory of the default profile: its tokens, E6 and E13 at 5 %."""
    rng, parts = np.random.default_rng(5), {}
    for model_id, row in Profile.named().items():
        if row.method is QuantizationMethod.SPARSE_NATIVE:
            indices = np.sort(rng.choice(row.dimension, row.dimension // 20, replace=False))
            weights = rng.uniform(0.1, 3, len(indices))
            parts[model_id] = SparseVector(indices, weights, row.dimension)
        elif row.method is QuantizationMethod.TOKEN_PRUNING:
            parts[model_id] = rng.standard_normal((tokens, row.dimension))
        else:
            parts[model_id] = rng.standard_normal(row.dimension)
    return Fingerprint(parts)


def full_router(subvectors):
    dimensions = (0, 1024), (4, 768), (6, 1536), (9, 768)
    return QuantizationRouter(
        {
            one: PQ8Codebook(
                np.random.default_rng(one).random((subvectors, 256, dim // subvectors))
            )
            for one, dim in dimensions
        }
    )


@pytest.mark.parametrize(("subvectors", "limit"), [(8, 14_000), (64, 14_400)])
def test_all_thirteen_take_the_bytes_the_specification_allows(subvectors, limit):
    quantized = full_memory().encode(full_router(subvectors))
    assert len(quantized) == 13
    assert quantized.size_bytes == 13_433 + 4 * (subvectors - 8) <= limit


def test_512_tokens_fit_the_default_budget():
    record = full_memory(tokens=512).encode(full_router(8))
    assert layouts_of(record) == ("compact_u8", "compact_int2_f16")
    assert record[ModelId.LATE_INTERACTION].metadata.kept_tokens == 256
    assert record.size_bytes == 17_049 <= 20_000


@pytest.mark.parametrize("budget", [-1, 1.5, "20000", np.zeros(3)])
def test_a_budget_is_a_number_of_bytes(memories, budget):
    one = memories.make(1)
    record = one.encode(memories.router)
    for call in (
        lambda: one.encode(memories.router, budget),
        lambda: record.fits(budget),
        lambda: record.within(budget),
    ):
        with pytest.raises(InvalidInput, match="budget_bytes: expected 0 or more"):
            call()


def test_a_router_and_encoded_embeddings_are_such(memories):
    one = memories.make(1)
    for call in (
        lambda: one.encode(None),
        lambda: one.encode(memories.router).decode("router"),
        lambda: QuantizedFingerprint({"E9": [1.0] * 20}),
    ):
        with pytest.raises(InvalidInput, match="expected a Quantiz"):
            call()


def test_a_record_that_lacks_a_section_names_it(memories):
    record = memories.make(1).encode(memories.router)
    sections = dict(record.sections)
    del sections[ModelId.HDC]
    with pytest.raises(StorageCorruption, match="lacks the section of E9"):
        QuantizedFingerprint.from_sections(record.head, sections, "record 7")
