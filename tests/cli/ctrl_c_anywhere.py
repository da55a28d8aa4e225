"""Run a command again and again, with Ctrl-C at another call of a Python function each time.

    python tests/cli/ctrl_c_anywhere.py SEED TRIES COMMAND...
    python tests/cli/ctrl_c_anywhere.py SEED TRIES --beside FOLDER COMMAND... [, COMMAND...]

Functions begin where Python looks for signals. Prints what did not end with exit code 130 (or 0
of `train`, which keeps the best so far), what was left half-written, and what does not end well
when it is run once more. Each run has a folder of its own, with a copy of FOLDER in it.
"""

import importlib
import os
import random
import shutil
import signal
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy  # noqa: F401  (so that each run need not)
import safetensors.numpy  # noqa: F401

from cgcython.cli import INTERRUPTED, main
from cgcython.store.shards import read_shard, shard_paths

PATIENCE = 60  # seconds
FAILED = 99  # with an exception


def run(words, folder, moment):
    """Return the exit code of a command run in a child, and how many calls it made."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        _serve(words, folder, moment, writer)
    os.close(writer)
    with open(reader, "rb") as answer:
        calls = int(answer.read() or 0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), calls


def _serve(words, folder, moment, writer):
    signal.alarm(PATIENCE)
    os.chdir(folder)
    for stream in (1, 2):
        os.dup2(os.open("printed", os.O_CREAT | os.O_WRONLY | os.O_APPEND), stream)
    calls = 0

    def trace(frame, event, _):
        nonlocal calls
        calls += 1
        if calls == moment:
            sys.settrace(None)
            raise KeyboardInterrupt

    code = FAILED
    try:
        sys.settrace(trace)
        code = main(words)
        sys.settrace(None)
        os.write(writer, str(calls).encode())
    finally:
        os._exit(code)


def left(folder):
    """Yield what a run left half-written in its folder."""
    for path in Path(folder).rglob("*"):
        if path.name.startswith("."):
            yield f"{path} was left"
    for path in shard_paths(Path(folder, "shards")):
        read_shard(path)
    if Path(folder, "store").exists() and run(["verify", "store"], folder, 0)[0]:
        yield f"the store is not whole: {Path(folder, 'printed').read_text()}"


def ends_well(words, code):
    return code == INTERRUPTED or (words[0] == "train" and not code)


def is_made(words, folder):
    """Return whether a store that a command makes is there, whole, and so in its own way."""
    return words[-2] == "--out" and run(["verify", words[-1]], folder, 0)[0] == 0


def complaints(words, seed, tries, beside=None):
    """Yield what went wrong in as many runs."""
    rng = random.Random(seed)
    with _folder_like(beside) as folder:
        code, calls = run(words, folder, 0)
        if code:
            yield f"it ended with {code} by itself: {Path(folder, 'printed').read_text()}"
            return
    for _ in range(tries):
        moment = rng.randrange(2, calls)  # the first call is that of `main`
        with _folder_like(beside) as folder:
            code, called = run(words, folder, moment)
            if called >= moment and not ends_well(words, code):
                yield f"call {moment}: exit {code}: {Path(folder, 'printed').read_text()}"
            yield from (f"call {moment}: {one}" for one in left(folder))
            if beside and run(words, folder, 0)[0] and not is_made(words, folder):
                yield f"call {moment}: not again: {Path(folder, 'printed').read_text()}"


@contextmanager
def _folder_like(beside):
    with tempfile.TemporaryDirectory() as folder:
        if beside:
            shutil.copytree(beside, folder, dirs_exist_ok=True)
        yield folder


def commands_of(words):
    """Yield the commands among words, which a comma separates."""
    while words:
        end = words.index(",") if "," in words else len(words)
        yield words[:end]
        words = words[end + 1 :]


if __name__ == "__main__":
    seed, tries, *words = sys.argv[1:]
    folder = words[1] if words[0] == "--beside" else None
    commands = list(commands_of(words[2:] if folder else words))
    if folder:  # what matters is what commands write; the others are interrupted in imports too
        for name in {"verify", *(command[0] for command in commands)}:
            importlib.import_module(f"cgcython.cli.{name}")
    for command in commands:
        for complaint in complaints(command, int(seed), int(tries), folder):
            print(f"{' '.join(command)}: {complaint}")
