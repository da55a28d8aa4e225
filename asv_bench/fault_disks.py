"""A disk that is full and a folder that cannot be written: mounted for the occasion, by root."""

import errno
import os
import signal
import subprocess
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

from fault_kills import NUMBERS, after, apply, create, misses
from fault_world import CODEBOOKS, PROFILE, Child, in_child, look

from cgcython.errors import StoreUnavailable
from cgcython.store import RecordStore

MIB = 1 << 20
DISK_MIB = 6


class NotMounted(Exception):
    """This process may not mount anything; that takes root."""


@contextmanager
def small_disk(folder, mib=DISK_MIB):
    """Yield the folder of a new disk in memory, which is gone afterwards."""
    path = Path(folder) / "disk"
    path.mkdir(exist_ok=True)
    _mount("-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", path)
    with _unmounting(path):
        yield path


@contextmanager
def unwritable(path):
    """Let nobody, root included, write in a folder meanwhile."""
    _mount("--bind", path, path)
    with _unmounting(path):
        _mount("-o", "remount,bind,ro", path)
        yield path


def fill(path):
    """Write a file until its disk is full."""
    with open(path, "ab", buffering=0) as file:
        for size in (MIB, 4096, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise


def full_disk(folder, killed, rng):
    """Return the Counter of one store whose disk fills up while it is written.

    The writer is `killed` then, or closes the store. Others open it before space is free again,
    and after. A refusal that tells the remedy is `named`.
    """
    with small_disk(folder) as disk:
        path, ballast = disk / "store", disk / "ballast"
        in_child(create, path)
        # What is freed later must hold the tables that opening writes from the log.
        ballast.write_bytes(bytes(DISK_MIB // 2 * MIB + rng.randrange(MIB)))
        count, reason = _write_until_full(path, killed)
        fill(ballast)
        state = dict.fromkeys(NUMBERS)
        for i in range(count):
            state = after("batch", state, i)
        following = after("batch", state, count)  # the write that was refused
        full = [in_child(look, path, NUMBERS, read_only) for read_only in (True, False)]
        ballast.unlink()
        freed = [in_child(look, path, NUMBERS, read_only) for read_only in (True, False)]
        found = [misses(seen, state, following) for seen in freed]
        found += [misses(seen, state, following) for seen in full if not seen.refused]
        refusals = [reason, *(seen.refused for seen in full if seen.refused)]
        named = all(str(path) in one and "free some" in one for one in refusals)
    lost, wrong = map(sum, zip(*found))
    return Counter(tries=1, named=named, lost=lost + (not named), wrong=wrong)


def read_only_folder(folder, rng):
    """Return the Counter of one store in a folder that cannot be written, its process killed."""
    path, state = Path(folder) / "store", dict.fromkeys(NUMBERS)
    count = rng.randrange(1, 20)
    in_child(_write_some, path, count)
    for i in range(count):
        state = after("batch", state, i)
    with unwritable(path):
        reading, writing = (in_child(look, path, NUMBERS, one) for one in (True, False))
    lost, wrong = misses(reading, state, state)
    named = "read_only=True" in (writing.refused or "")
    return Counter(tries=1, named=named, lost=lost + (not named), wrong=wrong)


def _write_some(path, count):
    store = RecordStore.open(path, CODEBOOKS, PROFILE)
    for i in range(count):
        apply(store, "batch", i)  # and no close: the child just ends


def _write_until_full(path, killed):
    """Return how many batches were acknowledged, and what the refusal of the next one says."""
    child = Child(_write_in_child, path, killed)
    try:
        return child.pipe.recv()
    finally:
        child.left()


def _write_in_child(pipe, path, killed):
    store, i = RecordStore.open(path, CODEBOOKS, PROFILE), 0
    try:
        while True:
            apply(store, "batch", i)
            i += 1
    except StoreUnavailable as error:
        pipe.send((i, str(error)))
    if killed:
        os.kill(os.getpid(), signal.SIGKILL)
    store.close()


def _mount(*arguments):
    try:
        done = subprocess.run(["mount", *arguments], capture_output=True, text=True)
    except FileNotFoundError as error:
        raise NotMounted(str(error)) from error
    if done.returncode:
        raise NotMounted(done.stderr.strip())


@contextmanager
def _unmounting(path):
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)
