"""What `store_at_size.py` does to a store, each phase in a process of its own: write, then measure.

    python asv_bench/store_phases.py write|measure '{"path": ..., "records": ...}'

prints one line of JSON; progress goes to stderr. Memory is then that of the phase alone, and the
first open of the second is the first of its process.
"""

import json
import os
import resource
import shutil
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
from realistic import BATCH, PROFILE, Realistic

from cgcython import FingerprintStore, ModelId
from cgcython.base import QuantizationMethod
from cgcython.codecs.codebook_file import codebook_path

SEARCHED = ("E1", "E8", "E9")
GETS, QUERIES, MOST_SECONDS = 2000, 200, 20.0
CHECKED = 64  # records compared with what was encoded, of four batches


def main(arguments):
    """Run a phase and print what it found."""
    name, given = arguments
    given = json.loads(given)
    source = Realistic(Path(given["data"]), given["seed"], given["sparse"], given["threads"])
    print(json.dumps(PHASES[name](source, given)))


def write(source, given):
    """Grow the store to a number of records; return the seconds of each step."""
    path, seconds, started = Path(given["path"]), Counter(), perf_counter()
    codebooks = _codebooks(source, path.with_name("models"), given["pq_bytes"])
    batches = given["records"] // BATCH
    with FingerprintStore.open(path, codebooks) as store:
        if source.ids(batches)[0] in store:
            raise SystemExit(f"{path} holds more than {given['records']} records; delete it")
        first = _batches_there(source, store, batches)
        for batch in range(first, batches):
            clock = _Clock(seconds)
            fingerprints = source.fingerprints(batch)
            clock.tick("generate")
            encoded = store.encode(fingerprints, given["threads"])
            clock.tick("encode")
            store.store_quantized(zip(source.ids(batch), encoded))
            clock.tick("write")
            _tell(f"write {(batch + 1) * BATCH}", batch + 1 - first, batches - first, started)
        clock = _Clock(seconds)
        store._keeper.files.flush()
        clock.tick("write")
    return {
        "added": (batches - first) * BATCH,
        "seconds": dict(seconds),
        "write_rss_bytes": _peak_bytes(),
    }


def _codebooks(source, folder, num_subvectors):
    rows = [row for row in PROFILE.values() if row.method is QuantizationMethod.PQ8]
    paths = {row.model_id: codebook_path(folder, row.model_id.title) for row in rows}
    if not all(path.exists() for path in paths.values()):
        for model_id, book in source.codebooks(num_subvectors, _say).items():
            book.save(paths[model_id], force=True)
    return folder


def _batches_there(source, store, batches):
    """Return how many whole batches an earlier run has stored: each is there or is not."""
    low, high = 0, batches
    while low < high:
        middle = (low + high) // 2
        if source.ids(middle)[0] in store:
            low = middle + 1
        else:
            high = middle
    return low


def measure(source, given):
    """Open, read, search and verify the store; return every figure."""
    path, found = Path(given["path"]), {}
    shutil.rmtree(path / "columns", ignore_errors=True)
    _drop_from_cache(path)
    for name in ("open_cold_s", "open_warm_s"):
        started = perf_counter()
        with FingerprintStore.open(path):
            found[name] = perf_counter() - started
    _drop_from_cache(path)
    with FingerprintStore.open(path) as store:
        ids = _some_ids(source, given["records"], GETS)
        found |= _gets(store, ids)
        found["read_rss_bytes"] = _peak_bytes()
        found |= _searches(store, given["embedders"], ids[:QUERIES])
        found["search_rss_bytes"] = _peak_bytes()
        found |= _passes(store, given["records"])
        found["wrong"] = _wrong(source, store, given)
        found["disk_bytes"] = sum(one.stat().st_blocks * 512 for one in _files(path))
        store.save_columns()
    return found | _mapped(path, given["embedders"], ids[0])


def _gets(store, ids):
    calls = {"get_one": lambda one: store.quantized(one, "E1"), "get_record": store.retrieve}
    cold = [_timed(calls["get_record"], one) for one in ids[:200]]
    found = {"get_record_cold": _percentiles(cold)}
    for name, call in calls.items():
        for one in ids:
            call(one)
        found[name] = _percentiles([_timed(call, one) for one in ids])
    return found


def _searches(store, embedders, ids):
    """Time searches for some records by what is stored of them."""
    wanted = [ModelId.parse(one) for one in embedders]
    memories = [store.retrieve(one) for one in ids]
    queries = [{one: memory[one] for one in wanted} for memory in memories]
    started = perf_counter()
    store.search(queries[0])
    found = {"columns_s": perf_counter() - started}
    for threads in (1, 2):
        _say(f"search, threads: {threads}")
        until, times = perf_counter() + MOST_SECONDS, []
        search = partial(store.search, num_threads=threads)
        while len(times) < len(queries) and perf_counter() < until:
            times.append(_timed(search, queries[len(times)]))
        found[f"search_{threads}"] = _percentiles(times)
    return found


def _mapped(path, embedders, record_id):
    """Time the first search after opening where columns lie in files."""
    with FingerprintStore.open(path) as store:
        memory = store.retrieve(record_id)
        query = {ModelId.parse(one): memory[one] for one in embedders}
        return {"mapped_s": _timed(store.search, query)}


def _passes(store, records):
    _say("iterate")
    started = perf_counter()
    count = sum(1 for _ in store)
    seconds = perf_counter() - started
    _say("verify")
    started = perf_counter()
    report = store.verify()
    verified = perf_counter() - started
    if count != records or report.records != records:
        raise SystemExit(f"{records} records were stored, {count} are there")
    return {
        "iterate_per_s": count / seconds,
        "verify_per_s": count / verified,
        "record_bytes": report.stored_bytes / count,
    }


def _wrong(source, store, given):
    """Return how many of some records are not what was encoded, or are not found first."""
    wrong, batches = 0, given["records"] // BATCH
    for batch in sorted({0, batches // 3, batches // 2, batches - 1}):
        ids, fingerprints = (column[: CHECKED // 4] for column in _batch(source, batch))
        for key, whole, encoded in zip(ids, fingerprints, store.encode(fingerprints)):
            wrong += store.quantized(key) != encoded
            query = {ModelId.parse(one): whole[one] for one in given["embedders"]}
            best, *_ = store.search(query, k=1)
            wrong += best.id.bytes != key or best.similarity <= 0.99
    return wrong


def _batch(source, batch):
    return source.ids(batch), source.fingerprints(batch)


def _some_ids(source, records, count):
    rng = np.random.default_rng(5)
    batches = rng.integers(0, records // BATCH, min(count, records) // 20)
    chosen = [source.ids(batch) for batch in batches.tolist()]
    return [ids[i] for ids in chosen for i in rng.integers(0, BATCH, 20).tolist()]


class _Clock:
    """Adds the seconds since the last tick to a name."""

    def __init__(self, seconds):
        self._seconds, self._last = seconds, perf_counter()

    def tick(self, name):
        now = perf_counter()
        self._seconds[name] += now - self._last
        self._last = now


def _timed(call, argument):
    started = perf_counter()
    call(argument)
    return perf_counter() - started


def _percentiles(seconds):
    return {"p50_s": float(np.median(seconds)), "p99_s": float(np.percentile(seconds, 99))}


def _drop_from_cache(path):
    """Ask the kernel to forget the files' pages, so that reading them is reading the disk."""
    for file in _files(path):
        with open(file, "rb") as handle:
            os.fsync(handle.fileno())
            os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _files(path):
    return [one for one in path.rglob("*") if one.is_file()]


def _peak_bytes():
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _say(message):
    print(message, file=sys.stderr, flush=True)


def _tell(what, done, total, started):
    if done == total or done % max(1, total // 50) == 0:
        each = (perf_counter() - started) / done
        _say(f"{what}, {each * (total - done):.0f} s left")


PHASES = {"write": write, "measure": measure}

if __name__ == "__main__":
    main(sys.argv[1:])
