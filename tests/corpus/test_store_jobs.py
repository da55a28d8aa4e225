"""Ranges of a corpus that are encoded on their own make the store that one writer would make."""

import pickle

import numpy as np
import pytest

from cgcython import (
    CodebookMissing,
    InvalidInput,
    NonFiniteValue,
    RecordStore,
    StoreUnavailable,
    StoreWriter,
    open_corpus,
)
from cgcython.corpus import store_jobs
from cgcython.corpus.memory_ids import row_uuid
from cgcython.corpus.store_jobs import StoreJob, encode_range, run_store_job, store_job
from cgcython.errors import UsageError
from cgcython.store.ids import id_of
from cgcython.store.opening import has_database


@pytest.fixture(autouse=True)
def any_place(monkeypatch):
    """Let jobs write to a folder, which loops do one range after the other."""
    monkeypatch.setattr(store_jobs, "require_servers", lambda place: None)


@pytest.fixture
def inputs(arrays, tmp_path):
    np.savez(tmp_path / "corpus.npz", **arrays)
    return [str(tmp_path / "corpus.npz")]


@pytest.fixture
def place(tmp_path):
    return str(tmp_path / "store")


@pytest.fixture
def encode(inputs, memories, place):
    """Return a function that runs a job of seven memories a range, by default backwards."""

    def encode(order=reversed, skip_damage=False, given=inputs, **options):
        books = options.pop("codebooks", memories.codebooks)
        with store_job(given, place, books, profile=memories.profile, size=7, **options) as job:
            return run_store_job(job, runner(order), skip_damage=skip_damage)

    return encode


def runner(order):
    def run(function, numbers):
        for number in order(numbers):
            try:
                yield number, function(number)
            except (NonFiniteValue, StoreUnavailable) as error:
                yield number, error

    return run


def records(place):
    with RecordStore.open(place, read_only=True) as store:
        return {one: dict(store.quantized(one).items()) for one in store}


def test_ranges_in_any_order_make_the_store_of_one_writer(encode, corpus, memories, place):
    done = encode()
    with StoreWriter(f"{place} of one", memories.codebooks) as writer:
        counts = writer.write_all(corpus)
    assert records(place) == records(f"{place} of one")
    assert done.counts.as_dict() == counts.as_dict()
    assert (done.skipped, done.failed) == (0, {})


def test_sums_do_not_depend_on_the_order(encode):
    assert encode(reversed).losses == encode(iter).losses


def test_an_id_that_is_there_is_skipped_when_resumed(encode):
    encode()
    assert encode(resume=True).skipped == 20
    assert encode().skipped == 0


def test_a_range_that_is_done_twice_is_kept_once(inputs, memories, place):
    with store_job(inputs, place, memories.codebooks, profile=memories.profile, size=7) as job:
        once = [encode_range(job, 1).counts.as_dict() for _ in range(2)]
    assert once[0] == once[1]
    assert len(records(place)) == 7


def test_memories_go_by_the_ids_that_an_earlier_release_gave_them(encode, place):
    encode()
    with RecordStore.open(place) as store:
        store.store_quantized([(id_of(row_uuid(3)), store.quantized(3))])
    encode()
    assert id_of(row_uuid(19)) in records(place)


def test_a_range_with_damage_stops_the_job_or_is_named(encode, arrays, memories, place, tmp_path):
    rows = np.where(np.arange(20)[:, None] == 13, np.nan, arrays["E9"])
    np.savez(tmp_path / "bad.npz", **{**arrays, "E9": rows})
    bad = [str(tmp_path / "bad.npz")]
    with pytest.raises(NonFiniteValue) as raised:
        encode(given=bad)
    assert raised.value.__notes__[-1] == "(memories 7 to 13)"
    done = encode(given=bad, skip_damage=True)
    assert (list(done.failed), len(records(place))) == ([1], 13)


def test_nothing_stays_of_a_new_store_where_every_range_fails(encode, arrays, place, tmp_path):
    np.savez(tmp_path / "bad.npz", E9=np.full((3, 20), np.nan))
    for skip_damage in (False, True):
        with pytest.raises(NonFiniteValue):
            encode(given=[str(tmp_path / "bad.npz")], skip_damage=skip_damage)
        assert not has_database(place)


def test_a_store_that_goes_away_ends_the_job_with_the_way_to_go_on(encode, monkeypatch):
    def gone(*_, **__):
        raise StoreUnavailable(path="there", reason="it does not answer")

    monkeypatch.setattr(StoreWriter, "write", gone)
    with pytest.raises(StoreUnavailable) as raised:
        encode(skip_damage=True)
    assert "go on by the same with --resume" in raised.value.__notes__[-1]


def test_a_missing_codebook_is_told_before_anything_is_made(encode, place, tmp_path):
    with pytest.raises(CodebookMissing):
        encode(codebooks=tmp_path)
    assert not has_database(place)


def test_inputs_that_changed_since_are_refused(inputs, arrays, memories, place):
    with store_job(inputs, place, memories.codebooks, profile=memories.profile) as job:
        np.savez(inputs[0], **{**arrays, "ids": np.arange(20)})
        with pytest.raises(InvalidInput, match="those with which the job began"):
            encode_range(job, 0)


def test_a_range_is_encoded_with_the_codebooks_of_its_job(inputs, memories, place):
    with store_job(inputs, place, memories.codebooks, profile=memories.profile) as job:
        with RecordStore.open(place) as store:
            store.use_codebooks(memories.other_codebooks)
        encode_range(job, 0)
    (book,) = memories.codebooks.values()
    with RecordStore.open(place, read_only=True) as store:
        assert store.quantized(5, "E1").metadata.codebook_id == book.codebook_id


def test_a_store_that_was_removed_is_not_made_again(inputs, memories, place):
    with store_job(inputs, place, memories.codebooks, profile=memories.profile) as job:
        pass
    with pytest.raises(StoreUnavailable, match="there is no store"):
        encode_range(pickle.loads(pickle.dumps(StoreJob(**{**vars(job), "place": place + "2"}))), 0)


def test_a_folder_has_one_writer(monkeypatch, inputs, place):
    monkeypatch.undo()
    with pytest.raises(UsageError, match="leave out --scheduler, or encode with --out"):  # noqa: SIM117
        with store_job(inputs, place):
            pass


def test_a_job_shows_no_password():
    job = StoreJob(("a.npz",), "postgresql://me:secret@host/db", {}, 1, [])
    assert "secret" not in repr(job)


def test_inputs_keep_their_meaning_in_another_folder(arrays, memories, tmp_path, monkeypatch):
    np.savez(tmp_path / "corpus.npz", **arrays)
    monkeypatch.chdir(tmp_path)
    assert store_jobs.absolute("corpus.npz") == str(tmp_path / "corpus.npz")
    found = store_jobs.absolute("E6=corpus.npz:E6.indptr,E6.indices,E6.weights")
    monkeypatch.chdir("/")
    assert open_corpus(found, memories.profile).num_memories == 20
