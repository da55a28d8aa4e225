"""Records framed from columns are those encoded one by one, in every byte and every property."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memories import PROFILE, make_memories, make_memory

from cgcython import ModelId, QuantizationRouter
from cgcython.base import Profile
from cgcython.embedders import blocks
from cgcython.errors import BudgetExceeded, QuantizationError
from cgcython.fingerprint import Fingerprint, QuantizedFingerprint, encode_all
from cgcython.metadata import codebook_id_of

MEMORIES = make_memories()
MEMORY = st.builds(
    make_memory,
    st.integers(0, 50),
    st.sets(st.sampled_from(sorted(PROFILE)), min_size=1),
    st.integers(0, 70),
)
BUDGETS = st.none() | st.sampled_from([300, 600, 800, 1200, 20_000])


def one_by_one(batch, router, budget):
    try:
        return [one.encode(router, budget) for one in batch]
    except BudgetExceeded:
        return None


def dated(record):
    return record.with_info(1, 2).to_bytes()


@given(st.lists(MEMORY, max_size=6), BUDGETS, st.sampled_from([1, 2, 5]))
@settings(deadline=None, max_examples=60)
def test_a_batch_is_its_records(batch, budget, num_threads):
    router = MEMORIES.router
    expected = one_by_one(batch, router, budget)
    if expected is None:
        with pytest.raises(BudgetExceeded):
            encode_all(batch, router, budget, num_threads)
        return
    found = encode_all(batch, router, budget, num_threads)
    assert [one.sections for one in found] == [one.sections for one in expected]
    assert list(map(dated, found)) == list(map(dated, expected))
    assert found == expected


def test_all_properties_of_a_framed_record_are_those_of_its_parts():
    memory = MEMORIES.make(3)
    (record,), again = encode_all([memory], MEMORIES.router), memory.encode(MEMORIES.router)
    assert (list(record), len(record), record.size_bytes) == (list(again), 5, again.size_bytes)
    assert QuantizedFingerprint.from_bytes(record.to_bytes()) == again
    assert record.manifest == record.head.to_bytes()
    assert record.info.created == record.info.updated == record.moment
    assert record.info.content_hash == again.info.content_hash
    assert record.forms == again.forms
    for model_id, form in record.forms.items():
        part = again[model_id]
        expected = part.method, part.original_dim, codebook_id_of(part.metadata)
        assert tuple(form) == expected
    assert record.decode(MEMORIES.router) == again.decode(MEMORIES.router)


def test_a_framed_record_takes_metadata_and_survives_pickling():
    (record,) = encode_all([MEMORIES.make(4)], MEMORIES.router)
    told = pickle.loads(pickle.dumps(record.with_info(metadata={"lang": "de"})))
    assert told == record
    assert told.info.metadata == {"lang": "de"}
    assert told.sections == record.sections


def test_embedders_of_a_user_are_numbered_in_a_batch():
    row = {"dimension": 12, "method": "float8_e4m3"}
    profile = Profile({"titles": row, "E2": row})
    router, values = QuantizationRouter(profile=profile), np.arange(12.0)
    batch = [Fingerprint({"titles": values, "E2": values}), Fingerprint({"titles": -values})]
    for record, memory in zip(encode_all(batch, router), batch):
        assert dated(record) == dated(memory.encode(router))


def test_no_memories_and_empty_memories_are_batches():
    assert encode_all([], MEMORIES.router) == []
    batch = [Fingerprint({}), MEMORIES.make(1, ["E9"]), Fingerprint({})]
    assert list(map(len, encode_all(batch, MEMORIES.router))) == [0, 1, 0]
    assert MEMORIES.router.quantize_fingerprints([{}, {}]) == [{}, {}]


@pytest.mark.parametrize("num_threads", [1, 3])
def test_as_many_are_counted_and_sampled_with_any_number_of_threads(num_threads, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK", 8)
    router = QuantizationRouter(MEMORIES.codebooks, PROFILE, sample_every=3)
    encode_all([MEMORIES.make(seed) for seed in range(40)], router, None, num_threads)
    totals = router.loss_totals()[ModelId.TEMPORAL_RECENT]
    alone = QuantizationRouter(MEMORIES.codebooks, PROFILE, sample_every=3)
    for seed in range(40):
        MEMORIES.make(seed).encode(alone)
    assert totals == pytest.approx(alone.loss_totals()[ModelId.TEMPORAL_RECENT])


@pytest.mark.parametrize("place", [0, 200])
def test_a_value_of_another_length_is_refused_from_any_block(place):
    batch = [Fingerprint({"E9": np.ones(20)}) for _ in range(300)]
    batch[place] = Fingerprint({"E9": np.ones(21)})
    with pytest.raises(QuantizationError) as caught:
        encode_all(batch, MEMORIES.router)
    assert caught.value.model_id is ModelId.HDC
