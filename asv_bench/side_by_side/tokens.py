"""Late interaction: MaxSim of a query with many documents of real tokens."""

import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
from realistic import BATCH, TOKENS, Realistic

from cgcython import FingerprintStore, ModelId, TokenArray, TokenCells, max_sim_batch

from .timing import K, Line, Way, best_rows

QUERIES, QUERY_TOKENS, RECALL = 32, 32, 0.99
LENGTH, NOISE = 200, 0.3


def documents(data: Path, count: int) -> TokenArray:
    """Return documents of about LENGTH real tokens each, with noise."""
    rng = np.random.default_rng(0)
    with np.load(data / "tokens_cranfield.npz") as file:
        real = file["doc_tok"].astype(np.float32)
    lengths = rng.integers(LENGTH // 2, 3 * LENGTH // 2, count)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    values = np.empty((offsets[-1], real.shape[1]), np.float32)
    for start, stop in pairwise(offsets):
        first = rng.integers(0, len(real) - (stop - start))
        values[start:stop] = real[first : first + stop - start]
    _add_noise(values, rng)
    return TokenArray(values, offsets)


def _add_noise(values: np.ndarray, rng: np.random.Generator) -> None:
    for part in np.array_split(values, max(1, len(values) >> 16)):
        part += rng.standard_normal(part.shape, np.float32) * (NOISE / part.shape[1] ** 0.5)
        part /= np.linalg.norm(part, axis=1, keepdims=True)


def queries(data: Path) -> list[np.ndarray]:
    """Return real queries, filled up to QUERY_TOKENS with tokens of the next."""
    with np.load(data / "tokens_cranfield.npz") as file:
        tokens, offsets = file["q_tok"].astype(np.float32), file["q_off"]
    starts = offsets[np.flatnonzero(offsets + QUERY_TOKENS <= len(tokens))][:QUERIES]
    return [tokens[start : start + QUERY_TOKENS] for start in starts.tolist()]


def max_sim(data: Path, count: int) -> Line:
    """MaxSim of one query with documents of about LENGTH tokens."""
    tokens, asked = documents(data, count), queries(data)
    truth = best_rows(np.stack([max_sim_batch(one, tokens, "sum") for one in asked]))
    integers = tokens.quantize("int8")
    screened = tokens.with_screen()
    start = perf_counter()
    cells = TokenCells.of(integers, num_threads=2)
    took = f"{perf_counter() - start:.1f} s on two threads"
    print(f"cells of {count} documents: {took}", file=sys.stderr)

    def way(name: str, array: TokenArray, more: int = 0, **how: object) -> Way:
        def find(i: int) -> np.ndarray:
            return max_sim_batch(asked[i % QUERIES], array, "sum", k=K, **how)[0]

        return Way(name, find, (array.nbytes + more) / count)

    ways = [
        way("cgcython float32, screened", screened),
        way("cgcython int8", integers),
        way("cgcython approximate, int8", integers, cells.nbytes, approximate=cells),
        Way("numpy float32", lambda i: _by_numpy(tokens, asked[i % QUERIES]), 512 * LENGTH, True),
    ]
    return Line(f"MaxSim, {count} x {LENGTH} tokens", ways, truth, RECALL, least=20)


def _by_numpy(tokens: TokenArray, query: np.ndarray) -> np.ndarray:
    best = np.maximum.reduceat(tokens.values @ query.T, tokens.starts, axis=0)
    return np.argpartition(best.sum(axis=1), -K)[-K:]


def stored(data: Path, count: int) -> Iterator[Line]:
    """Yield the tokens of a store's records beside the same tokens as int8, without a store."""
    made = Realistic(data)
    batches = [made.dense(ModelId.LATE_INTERACTION, one) for one in range(-(-count // BATCH))]
    rows = np.concatenate(batches)[:count]
    asked = made.dense(ModelId.LATE_INTERACTION, len(batches))[:QUERIES]
    tokens = TokenArray.from_padded(rows, np.full(count, TOKENS))
    truth = best_rows(np.stack([max_sim_batch(one, tokens, "sum") for one in asked]))
    integers = tokens.quantize("int8")

    def find(i: int, **how: object) -> list[int]:
        return [hit.id for hit in store.search({"E12": asked[i % QUERIES]}, K, **how)]

    with TemporaryDirectory() as folder, FingerprintStore.open(Path(folder) / "store") as store:
        store.add(range(count), {"E12": rows})
        size = store.get_stored_size(0)
        ways = [
            Way("cgcython store", find, size),
            Way("cgcython store, approximate", lambda i: find(i, approximate=True), size),
            Way(
                "cgcython TokenArray int8",
                lambda i: max_sim_batch(asked[i % QUERIES], integers, "sum", k=K)[0],
                integers.nbytes / count,
                theirs=True,
            ),
        ]
        yield Line(f"a store's {count} x {TOKENS} tokens", ways, truth, least=0.8)
