"""The command as a whole: help, exit codes, one line per error."""

import os
import re
import subprocess
import sys

import pytest

from cgcython import __version__, errors
from cgcython.base import ModelId
from cgcython.cli import COMMANDS
from cgcython.cli.failures import exit_code
from cgcython.codecs.codebook_file import train_command
from cgcython.errors import UsageError

CODES = {
    1: [errors.RecallLossExceeded(), errors.BudgetExceeded()],
    2: [UsageError("no")],
    3: [errors.InvalidInput(), errors.NonFiniteValue(), FileNotFoundError("x")],
    4: [errors.CodebookMissing(), errors.CodebookCorrupt()],
    5: [errors.StorageCorruption(), errors.StoreUnavailable()],
}


@pytest.mark.parametrize(("code", "error"), [(c, e) for c, all_ in CODES.items() for e in all_])
def test_each_family_of_errors_has_its_exit_code(code, error):
    assert exit_code(error) == code


def test_help_lists_every_command(cli):
    result = cli("--help")
    assert result.code == 0
    assert all(command in result.out for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_teaches_by_an_example(cli, command):
    result = cli(command, "--help")
    assert result.code == 0
    assert f"example:\n  cgcython {command}" in result.out


def test_version(cli):
    assert cli("--version").out == f"cgcython {__version__}\n"


@pytest.mark.parametrize("words", [(), ("migrate",), ("info", "--no-such")])
def test_wrong_usage_exits_with_two_and_says_how(cli, words):
    result = cli(*words)
    assert result.code == 2
    assert result.out == ""
    assert result.err.count("\n") == 1
    assert re.search(r"^cgcython.*: error: .*; see cgcython.* --help$", result.err)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("serch", "search"),
        ("store stast", "stats"),
        ("search q.npz --stroe memories", "--store"),
        ("search q.npz --store memories --metric cosin", "cosine"),
    ],
)
def test_a_mistake_names_the_nearest_spelling(cli, words, meant):
    result = cli(*words.split())
    assert result.code == 2
    assert f"; did you mean {meant}?" in result.err


def test_terms_of_a_help_hang_and_are_not_folded_as_a_command(cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    lines = cli("eval", "methods", "--help").out.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("  gain   by how much"))
    assert lines[at + 1].startswith(9 * " " + "the same bytes")
    assert not any(line.endswith("\\") for line in lines[at - 5 : at + 5])


def test_help_needs_no_numpy():
    script = (
        "import sys; from cgcython.cli import main; main(['--help']); "
        "assert not {'numpy', 'rocksdict', 'cgcython.kernels'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def test_help_starts_at_once():
    def seconds():
        # Processor time, because other work on the machine is not this command's fault.
        before = sum(os.times()[2:4])
        command = [sys.executable, "-m", "cgcython", "--help"]
        subprocess.run(command, check=True, capture_output=True)
        return sum(os.times()[2:4]) - before

    assert min(seconds() for _ in range(5)) < 0.2


def test_an_error_is_one_line_without_a_traceback(cli, tmp_path):
    result = cli("verify", tmp_path / "nothing")
    assert result.code == 5
    assert result.err.startswith("cgcython: error: ")
    assert result.err.count("\n") == 1


def test_debug_shows_the_traceback_and_keeps_the_exit_code(cli, tmp_path):
    result = cli("verify", tmp_path / "nothing", "--debug")
    assert result.code == 5
    assert result.err.startswith("Traceback")
    assert "\ncgcython: error: " in result.err


@pytest.mark.parametrize("words", ["--help", "info", "train --help", "store stats --help"])
def test_commands_run_without_docstrings(words):
    command = [sys.executable, "-OO", "-m", "cgcython", *words.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_a_level_that_does_not_exist_is_a_usage_error():
    environment = os.environ | {"CGCYTHON_LEVEL": "avx2"}
    command = [sys.executable, "-m", "cgcython", "info"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("cgcython: error: [EMB-E022] CGCYTHON_LEVEL is 'avx2'")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_daemon_without_streams_ends_as_others_do(work, tmp_path, closed):
    words = f"encode {work}/corpus.npz --models {work}/models --profile {work}/profile.toml"
    command = f"{sys.executable} -m cgcython {words} --out {tmp_path}/out {closed}"
    done = subprocess.run(command, shell=True, check=True, capture_output=True, text=True)
    assert "Traceback" not in done.stderr


def test_the_reader_of_a_pipe_may_leave_early(work):
    command = f"{sys.executable} -m cgcython search {work}/queries.npz --store {work}/store"
    done = subprocess.run(
        f"{command} -k 9 | head -n 1", shell=True, check=True, capture_output=True, text=True
    )
    assert done.stdout.startswith("query")
    assert done.stderr == ""


def test_the_command_that_an_error_recommends_is_one(cli, work, monkeypatch):
    monkeypatch.chdir(work)
    words = train_command("models/pq8_codebooks/Semantic_codebook.safetensors").split()
    words[words.index("E1=train.npy")] = "E1=train.npz"
    result = cli(*words[1:], "--profile", "profile.toml", "--bytes", 8)
    assert result.code == 0, result.err
    assert ModelId.SEMANTIC.short in result.out


@pytest.mark.parametrize(
    "words", ["{} -k 2 E8={}", "-k2 {} E8={}", "{} E8={} -k 2", "-k=2 E8={1} {0}"]
)
def test_words_may_stand_in_any_order(cli, work, words):
    store = f"--store={work}/store"
    result = cli("search", *words.format(store, f"{work}/queries.npz:E8").split(), "--json")
    assert result.code == 0, result.err
    assert result.out.count("\n") == 6
