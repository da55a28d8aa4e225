"""The signs of vectors of length 1, centred and turned at random, in blocks that kernels scan.

A turn is Hadamard's transform of values of which a random half were negated. Its blocks are the
largest power of two in a length; values change blocks in between, so that each sign depends on
all values of a vector.
"""

from typing import Self

import numpy as np

from cgcython import kernels
from cgcython.parallel import split_rows
from cgcython.search.scan import Scan
from cgcython.tensors import Malformed
from cgcython.types import Float32Array, Int64Array, Progress, UInt8Array, UInt64Array

SEED = 15
TURNS = 2
EACH, WORD = 8, 64  # rows of a block, bits of a word
SAMPLE = 1 << 14  # rows whose mean is the centre
CHUNK = 512  # rows that are turned at a time


class Signs:
    """Turns vectors into rows of words."""

    def __init__(self, centre: Float32Array, flips: UInt8Array) -> None:
        """`centre` is f32 [dim]; `flips` u8 [TURNS, words * 64]: odd ones negate a value."""
        self.centre, self.flips = centre, flips

    @classmethod
    def of(cls, scan: Scan) -> Self:
        """Return the signs that suit the rows of a scan; the centre is the mean of some."""
        rows = np.unique(np.linspace(0, len(scan) - 1, min(SAMPLE, len(scan))).astype(np.int64))
        centre = units(scan.vectors(rows)).mean(axis=0, dtype=np.float64)
        size = -(-len(centre) // WORD) * WORD
        # What a bit generator itself gives is the same in every version of NumPy.
        drawn = np.random.PCG64(SEED).random_raw(TURNS * size // WORD).astype("<u8")
        flips = np.unpackbits(drawn.view(np.uint8)).reshape(TURNS, size)
        return cls(centre.astype(np.float32), flips)

    def packed(self, vectors: Float32Array) -> UInt64Array:
        """Return the signs of vectors f32 [n, dim]: u64 [n, words]."""
        size = self.flips.shape[1]
        signs = np.empty((len(vectors), size // WORD), np.uint64)
        factors = _inverse_norms(vectors)
        if not (np.isfinite(factors) & (factors > 0)).all():
            vectors, factors = units(vectors), np.ones(len(vectors), np.float32)
        scratch = np.empty(2 * size, np.float32)
        kernels.sign_blocks.pack(
            np.ascontiguousarray(vectors), factors, self.centre, self.flips, scratch, signs
        )
        return signs

    def query(self, vector: Float32Array) -> UInt64Array:
        """Return the words of a query f32 [dim] as kernels want it, u64 [words, 8]."""
        return np.repeat(self.packed(vector[None])[0], EACH).reshape(-1, EACH)

    def blocks(
        self,
        scan: Scan,
        rows: Int64Array,
        num_threads: int = 1,
        progress: Progress | None = None,
    ) -> UInt64Array:
        """Return the signs of some rows of a scan, u64 [blocks, words, 8]; the last has zeros."""
        signs = np.zeros((-(-len(rows) // EACH) * EACH, self.flips.shape[1] // WORD), np.uint64)

        def pack(first: int, last: int) -> None:
            for start in range(first, last, CHUNK):
                stop = min(start + CHUNK, last)
                signs[start:stop] = self.packed(scan.vectors(rows[start:stop]))
                if progress is not None:
                    progress(stop - start)

        split_rows(pack, len(rows), num_threads)
        return _blocked(signs)


def require_signs(blocks: UInt64Array, centre: Float32Array, flips: UInt8Array, rows: int) -> None:
    """Raise Malformed unless these are blocks of so many rows, and what they were turned by."""
    (count, words, _), size, dim = blocks.shape, flips.shape[1], len(centre)
    if count != -(-rows // EACH) or words * WORD != size or words != -(-dim // WORD):
        raise Malformed(f"its {count} blocks of {words} words are not of {rows} rows")
    if not np.all(np.abs(centre) <= 1):
        raise Malformed("its centre is no mean of vectors of length 1")


def taken(blocks: UInt64Array, rows: Int64Array) -> UInt64Array:
    """Return the blocks of some rows of blocks."""
    words = np.zeros((-(-len(rows) // EACH) * EACH, blocks.shape[1]), np.uint64)
    words[: len(rows)] = blocks[rows // EACH, :, rows % EACH]
    return _blocked(words)


def _blocked(words: UInt64Array) -> UInt64Array:
    """Return rows of words as blocks: whole ones."""
    rows = words.reshape(-1, EACH, words.shape[1])
    return np.ascontiguousarray(rows.transpose(0, 2, 1))


def units(vectors: Float32Array) -> Float32Array:
    """Return vectors scaled to length 1; those without a finite length become zeros."""
    factors = _inverse_norms(vectors)
    usable = np.isfinite(factors) & (factors > 0)
    with np.errstate(all="ignore"):
        found: Float32Array = vectors * np.where(usable, factors, np.float32(0))[:, None]
    return found if usable.all() else np.nan_to_num(found, posinf=0.0, neginf=0.0)


def _inverse_norms(vectors: Float32Array) -> Float32Array:
    """Return one over each length: 0 of an infinite one, infinity of 0."""
    norms = np.empty(len(vectors), np.float32)
    kernels.dense.norms(np.ascontiguousarray(vectors), norms)
    with np.errstate(all="ignore"):
        return np.divide(np.float32(1), norms, out=norms)
