"""Ctrl-C is answered at every moment of a command, also where Python forgets exceptions."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cgcython import PQ8Codebook
from cgcython.cli import INTERRUPTED, interruption, main
from cgcython.store import RecordStore

HERE = Path(__file__).parent


class Forgetful:
    """Meets Ctrl-C in a `__del__`, whose exceptions reach nobody."""

    def __del__(self):
        raise KeyboardInterrupt


def test_ctrl_c_in_a_callback_that_forgets_it_is_pressed_again(hears_ctrl_c):
    @interruption.never_forgotten()
    def run():
        Forgetful()
        time.sleep(60)

    with pytest.raises(KeyboardInterrupt):
        run()


def test_ctrl_c_that_was_forgotten_at_the_very_end_is_raised_there():
    @interruption.never_forgotten()
    def run():
        Forgetful()

    with pytest.raises(KeyboardInterrupt):
        run()


def test_other_exceptions_that_reach_nobody_are_reported_as_ever(monkeypatch):
    class Failing:
        def __del__(self):
            raise ZeroDivisionError

    seen = []
    monkeypatch.setattr(sys, "unraisablehook", seen.append)
    with interruption.never_forgotten():
        Failing()
    assert [one.exc_type for one in seen] == [ZeroDivisionError]
    Forgetful()
    assert [one.exc_type for one in seen[1:]] == [KeyboardInterrupt]


def test_ctrl_c_while_a_command_is_imported_is_answered(monkeypatch, capsys):
    def interrupted(name):
        raise KeyboardInterrupt

    monkeypatch.setattr("importlib.import_module", interrupted)
    assert main(["info"]) == INTERRUPTED
    assert capsys.readouterr().err == "cgcython: interrupted; run it again to go on\n"


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (("--store", "s"), "run it again with --resume to go on"),
        (("--store", "s", "--resume"), "run it again to go on"),
        (("--out", "s"), "run it again to go on"),
    ],
)
def test_an_interrupted_command_names_resume_where_it_needs_that(
    monkeypatch, capsys, words, remedy
):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("cgcython.cli.encode._encoded", interrupted)
    assert main(["encode", "E8=docs.npy", *words]) == INTERRUPTED
    assert capsys.readouterr().err == f"cgcython: interrupted; {remedy}\n"


def interrupted(folder, seed, tries, *words):
    """Return what went wrong where Ctrl-C fell at some calls of some commands."""
    script = [sys.executable, HERE / "ctrl_c_anywhere.py", str(seed), str(tries), *words]
    done = subprocess.run(script, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_ctrl_c_at_any_call_ends_a_command_with_nothing_half_written(tmp_path):
    np.save(tmp_path / "rows.npy", np.random.default_rng(0).standard_normal((40, 8)))
    (tmp_path / "p.toml").write_text('E8 = { dimension = 8, method = "float8_e4m3" }')
    encode = ["encode", f"E8={tmp_path}/rows.npy", "--profile", tmp_path / "p.toml"]
    words = [*encode, "--out", "shards", ",", *encode, "--store", "store"]
    assert interrupted(tmp_path, 1, 12, *words) == ""


def test_ctrl_c_at_any_call_of_a_reader_leaves_nothing(work, tmp_path):
    words = (
        f"decode {work}/store --out o.npz , search {work}/queries.npz --store {work}/store , "
        f"store backup {work}/store b , verify {work}/store"
    )
    assert interrupted(tmp_path, 2, 3, *words.split()) == ""


LONG = """
index store --graphs ,
migrate arrays --store new --profile profile.toml --models models --resume ,
train E1 --input train.npz --bytes 8 --rotation none --force
    --profile profile.toml --models models ,
eval E8=corpus.npz --queries E8=queries.npz --profile profile.toml --models models ,
store reencode store E1 --models others --drop ,
store purge store ,
store compact store ,
verify store --repair --out repaired
"""


@pytest.fixture
def beside(work, tmp_path):
    """Return a folder with a copy of `work`, deleted memories, columns and another codebook."""
    folder = tmp_path / "beside"
    shutil.copytree(work, folder)
    with np.load(work / "corpus.npz") as corpus:
        (folder / "arrays").mkdir()
        np.save(folder / "arrays" / "E8.npy", corpus["E8"])
    book = PQ8Codebook.load(next((work / "models").rglob("*.safetensors")))
    path = folder / "others" / "pq8_codebooks" / "Semantic_codebook.safetensors"
    path.parent.mkdir(parents=True)
    PQ8Codebook(book.centroids * 2, book.rotation, book.mean, book.metadata).save(path)
    with RecordStore.open(folder / "store") as store:
        store.delete_many(list(store)[:10], soft=True)
    return folder


def test_ctrl_c_at_any_call_of_a_long_command_lets_the_next_run_end_well(beside, tmp_path):
    assert interrupted(tmp_path, 3, 2, "--beside", beside, *LONG.split()) == ""
