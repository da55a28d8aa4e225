"""Have two writers fight for one record in PostgreSQL, and kill its server while they write.

    python asv_bench/keeper_faults.py --rounds 1000 --kills 50

A round: two writers replace one record, and some beside it, wholly or in part, while a third
writes another one and a reader follows by `changes_since`. Afterwards each record must have the
sections that its head lists, and what the reader keeps must be what is there.

A kill: a writer notes what was acknowledged. The server is ended by SIGKILL and started again. What
was acknowledged must be there, byte by byte, and reported as changed since a position from before;
of the call that was under way, all must be there or nothing.

Prints how often each outcome came, and exits with 1 for any that is wrong.
"""

import argparse
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from services.postgres import Postgres

from cgcython import ModelId
from cgcython.errors import StoreUnavailable
from cgcython.manifest import Manifest, section_crc
from cgcython.store.keeper import Change, Outdated
from cgcython.store.keepers import postgres

NUMBERS = (0, 5, 12)
SHARED = b"the record of all"


def change(key, mark, before, numbers=NUMBERS):
    """Return the change that writes some sections of a record, and what it keeps of others."""
    sections = {one: b"%d " % mark * 700 + mark.to_bytes(4, "little") for one in numbers}
    head = Manifest.from_bytes(before) if before else Manifest.now({})
    head = head.replaced({ModelId(one): section for one, section in sections.items()})
    is_part = before is not None and len(numbers) < len(NUMBERS)
    return Change(key, head.to_bytes(), sections, before, numbers, is_part)


def is_whole(record):
    """Return whether a record has just the sections that its head lists."""
    listed = Manifest.from_bytes(record.head).checksums
    return listed == {number: section_crc(one) for number, one in record.sections.items()}


def replace(keeper, keys, mark, numbers=NUMBERS):
    """Replace records until no other writer was faster; return how often one was."""
    for attempt in range(10_000):
        heads = zip(keys, keeper.heads(keys))
        try:
            keeper.write([change(key, mark, head, numbers) for key, head in heads])
            return attempt
        except Outdated:
            continue
    raise RuntimeError("another writer was faster for too long")


class Follower:
    """Keeps a copy of some records by what `changes_since` says."""

    def __init__(self, keeper):
        self.keeper, self.copy, self.position = keeper, {}, keeper.position()

    def follow(self):
        """Take up what changed since the last call."""
        now = self.keeper.position()
        changed = self.keeper.changes_since(self.position)
        if changed is None:
            raise RuntimeError("a position that was just given is not known")
        self.copy |= zip(changed, self.keeper.records(changed))
        self.position = now

    def follow_until(self, done):
        """Take up changes all the time until an event is set."""
        while not done.is_set():
            self.follow()


def duel(open_keeper, rounds, seed=1):
    """Return how often each outcome came when two writers replaced one record."""
    rng, found = random.Random(seed), Counter()
    with ExitStack() as stack:
        keepers = [stack.enter_context(closing(open_keeper())) for _ in range(4)]
        pool, follower = stack.enter_context(ThreadPoolExecutor(4)), Follower(keepers[3])
        for number in range(rounds):
            done = threading.Event()
            others = [
                pool.submit(follower.follow_until, done),
                pool.submit(write_until, done, keepers[2], 3 * number + 3),
            ]
            calls = [
                pool.submit(replace, keepers[n], keys_beside(rng), 3 * number + n + 1, numbers)
                for n, numbers in enumerate((NUMBERS, rng.choice([NUMBERS, NUMBERS[:1]])))
            ]
            found["times a writer was second"] += sum(call.result() for call in calls)
            done.set()
            for one in others:
                one.result()
            follower.follow()
            found[_outcome(follower)] += 1
    return found


def keys_beside(rng):
    """Return the key of the record that all fight for, and of some beside it."""
    return [SHARED, *{b"%d" % rng.randrange(99) for _ in range(rng.randrange(20))}]


def write_until(done, keeper, mark):
    """Write a record that is nobody else's: many calls that begin and end within another."""
    while not done.is_set():
        replace(keeper, [b"a record of its own"], mark)


def _outcome(follower):
    keys = sorted(follower.copy)
    records = follower.keeper.records(keys)
    if not all(map(is_whole, records)):
        return "MIXED"
    is_followed = records == [follower.copy[key] for key in keys]
    return "unmixed and followed" if is_followed else "MISSED A CHANGE"


class Writer(threading.Thread):
    """Replaces records all the time, and notes what was acknowledged."""

    def __init__(self, keeper, first):
        super().__init__(daemon=True)
        self.keeper, self.mark, self.acknowledged, self.last = keeper, first, {}, ()

    def run(self):
        """Write until a call is not acknowledged."""
        rng = random.Random(self.mark)
        while True:
            self.mark += 1
            keys = sorted({b"record %d" % rng.randrange(2000) for _ in range(rng.randrange(1, 40))})
            try:
                before = self.keeper.heads(keys)
                self.last = [change(key, self.mark, old) for key, old in zip(keys, before)]
                self.keeper.write(self.last)
            except StoreUnavailable:
                return
            self.acknowledged |= {one.key: one for one in self.last}


def kills(server, open_keeper, rounds, seed=1):
    """Return how often each outcome came of records, when their server was killed."""
    rng, found, mark = random.Random(seed), Counter(), 0
    with closing(open_keeper()) as keeper:
        for _ in range(rounds):
            position, writer = keeper.position(), Writer(keeper, mark)
            writer.start()
            time.sleep(0.1 + rng.random() / 2)
            server.kill()
            writer.join()
            server.start()
            found += _kept(keeper, writer, position)
            mark = writer.mark + 1
    return found


def _kept(keeper, writer, position):
    """Return the outcome of each record that a writer was told is kept."""
    last = {one.key: one for one in writer.last}
    keys = sorted(writer.acknowledged)
    changed = set(keeper.changes_since(position) or ())
    unanswered = zip(last.values(), keeper.records(sorted(last)))
    states = {record is not None and _is(record, one) for one, record in unanswered}
    found = Counter({"HALF A CALL": 1} if len(states) > 1 else {})
    for key, record in zip(keys, keeper.records(keys)):
        allowed = [writer.acknowledged[key], last.get(key)]
        if record is None or not any(_is(record, one) for one in allowed):
            found["LOST"] += 1
        else:
            found["kept" if key in changed else "MISSED A CHANGE"] += 1
    return found


def _is(record, one):
    return one is not None and record == (one.head, one.sections)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=50)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cgcython-", dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        server = Postgres(Path(folder, "server"))
        server.start()
        try:
            postgres.Schema(server.url).create({}, NUMBERS)
            open_keeper = partial(postgres.PostgresKeeper, server.url)
            found = duel(open_keeper, args.rounds) + kills(server, open_keeper, args.kills)
        finally:
            server.stop()
    for what, count in found.items():
        print(f"{count:8,} {what}")
    return int(any(what.isupper() for what in found))


if __name__ == "__main__":
    sys.exit(main())
