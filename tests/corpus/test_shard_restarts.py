"""A job that was killed goes on: only unfinished shards are made again, and all bytes are equal."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from cgcython import ModelId, ShardWriter, open_corpus
from cgcython.corpus import shard_job as work
from cgcython.errors import FileUnavailable, UsageError
from cgcython.store import shards
from cgcython.store.shard_folder import why_partial

WRITE = """
import os, resource, signal, sys
from cgcython import ShardWriter, files, open_corpus
source, models, profile, out, what, limit = sys.argv[1:]
flush, calls = files.sync, []

def flush_or_die(path):
    calls.append(path)
    if what == "kill" and len(calls) == int(limit):
        os.kill(os.getpid(), signal.SIGKILL)
    flush(path)

files.sync = flush_or_die
if what == "full":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
ShardWriter(out, models, shard_size=2).write_all(open_corpus(source, profile))
print(len(calls))
"""


@pytest.fixture
def encode(arrays, memories, tmp_path):
    """Return a function that encodes the corpus in a process of its own, 2 memories a shard."""
    np.savez(tmp_path / "in.npz", **arrays)
    memories.codebooks[ModelId.SEMANTIC].save(
        tmp_path / "models" / "pq8_codebooks" / "Semantic_codebook.safetensors"
    )
    (tmp_path / "p.toml").write_text(memories.profile.to_toml())

    def encode(out, what="", limit=0):
        names = (tmp_path / name for name in ("in.npz", "models", "p.toml", out))
        words = [sys.executable, "-c", WRITE, *map(str, names), what, str(limit)]
        return subprocess.run(words, capture_output=True, text=True)

    return encode


def states(folder):
    return {path.name: path.stat().st_ino for path in shards.shard_paths(folder)}


def test_a_killed_job_goes_on_where_it_was(encode, tmp_path, contents):
    assert encode("whole").stdout == "28\n"  # two for each file: its own, and that of its folder
    expected, out = contents(tmp_path / "whole"), tmp_path / "out"
    for at in (5, 28 // 3, 17):  # in the plan, at a third, in the manifest of the rest
        assert encode("out", "kill", at).returncode == -signal.SIGKILL
        assert any(path.name.startswith(".") for path in out.rglob("*"))
        before = states(out)
        told = why_partial(out) or "nothing was begun"
        assert told == f"its job is unfinished: {len(before)} of 10 shards are there" or at == 5
    assert encode("out").returncode == 0
    assert contents(out) == expected
    assert states(out).items() >= before.items()


@pytest.mark.parametrize("limit", [0, 1500])
def test_a_full_disk_is_told_and_leaves_nothing_half_written(encode, tmp_path, contents, limit):
    full = encode("out", "full", limit)
    assert full.returncode == 1
    assert "FileUnavailable: [EMB-E020]" in full.stderr
    assert "File too large" in full.stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_told(corpus, memories, tmp_path, monkeypatch):
    writer = ShardWriter(tmp_path / "out", memories.codebooks, shard_size=8)
    writer.write(corpus, 0, 8)

    def refuse(*paths):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse)
        with pytest.raises(FileUnavailable, match="Permission denied"):
            writer.write(corpus, 8, 16)
    assert len(shards.shard_paths(tmp_path / "out")) == 1
    assert [path.name for path in (tmp_path / "out").glob(".*")] == []
    assert writer.write_all(corpus).memories == 20


@pytest.fixture
def saved(arrays, memories, tmp_path):
    """Return a function that opens the corpus from a file, its arrays changed."""

    def opened(**changes):
        np.savez(tmp_path / "in.npz", **{**arrays, **changes})
        return open_corpus(str(tmp_path / "in.npz"), memories.profile)

    return opened


def test_stamps_of_an_unfinished_job_are_believed(saved, arrays, memories, tmp_path, monkeypatch):
    corpus, out = saved(), tmp_path / "out"
    with ShardWriter(out, memories.codebooks, shard_size=8) as writer:
        writer.write(corpus, 0, 8)
    with monkeypatch.context() as patch:
        patch.setattr(work, "input_checksums", None)  # what reads inputs again
        with ShardWriter(out, memories.codebooks, shard_size=8) as writer:
            writer.write(corpus, 8, 16)
    os.utime(tmp_path / "in.npz", ns=(1, 1))
    ShardWriter(out, memories.codebooks, shard_size=8).write_all(corpus)  # read, and found equal
    other = saved(E9=-arrays["E9"])
    with pytest.raises(UsageError, match="other inputs"):
        ShardWriter(out, memories.codebooks, shard_size=8).write_all(other)


def test_times_of_files_are_in_no_file(saved, memories, tmp_path, contents):
    found = []
    for moment in (1, 2):
        corpus = saved()
        os.utime(tmp_path / "in.npz", ns=(moment, moment))
        writer = ShardWriter(tmp_path / str(moment), memories.codebooks, shard_size=8)
        writer.write_all(corpus)
        found.append(contents(tmp_path / str(moment)))
    assert found[0] == found[1]


def test_every_level_writes_the_same_bytes(level, corpus, memories, tmp_path, contents):
    ShardWriter(tmp_path / "out", memories.codebooks, shard_size=8).write_all(corpus)
    written = {str(name): content for name, content in contents(tmp_path / "out").items()}
    if level != "reference":
        assert written == _FIRST.setdefault("bytes", written)


_FIRST = {}


def test_threads_write_the_same_bytes(corpus, memories, tmp_path, contents):
    for threads in (1, 3):
        how = {"shard_size": 8, "num_threads": threads}
        ShardWriter(tmp_path / str(threads), memories.codebooks, **how).write_all(corpus)
    assert contents(tmp_path / "1") == contents(tmp_path / "3")


def test_shards_are_in_the_order_of_their_numbers(tmp_path):
    for number in (100000, 99999, 7, 1234567):
        shards.shard_path(tmp_path, number).touch()
    for name in ("shard-8", "shard-000009", "shard-0100001", "shard-x", "shard-00010.old"):
        (tmp_path / f"{name}.safetensors").touch()
    assert shards.shard_numbers(tmp_path) == [7, 99999, 100000, 1234567]
    assert [one.stem for one in shards.shard_paths(tmp_path)][2] == "shard-100000"
