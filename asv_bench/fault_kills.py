"""Kill a writer with SIGKILL at a random moment, again and again on the same store."""

import os
import shutil
import struct
import time
from pathlib import Path

from fault_world import CODEBOOKS, POOL, PROFILE, Child, Died, content, in_child, look, record_id

from cgcython.store import RecordStore

NUMBERS = range(240)
BATCH = 40
LONGEST = 0.06  # seconds a writer lives once it has opened the store
OPENING = 0.2  # or from its start, for every fourth kill
_ACK = struct.Struct("<I")
_OPENED = b"opened"


def single(i):
    """New records, one at a time."""
    return {i % len(NUMBERS): i}


def batch(i):
    """Forty records at a time: all of them or none."""
    start = i * BATCH % len(NUMBERS)
    return {start + j: i for j in range(BATCH)}


def overwrite(i):
    """Few records, each replaced again and again."""
    return {i % 20: i}


def delete(i):
    """Two records written, then one of them deleted."""
    pair = i // 2 % 100 * 2
    return {pair: i, pair + 1: i} if i % 2 == 0 else {pair: None}


KINDS = {one.__name__: one for one in (single, batch, overwrite, delete)}
KINDS["flush"] = KINDS["backup"] = batch


def apply(store, kind, i):
    """Do operation i of a kind."""
    changes = KINDS[kind](i)
    puts = {number: version for number, version in changes.items() if version is not None}
    if puts:
        items = ((record_id(n), POOL[content(n, version)]) for n, version in puts.items())
        store.store_quantized(items)
    for number in changes.keys() - puts.keys():
        store.delete(record_id(number))


def after(kind, state, i):
    """Return the state after operation i."""
    changes = KINDS[kind](i).items()
    return state | {n: None if version is None else content(n, version) for n, version in changes}


def write_until_killed(pipe, path, kind, start, sync):
    """Do operations from `start` on; a number in the pipe acknowledges each."""
    with RecordStore.open(path, CODEBOOKS, PROFILE, durability="sync" if sync else "wal") as store:
        os.write(pipe.fileno(), _OPENED)
        for i in range(start, start + 1_000_000):
            apply(store, kind, i)
            os.write(pipe.fileno(), _ACK.pack(i))
            if kind == "flush":
                store._keeper.files.flush()
            if kind == "backup":
                store.backup(path.with_name(f"backup-{i}"))


def kill_once(path, kind, start, sync, rng):
    """Return how many operations a writer acknowledged before it was killed."""
    child = Child(write_until_killed, path, kind, start, sync)
    reader = os.dup(child.pipe.fileno())
    opening = rng.random() < 0.25
    opened = b"" if opening else os.read(reader, len(_OPENED))
    time.sleep(rng.uniform(0, OPENING if opening else LONGEST))
    if not child.kill():
        raise Died("the writer failed before it was killed")
    with open(reader, "rb") as pipe:
        return len((opened + pipe.read())[len(_OPENED) :]) // _ACK.size


def kills(folder, kind, sync, tries, rng):
    """Return (acknowledged operations, lost records, wrong records, notes) of many kills."""
    path = Path(folder) / "store"
    in_child(create, path)
    state, start, lost, wrong, notes = dict.fromkeys(NUMBERS), 0, 0, 0, []
    for _ in range(tries):
        count = kill_once(path, kind, start, sync, rng)
        for i in range(start, start + count):
            state = after(kind, state, i)
        start += count
        seen = in_child(look, path, NUMBERS)
        following = after(kind, state, start)  # the one write that was not acknowledged
        more_lost, more_wrong = misses(seen, state, following)
        lost, wrong = lost + more_lost, wrong + more_wrong
        if seen.refused:
            return start, lost, wrong, [seen.refused]
        if seen.state == following:
            state, start = following, start + 1
        notes += _backups(path, notes)
    return start, lost, wrong, notes


def misses(seen, state, following):
    """Return how many records are lost and how many wrong, in neither state or in both of them."""
    if seen.refused:
        return len(NUMBERS), 0
    gone = [n for n in NUMBERS if seen.state[n] not in (state[n], following[n])]
    mixed = seen.state not in (state, following)
    lost = sum(seen.state[n] is None for n in gone)
    return lost, len(gone) - lost + (mixed and not gone)


def create(path):
    """Make an empty store."""
    RecordStore.open(path, CODEBOOKS, PROFILE).close()


def _backups(path, notes):
    """Return what is wrong with the backups a killed writer left, and remove them."""
    found = []
    for backup in path.parent.glob("backup-*"):
        seen = in_child(look, backup, NUMBERS)
        if seen.refused or not set(map(type, seen.state.values())) <= {int, type(None)}:
            found.append(f"{backup.name}: {seen}")
        shutil.rmtree(backup)
    for partial in path.parent.glob(".backup-*"):
        shutil.rmtree(partial)
    return found
