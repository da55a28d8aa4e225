"""Rates of the keepers side by side, on the same records: a folder, PostgreSQL and Cassandra.

    python asv_bench/keeper_rates.py --records 20480 --nodes 3

Records of 13.4 KB in thirteen sections are written in batches of 256, by one keeper after the other
and by a plain COPY into a table of the same columns on the same server of PostgreSQL; then each
batch is replaced. Medians of the batches are printed, and how fast each keeper reads. The exit
status is 1 where PostgreSQL takes new records at less than 60 % of the rate of the plain COPY.

Servers are started in a folder of their own, Cassandra of --nodes nodes (0: without it).
"""

import argparse
import os
import sys
import tempfile
from collections import defaultdict, deque
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter

import psycopg

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from services.cassandra import Cluster
from services.postgres import Postgres

from cgcython import ModelId
from cgcython.manifest import Manifest
from cgcython.store.keeper import Change
from cgcython.store.places import place_of

BATCH, LEAST = 256, 0.6
NUMBERS = sorted(map(int, ModelId))
SIZES = dict.fromkeys(NUMBERS, 1020)  # 13.4 KB with the head
COLUMNS = ["id", "head", *(f"e{number}" for number in NUMBERS)]


def changes(count, before=None):
    """Return changes that make records of random bytes, or replace some."""
    found = []
    for number in range(count):
        sections = {one: os.urandom(size) for one, size in SIZES.items()}
        crcs = {one: int.from_bytes(sections[one][-4:], "little") for one in map(ModelId, NUMBERS)}
        key, old = (before[number].key, before[number].head) if before else (os.urandom(16), None)
        found.append(Change(key, Manifest.now(crcs).to_bytes(), sections, old, NUMBERS))
    return found


class PlainCopy:
    """A table of the columns of a store's records, and nothing beside it."""

    def __init__(self, url):
        self.connection = psycopg.connect(url)
        table = ", ".join(f"{name} bytea" for name in COLUMNS[1:])
        raw = ", ".join(f"ALTER {name} SET STORAGE EXTERNAL" for name in COLUMNS[1:])
        self.connection.execute(f"CREATE TABLE plain (id bytea PRIMARY KEY, {table})")
        self.connection.execute(f"ALTER TABLE plain {raw}")
        self.connection.commit()

    def write(self, batch):
        into = f"COPY plain ({', '.join(COLUMNS)}) FROM STDIN (FORMAT BINARY)"
        with self.connection.cursor() as cursor, cursor.copy(into) as copy:
            copy.set_types(["bytea"] * len(COLUMNS))
            for one in batch:
                copy.write_row([one.key, one.head, *one.sections.values()])
        self.connection.commit()

    def close(self):
        self.connection.execute("DROP TABLE plain")
        self.connection.commit()
        self.connection.close()


def rate_of(work, *given, count=1):
    """Return how many a second work does."""
    began = perf_counter()
    work(*given)
    return count / (perf_counter() - began)


def write_rates(keepers, plain, records):
    """Return the rates of each way to write by keeper, of each batch, and the keys written."""
    rates, keys = defaultdict(lambda: defaultdict(list)), []
    for number in range(-(-records // BATCH)):
        new = changes(BATCH)
        again = changes(BATCH, before=new)
        ways = [("COPY", plain), *keepers.items()]
        for name, one in ways[:: 1 if number % 2 else -1]:
            rates["new records"][name].append(rate_of(one.write, new, count=BATCH))
        for name, one in keepers.items():
            rates["replaced records"][name].append(rate_of(one.write, again, count=BATCH))
        keys += [one.key for one in new]
    return rates, keys


def read_rates(keeper, keys):
    """Return the rates of each way to read."""
    batches = [keys[at : at + BATCH] for at in range(0, len(keys), BATCH)]
    count = len(keys)
    return {
        "records of 256 keys": [rate_of(keeper.records, one, count=len(one)) for one in batches],
        "heads of 256 keys": [rate_of(keeper.heads, one, count=len(one)) for one in batches],
        "record of one key": [rate_of(keeper.records, [one]) for one in keys[:500]],
        "scan of records": [rate_of(deque, keeper.scan_records(), 0, count=count)],
        "scan of sections": [rate_of(deque, keeper.scan_sections(8), 0, count=count)],
        "scan of heads": [rate_of(deque, keeper.scan_heads(), 0, count=count)],
    }


@contextmanager
def running(server):
    """Start a server, and stop it in the end."""
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def working_folder():
    """Yield a folder with a short path that servers of another user may enter."""
    with tempfile.TemporaryDirectory(prefix="cgcython-", dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@contextmanager
def opened(nodes):
    """Yield new keepers by name, and the plain COPY."""
    with ExitStack() as stack:
        folder = stack.enter_context(working_folder())
        server = stack.enter_context(running(Postgres(folder / "postgres")))
        places = {"folder": folder / "store", "PostgreSQL": server.url}
        if nodes:
            cluster = stack.enter_context(running(Cluster(folder / "cassandra", nodes)))
            hosts = ",".join(cluster.hosts)
            places["Cassandra"] = f"cql://{hosts}/rates?replication={nodes}"
        keepers = {}
        for name, place in places.items():
            place_of(place).create({}, NUMBERS)
            keeper = place_of(place).open(read_only=False, sync=False, follow=False)
            keepers[name] = stack.enter_context(closing(keeper))
            keeper.add_embedders(NUMBERS)
        yield keepers, stack.enter_context(closing(PlainCopy(server.url)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=20_480)
    parser.add_argument("--nodes", type=int, choices=[0, 1, 3], default=0, help="of Cassandra")
    args = parser.parse_args()
    with opened(args.nodes) as (keepers, plain):
        rates, keys = write_rates(keepers, plain, args.records)
        for name, keeper in keepers.items():
            keeper.compact()
            for way, found in read_rates(keeper, keys).items():
                rates[way][name] = found
    names = ["COPY", *keepers]
    print(f"{'a second':20}" + "".join(f"{name:>12}" for name in names))
    for way, found in rates.items():
        cells = [f"{median(found[name]):12,.0f}" if name in found else " " * 12 for name in names]
        print(f"{way:20}" + "".join(cells))
    new = rates["new records"]
    share = median(new["PostgreSQL"]) / median(new["COPY"])
    print(f"new records in PostgreSQL at {share:.0%} of a plain COPY")
    return int(share < LEAST)


if __name__ == "__main__":
    sys.exit(main())
