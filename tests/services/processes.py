"""Signals the servers that tests started, each by its own process id, and nothing else."""

import os
import subprocess
import time
from contextlib import suppress
from pathlib import Path


def start(command, folder, output):
    """Start a process that outlives this one; return its id. It prints to a file."""
    with open(output, "ab") as printed:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=printed,
            cwd=folder,
            start_new_session=True,
        )
    process.returncode = 0  # it is known by its id from now on, and may be forgotten
    return process.pid


def noted(path, mark):
    """Return the process id on a file's first line if it runs with `mark` in its command."""
    with suppress(OSError, ValueError, IndexError):
        pid = int(Path(path).read_text().splitlines()[0])
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        # There is none yet when a process just begins, and none any more when it is ending.
        if str(mark).encode() in command or (not command and runs(pid)):
            return pid
    return None


def end(pid, number, longest_s=60):
    """Send a signal to a process and wait until it and its children are gone."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    until = time.monotonic() + longest_s
    with suppress(ProcessLookupError):
        os.kill(pid, number)
    while any(runs(one) for one in (pid, *map(int, children))):
        if time.monotonic() > until:
            raise RuntimeError(f"process {pid} did not end within {longest_s} s of signal {number}")
        time.sleep(0.005)


def runs(pid):
    """Return whether a process is there and has not ended, all its threads counted."""
    with suppress(ChildProcessError):
        return os.waitpid(pid, os.WNOHANG)[0] == 0
    with suppress(OSError):
        threads = Path(f"/proc/{pid}/task").glob("*/stat")
        return any(one.read_text().rpartition(")")[2].split()[0] != "Z" for one in threads)
    return False
