"""Many workers write to a store on servers, and read it, as one process does."""

import json
from functools import partial
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from keepers import worker_tasks

from cgcython import RecordStore, StoreUnavailable, StoreWriter, open_corpus
from cgcython.cli import main
from cgcython.corpus.store_jobs import run_store_job, store_job
from cgcython.store.opening import has_database

pytestmark = pytest.mark.keepers
ROWS, WORKERS = 120, 2
RNG = np.random.default_rng(2)


@pytest.fixture(scope="module")
def started():
    """Return a runner on two worker processes."""
    pytest.importorskip("distributed", reason="not run: no distributed")
    from cgcython.cluster.opening import open_runner

    with open_runner("processes", num_workers=WORKERS) as runner:
        yield runner


@pytest.fixture
def workers(started):
    """Return a runner of which both workers live."""
    started.wait_for_workers(WORKERS, seconds=60)
    return started


@pytest.fixture(params=["cql", "postgres"])
def place(request, monkeypatch):
    """Return the place of a new store, of which even a small one has several parts."""
    if request.param == "cql":
        return request.getfixturevalue("cql_place")(buckets=2)
    monkeypatch.setattr("cgcython.store.keepers.postgres.scans._LEAST_RECORDS", 40)
    return request.getfixturevalue("postgres_place")()


@pytest.fixture
def write_inputs(tmp_path):
    """Return a function that writes a corpus of a seed, and returns its input."""

    def write(seed):
        rng = np.random.default_rng(seed)
        offsets = np.arange(0, 2 * ROWS + 1, 2)
        arrays = {
            "E1": rng.standard_normal((ROWS, 16), dtype=np.float32),
            "E9": rng.standard_normal((ROWS, 20), dtype=np.float32),
            "E12.values": rng.standard_normal((2 * ROWS, 8), dtype=np.float32),
            "E12.offsets": offsets,
        }
        np.savez(tmp_path / f"{seed}.npz", **arrays)
        return str(tmp_path / f"{seed}.npz")

    return write


@pytest.fixture
def encode(memories):
    """Return a function that encodes an input into a store by workers, 30 memories a range."""

    def encode(given, place, run, books=memories.codebooks, **options):
        how = {"profile": memories.profile, "size": 30, **options}
        with store_job([given], place, books, **how) as job:
            return run_store_job(job, run)

    return encode


@pytest.fixture
def expected(memories):
    """Return a function that returns the records which one process makes of an input."""

    def expected(given, books=memories.codebooks):
        with StoreWriter(alone(given), books, profile=memories.profile) as writer:
            writer.write_all(open_corpus(given, memories.profile))
        return records(alone(given))

    return expected


def alone(given):
    """Return the folder of the store that one process makes of an input."""
    return Path(given).with_suffix("")


def records(place):
    with RecordStore.open(place, read_only=True) as store:
        return {one: dict(store.quantized(one).items()) for one in store}


def printed(capsys, *words):
    assert main([*map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def rows_of(capsys, *words):
    rows = printed(capsys, "eval", *words)["rows"]
    return [{name: one for name, one in row.items() if name != "encode_us"} for row in rows]


def test_workers_write_move_and_judge_as_one_process(
    place, workers, encode, expected, write_inputs, memories, capsys
):
    given = write_inputs(1)
    done = encode(given, place, workers.run)
    assert (done.counts.memories, done.skipped) == (ROWS, 0)
    assert records(place) == expected(given)
    (new,) = memories.other_codebooks.values()
    new.save(alone(given).parent / "models/pq8_codebooks/Semantic_codebook.safetensors")
    move = "E1", "--models", alone(given).parent / "models"
    moved = printed(capsys, "store", "reencode", place, *move, "--scheduler", workers.address)
    assert moved == printed(capsys, "store", "reencode", alone(given), *move)
    assert moved["records_moved"] == ROWS
    assert records(place) == records(alone(given))
    words = given, "--queries", given, "--store"
    here = rows_of(capsys, *words, alone(given))
    assert rows_of(capsys, *words, place, "--scheduler", workers.address) == here


def test_a_worker_that_is_killed_costs_its_range_alone(
    place, workers, encode, expected, write_inputs, tmp_path, capsys
):
    given, mark = write_inputs(1), tmp_path / "killed"

    def run(function, numbers):
        return workers.run(partial(worker_tasks.die_first, mark, function), numbers)

    assert encode(given, place, run).counts.memories == ROWS
    assert mark.exists()
    assert records(place) == expected(given)
    again = given, "--store", place, "--scheduler", workers.address, "--resume"
    assert printed(capsys, "encode", *again)["skipped"] == ROWS


def test_of_two_jobs_at_a_time_each_record_is_of_one(
    place, workers, encode, expected, write_inputs, memories
):
    both = [
        (write_inputs(1), memories.codebooks),
        (write_inputs(2), memories.other_codebooks),
    ]
    done = []

    def encode_one(given, books):
        done.append(encode(given, place, workers.run, books))

    threads = [Thread(target=encode_one, args=one) for one in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.counts.memories for one in done] == [ROWS, ROWS]
    found, (first, second) = records(place), [expected(*one) for one in both]
    assert found.keys() == first.keys()
    assert all(found[one] in (first[one], second[one]) for one in found)
    encode(*both[0][:1], place, workers.run)
    assert records(place) == first


def test_a_server_that_goes_away_ends_the_job_which_then_goes_on(
    postgres, postgres_place, workers, encode, expected, write_inputs
):
    given, place = write_inputs(1), postgres_place()

    def run(function, numbers):
        running = workers.run(function, numbers)
        yield next(running)
        postgres.stop()
        yield from running

    try:
        with pytest.raises(StoreUnavailable) as raised:
            encode(given, place, run)
    finally:
        postgres.start()
    assert raised.value.__notes__[-1].endswith("go on by the same with --resume)")
    assert has_database(place)
    assert encode(given, place, workers.run, resume=True).skipped >= 30
    assert records(place) == expected(given)
