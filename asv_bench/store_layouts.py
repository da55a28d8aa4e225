"""Compare ways to lay records out in RocksDB, and the options of its tables, on the same records.

    python asv_bench/store_layouts.py --records 20000 --path /somewhere/with/space

Layouts: `sections` is that of a store, a manifest and a section under each embedder's key, by
embedder first; `families` puts each embedder in a column family of its own; `record` is one value
per record; `ids first` is `sections` with the id first in a key; `blobs` is `sections` with
values over 1 KiB in blob files. The other lines are `sections` with one option changed. All write
the same records in batches, in turns of a few thousand; then each is compacted and read.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from time import perf_counter

import numpy as np
import rocksdict
from store_rates import BATCH, GETS, TURN, encoded_records, median_us, print_rates

from cgcython import ModelId
from cgcython.fingerprint import QuantizedFingerprint
from cgcython.store.keepers.rocksdb import settings

ONE = ModelId.HDC
MIB = 1 << 20


class Sections:
    """A manifest, and a section under each embedder and id."""

    families = "records", "sections"

    def __init__(self, path, change=lambda options, table: None):
        families = {name: _options(change) for name in self.families}
        self.rdict = rocksdict.Rdict(str(path), _options(change), column_families=families)
        self.of = {name: self.rdict.get_column_family(name) for name in self.families}
        self.handles = {name: self.rdict.get_column_family_handle(name) for name in self.families}

    def key(self, model_id, key):
        """Return the key of a section."""
        return bytes([model_id]) + key

    def put(self, batch, key, record):
        """Add a record to a batch of writes."""
        batch.put(key, record.manifest, self.handles["records"])
        for model_id, section in record.sections.items():
            batch.put(self.key(model_id, key), section, self.handles["sections"])

    def write(self, records):
        """Write records, all or nothing."""
        batch = rocksdict.WriteBatch(raw_mode=True)
        for key, record in records:
            self.put(batch, key, record)
        self.rdict.write(batch)

    def read(self, key, model_ids):
        """Return the values of a whole record."""
        keys = [self.key(model_id, key) for model_id in model_ids]
        return self.of["records"].get(key), self.of["sections"].get(keys)

    def read_one(self, key, model_id):
        """Return the section of one embedder."""
        return self.of["sections"].get(self.key(model_id, key))

    def scan(self, model_id):
        """Return how many sections one embedder has, all read."""
        return self.count(self.of["sections"], bytes([model_id]))

    def count(self, family, prefix=b""):
        """Return how many values have a prefix, all read."""
        rows, count = family.iter(), 0
        rows.seek(prefix)
        while rows.valid() and rows.key().startswith(prefix):
            rows.value()
            rows.next()
            count += 1
        return count

    def finish(self):
        """Write everything to tables and compact them."""
        for family in self.of.values():
            family.flush()
            family.compact_range(None, None)

    def close(self):
        """Give the files back."""
        for family in self.of.values():
            family.close()
        self.rdict.close()


class Families(Sections):
    """A column family for the manifests and for each embedder."""

    families = "records", *(model_id.short for model_id in ModelId)

    def put(self, batch, key, record):
        batch.put(key, record.manifest, self.handles["records"])
        for model_id, section in record.sections.items():
            batch.put(key, section, self.handles[model_id.short])

    def read(self, key, model_ids):
        found = [self.of["records"].get(key)]
        return found + [self.of[model_id.short].get(key) for model_id in model_ids]

    def read_one(self, key, model_id):
        return self.of[model_id.short].get(key)

    def scan(self, model_id):
        return self.count(self.of[model_id.short])


class Record(Sections):
    """One value for a record; one embedder of it is cut out."""

    families = ("records",)

    def put(self, batch, key, record):
        batch.put(key, record.to_bytes(), self.handles["records"])

    def read(self, key, model_ids):
        return self.of["records"].get(key)

    def read_one(self, key, model_id):
        return QuantizedFingerprint.from_bytes(self.of["records"].get(key))[model_id]

    def scan(self, model_id):
        return self.count(self.of["records"])


class IdsFirst(Sections):
    """The sections of a record side by side."""

    def key(self, model_id, key):
        return key + bytes([model_id])

    def scan(self, model_id):
        rows, count, last = self.of["sections"].iter(), 0, bytes([model_id])
        rows.seek_to_first()
        while rows.valid():
            if rows.key().endswith(last):
                rows.value()
                count += 1
            rows.next()
        return count


def _options(change):
    """Return the options of a store, changed."""
    table = rocksdict.BlockBasedOptions()
    table.set_bloom_filter(10, False)
    table.set_block_size(16 * 1024)
    table.set_block_cache(rocksdict.Cache(32 * MIB))
    options = settings.options()
    options.create_if_missing(True)
    options.create_missing_column_families(True)
    change(options, table)
    options.set_block_based_table_factory(table)
    return options


def _blobs(options, table):
    options.set_enable_blob_files(True)
    options.set_min_blob_size(1024)


LAYOUTS = {
    "sections": lambda path: Sections(path),
    "families": lambda path: Families(path),
    "record": lambda path: Record(path),
    "ids first": lambda path: IdsFirst(path),
    "blobs": lambda path: Sections(path, _blobs),
}
OPTIONS = {
    "block 4 KiB": lambda options, table: table.set_block_size(4096),
    "block 64 KiB": lambda options, table: table.set_block_size(64 * 1024),
    "no filter": lambda options, table: table.set_bloom_filter(0.01, False),
    "filter less": lambda options, table: options.set_optimize_filters_for_hits(True),
    "buffer 16 MiB": lambda options, table: options.set_write_buffer_size(16 * MIB),
    "buffer 256 MiB": lambda options, table: options.set_write_buffer_size(256 * MIB),
    "level0 8": lambda options, table: options.set_level_zero_file_num_compaction_trigger(8),
    "jobs 4": lambda options, table: options.set_max_background_jobs(4),
    "universal": lambda options, table: options.set_compaction_style(
        rocksdict.DBCompactionStyle.universal()
    ),
    "direct io": lambda options, table: options.set_use_direct_io_for_flush_and_compaction(True),
}
KINDS = {
    **LAYOUTS,
    **{
        name: lambda path, change=change: Sections(path, change) for name, change in OPTIONS.items()
    },
}


def main(arguments=None):
    """Print the table; return the exit status."""
    args = _parser().parse_args(arguments)
    if not args.data:
        sys.exit("set CGCYTHON_DATA, or --data, to the folder of the real embeddings")
    quantized = encoded_records(Path(args.data), args.pool)
    names = args.only.split(",")
    size = sum(one.size_bytes for one in quantized) / len(quantized)
    print(f"{args.records} records of {size:,.0f} bytes")
    folder = Path(tempfile.mkdtemp(prefix="store-layouts-", dir=args.path))
    try:
        print_rates(measure(names, quantized, args.records, folder))
    finally:
        shutil.rmtree(folder)
    return 0


def _parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=10_000, metavar="N")
    parser.add_argument("--path", help="a folder to work in (default: that of temporary files)")
    parser.add_argument("--data", default=os.environ.get("CGCYTHON_DATA"), help="real embeddings")
    parser.add_argument("--pool", type=int, default=1024, help="different records (default 1024)")
    parser.add_argument("--only", default=",".join(KINDS), help="some of the lines (default all)")
    return parser


def measure(names, quantized, records, folder):
    """Return `{line: {what: figure}}`: all write in turns, then each is compacted and read."""
    seconds, rng = defaultdict(float), np.random.default_rng(1)
    ids = [rng.bytes(16) for _ in range(records)]
    kinds = {name: KINDS[name](folder / name.replace(" ", "-")) for name in names}
    for start in range(0, records, TURN):
        turn = [(key, quantized[i % len(quantized)]) for i, key in enumerate(ids[start:][:TURN])]
        for name in rng.permutation(names).tolist():
            began = perf_counter()
            for at in range(0, len(turn), BATCH):
                kinds[name].write(turn[at : at + BATCH])
            seconds[name] += perf_counter() - began
        print(f"\r{start + len(turn)} written", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    keys, model_ids = [ids[i] for i in rng.integers(0, records, GETS)], list(quantized[0])
    found = {}
    for name, kind in kinds.items():
        began = perf_counter()
        kind.finish()
        finished = perf_counter() - began
        found[name] = {
            "write/s": records / seconds[name],
            "compact s": finished,
            "get us": median_us(kind.read, keys, model_ids),
            f"get {ONE.short} us": median_us(kind.read_one, keys, ONE),
            f"scan {ONE.short}/s": records / _seconds_of_scan(kind, records),
        }
        kind.close()
        files = [one for one in (folder / name.replace(" ", "-")).rglob("*") if one.is_file()]
        found[name]["MB"] = sum(one.stat().st_blocks * 512 for one in files) / 1e6
    return found


def _seconds_of_scan(kind, records):
    began = perf_counter()
    if kind.scan(ONE) != records:
        sys.exit("records are lost")
    return perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
