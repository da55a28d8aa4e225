"""Compare what CodeIndex finds by squared distance and by cosine, and how long either takes.

    python asv_bench/code_metrics.py ../shared/data --books /tmp/books

The folder holds train.npz (t384: texts that codebooks are trained on) and pooled_cranfield.npz
(docs384, queries384). `--books` keeps the codebooks, whose training takes minutes. For each size a
line tells the part of float32's ten best by cosine that either metric finds, the gain with its
paired 95 % interval, and the time of a query among 100,000 rows, metrics in turn, as their ratio.
"""

import argparse
import sys
from pathlib import Path
from statistics import median
from time import thread_time

import numpy as np

from cgcython import CodeIndex, PQ8Codebook
from cgcython.evaluation.comparison import Gain

METRICS = ("l2", "cosine")
SIZES, K, ROWS, ROUNDS = (8, 16, 32, 64, 96, 128), 10, 100_000, 3


def codebook(folder, size, samples):
    """Return a codebook of a folder, trained first where it is not there."""
    path = Path(folder) / f"pq{size}.safetensors"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        PQ8Codebook.train(samples, num_subvectors=size).save(path, force=True)
    return PQ8Codebook.load(path)


def overlaps(index, queries, exact):
    """Return which part of the exact ten best each query finds, for each metric."""
    found = [index.search(queries, K, metric=metric)[0] for metric in METRICS]
    return [np.array([len(set(a) & set(b)) / K for a, b in zip(one, exact)]) for one in found]


def mixed(rows, count, rng):
    """Return rows like others: each is one of them, half of another, and noise."""
    one, other = rng.integers(0, len(rows), (2, count))
    noise = rng.standard_normal((count, rows.shape[1]), np.float32) / rows.shape[1] ** 0.5
    return rows[one] + (rows[other] + noise) / 2


def times(index, queries):
    """Return the median time of a query by each metric, in microseconds, and of their ratio."""
    spent = np.empty((ROUNDS, len(queries), len(METRICS)))
    for around in spent:
        for query, row in zip(queries, around):
            for i, metric in enumerate(METRICS):
                start = thread_time()
                index.search(query, K, metric=metric)
                row[i] = (thread_time() - start) * 1e6
    l2, cosine = spent.reshape(-1, len(METRICS)).T
    return median(l2), median(cosine), median(cosine / l2)


def main(arguments=None):
    """Print a line for each size; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--books", default="books", help="a folder for codebooks")
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--rows", type=int, default=ROWS)
    given = parser.parse_args(arguments)
    samples = np.load(given.data / "train.npz")["t384"].astype(np.float32)
    with np.load(given.data / "pooled_cranfield.npz") as data:
        rows, queries = (data[name].astype(np.float32) for name in ("docs384", "queries384"))
    exact = np.argsort(-queries @ rows.T, axis=1, kind="stable")[:, :K]
    many = mixed(rows, given.rows, np.random.default_rng(0))
    print("bytes     l2  cosine    gain [interval]          l2 us  cosine us  ratio")
    for size in given.sizes:
        book = codebook(given.books, size, samples)
        l2, cosine = overlaps(CodeIndex(book, book.encode(rows)), queries, exact)
        gain, (low, high) = Gain.of("l2", l2, cosine).gain, Gain.of("l2", l2, cosine).interval
        found = (
            f"{size:5} {l2.mean():6.3f} {cosine.mean():7.3f} {gain:+7.3f} [{low:+.3f}, {high:+.3f}]"
        )
        took = times(CodeIndex(book, book.encode(many)), queries)
        print(found, "{:9.0f} {:10.0f} {:6.2f}".format(*took), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
