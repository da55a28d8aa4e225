"""`encode --scheduler`: equal shards wherever they are made, whatever dies in between."""

import json
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

from cgcython import kernels
from cgcython.cli import main
from cgcython.kernels import dispatch

psutil = pytest.importorskip("psutil")  # Dask needs it
pytestmark = pytest.mark.cluster
PROFILE = """
E1 = { dimension = 32, method = "pq8" }
E6 = { dimension = 1000, method = "sparse_native" }
E8 = { dimension = 24, method = "float8_e4m3" }
E12 = { dimension = 16, method = "token_pruning" }
"""
MEMORIES, SHARD, SHARDS = 3000, 50, 60
BAD = 1234  # the memory with a value that is no number


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Return the folder of the corpus, its models, and the shards that one process made of it."""
    folder = tmp_path_factory.mktemp("encode")
    (folder / "profile.toml").write_text(PROFILE)
    rng = np.random.default_rng(5)
    centres = rng.standard_normal((20, 32))
    near = centres[np.arange(600) % 20] + rng.standard_normal((600, 32)) / 50
    np.save(folder / "train.npy", near.astype(np.float32))
    np.savez(folder / "corpus.npz", **arrays(centres, rng))
    words = "train", "E1", "--input", f"E1={folder}/train.npy", "--bytes", "8"
    assert main([*words, *place(folder)]) == 0
    assert main(encode(folder, folder / "shards")) == 0
    return folder


def arrays(centres, rng):
    nnz, tokens = rng.integers(1, 20, MEMORIES), rng.integers(1, 6, MEMORIES)
    near = centres[np.arange(MEMORIES) % 20] + rng.standard_normal((MEMORIES, 32)) / 50
    return {
        "E1": near.astype(np.float32),
        "E6.indptr": np.cumsum([0, *nnz]),
        "E6.indices": np.concatenate([np.sort(rng.permutation(1000)[:n]) for n in nnz]),
        "E6.weights": rng.uniform(0.1, 2, nnz.sum()).astype(np.float32),
        "E8": rng.standard_normal((MEMORIES, 24), dtype=np.float32),
        "E12.values": rng.standard_normal((tokens.sum(), 16), dtype=np.float32),
        "E12.offsets": np.cumsum([0, *tokens]),
    }


def place(folder):
    return "--models", f"{folder}/models", "--profile", f"{folder}/profile.toml"


def encode(work, out, *words, corpus="corpus.npz"):
    """Return the words of a command that writes shards."""
    into = "--out", str(out), "--shard-size", str(SHARD)
    return ["encode", f"{work}/{corpus}", *into, *place(work), *map(str, words)]


@pytest.fixture
def cli(capfd):
    """Return a function that encodes here and returns code, err and json."""

    def run(*words, **options):
        code = main([*encode(*words, **options), "--json"])
        out, err = capfd.readouterr()
        return SimpleNamespace(code=code, err=err, json=json.loads(out) if out else None)

    return run


@pytest.fixture
def bad(work):
    """Return the name of a corpus with a value that is no number."""
    found = dict(np.load(work / "corpus.npz"))
    found["E8"][BAD, 3] = np.nan
    np.savez(work / "bad.npz", **found)
    return "bad.npz"


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in files(folder)}


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def finished(folder):
    return len(list(folder.glob("shard-*.safetensors")))


def command(*words, **variables):
    """Start a command as a user's shell does, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "cgcython", *words],
        env={**os.environ, **variables},
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(shards, folder, process):
    """Return when some shards are written; the command must not have ended."""
    while finished(folder) < shards:
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)


@pytest.mark.parametrize("where", ["threads", "one process", "two processes"])
def test_shards_are_equal_wherever_they_are_made(cli, work, tmp_path, request, where):
    words = {
        "threads": lambda: ["threads", "--workers", 2],
        "one process": lambda: ["processes", "--workers", 1],
        "two processes": lambda: [request.getfixturevalue("address")],
    }[where]()
    done = cli(work, tmp_path / "out", "--scheduler", *words)
    assert (done.code, done.json["memories"]) == (0, MEMORIES)
    assert "dashboard: http://127.0.0.1:" in done.err
    assert contents(tmp_path / "out") == contents(work / "shards")


@pytest.mark.parametrize("level", ["v2", "v4"])
def test_shards_are_equal_on_every_level(work, tmp_path, level):
    if level not in dispatch.available() or level == kernels.level:
        pytest.skip(f"this machine does not run {level}, or all other tests do")
    words = encode(work, tmp_path / "out", "--scheduler", "threads")
    process = command(*words, CGCYTHON_LEVEL=level)
    _, err = process.communicate(timeout=100)
    assert (process.returncode, contents(tmp_path / "out")) == (0, contents(work / "shards")), err


def test_what_is_printed_does_not_depend_on_the_order_of_shards(cli, work, tmp_path):
    here = cli(work, tmp_path / "a").json
    there = cli(work, tmp_path / "b", "--scheduler", "threads").json
    assert {**here, "seconds": 0} == {**there, "seconds": 0}


@pytest.mark.parametrize("words", [(), ("--scheduler", "threads")])
def test_a_shard_that_fails_stops_the_job_and_is_named(cli, work, bad, tmp_path, words):
    done = cli(work, tmp_path / "out", *words, corpus=bad)
    assert (done.code, done.json) == (3, None)
    assert f"(memory {BAD}) (shard {BAD // SHARD})" in done.err
    assert finished(tmp_path / "out") >= (0 if words else BAD // SHARD)
    assert not (tmp_path / "out" / "manifest.json").exists()


@pytest.mark.parametrize("words", [(), ("--scheduler", "threads")])
def test_skip_makes_the_others_and_a_later_run_this_one(cli, work, bad, tmp_path, words):
    out, number = tmp_path / "out", BAD // SHARD
    done = cli(work, out, *words, "--on-damage", "skip", corpus=bad)
    assert (done.code, done.json["memories"]) == (3, MEMORIES - SHARD)
    assert f"shard {number}: [EMB-E015]" in done.err
    assert f"(memory {BAD})" in done.err
    assert finished(out) == SHARDS - 1
    assert not (out / "manifest.json").exists()
    (work / bad).write_bytes((work / "corpus.npz").read_bytes())  # mended
    again = cli(work, out, *words, corpus=bad)
    assert (again.code, again.json["memories"]) == (0, SHARD)
    assert contents(out) == contents(work / "shards")


def test_a_worker_that_is_killed_costs_no_shard(work, tmp_path, address, processes):
    out = tmp_path / "out"
    process = command(*encode(work, out, "--scheduler", address))
    wait_for(SHARDS // 3, out, process)
    os.kill(next(iter(processes.pids())), signal.SIGKILL)
    assert finished(out) < SHARDS
    _, err = process.communicate(timeout=100)
    assert (process.returncode, contents(out)) == (0, contents(work / "shards")), err


@pytest.mark.parametrize("words", [("threads",), ("processes", "--workers", 2)])
def test_after_a_killed_job_only_unfinished_shards_are_made(cli, work, tmp_path, words):
    out = tmp_path / "out"
    # Nobody removes the folder of the workers then.
    process = command(*encode(work, out, "--scheduler", *words), TMPDIR=str(tmp_path))
    wait_for(SHARDS // 3, out, process)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate(timeout=60)
    assert psutil.wait_procs(workers, timeout=30)[1] == []
    there = finished(out)
    assert SHARDS // 3 <= there < SHARDS
    again = cli(work, out)
    assert (again.code, again.json["skipped"]) == (0, there * SHARD)
    assert contents(out) == contents(work / "shards")


@pytest.mark.parametrize("words", [("threads",), ("processes", "--workers", 2)])
def test_after_ctrl_c_nothing_runs_and_the_job_can_go_on(cli, work, tmp_path, words):
    out = tmp_path / "out"
    process = command(*encode(work, out, "--scheduler", *words))
    wait_for(SHARDS // 3, out, process)
    workers = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert err.splitlines()[1:] == ["cgcython: interrupted; run it again to go on"]
    assert psutil.wait_procs(workers, timeout=10)[1] == []
    assert finished(out) < SHARDS
    assert cli(work, out).code == 0
    assert contents(out) == contents(work / "shards")


def test_workers_are_for_a_scheduler(cli, work, tmp_path):
    done = cli(work, tmp_path / "out", "--workers", 2)
    assert (done.code, "--workers is for --scheduler" in done.err) == (2, True)
    assert not (tmp_path / "out").exists()


def test_a_folder_of_records_has_one_writer(work, tmp_path, capsys):
    words = ["--store", str(tmp_path / "s"), *place(work), "--scheduler", "threads"]
    assert main(["encode", f"{work}/corpus.npz", *words]) == 2
    assert "is a folder, to which one process writes" in capsys.readouterr().err
