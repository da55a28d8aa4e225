"""Time exact late interaction with a screen and without, on real tokens.

    python asv_bench/screen.py ../shared/data/tokens_cranfield.npz

The file holds doc_tok [tokens, dim], doc_off [documents + 1], q_tok and q_off likewise. Every query
meets every document on one thread, rounds in turn; both ways return the same bits, or it fails.
"""

import argparse
import sys
from itertools import pairwise
from statistics import median
from time import perf_counter

import numpy as np

from cgcython import PreparedQuery, TokenArray, kernels, max_sim_batch
from cgcython.similarity import scorers

ROUNDS = 7


def seconds(queries, documents, k):
    """Return the time that all queries take."""
    start = perf_counter()
    for query in queries:
        max_sim_batch(query, documents, k=k)
    return perf_counter() - start


def finished_part(queries, documents):
    """Return which part of all dots the screen left to float32."""
    finished = total = 0
    sums = np.empty(len(documents), np.float32)
    for query in queries:
        arguments = scorers.screened(query, documents, documents.screen)
        where = documents.starts, documents.counts, sums
        finished += kernels.maxsim_screen.score(*arguments, *where)
        total += query.count * documents.num_tokens
    return finished / total


def same(queries, plain, screened, k):
    """Return whether all results are equal, bit for bit."""
    return all(
        np.array_equal(max_sim_batch(query, plain, k=k), max_sim_batch(query, screened, k=k))
        for query in queries
    )


def main(arguments=None):
    """Print a line for all scores, for the ten best and for the best; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tokens", help="the .npz file")
    with np.load(parser.parse_args(arguments).tokens) as data:
        plain = TokenArray(data["doc_tok"].astype(np.float32), data["doc_off"])
        rows, offsets = data["q_tok"].astype(np.float32), data["q_off"]
    queries = [PreparedQuery.of(rows[start:stop]) for start, stop in pairwise(offsets)]
    screened, all_same = plain.with_screen(), True
    print(f"{len(queries)} queries of {len(rows) / len(queries):.0f} tokens, {plain}")
    print(f"{finished_part(queries, screened):.2%} of the dots are finished in float32")
    for what, k in (("all", None), ("10 best", 10), ("best", 1)):
        all_same &= same(queries, plain, screened, k)
        times = [(seconds(queries, plain, k), seconds(queries, screened, k)) for _ in range(ROUNDS)]
        without, with_it = (1e3 * median(column) / len(queries) for column in zip(*times))
        ratio = median(a / b for a, b in times)
        print(f"{what:8} {without:6.2f} ms a query, screened {with_it:6.2f}: {ratio:.2f} times")
    print("the same bits" if all_same else "RESULTS DIFFER")
    return 0 if all_same else 1


if __name__ == "__main__":
    sys.exit(main())
