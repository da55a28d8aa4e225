"""A job of files: its shards are made one by one, from texts and numbers, in any order."""

import pickle
from functools import partial

import numpy as np
import pytest

from cgcython import InvalidInput, ModelId, ShardWriter, StoreUnavailable
from cgcython.corpus.shard_job import encode_shard
from cgcython.corpus.shard_jobs import shard_job
from cgcython.errors import FileUnavailable, UsageError
from cgcython.runners import run_here
from cgcython.store.shard_manifest import job_path, manifest_path, read_manifest


@pytest.fixture
def saved(arrays, tmp_path):
    """Return the file of the corpus."""
    np.savez(tmp_path / "corpus.npz", **arrays)
    return tmp_path / "corpus.npz"


@pytest.fixture
def job(saved, memories, tmp_path):
    """Return a function that begins the job of the file in a folder, 8 memories a shard."""

    def begin(name="out", **options):
        how = {"profile": memories.profile, "shard_size": 8, **options}
        return shard_job(tmp_path / name, saved, memories.codebooks, **how)

    return begin


def run_all(running, numbers=None):
    job = pickle.loads(pickle.dumps(running.job))
    wanted = running.unfinished if numbers is None else numbers
    for number, done in run_here(partial(encode_shard, job), wanted):
        assert done.entry.number == number
        running.add(pickle.loads(pickle.dumps(done)))


def test_its_folder_is_that_of_a_writer(job, corpus, memories, tmp_path, contents):
    with job() as running:
        assert running.unfinished == [0, 1, 2]
        run_all(running, [2, 0, 1])
        assert running.counts.memories == 20
        assert running.counts.embedders[ModelId.SEMANTIC].stored_bytes == 20 * 8
    ShardWriter(tmp_path / "written", memories.codebooks, shard_size=8).write_all(corpus)
    assert contents(tmp_path / "out") == contents(tmp_path / "written")


def test_the_manifest_comes_when_all_is_there(job, tmp_path):
    folder = tmp_path / "out"
    with job() as running:
        run_all(running, [1])
    assert read_manifest(folder) is None
    assert job_path(folder).exists()
    with job() as running:
        assert (running.unfinished, running.skipped) == ([0, 2], 8)
        run_all(running)
    assert not job_path(folder).exists()
    assert [one[:3] for one in read_manifest(folder).entries] == [(0, 0, 8), (1, 8, 8), (2, 16, 4)]


def test_a_job_of_which_nothing_was_done_leaves_nothing(job, tmp_path):
    with job():
        assert job_path(tmp_path / "out").exists()
    assert not (tmp_path / "out").exists()


def test_a_shard_that_is_there_is_kept(job, tmp_path, contents):
    with job() as running:
        run_all(running)
        before = contents(tmp_path / "out")
        assert encode_shard(running.job, 1).skipped
    with job() as running:
        assert (running.unfinished, running.skipped) == ([], 20)
    assert contents(tmp_path / "out").items() <= before.items() | {
        (manifest_path("."), manifest_path(tmp_path / "out").read_bytes())
    }


def test_a_second_job_is_refused_while_one_runs(job, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "out")
    with job():
        for name in ("out", "link", "../" + tmp_path.name + "/out"):
            with pytest.raises(StoreUnavailable, match="another job is writing"), job(name):
                pass


def test_a_worker_of_a_job_that_ended_writes_nothing(job, saved, tmp_path):
    with job() as running:
        earlier = running.job
    with job(shard_size=10), pytest.raises(UsageError, match="not made ready for this job"):
        encode_shard(earlier, 0)


def test_inputs_in_memory_are_no_job(memories, tmp_path, arrays):
    with pytest.raises(InvalidInput), shard_job(tmp_path / "out", arrays, memories.codebooks):
        pass
    assert not (tmp_path / "out").exists()


def test_shards_are_written_to_folders(job, corpus, memories, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = list(tmp_path.iterdir())
    with pytest.raises(InvalidInput, match="a folder, which all workers see") as refusal:
        ShardWriter("s3://me:secret@bucket/out", memories.codebooks).write_all(corpus)
    assert "secret" not in str(refusal.value)
    assert list(tmp_path.iterdir()) == before


def test_a_folder_below_one_that_is_gone_is_told(corpus, memories, tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    writer = ShardWriter("out", memories.codebooks)
    with pytest.raises(FileUnavailable, match="give a path from the root on"):
        writer.write_all(corpus)
    with pytest.raises(FileUnavailable, match=r"corpus.npz: .* give a path from the root on"):
        shard_job(tmp_path / "out", "corpus.npz").__enter__()
