"""The memory of a process that scans all records of PostgreSQL, of ten thousand and ten times that.

    python asv_bench/keeper_memory.py --most 100000

Records of 13.4 KB; a scan of records, one of heads and one of an embedder's sections run in a fresh
process. The exit status is 1 where its peak grows by more than 10 % with ten times the records.
"""

import argparse
import resource
import subprocess
import sys
from collections import deque
from contextlib import closing

from keeper_rates import BATCH, NUMBERS, changes, running, working_folder
from services.postgres import Postgres

from cgcython.store.keepers import postgres
from cgcython.store.places import place_of

MOST_GROWTH = 1.1


def scan(place):
    """Scan everything, and print the peak of this process's memory in MiB."""
    found = place_of(place).open(read_only=True, sync=False, follow=False)
    with closing(found) as keeper:
        for rows in (keeper.scan_records(), keeper.scan_heads(), keeper.scan_sections(8)):
            deque(rows, 0)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def peak(place):
    """Return the peak of a fresh process that scans everything."""
    command = [sys.executable, __file__, "--scan", place]
    return float(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--most", type=int, default=100_000)
    parser.add_argument("--scan", metavar="URL", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.scan:
        return scan(args.scan)
    peaks, written = [], 0
    with working_folder() as folder, running(Postgres(folder / "postgres")) as server:
        url = server.url
        postgres.Schema(url).create({}, NUMBERS)
        with closing(postgres.PostgresKeeper(url)) as keeper:
            for goal in (args.most // 10, args.most):
                while written < goal:
                    keeper.write(changes(BATCH))
                    written += BATCH
                peaks.append(peak(url))
                print(f"{written:10,} records: {peaks[-1]:.1f} MiB at most", flush=True)
    return int(peaks[1] > MOST_GROWTH * peaks[0])


if __name__ == "__main__":
    sys.exit(main())
