"""Fingerprints of all thirteen embedders made from real vectors, any number, a batch at a time.

A dense embedding is a real sentence vector, half of two others and noise, turned into the
embedder's space by a projection of its own. Tokens are a run of real ones, with noise. Sparse
vectors are real BM25 weights with terms left out (`bm25`, about 100 non-zeros), or weights of that
kind on 5 % of the vocabulary (`5%`). A batch depends on its number and the seed alone, so it can be
made again to be compared with what was stored.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import numpy as np

from cgcython import Fingerprint, PQ8Codebook, SparseVector
from cgcython.base import Profile, QuantizationMethod

BATCH, TOKENS = 1024, 32
NOISE, TOKEN_NOISE = 0.5, 0.3  # beside vectors of length 1
VARIATIONS = 2048  # two of them go into each embedding: drawing all noise anew takes far longer
SPARSE = ("5%", "bm25")
DENSITY = 0.05
PROFILE = Profile.named()


class Realistic:
    """Batches of fingerprints by number; `folder` holds the real embeddings."""

    def __init__(self, folder, seed=0, sparse=SPARSE[0], num_threads=2):
        self.folder, self.seed, self.sparse, self.num_threads = folder, seed, sparse, num_threads

    @cached_property
    def _texts(self):
        return self._read("pooled_cranfield.npz", "docs384")

    @cached_property
    def _tokens(self):
        return self._read("tokens_cranfield.npz", "doc_tok")

    @cached_property
    def _bm25(self):
        with np.load(self.folder / "sparse_cranfield.npz") as data:
            return [data[name] for name in ("d_indptr", "d_idx", "d_w")]

    @cached_property
    def _tables(self):
        dense = [row for row in PROFILE.values() if _is_dense(row)]
        return {row.model_id: self._table(self._texts, row) for row in dense}

    @cached_property
    def _token_noise(self):
        shape = VARIATIONS, TOKENS, self._tokens.shape[1]
        return _noise(shape, TOKEN_NOISE, np.random.default_rng(self.seed))

    def _read(self, file, name):
        with np.load(self.folder / file) as data:
            return data[name].astype(np.float32)

    def _table(self, texts, row):
        """Return what an embedder's embeddings are sums of: a text and two variations."""
        rng = np.random.default_rng([self.seed, row.model_id])
        others = texts[rng.integers(0, len(texts), VARIATIONS)] @ self._projection(row)
        noise = _noise((VARIATIONS, row.dimension), NOISE / np.sqrt(2), rng)
        return texts @ self._projection(row), 0.35 * others + noise

    def _projection(self, row):
        """Return the map [384, dim] of an embedder; random normal ones keep angles well enough."""
        rng = np.random.default_rng([row.model_id, row.dimension])
        shape = self._texts.shape[1], row.dimension
        return rng.standard_normal(shape, dtype=np.float32) / np.float32(np.sqrt(row.dimension))

    def ids(self, batch):
        """Return the 16-byte ids of a batch: random, as UUIDs of version 4 are."""
        drawn = np.random.default_rng([self.seed, batch]).bytes(16 * BATCH)
        return [drawn[at : at + 16] for at in range(0, len(drawn), 16)]

    def fingerprints(self, batch):
        """Return the BATCH Fingerprints of a batch."""
        self._prepare()
        with ThreadPoolExecutor(self.num_threads) as pool:
            columns = list(pool.map(lambda one: self._column(one, batch), PROFILE))
        return [Fingerprint(dict(zip(PROFILE, row))) for row in zip(*columns)]

    def dense(self, model_id, batch):
        """Return the embeddings [BATCH, dim] of a dense embedder in a batch."""
        return self._column(model_id, batch)

    def questions(self, model_id):
        """Return real questions [225, dim] in a dense embedder's space: no row is one of them."""
        return self._read("pooled_cranfield.npz", "queries384") @ self._projection(
            PROFILE[model_id]
        )

    def _prepare(self):
        """Make what the threads share, before they start."""
        return self._tables, self._token_noise, self._bm25

    def _column(self, model_id, batch):
        rng = np.random.default_rng([self.seed, batch, model_id])
        match PROFILE[model_id].method:
            case QuantizationMethod.SPARSE_NATIVE:
                return self._sparse(PROFILE[model_id].dimension, rng)
            case QuantizationMethod.TOKEN_PRUNING:
                return self._token_matrices(rng)
        return _mixed(self._tables[model_id], BATCH, rng)

    def _token_matrices(self, rng):
        starts = rng.integers(0, len(self._tokens) - TOKENS, BATCH)
        rows = self._tokens[starts[:, None] + np.arange(TOKENS)]
        rows += self._token_noise[rng.integers(0, VARIATIONS, BATCH)]
        rows /= np.sqrt(np.einsum("nij,nij->ni", rows, rows))[..., None]
        return rows

    def _sparse(self, dimension, rng):
        if self.sparse == "bm25":
            return self._thinned(dimension, rng)
        nnz = int(DENSITY * dimension)
        # Steps of this mean leave room at the end for all but a few rows, which lose their last.
        steps = rng.integers(1, int(1.95 / DENSITY), (BATCH, nnz), dtype=np.uint8)
        indices = np.cumsum(steps, axis=1, dtype=np.uint32)
        starts = rng.integers(0, len(self._bm25[2]) - nnz, BATCH).tolist()
        weights = [self._bm25[2][start : start + nnz] for start in starts]
        counts = (indices < dimension).sum(axis=1).tolist()
        rows = zip(indices, weights, counts)
        return [SparseVector.trusted(i[:n], w[:n], dimension) for i, w, n in rows]

    def _thinned(self, dimension, rng):
        indptr, indices, weights = self._bm25
        found = []
        for row in rng.integers(0, len(indptr) - 1, BATCH).tolist():
            kept = rng.random(indptr[row + 1] - indptr[row]) < 0.9
            row_indices = indices[indptr[row] : indptr[row + 1]][kept].astype(np.uint32)
            row_weights = weights[indptr[row] : indptr[row + 1]][kept]
            found.append(SparseVector.trusted(row_indices, row_weights, dimension))
        return found

    def codebooks(self, num_subvectors, progress=print):
        """Return a trained codebook for each embedder kept by product quantization."""
        books, texts = {}, self._read("train.npz", "t384")
        for row in PROFILE.values():
            if row.method is QuantizationMethod.PQ8:
                progress(f"train {row.model_id.short}")
                rng = np.random.default_rng([self.seed, row.model_id, 1])
                samples = _mixed(self._table(texts, row), len(texts), rng)
                books[row.model_id] = PQ8Codebook.train(
                    samples, num_subvectors, rotation="pca", width=256, num_threads=self.num_threads
                )
        return books


def _is_dense(row):
    sparse, tokens = QuantizationMethod.SPARSE_NATIVE, QuantizationMethod.TOKEN_PRUNING
    return row.method not in (sparse, tokens)


def _mixed(table, count, rng):
    texts, variations = table
    first, second = rng.integers(0, VARIATIONS, (2, count))
    rows = texts[rng.integers(0, len(texts), count)]
    rows += variations[first]
    rows += variations[second]
    return rows


def _noise(shape, length, rng):
    """Return normal values whose rows are about of a length."""
    values = rng.standard_normal(shape, dtype=np.float32)
    values *= np.float32(length / np.sqrt(shape[-1]))
    return values
