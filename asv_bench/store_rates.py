"""Write and read rates of a store beside bare rocksdict, sqlite and lmdb, on the same records.

    python asv_bench/store_rates.py --records 200000 --path /somewhere/with/space

Realistic fingerprints (CGCYTHON_DATA) are encoded first, and stored under random ids. All write
the same values under the same keys in batches of the same size, in turns, a few thousand records
each, with the same durability: `wal` survives the death of the process, `sync` the loss of power.
`rocksdict` is given its default options, `rocksdict+` those of a store. The store also keeps its
journal and looks for records that it replaces; reading, it checks what it reads. The exit status
is 1 where it writes at less than 90 % of the rate of the faster of the two.
"""

import argparse
import os
import shutil
import sqlite3
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median
from time import perf_counter

import lmdb
import numpy as np
import rocksdict
from realistic import Realistic

from cgcython import ModelId
from cgcython.store import RecordStore
from cgcython.store.keepers.rocksdb import settings

BATCH, TURN = 256, 2048
GETS = 1000
LEAST = 0.9
FAMILIES = ("records", "sections")


class Ours:
    """A RecordStore."""

    def __init__(self, path, sync):
        durability = "sync" if sync else "wal"
        self.store = RecordStore.open(path / "store", noise_codebooks(), durability=durability)

    def write(self, batch):
        self.store.store_quantized(batch)

    def read(self, key, model_ids):
        return self.store.quantized(key)

    def read_one(self, key, model_id):
        return self.store.quantized(key, model_id)

    def scan(self, model_id):
        return sum(1 for _ in self.store.sections(model_id, []))

    def close(self):
        self.store.close()


class Bare:
    """The same keys and values in rocksdict, and nothing else."""

    def __init__(self, path, sync, options=lambda: rocksdict.Options(raw_mode=True)):
        main = options()
        main.create_if_missing(True)
        main.create_missing_column_families(True)
        families = {name: options() for name in FAMILIES}
        self.rdict = rocksdict.Rdict(str(path / "bare"), main, column_families=families)
        self.families = [self.rdict.get_column_family(name) for name in FAMILIES]
        self.handles = [self.rdict.get_column_family_handle(name) for name in FAMILIES]
        self.options = rocksdict.WriteOptions()
        self.options.sync = sync

    def write(self, batch):
        found, (records, sections) = rocksdict.WriteBatch(raw_mode=True), self.handles
        for key, quantized in batch:
            found.put(key, quantized.manifest, records)
            for model_id, section in quantized.sections.items():
                found.put(bytes([model_id]) + key, section, sections)
        self.rdict.write(found, self.options)

    def read(self, key, model_ids):
        keys = [bytes([model_id]) + key for model_id in model_ids]
        return self.families[0].get(key), self.families[1].get(keys)

    def read_one(self, key, model_id):
        return self.families[1].get(bytes([model_id]) + key)

    def scan(self, model_id):
        rows, prefix, count = self.families[1].iter(), bytes([model_id]), 0
        rows.seek(prefix)
        while rows.valid() and rows.key().startswith(prefix):
            rows.value()
            rows.next()
            count += 1
        return count

    def close(self):
        for family in self.families:
            family.close()
        self.rdict.close()


class Tuned(Bare):
    """The same with the options of a store."""

    def __init__(self, path, sync):
        super().__init__(path, sync, settings.options)


class Sqlite:
    """The same keys and values in two tables of sqlite3."""

    def __init__(self, path, sync):
        path.mkdir()
        self.db = sqlite3.connect(path / "db", isolation_level=None)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute(f"PRAGMA synchronous = {'FULL' if sync else 'OFF'}")
        for name in FAMILIES:
            self.db.execute(f"CREATE TABLE {name} (key BLOB PRIMARY KEY, value BLOB)")

    def write(self, batch):
        self.db.execute("BEGIN")
        self.db.executemany(
            "INSERT OR REPLACE INTO records VALUES (?, ?)", [(k, q.manifest) for k, q in batch]
        )
        sections = [(bytes([m]) + k, s) for k, q in batch for m, s in q.sections.items()]
        self.db.executemany("INSERT OR REPLACE INTO sections VALUES (?, ?)", sections)
        self.db.execute("COMMIT")

    def read(self, key, model_ids):
        keys = [bytes([model_id]) + key for model_id in model_ids]
        marks = ", ".join("?" * len(keys))
        manifest = self.db.execute("SELECT value FROM records WHERE key = ?", (key,)).fetchall()
        query = f"SELECT key, value FROM sections WHERE key IN ({marks})"
        return manifest, self.db.execute(query, keys).fetchall()

    def read_one(self, key, model_id):
        key = bytes([model_id]) + key
        return self.db.execute("SELECT value FROM sections WHERE key = ?", (key,)).fetchall()

    def scan(self, model_id):
        ends = bytes([model_id]), bytes([model_id + 1])
        query = "SELECT key, value FROM sections WHERE key >= ? AND key < ? ORDER BY key"
        return sum(1 for _ in self.db.execute(query, ends))

    def close(self):
        self.db.close()


class Lmdb:
    """The same keys and values in two databases of lmdb."""

    def __init__(self, path, sync):
        self.env = lmdb.open(str(path), map_size=1 << 40, max_dbs=2, sync=sync)
        self.families = [self.env.open_db(name.encode()) for name in FAMILIES]

    def write(self, batch):
        with self.env.begin(write=True) as all_or_nothing:
            for key, quantized in batch:
                all_or_nothing.put(key, quantized.manifest, db=self.families[0])
                for model_id, section in quantized.sections.items():
                    all_or_nothing.put(bytes([model_id]) + key, section, db=self.families[1])

    def read(self, key, model_ids):
        with self.env.begin() as view:
            found = [view.get(key, db=self.families[0])]
            return found + [view.get(bytes([m]) + key, db=self.families[1]) for m in model_ids]

    def read_one(self, key, model_id):
        with self.env.begin() as view:
            return view.get(bytes([model_id]) + key, db=self.families[1])

    def scan(self, model_id):
        count, prefix = 0, bytes([model_id])
        with self.env.begin() as view, view.cursor(db=self.families[1]) as rows:
            rows.set_range(prefix)
            for key, _ in rows:
                if not key.startswith(prefix):
                    break
                count += 1
        return count

    def close(self):
        self.env.close()


KINDS = {"store": Ours, "rocksdict": Bare, "rocksdict+": Tuned, "sqlite": Sqlite, "lmdb": Lmdb}


def main(arguments=None):
    """Print the rates; return the exit status."""
    args = _parser().parse_args(arguments)
    if not args.data:
        sys.exit("set CGCYTHON_DATA, or --data, to the folder of the real embeddings")
    quantized = encoded_records(Path(args.data), args.pool)
    size = sum(one.size_bytes for one in quantized) / len(quantized)
    print(f"{args.records} records of {size:,.0f} bytes, durability {args.durability}")
    folder = Path(tempfile.mkdtemp(prefix="store-rates-", dir=args.path))
    try:
        sync = args.durability == "sync"
        peers = {name: KINDS[name](folder / name, sync) for name in args.peers.split(",")}
        rates = measure(peers, quantized, args.records, folder)
        for peer in peers.values():
            peer.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # RocksDB may still write a log there
    print_rates(rates)
    bare = max((rates[one]["write/s"] for one in rates if one.startswith("rocksdict")), default=0)
    if not bare:
        return 0
    share = rates["store"]["write/s"] / bare
    print(f"the store writes at {share:.0%} of the rate of bare rocksdict (at least {LEAST:.0%})")
    return 0 if share >= LEAST else 1


def _parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=20_000, metavar="N")
    parser.add_argument("--path", help="a folder to work in (default: that of temporary files)")
    parser.add_argument("--data", default=os.environ.get("CGCYTHON_DATA"), help="real embeddings")
    parser.add_argument("--durability", choices=("wal", "sync"), default="wal")
    parser.add_argument("--pool", type=int, default=1024, help="different records (default 1024)")
    parser.add_argument("--peers", default=",".join(KINDS), help="some of these (default all)")
    return parser


def noise_codebooks():
    """Return a codebook of noise, always the same, for each embedder that needs one."""
    from cgcython import PQ8Codebook

    rng = np.random.default_rng(0)
    shapes = {one: one.dimension() for one in map(ModelId.parse, ("E1", "E5", "E7", "E10"))}
    return {
        one: PQ8Codebook(rng.standard_normal((8, 256, dim // 8), dtype=np.float32))
        for one, dim in shapes.items()
    }


def encoded_records(folder, count):
    """Return encoded records; those that need a codebook are coded by one of noise."""
    from cgcython import QuantizationRouter
    from cgcython.fingerprint import encode_all

    source, router = Realistic(folder), QuantizationRouter(noise_codebooks())
    return encode_all(source.fingerprints(0)[:count], router, None, num_threads=2)


def measure(peers, quantized, records, folder):
    """Return `{peer: {what: figure}}`: all write in turns, then read in turns."""
    seconds, rng = defaultdict(float), np.random.default_rng(1)
    ids = [rng.bytes(16) for _ in range(records)]
    for start in range(0, records, TURN):
        turn = [(key, quantized[i % len(quantized)]) for i, key in enumerate(ids[start:][:TURN])]
        order = list(peers)
        rng.shuffle(order)
        for name in order:
            began = perf_counter()
            for at in range(0, len(turn), BATCH):
                peers[name].write(turn[at : at + BATCH])
            seconds[name] += perf_counter() - began
        print(f"\r{start + len(turn)} written", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    keys = [ids[i] for i in rng.integers(0, records, GETS)]
    model_ids = list(quantized[0])
    found = {name: {"write/s": records / seconds[name]} for name in peers}
    for name, peer in peers.items():
        found[name]["get us"] = median_us(peer.read, keys, model_ids)
        found[name]["get E9 us"] = median_us(peer.read_one, keys, ModelId.HDC)
        began = perf_counter()
        if peer.scan(ModelId.HDC) != records:
            sys.exit(f"{name} lost records")
        found[name]["scan E9/s"] = records / (perf_counter() - began)
        files = [one for one in (folder / name).rglob("*") if one.is_file()]
        found[name]["MB"] = sum(one.stat().st_blocks * 512 for one in files) / 1e6
    return found


def median_us(call, keys, wanted):
    taken = []
    for key in keys:
        began = perf_counter()
        call(key, wanted)
        taken.append(perf_counter() - began)
    return median(taken) * 1e6


def print_rates(rates):
    columns = list(next(iter(rates.values())))
    print(f"{'':15}" + "".join(f"{one:>12}" for one in columns))
    for name, found in rates.items():
        print(f"{name:15}" + "".join(f"{found[one]:12,.0f}" for one in columns))


if __name__ == "__main__":
    sys.exit(main())
