"""What is stored under an id comes back byte for byte, under that id alone."""

from uuid import UUID

import numpy as np
import pytest
from keepers.contract.cases import ALL_IDS, IDS

from cgcython.errors import (
    BudgetExceeded,
    CodebookMissing,
    DimensionMismatch,
    InvalidInput,
    MethodMismatch,
)
from cgcython.fingerprint import QuantizedFingerprint
from cgcython.router import QuantizationRouter

ONE, TWO, THREE = IDS[:3]


def test_what_was_stored_is_retrieved(store, memories):
    store.store(ONE, memories.make(1))
    expected = memories.make(1).encode(memories.router)
    assert store.quantized(ONE) == expected
    assert store.quantized(ONE).sections == expected.sections
    assert store.retrieve(ONE) == expected.decode(memories.router)
    assert store.get_stored_size(ONE) == len(expected.to_bytes())


def test_an_unknown_id_gives_none(filled):
    unknown = UUID(int=9)
    for found in (filled.retrieve, filled.quantized, filled.info, filled.get_stored_size):
        assert found(unknown) is None
    assert filled.quantized(unknown, "E1") is None
    assert filled.retrieve_many([unknown, ONE])[0] is None
    assert (filled.delete(unknown), filled.restore(unknown)) == (False, False)
    assert unknown not in filled


def test_ids_of_all_kinds_are_records_of_their_own(store, memories, open_store):
    store.store_many((one, memories.make(n), {"n": n}) for n, one in enumerate(ALL_IDS))
    store.close()
    again = open_store()
    assert sorted(map(repr, again)) == sorted(map(repr, ALL_IDS))
    assert len(again) == len(ALL_IDS)
    for number, one in enumerate(ALL_IDS):
        assert one in again
        assert again.info(one).metadata == {"n": number}
        assert again.quantized(one) == memories.make(number).encode(memories.router)
    (hit,) = again.search(memories.make(4), k=1)
    assert hit.id == ALL_IDS[4]
    assert again.delete_many(ALL_IDS[:5]) == 5
    assert set(again) == set(ALL_IDS[5:])
    assert again.verify().records == len(ALL_IDS) - 5


def test_one_record_has_the_names_of_its_uuid(store, memories):
    store.store(str(ONE).upper(), memories.make(1))
    assert list(store) == [ONE]
    for name in (ONE, ONE.bytes, bytearray(ONE.bytes), str(ONE)):
        assert name in store
    store.store(np.int16(5), memories.make(2))
    assert 5 in store
    assert "5" not in store


def test_what_names_no_record_is_refused(store, memories):
    for name in (1.0, "", True, b"short", "x" * 513, 2**64, None):
        for call in (store.retrieve, store.delete, lambda one: store.store(one, memories.make(1))):
            with pytest.raises(InvalidInput, match="id: expected a UUID"):
                call(name)


def test_storing_replaces_the_whole_record(store, memories):
    store.store(ONE, memories.make(1))
    store.store(ONE, memories.make(2, ["E2", "E9"]))
    assert store.quantized(ONE) == memories.make(2, ["E2", "E9"]).encode(memories.router)
    assert store.quantized(ONE, "E1") is None
    report = store.verify()
    assert (report.records, report.sections) == (1, 2)


def test_many_are_stored_batch_by_batch(store, memories):
    told = []
    items = [(one, memories.make(n), {"n": n}) for n, one in enumerate(IDS)]
    assert store.store_many(iter(items), batch_size=12, num_threads=2, progress=told.append) == 30
    assert told == [12, 12, 6]
    for one, memory, metadata in items:
        assert store.quantized(one) == memory.encode(memories.router)
        assert store.info(one).metadata == metadata
    wanted = [THREE, UUID(int=9), ONE, THREE]
    assert store.retrieve_many(wanted, num_threads=2) == [*map(store.retrieve, wanted)]


def test_of_an_id_that_comes_twice_the_last_one_stays(store, memories):
    store.store_many([(ONE, memories.make(1)), (TWO, memories.make(2)), (ONE, memories.make(3))])
    assert store.quantized(ONE) == memories.make(3).encode(memories.router)
    assert len(store) == 2


def test_a_batch_with_a_bad_fingerprint_writes_nothing(store, memories):
    bad = {"E2": memories.make(2)["E2"], "E9": np.zeros(21)}
    items = [(ONE, memories.make(1)), (TWO, memories.make(2)), (THREE, bad)]
    with pytest.raises(DimensionMismatch, match="E9"):
        store.store_many(items)
    assert len(store) == 0
    with pytest.raises(DimensionMismatch, match="E9"):
        store.store_many(items, batch_size=2)
    assert set(store) == {ONE, TWO}


def test_a_record_over_its_budget_is_not_written(store, memories):
    store.store(TWO, memories.make(1, ["E9"]))
    before = store.quantized(TWO)
    for call, one in ((store.store, ONE), (store.store, TWO), (store.update, TWO)):
        with pytest.raises(BudgetExceeded):
            call(one, memories.make(1), budget_bytes=100)
    assert list(store) == [TWO]
    assert store.quantized(TWO) == before


def test_a_long_record_comes_back(store, memories):
    long = memories.make(1, tokens=4000)
    store.store(ONE, long, budget_bytes=None, metadata={"text": "x" * 60_000})
    assert store.quantized(ONE) == long.encode(memories.router, None)
    assert store.get_stored_size(ONE) > 60_000
    assert store.info(ONE).metadata == {"text": "x" * 60_000}


def test_a_record_may_have_no_embedder(store):
    store.store_quantized([(ONE, QuantizedFingerprint({}))])
    assert ONE in store
    assert len(store.retrieve(ONE)) == 0
    report = store.verify()
    assert (report.records, report.sections) == (1, 0)


def test_what_was_encoded_elsewhere_is_kept_as_it_is(store, memories):
    encoded = memories.make(1).encode(memories.router).with_info(5, 6, {"a": 1})
    store.store_quantized([(ONE, encoded), (TWO, memories.make(2).encode(memories.router))])
    assert store.quantized(ONE).to_bytes() == encoded.to_bytes()
    assert store.info(ONE)[:2] == (5, 6)


def test_what_the_store_could_not_decode_is_refused(store, memories):
    other = memories.make(1).encode(QuantizationRouter(memories.other_codebooks, memories.profile))
    with pytest.raises(CodebookMissing):
        store.store_quantized([(ONE, other)])
    parts = memories.make(1, ["E2", "E9"]).encode(memories.router)
    swapped = QuantizedFingerprint({"E2": parts["E9"]})
    with pytest.raises((MethodMismatch, DimensionMismatch, InvalidInput)):
        store.store_quantized([(TWO, parts), (ONE, swapped)])
    assert len(store) == 0


def test_arrays_are_stored_row_by_row(store, memories):
    rows = [memories.make(n) for n in range(5)]
    arrays = {
        "E9": np.stack([one["E9"] for one in rows]),
        "E12": [one["E12"] if n else None for n, one in enumerate(rows)],
    }
    assert store.add(None, arrays, [{"n": n} for n in range(5)], batch_size=2) == 5
    assert store.add(None, {"E9": arrays["E9"][:1]}) == 1
    assert set(store) == {*range(6)}
    expected = memories.make(0, ["E9"]).encode(memories.router)
    assert dict(store.quantized(0).items()) == dict(store.quantized(5).items())
    assert dict(store.quantized(0).items()) == dict(expected.items())
    assert store.info(3).metadata == {"n": 3}
    with pytest.raises(InvalidInput, match="no id twice"):
        store.add(["a", "a"], {"E9": arrays["E9"][:2]})
    batches = ((["a", "b"], {"E9": arrays["E9"][at : at + 2]}) for at in (0, 2))
    assert store.add_batches(batches) == 4
    assert len(store) == 8


def test_many_ids_are_asked_for_at_once(store, memories):
    store.store_many((one, memories.make(1, ["E2", "E9"])) for one in IDS)
    store.delete(IDS[3])
    assert store.existing([*IDS[:5], UUID(int=1)]) == {*IDS[:3], IDS[4]}
    found = store.quantized_many([IDS[4], IDS[3], IDS[0]], "E9")
    assert found == [store.quantized(IDS[4], "E9"), None, store.quantized(IDS[0], "E9")]
    assert store.quantized_many(IDS[:2], "E1") == [None, None]
