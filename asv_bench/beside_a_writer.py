"""Open a store beside a process that writes to it, thousands of times: no open may call it damaged.

One process stores, deletes and compacts without a pause. Others open the store in turns to read and
to follow, read records, catch up and verify all. Exits with 1 when a sound store was called damaged
or could not be opened.

    python asv_bench/beside_a_writer.py --opens 10000
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import numpy as np

from cgcython import Profile
from cgcython.errors import QuantizationError
from cgcython.store import RecordStore

RECORDS = 100
PROFILE = """
E8 = { dimension = 96, method = "float8_e4m3" }
E9 = { dimension = 256, method = "binary" }
"""
READER = "from beside_a_writer import read; read(*__import__('sys').argv[1:])"


def make(rng):
    """Return the embeddings of a memory."""
    return {"E8": rng.standard_normal(96), "E9": rng.standard_normal(256)}


def write(path, seed):
    """Write until the process is killed; compact four times a second, as each leaves a table."""
    rng = np.random.default_rng(int(seed))
    with RecordStore.open(path, profile=Profile.from_toml(PROFILE)) as store:
        store.store_many((UUID(int=i + 1), make(rng)) for i in range(RECORDS))
        print("ready", flush=True)
        compacted = time.monotonic()
        while True:
            for number in rng.integers(RECORDS, size=10).tolist():
                if rng.random() < 0.2:
                    store.delete(UUID(int=number + 1))
                else:
                    store.store(UUID(int=number + 1), make(rng))
            if time.monotonic() - compacted > 0.25:
                store.compact()
                compacted = time.monotonic()


def read(path, opens, follow):
    """Open a store so many times, and print what came of it."""
    found = Counter()
    for _ in range(int(opens)):
        found[outcome(path, follow == "True")] += 1
    for what, count in found.items():
        print(count, what)


def outcome(path, follow):
    """Return `sound`, or what an open of the store, or its reading, raised."""
    try:
        with RecordStore.open(path, read_only=True, follow=follow) as store:
            if follow:
                store.catch_up()
            store.verify()
            store.statistics()
            return "sound"
    except QuantizationError as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[-160:]}"


def run(path, opens, readers=2):
    """Return how often each outcome came, of opens beside a writer."""
    command = [sys.executable, "-W", "ignore", __file__, "--write", str(path)]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        writer.stdout.readline()
        with ThreadPoolExecutor(readers) as pool:
            share = -(-opens // readers)
            follows = [bool(number % 2) for number in range(readers)]
            outputs = list(pool.map(lambda follow: _reader(path, share, follow), follows))
        if writer.poll() is not None:
            raise RuntimeError(f"the writer ended with {writer.returncode}")
    finally:
        writer.kill()
        writer.communicate()
    found = Counter()
    for line in "".join(outputs).splitlines():
        count, _, what = line.partition(" ")
        found[what] += int(count)
    return found


def _reader(path, opens, follow):
    command = [sys.executable, "-W", "ignore", "-c", READER, str(path), str(opens), str(follow)]
    folder = Path(__file__).parent
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=folder, check=True)
    return done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--opens", type=int, default=10_000)
    parser.add_argument("--readers", type=int, default=2)
    parser.add_argument("--write", metavar="PATH", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.write:
        write(args.write, 1)
    with tempfile.TemporaryDirectory() as folder:
        path, started = Path(folder, "store"), time.perf_counter()
        found = run(path, args.opens, args.readers)
        with RecordStore.open(path) as store:
            found["sound at the end"] = int(store.verify().ok)
    for what, count in sorted(found.items()):
        print(f"{count:6} {what}")
    print(f"{time.perf_counter() - started:.0f} s")
    return set(found) != {"sound", "sound at the end"} or not found["sound at the end"]


if __name__ == "__main__":
    sys.exit(main())
