"""The command line takes the address of a store wherever it takes its folder."""

import json

import numpy as np
import pytest

from cgcython import InvalidInput, StoreWriter, open_corpus
from cgcython.cli import main
from cgcython.store import repair
from cgcython.store.opening import has_database
from cgcython.store.places import name_of_place

COUNT, DIM = 40, 16
PROFILE = f'minilm = {{ dimension = {DIM}, method = "float8_e4m3" }}\n'
VECTORS = np.random.default_rng(0).standard_normal((COUNT, DIM), dtype=np.float32)
NAMES = [f"doc-{n}" for n in range(COUNT)]


@pytest.fixture
def run(capsys):
    """Return a function that runs a command, requires a status, and returns its first JSON."""

    def run_one(*words, code=0):
        found = main([*map(str, words), "--json"])
        out, err = capsys.readouterr()
        assert found == code, err
        lines = list(map(json.loads, out.splitlines()))
        return lines[0] if lines else err

    return run_one


@pytest.fixture
def inputs(tmp_path):
    """Return the words that name a corpus with ids, and its profile."""
    profile, file = tmp_path / "own.toml", tmp_path / "docs.npz"
    profile.write_text(PROFILE)
    np.savez(file, minilm=VECTORS, ids=NAMES)
    return [file, "--profile", profile]


@pytest.fixture
def encoded(place, inputs, run):
    """Return the place of a store that a command filled."""
    run("encode", *inputs, "--store", place)
    return place


def test_memories_are_encoded_found_and_shown(encoded, run, tmp_path):
    np.save(tmp_path / "q.npy", VECTORS[:2])
    found = run("search", "--store", encoded, f"minilm={tmp_path / 'q.npy'}", "-k", 3)
    assert (found["query"], found["hits"][0]["id"]) == (0, NAMES[0])
    assert run("get", encoded, "doc-7")["id"] == "doc-7"
    assert run("verify", encoded)["records"] == COUNT
    assert run("store", "stats", encoded, "--exact")["records"] == COUNT
    assert run("inspect", encoded)["memories"] == COUNT
    assert run("inspect", encoded, "--id", "doc-3")["kind"] == "record"


def test_memories_are_deleted_and_brought_back(encoded, run):
    run("delete", encoded, "doc-1", "doc-2", "--yes")
    assert run("verify", encoded)["records"] == COUNT - 2
    run("delete", encoded, "doc-1", "--restore")
    run("store", "purge", encoded)
    assert run("verify", encoded)["records"] == COUNT - 1


def test_memories_leave_as_files(encoded, run, tmp_path):
    run("export", encoded, "--out", tmp_path / "out.npz")
    run("decode", encoded, "--out", tmp_path / "decoded.npz")
    for name in ("out.npz", "decoded.npz"):
        with np.load(tmp_path / name) as found:
            assert len(found["minilm"]) == COUNT


def test_what_is_there_is_skipped(encoded, inputs, run):
    corpus, *_ = inputs
    found = run("encode", corpus, "--profile", encoded, "--store", encoded, "--resume")
    assert found["skipped"] == COUNT


def test_a_first_run_that_fails_leaves_nothing(place, inputs, monkeypatch):
    corpus = open_corpus([str(inputs[0])], profile=str(inputs[2]))
    monkeypatch.setattr("cgcython.store.RecordStore.store_quantized", lambda *_, **__: 1 / 0)
    with StoreWriter(place, profile=str(inputs[2])) as writer, pytest.raises(ZeroDivisionError):
        writer.write(corpus, 0, COUNT)
    assert not has_database(place)


def test_only_a_folder_is_repaired(encoded, run, promises):
    if promises.one_writer:
        assert run("verify", encoded, "--repair")["lost"] == {}
        return
    with pytest.raises(InvalidInput, match="a database mends its own files"):
        repair(encoded)
    run("verify", encoded, "--repair", code=3)


def test_no_message_has_a_password(run):
    for address in ("postgresql://me:secret@127.0.0.1:1/db", "Redis://:secret@localhost"):
        assert "secret" not in str(run("get", address, "doc-1", code=5 if "post" in address else 3))
    assert name_of_place("postgresql://me:secret@127.0.0.1:1/db").count("secret") == 0
