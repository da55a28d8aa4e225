"""Ctrl-C while `train` runs keeps the best codebook so far, or nothing where there is none."""

import functools
import json
import os
import pty
import signal
import subprocess
import sys
import termios

import numpy as np
import pytest

from cgcython.codecs.codebook import PQ8Codebook

pytest.importorskip("tqdm")
PATH = "pq8_codebooks/Semantic_codebook.safetensors"
INTERRUPTED = 130
# The command with a pause somewhere, for Ctrl-C to fall into however busy the machine is.
COMMAND = """
import sys, time
from cgcython.cli import main
from cgcython.codecs import training_run

def pausing(function, seconds=float(sys.argv[2])):
    return lambda *values: time.sleep(seconds) or function(*values)

setattr(training_run, sys.argv[1], pausing(getattr(training_run, sys.argv[1])))
sys.exit(main(sys.argv[3:]))
"""


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rows.npy"
    rng = np.random.default_rng(0)
    np.save(path, rng.standard_normal((6000, 40)) @ rng.standard_normal((40, 64)))
    return path


@pytest.fixture
def interrupted(rows, tmp_path):
    """Return a function that trains until a word appears on the terminal, then presses Ctrl-C."""
    (tmp_path / "p.toml").write_text('E1 = { dimension = 64, method = "pq8" }')

    def run(word, pause, *options):
        command = [sys.executable, "-c", COMMAND, *pause, "train", "E1", "--input", rows, "--force"]
        command += ["--models", tmp_path, "--profile", tmp_path / "p.toml", "--json", *options]
        with open(tmp_path / "out", "wb") as out:
            code = _pressing_ctrl_c(word.encode(), command, out)
        return code, (tmp_path / "out").read_bytes()

    return run


def _pressing_ctrl_c(word, command, out):
    terminal, its_end = pty.openpty()
    termios.tcsetwinsize(its_end, (24, 100))
    # A shell that runs the tests in the background makes its children ignore Ctrl-C.
    heard = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, stdout=out, stderr=its_end, preexec_fn=heard) as process:
        os.close(its_end)
        seen, pressed = b"", False
        while some := _read(terminal):
            seen += some
            if word in seen and not pressed:
                process.send_signal(signal.SIGINT)
                pressed = True
    os.close(terminal)
    return process.returncode


def _read(terminal):
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # Linux says so when the other end is closed
        return b""


@pytest.mark.parametrize("size", ["8", "auto"])
def test_the_best_so_far_is_kept_and_says_so(interrupted, tmp_path, size):
    # Without a rotation every step is one of those that are planned, so that the first comes soon.
    options = "--bytes", size, "--rotation", "none"
    code, out = interrupted("loss", ("lloyd_step", "0.1"), *options)
    facts = json.loads(out)
    assert (code, facts["interrupted"]) == (0, True)
    assert 1 <= facts["steps"] < facts["steps_planned"]
    book = PQ8Codebook.load(tmp_path / PATH)
    assert (book.num_subvectors, book.metadata["interrupted"]) == (8, True)
    assert book.metadata["held_out_loss"] == facts["held_out_loss"]


def test_before_the_first_step_nothing_is_kept(interrupted, tmp_path):
    pause = "principal_axes", "300"
    assert interrupted("train E1", pause, "--bytes", "8") == (INTERRUPTED, b"")
    assert not (tmp_path / PATH).exists()
