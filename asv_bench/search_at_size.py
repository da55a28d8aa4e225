"""Time exact search over several embedders, fused, where the columns are in memory.

    python asv_bench/search_at_size.py --records 1000000 --threads 1,2
    python asv_bench/search_at_size.py --records 100000 --approximate --embedders E1,E8,E9
    python asv_bench/search_at_size.py --records 1000000 --approximate --realistic shared/data
    python asv_bench/search_at_size.py --records 1000000 --files

Records are those of benchmarks/columns.py, and each query is one of them with noise; or, with
--realistic, both are real sentence vectors with parts of others and noise. Every line is a mix of
embedders on so many threads; rounds alternate between the lines. With --approximate lines
tell of each embedder's guide and graph beside the scan; with --files, how long it takes to map a
column that was saved and to search it once. With --questions the queries of one embedder are real
questions, which no record was made of.
"""

import argparse
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
from benchmarks.columns import DRAWN, RandomColumns
from realistic import BATCH, Realistic

from cgcython import Fingerprint, ModelId
from cgcython.search.column import Column
from cgcython.search.column_files import column_path, load_parts, save_parts
from cgcython.search.graphs import Graph

MIXES = ("E1,E7,E9", "E1,E8,E9", "E1,E2,E9")


class RealisticColumns(RandomColumns):
    """Columns of what realistic.py makes, every record another."""

    def __init__(self, records, embedders, folder, questions=False):
        self._questions = questions
        self._made, self._batches = Realistic(Path(folder)), max(1, records // BATCH)
        super().__init__(self._batches * BATCH, embedders)

    def vectors(self, model_id, count=DRAWN):
        """Return embeddings of the first batches."""
        batches = range(-(-count // BATCH))
        return np.concatenate([self._made.dense(model_id, one) for one in batches])[:count]

    def _scan(self, model_id, books, records):
        found = [
            self.encoded(model_id, books, self._made.dense(model_id, one))
            for one in range(self._batches)
        ]
        return type(found[0]).joined(found)

    def queries(self, mix, count):
        """Return fingerprints of batches that are not stored, or of real questions."""
        if self._questions:
            (one,) = mix
            return [Fingerprint({one: row}) for row in self._made.questions(one)[:count]]
        batches = range(self._batches, self._batches - (-count // BATCH))
        rows = {
            one: np.concatenate([self._made.dense(one, batch) for batch in batches]) for one in mix
        }
        return [Fingerprint({one: rows[one][i] for one in mix}) for i in range(count)]


def timed(call):
    """Return what a call returns, and its milliseconds."""
    start = perf_counter()
    found = call()
    return found, 1e3 * (perf_counter() - start)


def print_scans(memory, args):
    """Print a line per mix and number of threads."""
    lines = [(mix, threads) for mix in MIXES for threads in map(int, args.threads.split(","))]
    asked = {
        mix: memory.queries([ModelId.parse(name) for name in mix.split(",")], args.queries)
        for mix in MIXES
    }
    times = {line: [] for line in lines}
    for turn in range(args.queries):
        for mix, threads in lines:
            query = asked[mix][turn]
            search = partial(memory.search, query, args.k, num_threads=threads)
            times[mix, threads].append(timed(search)[1])
    print(f"{'records':>9} {'embedders':10} threads {'p50 ms':>8} {'p99 ms':>8}")
    for (mix, threads), found in times.items():
        p50, p99 = np.percentile(found[1:] or found, [50, 99])  # the first one warms up
        print(f"{args.records:9} {mix:10} {threads:7} {p50:8.2f} {p99:8.2f}")


def print_approximate(memory, args):
    """Print a line per embedder and way to propose records, beside the scan of it."""
    threads = max(map(int, args.threads.split(",")))
    print("embedder by     recall@10   read  scan ms       ms  build s  bytes a record")
    for one in map(ModelId.parse, args.embedders.split(",")):
        column = memory.columns[one]
        memory.columns[one], building = timed(partial(column.guided, threads))
        guides = sum(guide.nbytes for guide in memory.columns[one].guides)
        _print_way(memory, args, one, True, (building, guides))
        if args.guides:
            continue
        graph, building = timed(partial(Graph.of, column, threads))
        memory.graphs[one] = graph
        _print_way(memory, args, one, "graph", (building, graph.memory_bytes))


def _print_way(memory, args, one, way, cost):
    found, read, scans, near_times = [], [], [], []
    for query in memory.queries([one], args.queries):
        exact, scan = timed(partial(memory.search, query, 10))
        near, near_time = timed(partial(memory.search, query, 10, approximate=way))
        least = exact[-1].scores[one]  # equals of the last are as good
        found.append(np.mean([hit.scores[one] >= least for hit in near]))
        read.append(near.rows_read)
        scans.append(scan)
        near_times.append(near_time)
    name, (building, size) = "graph" if way == "graph" else "guide", cost
    print(
        f"{one.short:8} {name:6} {np.mean(found):9.3f} {np.median(read):6.0f} "
        f"{np.median(scans):8.2f} {np.median(near_times):8.2f} {building / 1e3:8.1f} "
        f"{size / args.records:10.0f}"
    )


def print_files(memory, args):
    """Print a line per embedder: saving its column, mapping and checking it, and a search."""
    find_codebook = memory.router.codebooks.by_id
    print("embedder   MB  save ms  open ms  first search ms")
    with TemporaryDirectory() as folder:
        for one, column in list(memory.columns.items()):
            path = column_path(Path(folder), one)
            _, save = timed(partial(save_parts, path, one, column.parts(), 0))

            def opened(path=path, one=one):
                return Column.of(load_parts(path, one, find_codebook)[0])

            memory.columns[one], start = timed(opened)
            first = timed(partial(memory.search, memory.queries([one], 1)[0]))[1]
            size = path.stat().st_size / 1e6
            print(f"{one.short:8} {size:5.0f} {save:8.1f} {start:8.1f} {first:16.1f}")


def main(arguments=None):
    """Print the tables that were asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=20)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("-k", type=int, default=10)
    parser.add_argument("--approximate", action="store_true")
    parser.add_argument("--guides", action="store_true", help="with --approximate, without graphs")
    parser.add_argument("--embedders", default="E1,E8,E9", help="with --approximate")
    parser.add_argument("--files", action="store_true")
    parser.add_argument("--questions", action="store_true", help="with --realistic, --approximate")
    parser.add_argument("--realistic", metavar="DATA", help="the folder of the real embeddings")
    args = parser.parse_args(arguments)
    embedders = {name for mix in MIXES for name in mix.split(",")}
    if args.approximate:
        embedders = set(args.embedders.split(","))
    make = partial(RandomColumns, args.records, embedders)
    if args.realistic:
        make = partial(RealisticColumns, args.records, embedders, args.realistic, args.questions)
    memory, made = timed(make)
    print(f"{args.records:,} records made in {made / 1e3:.1f} s", file=sys.stderr)
    if args.approximate:
        print_approximate(memory, args)
    elif args.files:
        print_files(memory, args)
    else:
        print_scans(memory, args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
