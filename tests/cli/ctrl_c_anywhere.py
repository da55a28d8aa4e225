"""Run a command again and again, with Ctrl-C at another call of a Python function each time.

    python tests/cli/ctrl_c_anywhere.py SEED TRIES COMMAND...

Functions begin where Python looks for signals. Prints what did not end with exit code 130, and
what was left half-written.
"""

import os
import random
import signal
import sys
import tempfile
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


def complaints(words, seed, tries):
    """Yield what went wrong in as many runs."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        code, calls = run(words, folder, 0)
    if code:
        yield f"it ended with {code} by itself"
    for _ in range(tries):
        moment = rng.randrange(2, calls)  # the first call is that of `main`
        with tempfile.TemporaryDirectory() as folder:
            code, called = run(words, folder, moment)
            if called >= moment and code != INTERRUPTED:
                yield f"call {moment}: exit {code}: {Path(folder, 'printed').read_text()}"
            yield from (f"call {moment}: {one}" for one in left(folder))


if __name__ == "__main__":
    for complaint in complaints(sys.argv[3:], int(sys.argv[1]), int(sys.argv[2])):
        print(complaint)
