"""Time filters on metadata: the first one after a store is opened, repeated ones, and searches.

    python asv_bench/filters.py --records 1000000
    python asv_bench/filters.py --records 100000 --json

Each record has a language (8), a year (75), a source (1,000), an author in an object (100,000), a
time of its own and two of 50 tags: six values of about 130 bytes as JSON. The index is made by the
first filter and lies on disk when the store is opened again. With --json each filter is also
answered by SQLite's `json_extract` over all rows of a table of metadata, without an index.
"""

import argparse
import resource
import sqlite3
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from uuid import UUID

import numpy as np

from cgcython import Fingerprint, FingerprintStore, Profile

PROFILE = Profile.from_toml('E9 = { dimension = 64, method = "binary" }')
LANGUAGES = ("en", "de", "fr", "es", "it", "pl", "nl", "sv")
START = datetime(2024, 1, 1)
FILTERS = {
    "half: lang and year": {"lang": {"$in": ["en", "de", "fr", "es"]}, "year": {"$gte": 1950}},
    "1 in 8: lang": {"lang": "en"},
    "0.1 %: source": {"source": "source-77"},
    "0.1 %: source and year": {"source": "source-77", "year": {"$gte": 2000, "$lt": 2020}},
    "10 of all: author": {"author.name": "author-4711"},
    "an hour of times": {"time": {"$gte": "2024-01-02T00", "$lt": "2024-01-02T01"}},
    "half of the times": {"time": {"$gte": "HALF"}},
    "none of two tags": {"tags": {"$nin": ["tag-1", "tag-2"]}},
    "one of two": {"$or": [{"tags": "tag-7"}, {"year": {"$lt": 1960}}]},
}
SQL = {
    "1 in 8: lang": ("json_extract(text, ?) = ?", ("$.lang", "en")),
    "0.1 %: source": ("json_extract(text, ?) = ?", ("$.source", "source-77")),
    "an hour of times": (
        "json_extract(text, ?) >= ? AND json_extract(text, ?) < ?",
        ("$.time", "2024-01-02T00", "$.time", "2024-01-02T01"),
    ),
}


def metadata(number, rng):
    """Return the metadata of a record."""
    return {
        "lang": LANGUAGES[rng.integers(8)],
        "year": int(rng.integers(1950, 2025)),
        "source": f"source-{rng.integers(1000)}",
        "author": {"name": f"author-{rng.integers(100_000)}"},
        "time": (START + timedelta(seconds=number)).isoformat(),
        "tags": [f"tag-{one}" for one in rng.choice(50, 2, replace=False)],
    }


def fill(store, records):
    """Store records."""
    rng = np.random.default_rng(0)
    bits = rng.standard_normal((1024, 64)).astype(np.float32)
    items = (
        (UUID(int=i * 2654435761 % 2**61), Fingerprint({"E9": bits[i % 1024]}), metadata(i, rng))
        for i in range(records)
    )
    return store.store_many(items)


def timed(call):
    """Return what a call returns, and its milliseconds."""
    start = perf_counter()
    found = call()
    return found, 1e3 * (perf_counter() - start)


def print_table(store, repeats):
    """Print a line per filter: how many it keeps, the first and the median of repeated ones."""
    query = Fingerprint({"E9": np.ones(64, np.float32)})
    print(f"{'filter':24} {'kept':>8} {'first ms':>9} {'again ms':>9} {'search ms':>9} hits")
    for name, where in FILTERS.items():
        kept, first = timed(partial(store._keys_where, where))
        again = [timed(partial(store._keys_where, where))[1] for _ in range(repeats)]
        hits, _ = timed(partial(store.search, query, 10, where=where))
        search = [timed(partial(store.search, query, 10, where=where))[1] for _ in range(repeats)]
        row = f"{first:9.1f} {np.median(again):9.1f} {np.median(search):9.1f} {len(hits):4}"
        print(f"{name:24} {len(kept):8} {row}")


def print_json(store):
    """Print how long json_extract takes over a table of all metadata."""
    database = sqlite3.connect("")
    database.execute("CREATE TABLE records (key BLOB, text TEXT)")
    rows = ((key, text.decode()) for key, text in store._metadata_texts())
    database.executemany("INSERT INTO records VALUES (?, ?)", rows)
    for name, (condition, values) in SQL.items():
        query = f"SELECT key FROM records WHERE {condition}"
        found, took = timed(
            lambda query=query, values=values: database.execute(query, values).fetchall()
        )
        print(f"json_extract: {name:24} {len(found):8} {took:9.1f} ms")
    database.close()


def main(arguments=None):
    """Print the tables that were asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--path", metavar="FOLDER", help="keep the store there, or use it")
    args = parser.parse_args(arguments)
    half = START + timedelta(seconds=args.records // 2)
    FILTERS["half of the times"]["time"]["$gte"] = half.isoformat()
    with TemporaryDirectory() as folder:
        path = Path(args.path or folder) / "store"
        is_new = not path.exists()
        with FingerprintStore.open(path, profile=PROFILE) as store:
            if is_new:
                print(f"stored in {timed(partial(fill, store, args.records))[1] / 1e3:.1f} s")
            print(f"indexed in {timed(partial(store._keys_where, {'a': 1}))[1] / 1e3:.1f} s")
        size = sum(one.stat().st_size for one in path.glob("columns/metadata*")) / 1e6
        with FingerprintStore.open(path, read_only=True) as store:
            _, first = timed(partial(store._keys_where, {"lang": "en"}))
            print(f"first after opening {first:.0f} ms, file {size:.0f} MB")
            print_table(store, args.repeats)
            if args.json:
                print_json(store)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB")


if __name__ == "__main__":
    main()
