"""A store is made of what was encoded, never of what could not be."""

import numpy as np
import pytest

from cgcython import (
    CodebookMissing,
    InvalidInput,
    ModelId,
    NonFiniteValue,
    RecordStore,
    StoreUnavailable,
    StoreWriter,
    open_corpus,
)
from cgcython.store.ids import as_key


@pytest.fixture
def write(memories, tmp_path):
    """Return a function that writes a corpus into a store and returns the writer."""

    def write(corpus, codebooks=memories.codebooks, **options):
        with StoreWriter(tmp_path / "store", codebooks, **options) as writer:
            writer.write_all(corpus)
        return writer

    return write


@pytest.fixture
def bad(arrays, memories):
    """Return the corpus with a value in memory 13 that is no number."""
    rows = np.where(np.arange(20)[:, None] == 13, np.nan, arrays["E9"])
    return open_corpus({**arrays, "E9": rows}, memories.profile)


def records(path):
    with RecordStore.open(path, read_only=True) as store:
        return {as_key(one): store.quantized(one) for one in store}


def generations(path):
    with RecordStore.open(path, read_only=True) as store:
        return store.statistics().codebooks


def test_each_memory_becomes_the_record_that_a_store_would_keep(write, corpus, memories, tmp_path):
    writer = write(corpus)
    expected = {
        key: memories.router.quantize_fingerprint(one)
        for key, one in zip(corpus.ids[:], corpus.fingerprints(0, 20))
    }
    assert {key: dict(one.items()) for key, one in records(tmp_path / "store").items()} == expected
    assert (writer.counts.memories, writer.skipped) == (20, 0)


def test_an_id_is_written_again_or_skipped(write, corpus):
    assert write(corpus).counts.memories == 20
    assert write(corpus).counts.memories == 20
    again = write(corpus, resume=True)
    assert (again.counts.memories, again.skipped) == (0, 20)


def test_a_store_keeps_its_profile_and_codebooks(write, corpus, memories):
    write(corpus)
    writer = write(corpus, codebooks=None)
    assert writer.counts.memories == 20
    assert writer.profile == memories.profile


def test_a_store_knows_its_profile_before_a_corpus_is_opened(write, corpus, arrays, tmp_path):
    write(corpus)
    with StoreWriter(tmp_path / "store") as writer:
        assert writer.write_all(open_corpus(arrays, writer.profile)).memories == 20
    with pytest.raises(StoreUnavailable, match="another profile"):
        StoreWriter(tmp_path / "store", profile="contextgraph-2026")


def test_a_corpus_of_another_profile_is_refused(write, corpus):
    write(corpus)
    with pytest.raises(InvalidInput, match=r"open_corpus\(..., profile=writer.profile\)"):
        write(open_corpus({"E9": np.ones((2, 1024))}))


def test_a_failed_first_run_leaves_nothing(write, bad, corpus, tmp_path):
    with pytest.raises(NonFiniteValue) as refusal:
        write(bad)
    assert refusal.value.__notes__ == ["(memory 13)"]
    with pytest.raises(CodebookMissing):
        write(corpus, codebooks=None)
    assert list(tmp_path.iterdir()) == []
    assert write(corpus).counts.memories == 20


def test_a_store_whose_first_records_cannot_be_written_is_not_kept(
    write, corpus, memories, tmp_path, monkeypatch
):
    monkeypatch.setattr(RecordStore, "store_quantized", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write(corpus)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    write(corpus)
    monkeypatch.setattr(RecordStore, "store_quantized", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write(corpus)
    assert len(records(tmp_path / "store")) == 20


def test_a_refused_run_leaves_a_store_its_codebooks(write, bad, corpus, memories, tmp_path):
    write(corpus)
    before = records(tmp_path / "store"), generations(tmp_path / "store")
    with pytest.raises(NonFiniteValue):
        write(bad, memories.other_codebooks)
    assert (records(tmp_path / "store"), generations(tmp_path / "store")) == before


def test_other_codebooks_encode_what_comes_next(write, corpus, memories, tmp_path):
    write(corpus)
    write(corpus, memories.other_codebooks)
    newest = memories.other_codebooks[ModelId.SEMANTIC].codebook_id
    assert generations(tmp_path / "store")[ModelId.SEMANTIC][-1] == newest
    for record in records(tmp_path / "store").values():
        assert record[ModelId.SEMANTIC].metadata.codebook_id == newest


def test_a_store_without_records_is_used(write, corpus, memories, tmp_path):
    RecordStore.open(tmp_path / "store", profile=memories.profile).close()
    assert write(corpus).counts.memories == 20


def test_the_store_is_free_when_the_writer_is_closed(write, corpus, tmp_path):
    write(corpus)
    RecordStore.open(tmp_path / "store").close()


def test_progress_is_told_of_every_memory(corpus, memories, tmp_path):
    told = []
    with StoreWriter(tmp_path / "store", memories.codebooks) as writer:
        writer.write_all(corpus, told.append)
    assert sum(told) == 20
