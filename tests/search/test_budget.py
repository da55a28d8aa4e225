"""Records that a budget brought to small layouts are found as well as others."""

from uuid import UUID

import pytest

from cgcython.base import ModelId
from cgcython.search import FingerprintStore

BUDGETS = 20_000, 660, 600, 450


@pytest.fixture(scope="module")
def store(memories, tmp_path_factory):
    """Return a store in which layouts differ from record to record."""
    path = tmp_path_factory.mktemp("budget") / "store"
    with FingerprintStore.open(path, memories.codebooks, memories.profile) as store:
        for seed in range(30):
            store.store(UUID(int=seed), memories.make(seed, tokens=70), BUDGETS[seed % 4])
        yield store


def test_the_records_have_all_layouts(store):
    found = {
        tuple(store.quantized(UUID(int=seed))[one].metadata.layout for one in ("E6", "E12"))
        for seed in range(30)
    }
    assert found == {
        ("compact_f16", "compact_e4m3"),
        ("compact_u8", "compact_e4m3"),
        ("compact_u8", "compact_int4"),
        ("compact_u8", "compact_int2"),
    }


@pytest.mark.parametrize("embedders", [None, ["E12"], ["E6"], ["E6", "E12"]])
def test_the_first_hit_of_a_stored_fingerprint_is_itself(store, memories, embedders):
    for seed in range(30):
        hit = store.search(memories.make(seed, tokens=70), k=2, embedders=embedders)[0]
        assert hit.id == UUID(int=seed)
        assert hit.similarity > 0.99


def test_they_decode_to_what_was_stored(store, memories):
    for seed in range(4):
        found, memory = store.retrieve(UUID(int=seed)), memories.make(seed, tokens=70)
        assert found[ModelId.SPARSE].indices.tolist() == memory[ModelId.SPARSE].indices.tolist()
        assert found[ModelId.LATE_INTERACTION].shape == (35, 8)
    assert store.verify().ok
