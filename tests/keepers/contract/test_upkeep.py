"""What changed, how much there is and whether it is sound; codebooks and embedders come and go."""

import math
from uuid import UUID

import numpy as np
import pytest
from keepers.contract.cases import ALL_IDS, IDS

from cgcython.base import ModelId
from cgcython.errors import CodebookMissing, DimensionMismatch, InvalidInput, StoreUnavailable
from cgcython.similarity import cosine_similarity
from cgcython.store.ids import as_key, id_of
from cgcython.store.moved import in_passes

ONE, TWO, THREE = IDS[:3]
NEW = UUID(int=2**128 - 1)


def test_the_journal_names_every_record_that_changed(store, memories, open_store):
    start = store.journal.position()
    store.store_many((one, memories.make(1)) for one in ALL_IDS)
    middle = store.journal.position()
    assert middle > start
    store.delete(ALL_IDS[0])
    store.update(ALL_IDS[1], {}, metadata={"a": 1})
    store.delete(ALL_IDS[2], soft=True)
    store.restore(ALL_IDS[2])
    changed = store.journal.changes_since(middle)
    assert changed == sorted(changed)
    assert set(map(id_of, changed)) >= set(ALL_IDS[:3])
    assert set(map(id_of, store.journal.changes_since(start))) == set(ALL_IDS)
    end = store.journal.position()
    assert end > middle
    assert all(as_key(one) in changed for one in ALL_IDS[:3])
    store.close()
    again = open_store()
    again.store("later", memories.make(1))
    assert as_key("later") in again.journal.changes_since(end)
    assert set(again.journal.changes_since(middle)) >= {*changed, as_key("later")}


def test_the_journal_tells_the_changes_of_one_embedder(store, memories):
    store.store(ONE, memories.make(1, ["E1", "E9"]))
    store.store(TWO, memories.make(2, ["E2"]))
    before = store.journal.position()
    store.store(ONE, memories.make(1, ["E2"]))
    assert set(store.journal.changes_since(0, "E9")) >= {ONE.bytes}
    assert set(store.journal.changes_since(0, ModelId.TEMPORAL_RECENT)) >= {ONE.bytes, TWO.bytes}
    assert ONE.bytes in store.journal.changes_since(before, "E1")  # it lost that one
    assert ONE.bytes in store.journal.changes_since(before, "E2")
    assert TWO.bytes not in store.journal.changes_since(0, "E6")
    with pytest.raises(InvalidInput, match="position"):
        store.journal.changes_since(-1)


def test_statistics_count_what_there_is(filled, memories):
    filled.delete_many(IDS[:4], soft=True)
    exact = filled.statistics(exact=True)
    assert (exact.exact, exact.records, exact.trashed) == (True, 26, 4)
    assert sum(part.sections for part in exact.parts) == 130
    assert {part.embedder for part in exact.parts} == set(memories.profile)
    assert exact.record_bytes == sum(filled.get_stored_size(one) for one in IDS[4:])
    assert exact.trash_bytes > 0
    assert exact.codebooks == {ModelId.SEMANTIC: [memories.codebooks[0].codebook_id]}
    estimated = filled.statistics()
    assert (estimated.exact, estimated.records) == (False, pytest.approx(26, abs=15))
    assert "about" in repr(filled)


def test_a_sound_store_is_verified(filled):
    told = []
    filled.delete(ONE, soft=True)
    report = filled.verify(progress=told.append)
    assert (report.ok, report.records, report.sections, sum(told)) == (True, 29, 145, 29)
    assert report.stored_bytes == sum(filled.get_stored_size(one) for one in IDS[1:])


def test_compacting_changes_no_record(filled):
    filled.delete_many(IDS[:20])
    before = {one: filled.quantized(one) for one in IDS}
    assert isinstance(filled.compact(), int)
    assert {one: filled.quantized(one) for one in IDS} == before


def codebook_ids(store):
    return {store.quantized(one, "E1").metadata.codebook_id for one in store}


def test_records_move_to_a_new_codebook(filled, memories, open_store):
    old, new = memories.codebooks[0], memories.other_codebooks[0]
    before = {one: filled.retrieve(one)["E1"] for one in IDS}
    others, position, told = filled.quantized(ONE, "E9"), filled.journal.position(), []
    filled.delete(TWO, soft=True)
    found = filled.reencode("E1", new, batch_size=12, progress=told.append)
    assert (found.records, told) == (29, [12, 12, 5])
    losses = [1 - cosine_similarity(before[one], filled.retrieve(one)["E1"]) for one in filled]
    np.testing.assert_allclose([found.mean_loss, found.max_loss], [np.mean(losses), max(losses)])
    assert codebook_ids(filled) == {new.codebook_id}
    assert filled.quantized(ONE, "E9") == others
    assert len(filled.journal.changes_since(position, "E1")) >= 29
    assert filled.drop_codebooks() == []  # the record in the trash needs the old one
    filled.restore(TWO)
    np.testing.assert_array_equal(filled.retrieve(TWO)["E1"], before[TWO])
    assert filled.reencode("E1", new).records == 1
    assert filled.drop_codebooks() == [old.codebook_id]
    filled.close()
    again = open_store(codebooks=None, profile=None)
    assert again.statistics().codebooks == {ModelId.SEMANTIC: [new.codebook_id]}
    assert again.verify().ok
    with pytest.raises(CodebookMissing):
        again.store_quantized([(NEW, memories.make(1).encode(memories.router))])


def test_parts_have_all_records_once(filled):
    keys = [key for part in filled.parts() for key, _ in filled.scan("E1", part)]
    assert sorted(keys) == sorted(as_key(one) for one in IDS)


def test_what_is_no_part_is_refused(filled):
    for odd in (-1, 99, "a", (b"a", 3), (b"a",), True):
        with pytest.raises(InvalidInput, match=r"one of store\.parts"):
            next(filled.scan("E1", odd))


def test_parts_move_in_any_order_with_the_same_loss(filled, memories):
    new = memories.other_codebooks[0]
    before = {one: filled.retrieve(one)["E1"] for one in IDS}
    wanted, _ = filled.begin_reencode("E1", new)
    parts = [*reversed(filled.parts())]
    found = in_passes(
        lambda: [filled.move_part(wanted, new.codebook_id, one) for one in parts], "E1", "here"
    )
    losses = [1 - cosine_similarity(before[one], filled.retrieve(one)["E1"]) for one in IDS]
    assert found == (30, math.fsum(losses) / 30, max(losses))


def test_an_interrupted_move_goes_on_where_it_was(filled, memories, open_store):
    def stop(count):
        raise KeyboardInterrupt

    new = memories.other_codebooks[0]
    with pytest.raises(KeyboardInterrupt):
        filled.reencode("E1", new, batch_size=10, progress=stop)
    assert len(codebook_ids(filled)) == 2
    assert filled.search(memories.make(3, ["E1"]), k=30)[0].id == IDS[3]
    filled.close()
    again = open_store(codebooks=None, profile=None)
    assert again.reencode("E1", new).records == 20
    assert codebook_ids(again) == {new.codebook_id}
    assert again.reencode("E1", new) == (0, 0.0, 0.0)


def test_new_records_use_a_new_codebook_beside_old_ones(filled, memories, beside):
    other = beside()
    filled.use_codebooks(memories.other_codebooks)
    filled.store(NEW, memories.make(50))
    assert len(codebook_ids(filled)) == 2
    assert filled.search(memories.make(50, ["E1"]), k=1)[0].id == NEW
    other.catch_up()
    assert other.retrieve(NEW) == filled.retrieve(NEW)
    assert other.search(memories.make(50, ["E1"]), k=1)[0].id == NEW
    newest = memories.other_codebooks[0].codebook_id
    assert other.statistics().codebooks[ModelId.SEMANTIC][-1] == newest


OWN = {"titles": {"dimension": 8, "method": "binary", "number": 45}}
MORE = {"notes.v2": {"dimension": 8, "method": "float8_e4m3"}}


def test_a_profile_grows(store, memories, open_store, beside):
    store.store(ONE, memories.make(1))
    rows, values = {**memories.profile, **OWN}, np.linspace(-1, 1, 8)
    store.close()
    with pytest.raises(StoreUnavailable, match="titles only there"):
        open_store(codebooks=None, profile=rows, read_only=True)
    grown = open_store(codebooks=None, profile=rows)
    other = beside()
    grown.update(ONE, {"titles": values})
    grown.store("two", {"titles": -values, "E9": memories.make(2)["E9"]})
    other.catch_up()
    for one in (grown, other):
        assert one.search({"titles": values}, k=1)[0].id == ONE
        assert one.retrieve("two").keys() == {ModelId.HDC, grown.profile.embedder("titles")}
    assert len(grown.quantized(ONE)) == 6
    grown.delete("two", soft=True)
    grown.close()
    other.close()
    again = open_store(codebooks=None, profile=rows | MORE)
    assert again.restore("two") is True
    again.update("two", {"notes.v2": values})
    assert {one.short for one in again.quantized("two")} == {"titles", "notes.v2", "E9"}
    assert again.verify().sections == 9
    again.close()
    with pytest.raises(StoreUnavailable, match=r"titles, notes\.v2 left out"):
        open_store(codebooks=None, profile=memories.profile)


def test_a_refused_codebook_adds_no_embedder(store, memories, open_store):
    store.close()
    rows = {**memories.profile, "titles": {"dimension": 64, "method": "pq8", "bytes": 8}}
    with pytest.raises(DimensionMismatch):
        open_store(codebooks={"titles": memories.codebooks[0]}, profile=rows)
    assert open_store(codebooks=None, profile=None).profile == memories.profile


def test_a_backup_is_a_store_or_is_refused(filled, open_store, tmp_path, keeper):
    if keeper != "folder":
        with pytest.raises(StoreUnavailable, match="cgcython store copy"):
            filled.backup(tmp_path / "copy")
        return
    filled.backup(tmp_path / "copy")
    filled.delete(ONE)
    copy = open_store(tmp_path / "copy", None, None)
    assert copy.verify().records == 30
