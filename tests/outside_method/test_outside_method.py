"""A package with a method of its own joins cgcython by being installed: no file here is changed."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import cgcython

HERE = Path(__file__).parent
ROOT = Path(cgcython.__file__).parents[1]
PROFILE = 'E1 = { dimension = 21, method = "toy4" }\nE9 = { dimension = 40, method = "binary" }'

READ = (
    "import sys; from cgcython import QuantizedEmbedding;"
    "print(QuantizedEmbedding.from_bytes(bytes.fromhex(sys.argv[1])).method)"
)


# Runs commands one after the other: most of what a command takes is the start of Python.
SERVER = """if True:
    import contextlib, io, json, os, sys
    from cgcython.cli import main
    for line in sys.stdin:
        folder, words = json.loads(line)
        os.chdir(folder)
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(words)
        print(json.dumps([code, out.getvalue(), err.getvalue()]), flush=True)
"""


def environment(installed):
    path = os.pathsep.join(map(str, [ROOT, HERE / "site"] if installed else [ROOT]))
    return {**os.environ, "PYTHONPATH": path}


def run(*arguments, cwd=None, installed=True, check=True):
    """Run Python where the package is installed, or is not."""
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment(installed),
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


@contextmanager
def server(installed):
    """Yield `ask(folder, words)`: the code, stdout and stderr of a command."""
    command = [sys.executable, "-c", SERVER]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment(installed), **pipes) as process:

        def ask(folder, words):
            print(json.dumps([str(folder), words]), file=process.stdin, flush=True)
            return json.loads(process.stdout.readline())

        yield ask
        process.stdin.close()


@pytest.fixture(scope="module")
def cgc():
    """Return a call that runs a command where the package is installed, or is not."""
    with server(installed=True) as with_package, server(installed=False) as without:

        def call(folder, *words, installed=True, check=True):
            ask = with_package if installed else without
            code, out, err = ask(folder, list(map(str, words)))
            assert not check or code == 0, out + err
            return SimpleNamespace(returncode=code, stdout=out, stderr=err)

        yield call


@pytest.fixture(scope="module")
def folder(cgc, tmp_path_factory):
    """Return a folder with inputs, and with a store and shards made of them."""
    folder, rng = tmp_path_factory.mktemp("toy"), np.random.default_rng(21)
    (folder / "mine.toml").write_text(PROFILE)
    for name, dim in (("e1", 21), ("e9", 40)):
        rows = rng.standard_normal((200, dim), dtype=np.float32)
        np.save(folder / f"{name}.npy", rows)
        np.save(folder / f"{name}_queries.npy", rows[:3])
    encode = ("encode", "E1=e1.npy", "E9=e9.npy", "--profile", "mine.toml")
    cgc(folder, *encode, "--store", "store")
    cgc(folder, *encode, "--out", "shards", "--shard-size", "90")
    return folder


def test_python_uses_it_like_any_other():
    done = run("-m", "pytest", "-q", "-p", "no:cacheprovider", HERE / "inside", cwd=ROOT)
    assert " passed" in done.stdout


@pytest.mark.parametrize("kept", ["store", "shards"])
def test_what_the_command_line_encodes_is_sound(cgc, folder, kept):
    found = json.loads(cgc(folder, "verify", kept, "--json").stdout)
    assert found["records"] == 200
    parts = json.loads(cgc(folder, "inspect", kept, "--json").stdout)["parts"]
    assert [(one["embedder"], one["method"]) for one in parts] == [("E1", "toy4"), ("E9", "binary")]


@pytest.mark.parametrize("kept", ["store", "shards"])
@pytest.mark.parametrize("queries", [["E1"], ["E1", "E9"]])
def test_the_command_line_searches_it(cgc, folder, kept, queries):
    inputs = [f"{one}={one.lower()}_queries.npy" for one in queries]
    done = cgc(folder, "search", *inputs, "--store", kept, "-k", 2, "--json")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == 3
    assert all(one["hits"][0]["similarity"] > 0.99 for one in answers)


def test_columns_of_it_are_kept_in_files(cgc, folder):
    files = json.loads(cgc(folder, "index", "store", "--json").stdout)["files"]
    assert {"E1.safetensors", "E9.safetensors"} <= files.keys()
    cgc(folder, "search", "E1=e1_queries.npy", "--store", "store")


def decoded(cgc, folder, kept):
    """Return what decoding brings back of E1, in the order of ids."""
    cgc(folder, "decode", kept, "--out", f"{kept}.npz")
    found = np.load(folder / f"{kept}.npz")
    return found["E1"][np.lexsort(found["ids"].T[::-1])], found["E1"]


def test_it_decodes_to_arrays(cgc, folder):
    (stored, _), (sharded, in_order) = (decoded(cgc, folder, kept) for kept in ("store", "shards"))
    np.testing.assert_array_equal(stored, sharded)
    rows = np.load(folder / "e1.npy")
    assert np.abs(in_order - rows).max() <= np.abs(rows).max() / 14 + 1e-6  # half a step


@pytest.mark.parametrize("source", [["--profile", "mine.toml"], ["--store", "store"]])
def test_eval_compares_it_with_float32(cgc, folder, source):
    inputs, queries = ["E1=e1.npy", "E9=e9.npy"], ["E1=e1_queries.npy", "E9=e9_queries.npy"]
    done = cgc(folder, "eval", *inputs, "--queries", *queries, *source, "--json")
    rows = json.loads(done.stdout)["rows"]
    assert [row["method"] for row in rows] == ["toy4", "binary", "rrf"]
    assert 0 < rows[0]["loss"]["max"] < 0.02


def test_a_damaged_shard_is_found(cgc, folder, tmp_path):
    for path in (folder / "shards").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    shard = tmp_path / "shard-00001.safetensors"
    content = bytearray(shard.read_bytes())
    content[-200] ^= 1
    shard.write_bytes(content)
    done = cgc(tmp_path, "verify", ".", check=False)
    assert done.returncode != 0
    assert "shard-00001.safetensors: the checksum of" in done.stderr


def test_a_number_alone_finds_the_package():
    code = "from cgtoy import Toy4Codec; print(Toy4Codec(3).encode([1, 2, -7]).to_bytes().hex())"
    written = run("-c", code).stdout.strip()
    assert run("-c", READ, written).stdout.strip() == "toy4"
    done = run("-c", READ, written, installed=False, check=False)
    assert "UnsupportedVersion" in done.stderr
    assert "layout 200 of embedder 255 is unknown, it is of a package that" in done.stderr


@pytest.mark.parametrize("kept", ["store", "shards"])
def test_without_the_package_the_remedy_is_named(cgc, folder, kept):
    done = cgc(folder, "verify", kept, installed=False, check=False)
    assert done.returncode != 0
    assert "got toy4; correct the name, or install the package" in done.stderr


def test_a_shard_of_a_missing_package_is_not_called_damaged(folder):
    code = "import sys; from cgcython.store.shards import read_shard; read_shard(sys.argv[1])"
    shard = folder / "shards" / "shard-00000.safetensors"
    done = run("-c", code, shard, installed=False, check=False)
    assert "UnknownMethod" in done.stderr
    assert f"method in {shard}: expected one of pq8," in done.stderr


def test_damaged_bytes_of_unknown_packages_are_still_damaged():
    code = (
        "from cgcython import QuantizedEmbedding; QuantizedEmbedding.from_bytes(bytes.fromhex(%r))"
    )
    frame = b"CGQE\x01" + bytes([255, 200]) + bytes(20)
    done = run("-c", code % frame.hex(), installed=False, check=False)
    assert "StorageCorruption" in done.stderr
