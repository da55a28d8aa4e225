"""Study trellis codes beside rotated product quantization; docs/TRELLIS.md tells what came of it.

    python asv_bench/trellis_study.py --data DATA              both dimensions, 32 and 64 bytes
    python asv_bench/trellis_study.py --data DATA --dims 384 --sizes 32 --kept /tmp/pq

DATA is a folder with pooled_cranfield.npz and train.npz. Each row says how many of the ten nearest
documents by cosine the codes keep, and what that is more than rotated PQ keeps, with a 95 %
interval over queries. PQ trains for minutes; `--kept FOLDER` keeps its result for the next run.
Needs the C compiler that builds the package.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from trellis_code import TrellisCode, f32, loops, place, weighing
from trellis_scan import BlockScan

from cgcython import kernels
from cgcython.codecs.codebook import PQ8Codebook
from cgcython.evaluation.folds import samples, train_folds

FOLDS, NEAREST = 2, 10
KINDS = "weighed", "whole", "windows", "bytes"
SCANNED = 100_000  # rows


class Collection:
    """Documents, queries and other texts of one dimension, and whose ten nearest are which."""

    def __init__(self, folder, dim):
        self.dim = dim
        with np.load(folder / "pooled_cranfield.npz") as file:
            self.documents, self.queries = f32(file[f"docs{dim}"]), f32(file[f"queries{dim}"])
        with np.load(folder / "train.npz") as file:
            self.others = f32(file[f"t{dim}"])
        self._near = self._nearest(self.documents)

    def kept(self, coded):
        """Return what part of each query's ten nearest documents remain so in decoded rows."""
        return self._same(self._nearest(coded))

    def of_folds(self, coders):
        """Return `kept` where the coder of a fold has not seen its rows."""
        coded = np.empty_like(self.documents)
        for fold, coder in enumerate(coders):
            coded[fold::FOLDS] = coder.decode(coder.encode(self.documents[fold::FOLDS]))
        return self.kept(coded)

    def of_scans(self, coders):
        """Return `kept` by the scores of block scans, or None where the processor cannot."""
        scores = np.empty((len(self.queries), len(self.documents)))
        for fold, coder in enumerate(coders):
            codes = coder.encode(self.documents[fold::FOLDS])
            scan, lengths = BlockScan(coder, codes), np.linalg.norm(coder.decode(codes), axis=1)
            if not scan.supported():
                return None
            for query, own in zip(self.queries, scores[:, fold::FOLDS]):
                own[:] = (coder.mean @ query + scan.scores(query)) / lengths
        return self._same(np.argsort(-scores, axis=1)[:, :NEAREST])

    def product(self, size, folder):
        """Return `kept` of rotated PQ, from `folder` where a run left it there."""
        path = folder and folder / f"pq_{self.dim}_{size}.npy"
        if path and path.exists():
            return np.load(path)
        found = self.of_folds(train_folds(self.documents, self.others, size, folds=FOLDS))
        if path:
            np.save(path, found)
        return found

    def weighed_product(self, size, weight, seed=0):
        """Return coders by PQ, one for each fold, that weigh errors as the trellis does."""
        rows = [samples(self.documents, self.others, fold, FOLDS, seed) for fold in range(FOLDS)]
        return [WeighedProduct(some, size, weight, seed) for some in rows]

    def trellis(self, size, seed=0, **settings):
        """Return the codes of each fold."""
        rows = [samples(self.documents, self.others, fold, FOLDS, seed) for fold in range(FOLDS)]
        return [TrellisCode(some, size, seed=seed, **settings) for some in rows]

    def _same(self, found):
        return np.array([len(np.intersect1d(*pair)) / NEAREST for pair in zip(self._near, found)])

    def _nearest(self, rows):
        lengths = np.maximum(np.linalg.norm(rows, axis=1), 1e-12)
        return np.argsort(-(self.queries @ rows.T) / lengths, axis=1)[:, :NEAREST]


class WeighedProduct:
    """Product quantization over principal axes, of rows turned so that errors weigh as asked."""

    def __init__(self, rows, size, weight, seed):
        self.there, self.again = weighing(rows, weight)
        self.mean = rows.mean(axis=0)
        self.book = PQ8Codebook.train(self._turned(rows), size, seed, "pca")

    def encode(self, rows):
        """Return the codes [n, size] of rows."""
        return self.book.encode(self._turned(rows))

    def decode(self, codes):
        """Return the rows of codes."""
        return self.mean + self.book.decode(codes) @ self.again

    def _turned(self, rows):
        return f32((rows - self.mean) @ self.there)


def interval(differences, draws=4000):
    """Return the 95 % interval of a mean over queries, by bootstrap."""
    picked = np.random.default_rng(0).integers(len(differences), size=(draws, len(differences)))
    return np.percentile(differences[picked].mean(axis=1), [2.5, 97.5])


def seconds(function, *arguments, times=5):
    """Return the median time that a call takes of its thread."""
    spent = []
    for _ in range(times):
        start = time.thread_time()
        function(*arguments)
        spent.append(time.thread_time() - start)
    return float(np.median(spent))


def speeds(code, rows):
    """Return a line with the times to encode, to decode and to scan a row."""
    codes = code.encode(rows)
    encode = seconds(code.encode, rows) / len(rows) * 1e6
    decode = seconds(code.decode, codes) / len(rows) * 1e6
    many, weights = np.resize(codes, (SCANNED, code.size)), code.weights(rows[0])
    out = np.empty(SCANNED, np.float32)
    arrays = map(place, (many, weights, out))
    ways = {"by states": seconds(loops().scan, code.given_to_c(), SCANNED, *arrays)}
    tables = np.zeros((code.size, 256), np.float32)
    ways["by PQ's tables"] = seconds(kernels.adc.scan, tables, many, out)
    if code.kind == "windows" and (blocks := BlockScan(code, many)).supported():
        ways["by windows"] = seconds(blocks.scores, rows[0])
    scans = ", ".join(f"{spent / SCANNED * 1e9:.1f} ns {way}" for way, spent in ways.items())
    return f"encode {encode:.0f} us, decode {decode:.1f} us, scan {scans}"


def report(collection, size, options):
    """Print a row for PQ, and for each kind of code that is asked for."""
    pq = collection.product(size, options.kept)
    show(collection.dim, size, "rotated PQ", pq, pq)
    if "weighed" in options.kinds:
        coders = collection.weighed_product(size, options.weight)
        show(collection.dim, size, "PQ, weighed", collection.of_folds(coders), pq)
    for kind in options.kinds:
        if kind != "weighed":
            report_trellis(collection, size, kind, pq, options)


def report_trellis(collection, size, kind, pq, options):
    """Print the rows of one kind of trellis: the mean of seeds, and the times of the last."""
    found = []
    for seed in range(options.seeds):
        settings = {"window": options.window, "weight": options.weight, "kind": kind}
        codes = collection.trellis(size, seed, **settings)
        found.append(collection.of_folds(codes))
    show(collection.dim, size, f"trellis, {kind}", np.mean(found, axis=0), pq)
    if kind == "windows" and (scanned := collection.of_scans(codes)) is not None:
        own = found[-1].mean()
        print(f"{'':>12} the last seed: {own:.4f}, by whole numbers {scanned.mean():.4f}")
    print("            ", speeds(codes[0], collection.documents[:200]), flush=True)


def show(dim, size, name, kept, pq):
    """Print a row."""
    low, high = interval(kept - pq)
    gain = f"{(kept - pq).mean():+.4f} [{low:+.4f}, {high:+.4f}]" if kept is not pq else ""
    print(f"{dim:>5} {size:>3} B  {name:<17} {kept.mean():.4f}  {gain}", flush=True)


def main(arguments=None):
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--dims", type=int, nargs="+", default=[384, 1152])
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 64])
    parser.add_argument("--window", type=int, default=10, help="bits of a state, 8 to 12")
    parser.add_argument("--weight", type=float, default=0.75, help="0 counts all errors alike")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--kept", type=Path, help="folder of PQ's results")
    options = parser.parse_args(arguments)
    for dim in options.dims:
        collection = Collection(options.data, dim)
        for size in options.sizes:
            report(collection, size, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
