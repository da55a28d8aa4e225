"""Records that a budget brought to small layouts are found as well as others."""

from uuid import UUID

import pytest

from cgcython.base import ModelId
from cgcython.search import FingerprintStore

BUDGETS = 20_000, 660, 600, 400, 320


@pytest.fixture(scope="module")
def store(memories, tmp_path_factory):
    """Return a store in which layouts differ from record to record."""
    path = tmp_path_factory.mktemp("budget") / "store"
    with FingerprintStore.open(path, memories.codebooks, memories.profile) as store:
        for seed in range(30):
            store.store(UUID(int=seed), memories.make(seed, tokens=70), BUDGETS[seed % 5])
        yield store


def test_the_records_have_all_layouts(store):
    records = [store.quantized(UUID(int=seed)) for seed in range(30)]
    metadata = [(one["E6"].metadata, one["E12"].metadata) for one in records]
    assert {(one.layout, two.layout, two.kept_tokens) for one, two in metadata} == {
        ("compact_f16", "compact_int4_f16", 70),
        ("compact_u8", "compact_int4_f16", 70),
        ("compact_u8", "compact_int2_f16", 70),
        ("compact_u8", "compact_int2_f16", 35),
        ("compact_u8", "compact_int2_f16", 18),
    }


@pytest.mark.parametrize("embedders", [None, ["E12"], ["E6"], ["E6", "E12"]])
def test_the_first_hit_of_a_stored_fingerprint_is_itself(store, memories, embedders):
    for seed in range(30):
        hit = store.search(memories.make(seed, tokens=70), k=2, embedders=embedders)[0]
        assert hit.id == UUID(int=seed)
        assert hit.similarity > 0.99


def test_they_decode_to_what_was_stored(store, memories):
    for seed, kept in enumerate((70, 70, 70, 35, 18)):
        found, memory = store.retrieve(UUID(int=seed)), memories.make(seed, tokens=70)
        assert found[ModelId.SPARSE].indices.tolist() == memory[ModelId.SPARSE].indices.tolist()
        assert found[ModelId.LATE_INTERACTION].shape == (kept, 8)
    assert store.verify().ok
