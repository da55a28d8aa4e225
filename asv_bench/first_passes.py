"""Measure what finds a shortlist for codes of every size: turned signs, or RaBitQ's estimate.

    python asv_bench/first_passes.py ../shared/data --books /tmp/books

The folder is that of code_metrics.py, whose codebooks are taken. Rows are real embeddings, each
with half of another and noise; queries are real. Of each way to order all rows a line tells how
many of the first ones hold 98 % of the ten that an exact scan of the codes finds (`depth`, the same
for all queries), how many on average where each query goes on until its own tenth is exceeded by a
margin (`adaptive`), the bytes of a row, and the microseconds of a query among all rows.

`signs` counts differing bits (what guides do), `signs x factor` weighs the count by the row's
length over its cosine with its own signs; `RaBitQ` multiplies the signs with a query of 4 or 8 bits
a value, and that factor (Gao and Long, RaBitQ, 2024). Times are those of our kernel, of faiss's
RaBitQ (fast scan) for the estimates, each with its thousand first rows, and of the exact scan.
"""

import argparse
import sys
from pathlib import Path
from statistics import median
from time import thread_time

import code_metrics
import faiss
import numpy as np

from cgcython import CodeIndex, Float8Codec, kernels
from cgcython.search.guides.signs import Signs, units
from cgcython.search.vector_scan import VectorScan

RECALL, K = 0.98, 10


def turned(signs, rows):
    """Return the unit rows, centred and turned as `Signs.packed` turns them: f32 [n, size]."""
    size = signs.flips.shape[1]
    values = np.zeros((len(rows), size), np.float32)
    values[:, : rows.shape[1]] = units(rows) - signs.centre
    for flips in signs.flips:
        dealt = values.reshape(len(rows), -1, size & -size).transpose(0, 2, 1)
        dealt = dealt.reshape(len(rows), size) * (1 - 2 * (flips & 1).astype(np.float32))
        values = hadamard(dealt.reshape(len(rows), -1, size & -size)).reshape(len(rows), size)
    return values


def hadamard(values):
    """Return Hadamard's transform of the last axis, of length 2**n, without changing lengths."""
    shape, size = values.shape, values.shape[-1]
    step = 1
    while step < size:
        pairs = values.reshape(*shape[:-1], -1, 2, step)
        values = np.stack(
            [pairs[..., 0, :] + pairs[..., 1, :], pairs[..., 0, :] - pairs[..., 1, :]], -2
        )
        values, step = values.reshape(shape), 2 * step
    return values / np.float32(np.sqrt(size))


def rounded(query, bits):
    """Return a query rounded to so many bits a value."""
    step = 2 * np.abs(query).max() / (2**bits - 1)
    return (np.round(query / step - 0.5) + 0.5) * step


def orders(rows, queries):
    """Yield the name, and the scores [queries, rows], of each way to order the rows."""
    signs = Signs.of(VectorScan(rows))
    ours, asked = turned(signs, rows), turned(signs, queries)
    bits = np.where(ours < 0, np.float32(-1), np.float32(1))
    squares = np.einsum("nd,nd->n", ours, ours)
    factors = squares / np.abs(ours).sum(axis=1)
    agree = np.where(asked < 0, np.float32(-1), np.float32(1)) @ bits.T
    yield "signs", agree
    # A dot product with a unit row is that of both without the centre, and what the row and the
    # centre have in common: a constant less half the square of the rest.
    sizes = np.abs(asked).mean(axis=1, keepdims=True)
    yield "signs x factor", agree * sizes * factors - squares / 2
    for precision in (4, 8):
        dots = np.stack([rounded(one, precision) for one in asked]) @ bits.T
        yield f"RaBitQ, {precision} bits", dots * factors - squares / 2


def depths(scores, best):
    """Return the depth and the mean adaptive depth that hold RECALL of the best rows."""
    found = np.take_along_axis(scores, best, 1)
    descending = -np.sort(-scores, axis=1)
    ranks = np.stack([np.searchsorted(-one, -some) for one, some in zip(descending, found)])
    depth = np.quantile(ranks + 1, RECALL, method="higher")
    margin = np.quantile(descending[:, K - 1 : K] - found, RECALL, method="higher")
    return int(depth), float((scores >= descending[:, K - 1 : K] - margin).sum(axis=1).mean())


def time_of(search, queries):
    """Return the median microseconds of a search."""
    spent = []
    for query in np.repeat(queries[:100], 3, axis=0):
        start = thread_time()
        search(query)
        spent.append((thread_time() - start) * 1e6)
    return median(spent)


def times(rows, queries):
    """Return the microseconds of signs by our kernel, and of RaBitQ's estimates by faiss."""
    scan = VectorScan(rows)
    signs = Signs.of(scan)
    blocks = signs.blocks(scan, np.arange(len(rows)))
    k = min(1000, len(rows))
    ids, far = np.empty(2 * k + 256, np.int64), np.empty(2 * k + 256, np.uint32)
    ours = time_of(
        lambda one: kernels.sign_blocks.nearest(signs.query(one), blocks, len(rows), k, ids, far),
        queries,
    )
    faiss.omp_set_num_threads(1)
    theirs = faiss.IndexRaBitQFastScan(rows.shape[1], faiss.METRIC_INNER_PRODUCT)
    theirs.train(rows[:20_000])
    theirs.add(rows)
    return ours, time_of(lambda one: theirs.search(one[None], k), queries)


def indexes(rows, given):
    """Yield the name and an index of each kind of codes."""
    float8 = Float8Codec(rows.shape[1])
    yield "float8", CodeIndex(float8, float8.encode_batch(rows), metric="cosine")
    if rows.shape[1] != 384:
        return
    samples = np.load(given.data / "train.npz")["t384"].astype(np.float32)
    for size in given.sizes:
        book = code_metrics.codebook(given.books, size, samples)
        yield f"pq {size}", CodeIndex(book, book.encode(rows), metric="cosine")


def main(arguments=None):
    """Print a line for each codes and way; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--books", default="books", help="a folder for codebooks")
    parser.add_argument("--sizes", type=int, nargs="*", default=(8, 16, 32, 64, 96))
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=100)
    given = parser.parse_args(arguments)
    print("dim  codes    exact us  way              depth  adaptive  bytes  us")
    for dim in (384, 1152):
        with np.load(given.data / "pooled_cranfield.npz") as data:
            base, queries = (
                data[f"{name}{dim}"].astype(np.float32) for name in ("docs", "queries")
            )
        queries = queries[: given.queries]
        rows = code_metrics.mixed(base, given.rows, np.random.default_rng(0))
        signs_us, estimate_us = times(rows, queries)
        ways = list(orders(rows, queries))
        for name, index in indexes(rows, given):
            best, exact_us = index.search(queries, K)[0], time_of(index.search, queries)
            for way, scores in ways:
                extra = 0 if way == "signs" else 8
                took = signs_us if way.startswith("signs") else estimate_us
                depth, adaptive = depths(scores, best)
                print(
                    f"{dim:4} {name:8} {exact_us:8.0f}  {way:15} {depth:6} {adaptive:9.0f}"
                    f"  {dim // 8 + extra:5} {took:5.0f}",
                    flush=True,
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
