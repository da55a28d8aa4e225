"""Rates of the keeper of PostgreSQL beside a plain COPY of the same bytes, on the same server.

    python asv_bench/keeper_rates.py --records 20480

Records of 13.4 KB in thirteen sections are written in batches of 256, a transaction each, in turns:
by COPY into a table of the same columns, by the keeper as new records, and by the keeper in place
of records that are there. Medians of the batches are printed, then how fast the keeper reads. The
exit status is 1 where it writes new records at less than 60 % of the rate of the plain COPY.

A server is started in a folder of its own, on this machine's disk, unless --url names another.
"""

import argparse
import os
import sys
import tempfile
import uuid
from collections import defaultdict, deque
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter

import psycopg

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from services.postgres import Postgres

from cgcython import ModelId
from cgcython.manifest import Manifest
from cgcython.store.keeper import Change
from cgcython.store.keepers import postgres

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


def write_rates(url, keeper, records):
    """Return the rates of each way to write, by batch, and the keys that were written."""
    rates, keys = defaultdict(list), []
    with closing(PlainCopy(url)) as plain:
        for number in range(-(-records // BATCH)):
            new = changes(BATCH)
            again = changes(BATCH, before=new)
            ways = [("plain COPY", plain.write, new), ("keeper, new", keeper.write, new)]
            for name, write, batch in ways[:: 1 if number % 2 else -1]:
                rates[name].append(rate_of(write, batch, count=BATCH))
            rates["keeper, replaced"].append(rate_of(keeper.write, again, count=BATCH))
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
def server_at(url):
    """Yield the URL of a server: the one that is given, or one that is started for this."""
    if url:
        yield url
        return
    with tempfile.TemporaryDirectory(prefix="cgcython-", dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        server = Postgres(Path(folder, "server"))
        server.start()
        try:
            yield server.url
        finally:
            server.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=20_480)
    parser.add_argument("--url", help="of a server's database; the schema is made and removed")
    args = parser.parse_args()
    with server_at(args.url) as url:
        schema = f"rates_{uuid.uuid4().hex}"
        place = f"{url}{'&' if '?' in url else '?'}schema={schema}"
        postgres.Schema(place).create({}, NUMBERS)
        with closing(postgres.PostgresKeeper(place)) as keeper:
            rates, keys = write_rates(url, keeper, args.records)
            keeper.compact()
            rates |= read_rates(keeper, keys)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"DROP SCHEMA {schema} CASCADE")
    for name, found in rates.items():
        print(f"{name:20} {median(found):10,.0f} a second")
    share = median(rates["keeper, new"]) / median(rates["plain COPY"])
    print(f"new records at {share:.0%} of a plain COPY")
    return int(share < LEAST)


if __name__ == "__main__":
    sys.exit(main())
