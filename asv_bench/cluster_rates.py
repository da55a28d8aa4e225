"""Rates of the keeper of Cassandra beside the driver alone, and the memory of scans.

    python asv_bench/cluster_rates.py --nodes 3 --records 10240 --most 100000

Records of 13.4 KB in thirteen sections are written in batches of 256, in turns: by the driver into
a table of the same columns, by the keeper as new records, and by the keeper in place of records
that are there. Medians of the batches are printed, then how fast the keeper reads. With --most,
everything is scanned in fresh processes, of a tenth of so many records and of all: the exit status
is 1 where the peak of memory grows by more than 10 %.
"""

import argparse
import sys
import tempfile
from collections import defaultdict
from contextlib import closing
from statistics import median

from keeper_memory import MOST_GROWTH, peak
from keeper_rates import BATCH, NUMBERS, changes, rate_of, read_rates
from services.cassandra import Cluster

from cgcython.store.keepers import cql
from cgcython.store.keepers.cql.layout import column


class Plain:
    """A table of the columns of a store's records, and the driver."""

    def __init__(self, connection):
        names = [column(number) for number in NUMBERS]
        table = ", ".join(f"{name} blob" for name in names)
        connection.change_schema(f"CREATE TABLE @.plain (id blob PRIMARY KEY, head blob, {table})")
        marks = ", ".join("?" * (2 + len(names)))
        self.statement = f"INSERT INTO @.plain (id, head, {', '.join(names)}) VALUES ({marks})"
        self.connection = connection

    def write(self, batch):
        rows = [[one.key, one.head, *one.sections.values()] for one in batch]
        self.connection.run_all(self.statement, rows)


def write_rates(keeper, records):
    """Return the rates of each way to write, by batch, and the keys that were written."""
    rates, keys, plain = defaultdict(list), [], Plain(keeper._connection)
    for number in range(-(-records // BATCH)):
        new = changes(BATCH)
        again = changes(BATCH, before=new)
        ways = [("driver alone", plain.write, new), ("keeper, new", keeper.write, new)]
        for name, write, batch in ways[:: 1 if number % 2 else -1]:
            rates[name].append(rate_of(write, batch, count=BATCH))
        rates["keeper, replaced"].append(rate_of(keeper.write, again, count=BATCH))
        keys += [one.key for one in new]
    return rates, keys


def is_flat(url, most):
    """Print the memory of scans of a tenth and of all records; return whether it is the same."""
    peaks, written = [], 0
    cql.create(url, {}, NUMBERS)
    with closing(cql.CqlKeeper(url)) as keeper:
        for goal in (most // 10, most):
            while written < goal:
                keeper.write(changes(BATCH))
                written += BATCH
            peaks.append(peak(url))
            print(f"{written:10,} records: {peaks[-1]:.1f} MiB at most", flush=True)
    return peaks[1] <= MOST_GROWTH * peaks[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--nodes", type=int, choices=[1, 3], default=3)
    parser.add_argument("--records", type=int, default=10_240)
    parser.add_argument("--most", type=int)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cgcython-") as folder:
        cluster = Cluster(folder, args.nodes)
        cluster.start()
        try:
            url = f"cql://{','.join(cluster.hosts)}/rates?replication={args.nodes}&timeout=9"
            cql.create(url, {}, NUMBERS)
            with closing(cql.CqlKeeper(url)) as keeper:
                rates, keys = write_rates(keeper, args.records)
                rates |= read_rates(keeper, keys)
            for name, found in rates.items():
                print(f"{name:20} {median(found):10,.0f} a second", flush=True)
            return int(bool(args.most) and not is_flat(f"{url}&tenant=memory", args.most))
        finally:
            cluster.stop()


if __name__ == "__main__":
    sys.exit(main())
