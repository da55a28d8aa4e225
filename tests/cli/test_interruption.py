"""Ctrl-C is answered at every moment of a command, also where Python forgets exceptions."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cgcython.cli import INTERRUPTED, interruption, main

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

    monkeypatch.setattr("cgcython.cli.encode._writer", interrupted)
    assert main(["encode", "E8=docs.npy", *words]) == INTERRUPTED
    assert capsys.readouterr().err == f"cgcython: interrupted; {remedy}\n"


@pytest.mark.parametrize("place", [("--out", "shards"), ("--store", "store")])
def test_ctrl_c_at_any_call_ends_a_command_with_nothing_half_written(tmp_path, place):
    np.save(tmp_path / "rows.npy", np.random.default_rng(0).standard_normal((40, 8)))
    (tmp_path / "p.toml").write_text('E8 = { dimension = 8, method = "float8_e4m3" }')
    words = ["encode", f"E8={tmp_path}/rows.npy", *place, "--profile", tmp_path / "p.toml"]
    script = [sys.executable, HERE / "ctrl_c_anywhere.py", "1", "12", *words]
    done = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.parametrize(
    "words",
    [
        "decode {work}/store --out o.npz",
        "search {work}/queries.npz --store {work}/store",
        "store backup {work}/store b",
        "verify {work}/store",
    ],
)
def test_ctrl_c_at_any_call_of_a_reader_leaves_nothing(work, tmp_path, words):
    words = words.format(work=work).split()
    script = [sys.executable, HERE / "ctrl_c_anywhere.py", "2", "3", *words]
    done = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
