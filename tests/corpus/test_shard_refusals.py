"""What is refused changes nothing: every file of the folder is what it was, leftovers too."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from cgcython import (
    BudgetExceeded,
    NonFiniteValue,
    QuantizationError,
    ShardWriter,
    StorageCorruption,
    StoreUnavailable,
    StoreWriter,
    open_corpus,
)
from cgcython.codecs.codebook_file import codebook_path
from cgcython.errors import FileUnavailable, UnsupportedVersion, UsageError
from cgcython.store import shards
from cgcython.store.folder_lock import FolderLock
from cgcython.store.shard_manifest import MANIFEST_KIND, manifest_path

LEFTOVERS = (
    ".shard-00001.0123abcd.safetensors",
    ".manifest.0123abcd.json",
    ".job.0123abcd.json",
    ".profile.0123abcd.toml",
    "pq8_codebooks/.Semantic_codebook.0123abcd.safetensors",
)


@pytest.fixture
def write(memories, arrays, tmp_path):
    """Return a function that writes the corpus into `out`, some of its arrays or options others."""

    def write(profile=memories.profile, codebooks=memories.codebooks, folder="out", **options):
        changed = {name: options.pop(name) for name in [*options] if name[:1] == "E"}
        corpus = open_corpus({**arrays, **changed}, profile)
        how = {"shard_size": 8, **options}
        with ShardWriter(tmp_path / folder, codebooks, **how) as writer:
            writer.write_all(corpus)
        return writer

    return write


@pytest.fixture(params=["whole", "a shard is missing", "unfinished"])
def folder(request, write, memories, arrays, tmp_path):
    """Return a folder of three shards, or of two, and what killed writers left in it."""
    out = tmp_path / "out"
    if request.param == "unfinished":
        with ShardWriter(out, memories.codebooks, shard_size=8) as writer:
            for start, stop in (0, 8), (16, 20):
                writer.write(open_corpus(arrays, memories.profile), start, stop)
    else:
        write()
    if request.param == "a shard is missing":
        shards.shard_path(out, 1).unlink()
    for name in LEFTOVERS:
        (out / name).write_bytes(b"half")
    return out


def with_other_codebooks(folder, memories, arrays):
    return UsageError, {"codebooks": memories.other_codebooks}


def with_another_profile(folder, memories, arrays):
    other = memories.profile.to_toml().replace('"binary"', '"float8_e4m3"')
    (folder.parent / "other.toml").write_text(other)
    return UsageError, {"profile": folder.parent / "other.toml"}


def with_another_profile_where_it_was_lost(folder, memories, arrays):
    (folder / shards.PROFILE).unlink()
    other = memories.profile.to_toml().replace('"binary"', '"binary", threshold = 0.5')
    (folder.parent / "other.toml").write_text(other)
    return UsageError, {"profile": folder.parent / "other.toml"}


def with_other_inputs(folder, memories, arrays):
    return UsageError, {"E9": -arrays["E9"]}


def with_another_input_in_one_row(folder, memories, arrays):
    changed = arrays["E1"].copy()
    changed[19, 15] += 1
    return UsageError, {"E1": changed}


def with_more_memories(folder, memories, arrays):
    more = {name: np.vstack([arrays[name], arrays[name][:1]]) for name in ("E1", "E9")}
    return UsageError, {
        **more,
        "E6.indptr": np.append(arrays["E6.indptr"], [arrays["E6.indptr"][-1]]),
    }


def with_other_rows(folder, memories, arrays):
    return UsageError, {"E12.rows": arrays["E12.rows"] + 1}


def with_another_shard_size(folder, memories, arrays):
    return UsageError, {"shard_size": 4}


def with_another_budget(folder, memories, arrays):
    return UsageError, {"budget_bytes": 10**6}


def with_one_thing_damaged(folder, memories, arrays):
    path = shards.shard_path(folder, 2)
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    return StorageCorruption, {}


def with_a_damaged_header(folder, memories, arrays):
    shards.shard_path(folder, 2).write_bytes(b"none")
    return StorageCorruption, {}


def with_an_exchanged_shard(folder, memories, arrays):
    shutil.copy(shards.shard_path(folder, 0), shards.shard_path(folder, 2))
    return UsageError, {}


def with_a_shard_too_many(folder, memories, arrays):
    shutil.copy(shards.shard_path(folder, 0), shards.shard_path(folder, 3))
    return UsageError, {}


def with_a_manifest_of_a_later_release(folder, memories, arrays):
    MANIFEST_KIND._replace(version="2").write(manifest_path(folder), {})
    return UnsupportedVersion, {}


def with_no_codebook(folder, memories, arrays):
    return QuantizationError, {"codebooks": folder.parent}


REFUSED = [one for name, one in list(globals().items()) if name.startswith("with_")]


@pytest.mark.parametrize("others", REFUSED)
def test_a_refused_run_changes_nothing(others, folder, write, memories, arrays, contents):
    error, how = others(folder, memories, arrays)
    before = contents(folder)
    with pytest.raises(error):
        write(**how)
    assert contents(folder) == before


def test_a_shard_that_cannot_be_encoded_changes_nothing(
    write, memories, arrays, tmp_path, contents
):
    write(budget_bytes=None)
    out = tmp_path / "out"
    shards.shard_path(out, 1).unlink()
    codebook_path(out, "Semantic").write_bytes(b"damaged")
    before = contents(out)
    bad = arrays["E9"].copy()
    bad[9] = np.nan
    with pytest.raises(NonFiniteValue):
        write(budget_bytes=None, E9=bad)
    assert contents(out) == before


def test_a_budget_that_cannot_be_kept_leaves_no_folder(write, tmp_path):
    with pytest.raises(BudgetExceeded):
        write(budget_bytes=60)
    assert not (tmp_path / "out").exists()


def test_a_locked_folder_is_refused_by_any_of_its_names(folder, write, contents, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    lock = FolderLock(folder)
    before = contents(folder)
    for name in ("out", "link", f"../{tmp_path.name}/./out"):
        with pytest.raises(StoreUnavailable, match="another job is writing to this folder; wait"):
            write(folder=name)
    assert contents(folder) == before
    lock.release()
    write()
    assert sorted(path.name for path in folder.glob(".*")) == []


HOLD = """
import sys
from pathlib import Path
from cgcython.store.folder_lock import FolderLock
lock = FolderLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_folder_that_another_process_writes_is_refused(write, tmp_path):
    holding = [sys.executable, "-c", HOLD, str(tmp_path / "out")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(holding, **pipes) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(StoreUnavailable, match="another job"):
            write()
        other.kill()
    assert write().counts.memories == 20  # the lock of a killed process is free


def test_leftovers_of_killed_writers_are_cleared_and_nothing_else(folder, write):
    others = (
        ".shard-00001.0123abcd.npy",
        ".shard-1.0123abcd.safetensors",
        ".notes.0123abcd.json",
        "shard-1.safetensors",
        "pq8_codebooks/.Code_codebook.0123abcd.safetensors",
    )
    for name in others:
        (folder / name).write_bytes(b"mine")
    (folder / ".job.76543210.json").mkdir()
    (folder / ".profile.76543210.toml").symlink_to(folder / shards.PROFILE)
    write()
    hidden = {str(one.relative_to(folder)) for one in folder.rglob(".*")}
    assert hidden == {one for one in others if "/." in one or one[0] == "."} | {
        ".job.76543210.json",
        ".profile.76543210.toml",
    }


def test_a_folder_that_cannot_be_is_told(write, tmp_path):
    (tmp_path / "out").write_bytes(b"a file")
    with pytest.raises(FileUnavailable, match="out: "):
        write()
    assert (tmp_path / "out").read_bytes() == b"a file"
    with pytest.raises(FileUnavailable):
        write(folder="out/below")


def test_codebooks_of_the_folder_itself_are_codebooks(write, tmp_path):
    write()
    shards.shard_path(tmp_path / "out", 1).unlink()
    assert write(codebooks=tmp_path / "out").counts.memories == 8


def test_a_store_is_not_hidden_by_shards(write, memories, arrays, tmp_path):
    with StoreWriter(tmp_path / "out", memories.codebooks) as writer:
        writer.write_all(open_corpus(arrays, memories.profile))
    before = {one.name for one in (tmp_path / "out").iterdir()}
    with pytest.raises(UsageError, match="out is a store; choose another folder for shards"):
        write()
    assert {one.name for one in (tmp_path / "out").iterdir()} == before


def test_a_pipe_in_the_place_of_a_manifest_is_refused_and_stays(write, tmp_path):
    write()
    path = manifest_path(tmp_path / "out")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(FileUnavailable, match="no regular file"):
        write()
    assert path.is_fifo()


def test_a_runner_is_not_what_it_runs_by(tmp_path):
    from cgcython import InvalidInput
    from cgcython.corpus.shard_jobs import shard_job
    from cgcython.runners import InProcess

    with (
        pytest.raises(InvalidInput, match="run: expected a function"),
        shard_job(tmp_path / "out", "none.npy", run=InProcess()),
    ):
        pass
    assert not (tmp_path / "out").exists()
