"""Tasks that NumPy can do as well, for levels.py: prints a JSON list of [task, against, figure]."""

import json
from typing import NamedTuple

import ml_dtypes
import numpy as np

from cgcython import TokenArray, kernels, max_sim_batch
from cgcython.kernels import pq_layout

from .limits import share_of_fma
from .stopwatch import times_as_fast

RNG = np.random.default_rng(2026)


class Task(NamedTuple):
    """The same work by two calls, and its multiply-adds where those are its limit."""

    name: str
    ours: object
    theirs: object
    flops: int = 0

    def figures(self):
        """Yield [task, against, figure] after both sides agreed."""
        assert np.mean(np.isclose(self.ours(), self.theirs(), rtol=1e-5, atol=1e-5)) > 0.999
        yield self.name, "numpy", times_as_fast(self.ours, self.theirs, rounds=15)
        if self.flops:
            yield self.name, "FMA rate", share_of_fma(self.flops, self.ours)


def unit(*shape):
    """Return rows of length one."""
    rows = RNG.standard_normal(shape, dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def max_sim():
    """Score 64 documents; NumPy needs unit rows for a cosine."""
    query, documents = unit(32, 128), unit(64, 256, 128)
    tokens = TokenArray.from_list(list(documents))
    return Task(
        "MaxSim",
        lambda: max_sim_batch(query, tokens),
        lambda: [(query @ document.T).max(axis=1).mean() for document in documents],
        2 * len(query) * documents.size,
    )


def pq_encode(parts=8, dsub=128):
    """Find the nearest of 256 centroids in each of 8 parts."""
    centroids = RNG.standard_normal((parts, 256, dsub), dtype=np.float32)
    values = RNG.standard_normal((1024, parts * dsub), dtype=np.float32)
    prepared, codes = pq_layout.prepare(centroids), np.empty((1024, parts), np.uint8)
    scratch, columns = pq_layout.scratch(prepared), np.ascontiguousarray(centroids.mT)
    half_norms = np.square(centroids).sum(axis=2) / 2

    def theirs():
        split = values.reshape(-1, parts, dsub)
        for m in range(parts):
            codes[:, m] = (half_norms[m] - split[:, m] @ columns[m]).argmin(axis=1)
        return codes.copy()

    def ours():
        kernels.pq.encode_rows(values, prepared, codes, scratch)
        return codes.copy()

    return Task("PQ encode", ours, theirs, 2 * 256 * values.size)


def e4m3_encode(block=256):
    """Scale rows to their peak and round them to float8."""
    values = unit(4096, 512)
    codes = np.empty(values.shape, np.uint8)
    theirs = np.empty(values.shape, ml_dtypes.float8_e4m3fn)

    def by_numpy():
        for i in range(0, len(values), block):
            rows = values[i : i + block]
            scaled = rows * (np.float32(448) / np.abs(rows).max(axis=1, keepdims=True))
            np.copyto(theirs[i : i + block], scaled, casting="unsafe")
        return theirs.view(np.uint8)

    scales = np.empty(len(values), np.float32)
    return Task(
        "E4M3 encode",
        lambda: (kernels.e4m3.encode_rows(values, codes, scales), codes)[1],
        by_numpy,
    )


def e4m3_decode(block=256):
    """Look codes up and scale them."""
    codes = RNG.integers(0, 127, (4096, 512), dtype=np.uint8)
    table = np.arange(256, dtype=np.uint8).view(ml_dtypes.float8_e4m3fn).astype(np.float32)
    scales, ours, theirs = RNG.random(4096, np.float32), *np.empty((2, *codes.shape), np.float32)

    def by_numpy():
        for i in range(0, len(codes), block):
            rows = slice(i, i + block)
            np.take(table, codes[rows], out=theirs[rows], mode="clip")
            theirs[rows] *= scales[rows, None]
        return theirs

    return Task(
        "E4M3 decode",
        lambda: (kernels.e4m3.decode_rows(codes, scales, ours), ours)[1],
        by_numpy,
    )


def sign_pack(block=64):
    """Pack signs; blocks keep what NumPy compares in the cache."""
    values, ours, theirs = unit(4096, 1024), *np.empty((2, 4096, 128), np.uint8)

    def by_numpy():
        for i in range(0, len(values), block):
            theirs[i : i + block] = np.packbits(values[i : i + block] >= 0, axis=1)
        return theirs

    return Task("sign pack", lambda: (kernels.bits.pack_rows(values, 0.0, ours), ours)[1], by_numpy)


def hamming(block=2048):
    """Count the bits in which codes differ from one."""
    codes = RNG.integers(0, 256, (65_536, 128), dtype=np.uint8)
    ours, theirs = np.empty((2, len(codes)), np.uint32)
    words, query = codes.view(np.uint64), codes[7].view(np.uint64)

    def by_numpy():
        for i in range(0, len(codes), block):
            differing = np.bitwise_count(words[i : i + block] ^ query)
            differing.sum(axis=1, dtype=np.uint32, out=theirs[i : i + block])
        return theirs

    return Task(
        "Hamming scan",
        lambda: (kernels.bits.hamming_rows(codes[7], codes, ours), ours)[1],
        by_numpy,
    )


TASKS = [max_sim, pq_encode, e4m3_encode, e4m3_decode, sign_pack, hamming]

if __name__ == "__main__":
    print(json.dumps([figure for task in TASKS for figure in task().figures()]))
