"""Records move to a new codebook batch by batch, and everything is readable in between."""

from uuid import UUID

import numpy as np
import pytest

from cgcython.base import ModelId
from cgcython.errors import CodebookMissing, InvalidInput, StorageCorruption
from cgcython.similarity import cosine_similarity
from cgcython.store import RecordStore

IDS = [UUID(int=i + 1) for i in range(20)]


@pytest.fixture
def store(memories, tmp_path):
    with RecordStore.open(tmp_path / "s", memories.codebooks, memories.profile) as store:
        store.store_many((one, memories.make(one.int)) for one in IDS)
        yield store


def codebook_ids(store):
    return {store.quantized(one, "E1").metadata.codebook_id for one in store}


@pytest.fixture
def new(memories):
    return memories.other_codebooks[ModelId.SEMANTIC]


def test_all_records_move_and_the_loss_is_told(store, memories, new):
    before = {one: store.retrieve(one)["E1"] for one in IDS}
    others = {one: store.quantized(one, "E9") for one in IDS}
    position, calls = store.journal.position(), []
    found = store.reencode("E1", new, batch_size=6, progress=calls.append)
    assert (found.records, calls) == (20, [6, 6, 6, 2])
    assert codebook_ids(store) == {new.codebook_id}
    assert {one: store.quantized(one, "E9") for one in IDS} == others
    losses = [1 - cosine_similarity(before[one], store.retrieve(one)["E1"]) for one in IDS]
    np.testing.assert_allclose([found.mean_loss, found.max_loss], [np.mean(losses), max(losses)])
    assert 0 < found.mean_loss < found.max_loss
    assert len(store.journal.changes_since(position, "E1")) == 20
    assert store.journal.changes_since(position, "E9") == []
    store.verify()


def test_an_interrupted_move_goes_on_where_it_was(store, memories, new):
    def stop(count):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.reencode("E1", new, batch_size=6, progress=stop)
    assert len(codebook_ids(store)) == 2
    assert all(store.retrieve(one) is not None for one in IDS)
    store.close()
    with RecordStore.open(store.path) as again:
        assert again.reencode("E1", new).records == 14
        assert codebook_ids(again) == {new.codebook_id}
        assert again.reencode("E1", new) == (0, 0.0, 0.0)


def test_new_records_use_the_new_codebook_at_once(store, memories, new):
    store.use_codebooks(memories.other_codebooks)
    store.store(UUID(int=99), memories.make(1))
    assert store.quantized(UUID(int=99), "E1").metadata.codebook_id == new.codebook_id
    assert len(codebook_ids(store)) == 2


def test_codebooks_are_dropped_once_no_record_needs_them(store, memories, new):
    old = memories.codebooks[ModelId.SEMANTIC].codebook_id
    store.delete(IDS[0], soft=True)
    assert store.drop_codebooks() == []
    store.reencode("E1", new)
    assert store.drop_codebooks() == []  # the record in the trash needs it
    store.purge()
    assert store.drop_codebooks() == [old]
    assert store.statistics().codebooks == {ModelId.SEMANTIC: [new.codebook_id]}
    store.close()
    with RecordStore.open(store.path) as again:
        again.verify()
        with pytest.raises(CodebookMissing):
            again._shelf.codebook(old)


def test_damaged_records_are_named_and_stay(store, new):
    store._keeper.files.write([("sections", b"\0" + IDS[3].bytes, b"damaged section")])
    with pytest.raises(StorageCorruption) as caught:
        store.reencode("E1", new)
    assert caught.value.ids == (IDS[3],)
    assert store.quantized(IDS[4], "E1").metadata.codebook_id == new.codebook_id


def test_only_embedders_with_codebooks_are_encoded_anew(store, new):
    with pytest.raises(InvalidInput, match="E9, kept as binary"):
        store.reencode("E9", new)


def test_another_codebook_of_the_same_short_id_is_refused(store, memories, new, monkeypatch):
    monkeypatch.setattr(type(new), "codebook_id", 7)
    store.use_codebooks({"E1": new})
    store.use_codebooks({"E1": new})
    with pytest.raises(InvalidInput, match="no other codebook of the store has; train it"):
        store.use_codebooks({"E1": memories.codebooks[ModelId.SEMANTIC]})
    assert store.router.codebooks[ModelId.SEMANTIC] == new
