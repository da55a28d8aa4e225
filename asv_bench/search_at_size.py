"""Time exact search over several embedders, fused, where the columns are in memory.

    python asv_bench/search_at_size.py --records 1000000 --threads 1,2
    python asv_bench/search_at_size.py --records 100000 --approximate --embedders E1,E8,E9
    python asv_bench/search_at_size.py --records 1000000 --files

Codes are those of vectors around random centres, drawn once and made distinct by noise in the codes
themselves, so that a million records take seconds to make. Each query is one of the records with
noise. Every line is a mix of embedders on so many threads; rounds alternate between the lines.
With --approximate a line tells of each embedder's graph beside the scan; with --files, how long it
takes to map a column that was saved and to search it once.
"""

import argparse
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np

from cgcython import Fingerprint, ModelId, PQ8Codebook, Profile
from cgcython.codecs.binary import BinaryCodec
from cgcython.router import QuantizationRouter
from cgcython.search.code_scans import BinaryScan, Float8Scan, PQ8Scan
from cgcython.search.column_files import column_path, load_parts, save_parts
from cgcython.search.columns import Column
from cgcython.search.graphs import Graph
from cgcython.search.loading import KEY
from cgcython.search.store import Searcher

MIXES = ("E1,E7,E9", "E1,E8,E9", "E1,E2,E9")
CENTRES, DRAWN = 500, 1 << 14
KINDS = {
    PQ8Scan: lambda scan: (PQ8Scan, scan.codebook.embedding_dim, scan.codebook.codebook_id),
    BinaryScan: lambda scan: (BinaryScan, scan.codec.dim, scan.codec.threshold),
    Float8Scan: lambda scan: (Float8Scan, scan.codes.shape[1]),
}


class Memory(Searcher):
    """Columns without a store."""

    def __init__(self, records, seed=0):
        rng = np.random.default_rng(seed)
        self.keys = np.sort(rng.integers(0, 256, (records, 16), np.uint8).view(KEY)[:, 0])
        self.drawn, self.rng, self.columns, self.graphs = {}, rng, {}, {}
        books = {one: self._book(one) for one in (ModelId.SEMANTIC, ModelId.CODE)}
        self.router = QuantizationRouter(books, Profile.named("default"))
        self._columns = self
        for one in sorted({ModelId.parse(name) for mix in MIXES for name in mix.split(",")}):
            scan = self._scan(one, books, records)
            scan.key = KINDS[type(scan)](scan)
            self.columns[one] = Column.of([(self.keys, scan)])

    def get(self, model_id):
        """Return the column of an embedder, as Columns do."""
        return self.columns[model_id]

    def graph(self, model_id, num_threads):
        """Return the column and the graph of an embedder, as Columns do."""
        return self.columns[model_id], self.graphs.get(model_id)

    def vectors(self, model_id, count=DRAWN):
        """Return vectors around centres."""
        if model_id not in self.drawn:
            centres = self.rng.standard_normal((CENTRES, model_id.dimension()), np.float32)
            chosen = centres[self.rng.integers(0, CENTRES, DRAWN)]
            noise = self.rng.standard_normal(chosen.shape, np.float32)
            self.drawn[model_id] = chosen + 0.7 * noise
        return self.drawn[model_id][:count]

    def _book(self, model_id):
        samples = self.vectors(model_id, 4096).reshape(4096, 8, -1)
        rows = self.rng.choice(4096, 256, replace=False)
        return PQ8Codebook(samples[rows].transpose(1, 0, 2).copy())

    def _scan(self, model_id, books, records):
        vectors, rows = self.vectors(model_id), self.rng.integers(0, DRAWN, records)
        if model_id in books:
            codes = books[model_id].encode(vectors)[rows]
            return PQ8Scan(self._noisy(codes, 2), books[model_id])
        columns = self.router.quantize_batch(model_id, vectors).columns
        if model_id is ModelId.HDC:
            codes = self._noisy(columns["codes"][rows], 12)
            return BinaryScan(codes, BinaryCodec(model_id.dimension()))
        codes = self._noisy(columns["codes"][rows], 24)
        return Float8Scan(codes, columns["scales"][rows])

    def _noisy(self, codes, places):
        """Return codes of which a few of each row are another row's."""
        rows = np.arange(len(codes))
        for _ in range(places):
            columns = self.rng.integers(0, codes.shape[1], len(codes))
            codes[rows, columns] = codes[self.rng.permutation(rows), columns]
        return codes

    def queries(self, mix, count):
        """Return fingerprints that are like some of the records."""
        rows = self.rng.integers(0, DRAWN, count)
        near = 0.3 * self.rng.standard_normal(2048).astype(np.float32)
        return [
            Fingerprint({one: self.vectors(one)[row] + near[: one.dimension()] for one in mix})
            for row in rows
        ]


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


def print_graphs(memory, args):
    """Print a line per embedder: its graph beside the scan of it."""
    threads = max(map(int, args.threads.split(",")))
    print("embedder  recall@10  scan ms  graph ms  build s  bytes a record")
    for one in map(ModelId.parse, args.embedders.split(",")):
        graph, build = timed(partial(Graph.of, memory.columns[one], threads))
        memory.graphs[one] = graph
        found, scans, graphs = [], [], []
        for query in memory.queries([one], args.queries):
            exact, scan = timed(partial(memory.search, query, 10))
            near, approximate = timed(partial(memory.search, query, 10, approximate=True))
            least = exact[-1].scores[one]  # equals of the last are as good
            found.append(np.mean([hit.scores[one] >= least for hit in near]))
            scans.append(scan)
            graphs.append(approximate)
        print(
            f"{one.short:8} {np.mean(found):10.3f} {np.median(scans):8.2f} "
            f"{np.median(graphs):9.2f} {build / 1e3:8.1f} {graph.memory_bytes / args.records:10.0f}"
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
    parser.add_argument("--embedders", default="E1,E8,E9", help="with --approximate")
    parser.add_argument("--files", action="store_true")
    args = parser.parse_args(arguments)
    memory, made = timed(partial(Memory, args.records))
    print(f"{args.records:,} records made in {made / 1e3:.1f} s", file=sys.stderr)
    if args.approximate:
        print_graphs(memory, args)
    elif args.files:
        print_files(memory, args)
    else:
        print_scans(memory, args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
