"""Have two writers fight for one record in Cassandra, and kill one of its three nodes.

    python asv_bench/cluster_faults.py --rounds 1000 --records 20000

A round is that of keeper_faults.py: afterwards each record must have the sections that its head
lists, and what a reader keeps by `changes_since` must be what is there.

Then records are written at QUORUM. After a third of them a node is ended by SIGKILL, after two
thirds it is started again. Writes must go on without it, and none that was acknowledged may be lost
or wrong. When the others have no hints left for it, everything is read once at ALL: no hint has
what the node had taken for the others to write, too, when it was ended. Then the others are ended,
and all that was acknowledged must be read at ONE from that node alone.

Prints how often each outcome came, and exits with 1 for any that is wrong.
"""

import argparse
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import closing
from functools import partial
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from keeper_faults import NUMBERS, change, duel
from services.cassandra import Cluster, count

from cgcython.errors import StoreUnavailable
from cgcython.store.keepers import cql

BATCH, WRITERS = 50, 2
HINTS = "system_views.pending_hints"


class Writer(threading.Thread):
    """Writes records of its own, some of them again, and notes what was acknowledged."""

    def __init__(self, keeper, number, records):
        super().__init__(daemon=True)
        self.keeper, self.number, self.records = keeper, number, records
        self.acknowledged, self.attempted, self.refused, self.done = {}, {}, 0, 0

    def run(self):
        """Write all records, however often a call is not acknowledged."""
        rng = random.Random(self.number)
        while self.done < self.records:
            numbers = {rng.randrange(2 * self.records) for _ in range(BATCH)}
            keys = [b"%d/%d" % (self.number, number) for number in sorted(numbers)]
            changes = [change(key, self.done + 1, None) for key in keys]
            for one in changes:
                self.attempted.setdefault(one.key, []).append(one)
            try:
                self.keeper.write(changes)
            except StoreUnavailable:
                self.refused += 1
                continue
            self.done += len(changes)
            self.acknowledged |= {one.key: one for one in changes}


def one_node_killed(cluster, url, records):
    """Return how often each outcome came of records, when one of three nodes was killed."""
    node, found = cluster.nodes[-1], Counter()
    with closing(cql.CqlKeeper(url)) as keeper:
        writers = [Writer(keeper, number, records // WRITERS) for number in range(WRITERS)]
        for one in writers:
            one.start()
        until(writers, records // 3)
        node.kill()
        before = written(writers)
        until(writers, records * 2 // 3)
        found["records written without the node"] = written(writers) - before
        node.start()
        node.wait(cluster.hosts[:-1])
        for one in writers:
            one.join()
        found["calls not acknowledged"] = sum(one.refused for one in writers)
        found += outcomes(keeper, writers, "kept")
    wait_for_hints(cluster.hosts[:-1])
    with closing(cql.CqlKeeper(url + "&consistency=ALL", read_only=True)) as keeper:
        found["records read at ALL"] = sum(1 for _ in keeper.scan_records())
    for other in cluster.nodes[:-1]:
        other.kill()
    # It takes a while until it no longer asks the others.
    place = f"cql://{node.host}/{url.rpartition('/')[2].partition('?')[0]}"
    tenant = url.partition("tenant=")[2].partition("&")[0] or "main"
    alone = f"{place}?tenant={tenant}&consistency=ONE&timeout=60&overlap=120"
    with closing(cql.CqlKeeper(alone, read_only=True)) as keeper:
        found += outcomes(keeper, writers, "kept by the node that was killed")
    for other in cluster.nodes[:-1]:
        other.start()
    for other in cluster.nodes[:-1]:
        other.wait([host for host in cluster.hosts if host != other.host])
    return found


def until(writers, records):
    """Wait until so many records were acknowledged."""
    while written(writers) < records and any(one.is_alive() for one in writers):
        time.sleep(0.01)


def written(writers):
    """Return how many records were acknowledged."""
    return sum(one.done for one in writers)


def wait_for_hints(hosts, quiet_s=12, longest_s=180):
    """Wait until nodes have had no hints left for longer than they wait to look for some."""
    end, quiet_since = time.monotonic() + longest_s, time.monotonic()
    while time.monotonic() - quiet_since < quiet_s:
        if any(count(host, HINTS) for host in hosts):
            quiet_since = time.monotonic()
        if time.monotonic() > end:
            raise RuntimeError(f"hints are left after {longest_s} s")
        time.sleep(0.5)


def outcomes(keeper, writers, well):
    """Return the outcome of each record that was acknowledged, or attempted after it was."""
    found = Counter()
    for one in writers:
        keys = sorted(one.acknowledged)
        for key, record in zip(keys, keeper.records(keys)):
            tries = one.attempted[key]
            later = tries[tries.index(one.acknowledged[key]) :]
            if record is None:
                found["LOST"] += 1
            else:
                same = any(record == (each.head, each.sections) for each in later)
                found[well if same else "WRONG"] += 1
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--records", type=int, default=20_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cgcython-") as folder:
        cluster = Cluster(folder, nodes=3)
        cluster.start()
        try:
            url = f"cql://{','.join(cluster.hosts)}/faults?replication=3&timeout=20&overlap=40"
            cql.create(url, {}, NUMBERS)
            found = duel(partial(cql.CqlKeeper, url), args.rounds)
            found += one_node_killed(cluster, url, args.records)
        finally:
            cluster.stop()
    for what, number in found.items():
        print(f"{number:8,} {what}")
    return int(any(what.isupper() for what in found))


if __name__ == "__main__":
    sys.exit(main())
