"""What is whole but of no use here is refused when stored, left out of searches, and named."""

import shutil
from contextlib import suppress
from uuid import UUID

import numpy as np
import pytest

from cgcython.base import ModelId, QuantizationMethod
from cgcython.codecs.binary import BinaryCodec
from cgcython.codecs.float8 import Float8Codec
from cgcython.codecs.sparse import SparseCodec
from cgcython.errors import (
    CodebookMissing,
    DimensionMismatch,
    InvalidInput,
    MethodMismatch,
    QuantizationError,
    StorageCorruption,
)
from cgcython.fingerprint import QuantizedFingerprint
from cgcython.metadata import BinaryMetadata, Float8Metadata, PQ8Metadata, SparseMetadata
from cgcython.records import QuantizedEmbedding, SparseVector
from cgcython.search import FingerprintStore
from cgcython.store import repair
from cgcython.store.keeper import Change

IDS = [UUID(int=i + 1) for i in range(20)]
ODD = UUID(int=10_000)
E1, E2, E6, E9 = (ModelId.parse(one) for one in ("E1", "E2", "E6", "E9"))
PQ8, FLOAT8, BINARY, SPARSE = (
    QuantizationMethod(one) for one in ("pq8", "float8_e4m3", "binary", "sparse_native")
)


def sparse_of(dim):
    codec = SparseCodec(dim, "compact_f16")
    return codec.encode(SparseVector([1, dim // 2], [1.0, 2.0], dim))


NO_CODEBOOK = QuantizedEmbedding(PQ8, 16, bytes(8), PQ8Metadata(77, 8))
MISFITS = {
    "dimension": (E6, sparse_of(2**32 - 1), DimensionMismatch),
    "wider bits": (E9, BinaryCodec(24).encode(np.ones(24)), DimensionMismatch),
    "method": (E9, Float8Codec(20).encode(np.ones(20)), MethodMismatch),
    "embedder": (ModelId.GRAPH, Float8Codec(12).encode(np.ones(12)), InvalidInput),
    "codebook": (E1, NO_CODEBOOK, CodebookMissing),
}
NANS = QuantizedEmbedding(FLOAT8, 12, b"\x7f" * 12, Float8Metadata(1.0))
PADDED = QuantizedEmbedding(BINARY, 20, b"\xff" * 3, BinaryMetadata(0.0))
FALLING = QuantizedEmbedding(
    SPARSE, 400, b"\xff" * len(sparse_of(400).data), SparseMetadata(400, 2, "compact_f16")
)
ODD_ONES = {name: (one, quantized) for name, (one, quantized, _) in MISFITS.items()} | {
    "codes that are no numbers": (E2, NANS),
    "bits past the dimension": (E9, PADDED),
    "indices that do not ascend": (E6, FALLING),
}


@pytest.fixture
def store(memories, tmp_path):
    with FingerprintStore.open(tmp_path / "s", memories.codebooks, memories.profile) as store:
        store.store_many((one, memories.make(i)) for i, one in enumerate(IDS))
        yield store


def put(store, model_id, quantized, key=ODD):
    """Write a record as something that does not look at it would."""
    record = QuantizedFingerprint({model_id: quantized})
    store._keeper.write([Change(key.bytes, record.manifest, record.sections, None, set(record))])


def swap(store, model_id, one, other):
    """Exchange what two records hold of an embedder, as no journal tells."""
    keys = [bytes([model_id]) + key.bytes for key in (one, other)]
    first, second = store._keeper.files.get("sections", keys)
    store._keeper.files.write([("sections", keys[0], second), ("sections", keys[1], first)])


def found(store, query, **how):
    return {hit.id for hit in store.search(query, k=99, **how)}


@pytest.mark.parametrize("name", MISFITS)
def test_what_the_store_does_not_hold_is_not_stored(store, memories, name):
    model_id, quantized, error = MISFITS[name]
    sound = memories.make(1).encode(memories.router)
    record = QuantizedFingerprint({model_id: quantized})
    with pytest.raises(error) as caught:
        store.store_quantized([(UUID(int=99), sound), (ODD, record)])
    assert caught.value.__notes__ == [f"(record {ODD})"]
    assert list(store) == IDS


def test_codes_of_any_codebook_of_the_store_are_stored(store, memories):
    record = memories.make(1).encode(memories.router)
    store.use_codebooks(memories.other_codebooks)
    store.store_quantized([(ODD, record)])
    assert store.retrieve(ODD) == store.retrieve(IDS[1])


@pytest.mark.parametrize("loaded", [True, False])
@pytest.mark.parametrize("name", ODD_ONES)
def test_one_odd_record_stops_no_search(store, memories, name, loaded, caplog):
    model_id, quantized = ODD_ONES[name]
    query = memories.make(3) if model_id in memories.profile else memories.make(3, ["E2"])
    expected = store.search(query, k=99) if loaded else None
    put(store, model_id, quantized)
    hits = store.search(query, k=99)
    assert {hit.id for hit in hits} == set(IDS)
    assert expected in (None, hits)
    assert store.search(query, k=99) == hits
    if model_id in memories.profile:
        assert [str(ODD) in one.message for one in caplog.records] == [True]


@pytest.mark.parametrize("name", ODD_ONES)
def test_verify_names_an_odd_record_and_a_repair_takes_it_away(store, name):
    model_id, quantized = ODD_ONES[name]
    put(store, model_id, quantized)
    with pytest.raises(StorageCorruption, match=f"{ODD}: {model_id.short} is ") as caught:
        store.verify()
    assert caught.value.ids == (ODD,)
    store.close()
    if name != "codebook":  # which can still be given
        assert set(repair(store.path).lost) == {ODD}
        with FingerprintStore.open(store.path) as again:
            assert again.verify().records == len(IDS)


@pytest.mark.parametrize("name", ODD_ONES)
def test_an_odd_record_is_never_a_foreign_exception(store, name):
    put(store, *ODD_ONES[name])
    for read in (store.retrieve, store.quantized, store.get_stored_size, store.info):
        with suppress(QuantizationError):
            read(ODD)


def test_an_odd_record_is_mended_by_storing_it_again(store, memories, caplog):
    put(store, E9, PADDED)
    assert found(store, memories.make(3)) == set(IDS)
    store.store(ODD, memories.make(50))
    assert store.search(memories.make(50), k=1)[0].id == ODD
    assert store.verify().records == len(IDS) + 1
    assert len(caplog.records) == 1


@pytest.mark.parametrize("embedder", ["E1", "E2", "E6", "E9", "E12"])
def test_a_section_of_another_record_is_served_nowhere(store, memories, embedder, caplog):
    model_id, one, other = ModelId.parse(embedder), IDS[4], IDS[11]
    swap(store, model_id, one, other)
    query = memories.make(4, [embedder])
    assert found(store, query) == set(IDS) - {one, other}
    assert all(str(key) in caplog.records[0].message for key in (one, other))
    for key in (one, other):
        for read in (store.retrieve, store.quantized, lambda key: store.quantized(key, embedder)):
            with pytest.raises(StorageCorruption, match=f"{embedder} is another record's"):
                read(key)
    with pytest.raises(StorageCorruption, match="2 records") as caught:
        list(store.scan(embedder))
    assert caught.value.ids == (one, other)
    assert set(store.check().problems) == {one, other}


def test_others_rank_as_if_a_swapped_record_had_no_such_section(store, memories):
    swap(store, E9, IDS[4], IDS[11])
    hits = store.search(memories.make(4), k=99)
    assert {hit.id for hit in hits if E9 not in hit.scores} == {IDS[4], IDS[11]}
    assert all(E2 in hit.scores for hit in hits)


def test_a_shortlist_is_reranked_without_what_is_another_records(store, memories):
    swap(store, E9, IDS[4], IDS[11])
    hits = store.search(memories.make(4, ["E2", "E9"]), 20, rerank="E9", oversample=1)
    assert {hit.id for hit in hits if E9 in hit.scores} == set(IDS) - {IDS[4], IDS[11]}


def test_what_is_left_over_of_no_record_is_not_found(store, memories):
    section = store._keeper.files.get("sections", bytes([E9]) + IDS[4].bytes)
    store._keeper.files.write([("sections", bytes([E9]) + ODD.bytes, section)])
    assert found(store, memories.make(4, ["E9"])) == set(IDS)


def test_a_damaged_manifest_hides_no_section_from_a_search(store, memories):
    store._keeper.files.write([("records", IDS[4].bytes, b"damaged")])
    assert store.search(memories.make(4, ["E9"]), k=1)[0].id == IDS[4]


def test_records_with_metadata_and_of_other_embedders_are_told_apart_too(store, memories):
    store.store(IDS[2], memories.make(2), metadata={"long": "x" * 90})
    store.store(IDS[6], memories.make(6, ["E9", "E12"]))
    store.delete(IDS[8])
    swap(store, E9, IDS[2], IDS[6])
    expected = set(IDS) - {IDS[2], IDS[6], IDS[8]}
    assert found(store, memories.make(4, ["E9"])) == expected


def test_files_of_columns_hold_nothing_that_was_left_out(store, memories):
    put(store, E9, PADDED)
    store.search(memories.make(4, ["E9", "E2"]))
    assert [one.name for one in store.save_columns()] == ["E2.safetensors"]


def test_a_file_of_a_column_that_the_profile_cannot_hold_is_made_anew(store, memories, tmp_path):
    store.save_columns(["E9"])
    store.close()
    other = memories.profile.from_toml('E9 = { dimension = 24, method = "binary" }')
    with FingerprintStore.open(tmp_path / "other", profile=other) as wide:
        wide.store(IDS[0], {"E9": np.ones(24)})
        wide.save_columns(["E9"])
    shutil.copytree(tmp_path / "other" / "columns", store.path / "columns", dirs_exist_ok=True)
    with FingerprintStore.open(store.path, read_only=True) as again:
        assert found(again, memories.make(4, ["E9"])) == set(IDS)


def test_writes_beside_a_scan_are_no_damage(store, memories):
    rows = store.scan("E9")
    first = next(rows)[0]
    for i, one in enumerate(IDS[1:], 1):
        store.store(one, memories.make(i + 70)) if i % 2 else store.delete(one)
    assert [first, *(key for key, _ in rows)]
    assert store.check().ok
