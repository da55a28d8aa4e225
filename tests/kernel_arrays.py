"""Seeded arrays for calls of kernels: queries, documents, codebooks, sparse rows, records."""

from functools import lru_cache
from itertools import pairwise

import numpy as np

from cgcython import kernels
from cgcython.kernels.pq_layout import prepare, scratch

DIMENSION = 1000  # of sparse vectors
LAYOUTS = 4  # of sparse vectors
KEPT = 10  # the most results of a selection
F32, F64, U8, U16, U32, I8, I16, I32, I64 = (
    np.float32, np.float64, np.uint8, np.uint16, np.uint32, np.int8, np.int16, np.int32, np.int64,
)  # fmt: skip


class Make:
    """Seeded arrays, and empty ones to be written."""

    def __init__(self, seed=0):
        self._random = np.random.default_rng(seed)

    def f32(self, *shape):
        return self._random.standard_normal(shape, F32)

    def u8(self, *shape, below=256):
        return self._random.integers(0, below, shape, U8)

    def u64(self, *shape):
        return self._random.integers(0, 2**64 - 1, shape, np.uint64)

    def ascending(self, count, below):
        return np.sort(self._random.permutation(below)[:count]).astype(U32)


def out(kind, *shape):
    """Return memory for a result; zeros, so that what is not written is seen."""
    return np.zeros(shape, kind)


def in_bytes(bits):
    return (bits + 7) // 8


def few(rows):
    """Return memory for the ids and values of a selection among rows."""
    return out(I64, min(rows, KEPT)), out(F32, min(rows, KEPT))


def packed_codes(count, dim, queries=None, cosine=True):
    """Return memory for queries of E4M3 codes, filled by some where they are given."""
    packed = (
        out(F32, count, -(-dim // 64) * 64),
        out(U16, count, -(-dim // 64) * 64),
        out(I8, -(-count // 32), -(-dim // 4), 128),
        out(F64, count, 8),
    )
    if queries is not None:
        kernels.e4m3_best.pack(queries, cosine, *packed)
    return packed


def packed_scalars(make, dim, bits):
    """Return a query as it meets rows of scalar codes, the sum of its numbers, and a factor."""
    packed = out(I16, kernels.scalars.packed_size(dim, bits))
    scratch = out(F32, kernels.scalars.scratch(dim))
    total, _, unit = kernels.scalars.pack_query(make.f32(dim), bits, scratch, packed)
    return packed, total, unit


def documents(rows, size=1):
    """Return starts and counts of four documents, two of them empty, and memory for scores."""
    first = rows // 3
    starts = np.array([0, first, first, rows]) * size
    return starts, np.array([first, rows - first, 0, 0]), out(F32, 4)


def queries(rows, dim):
    """Return a number of query tokens: none, some, more than two blocks."""
    return (rows + 7 * dim) % 67


def packed(make, rows, dim):
    """Return a packed query and its number of tokens."""
    count = queries(rows, dim)
    space = out(F32, -(-count // 32), dim, 32)
    kernels.maxsim.pack_query(make.f32(count, dim), space)
    return space, count


def tokens(make, rows, dim):
    """Return tokens and their inverse norms."""
    values, norms = make.f32(rows, dim), out(F32, rows)
    kernels.maxsim.inverse_norms(values, norms)
    return values, norms


def halves(make, rows, dim):
    """Return tokens as bfloat16."""
    return (make.f32(rows, dim).view(U32) >> 16).astype(U16)


def packed_halves(make, rows, dim):
    count = queries(rows, dim)
    space = out(U16, -(-count // 32), (dim + 1) // 2, 64)
    kernels.maxsim_bf16.pack_query(make.f32(count, dim), space)
    return space, count


def packed_integers(make, rows, dim, planes=2):
    count = queries(rows, dim)
    space = out(I8, -(-count // 32), kernels.maxsim_integers.lines(dim, planes), 128)
    kernels.maxsim_integers.pack_query(make.f32(count, dim), space)
    return space, count


def integer_codes(make, rows, dim, bits):
    return make.u8(rows, in_bytes(dim * bits)), bits


def cells(make, rows, dim):
    """Return the two nearest cells of tokens, their gains, and a list of documents per cell."""
    nearest = make.u8(queries(rows, dim), 2, below=min(dim, 255) + 1).astype(I32) - 1
    offsets = np.arange(dim + 1) * rows
    return nearest, make.f32(*nearest.shape), offsets, make.u8(rows * dim, below=200).astype(U32)


def screened(make, rows, dim):
    """Return the arguments that the calls of a screen begin with."""
    query, count = packed(make, rows, dim)
    lanes = out(F32, 32 * len(query), dim)
    numbers = out(I8, len(query), kernels.maxsim_screen.lines(dim), 128)
    kernels.maxsim_screen.pack_query(query, lanes, numbers)
    values, norms = tokens(make, rows, dim)
    side = out(U8, rows, dim), out(F32, rows, 2)
    kernels.maxsim_screen.encode_rows(values, norms, *side)
    return query, lanes, numbers, count, values, norms, *side


@lru_cache(maxsize=4)
def codebook(dim, rotated=False):
    """Return a prepared codebook of 2 subspaces for vectors of `dim` values, or dim and 1 more."""
    dsub = max((dim + 1) // 2, 1)
    random = np.random.default_rng(dim)
    centroids = random.standard_normal((2, 256, dsub), F32)
    if not rotated:
        return prepare(centroids)
    return prepare(centroids, np.zeros(dim), random.standard_normal((dim, 2 * dsub)))


def quantized(make, rows, dim, rotated):
    """Return values, their codebook, codes and scratch."""
    book = codebook(dim, rotated)
    return make.f32(rows, book.dim), book, make.u8(rows, 2), scratch(book)


def table(make, dim):
    """Return a table of up to 70 subspaces."""
    return make.f32(dim % 71, 256)


def blocks(codes):
    space = out(U8, -(-len(codes) // 64), codes.shape[1], 64)
    kernels.adc.block_codes(codes, space)
    return space


def sparse(make, nnz):
    return make.ascending(nnz, DIMENSION), make.f32(nnz) + F32(10)


def sparse_rows(make, rows, nnz):
    """Return CSR columns."""
    vectors = [sparse(make, nnz) for _ in range(rows)]
    indices = [indices for indices, _ in vectors] or [out(U32, 0)]
    weights = [weights for _, weights in vectors] or [out(F32, 0)]
    return np.arange(rows + 1) * nnz, np.concatenate(indices), np.concatenate(weights)


def listed_vectors(make, rows, nnz, layout):
    """Return the arguments of encoding a list of vectors."""
    vectors = [sparse(make, nnz) for _ in range(rows)]
    offsets = np.arange(rows + 1) * kernels.sparse.size(nnz, DIMENSION, layout)
    indices, weights = [one for one, _ in vectors], [one for _, one in vectors]
    layouts = np.full(rows, layout, U8)
    return indices, weights, DIMENSION, layouts, out(U8, int(offsets[-1])), offsets


def encoded_rows(make, rows, nnz):
    """Return (indptr, indices, weights, layouts, data, offsets) of encoded rows."""
    columns = sparse_rows(make, rows, nnz)
    layouts, offsets = make.u8(rows, below=LAYOUTS), out(I64, rows + 1)
    kernels.sparse.measure_rows(columns[0], DIMENSION, layouts, offsets)
    data = out(U8, int(offsets[-1]))
    kernels.sparse.encode_rows(*columns, DIMENSION, layouts, data, offsets)
    return *columns, layouts, data, offsets


def lists(make, rows, nnz):
    """Return inverted lists of one block, with weights in f16 for an odd number of rows."""
    indptr, indices, weights = sparse_rows(make, rows, nnz)
    starts, found = out(I64, DIMENSION + 1), np.empty_like(indices)
    placed = np.empty_like(weights)
    kernels.sparse_products.invert(indptr, indices, weights, starts, found, placed)
    terms = np.flatnonzero(np.diff(starts)).astype(U32)
    halves, floats = placed.astype(np.float16).view(U16), np.empty(0, F32)
    if rows % 2 == 0:
        halves, floats = np.empty(0, U16), placed
    edges = np.array([0, rows] if rows else [0])
    spans = np.array([0, len(terms)] if rows else [0])
    ends = np.append(starts[:-1][terms], len(found))
    return edges, spans, terms, ends, found.astype(U16), halves, floats


def parted(rows):
    """Return offsets of three documents, and of what is kept of them: half of each."""
    offsets = np.array([0, rows // 3, rows // 3, rows])
    return offsets, np.concatenate([[0], np.cumsum(np.diff(offsets) // 2)])


def pools(rows, dim):
    """Return offsets of three documents, and memory for half as many tokens with its edges."""
    offsets = parted(rows)[0]
    edges = np.concatenate([[0], np.cumsum((np.diff(offsets) + 1) // 2)])
    return offsets, out(F32, edges[-1], dim), out(U32, edges[-1]), edges


def kept(make, rows):
    return make.ascending(rows // 2, rows)


def record(make, rows, dim, layout):
    """Return the bytes of a text's kept tokens, and how many these are."""
    places = kept(make, rows)
    values = make.f32(rows, dim)
    return kernels.token_records.encode(values, places, make.f32(len(places)), layout), len(places)


def records(make, rows, dim, layout):
    """Return the arguments of decoding two texts."""
    data, count = record(make, rows, dim, layout)
    return (
        np.frombuffer(data * 2, U8).copy(), np.arange(3) * len(data), np.full(2, rows, U32),
        np.arange(3) * count, layout, out(F32, 2 * count, dim),
    )  # fmt: skip


def unwritten(make, rows, dim, layout):
    """Return the arguments of encoding three texts, one of which is empty."""
    offsets, edges = parted(rows)
    places = [np.arange(stop - start) for start, stop in pairwise(edges)]
    sizes = [
        len(
            kernels.token_records.encode(
                out(F32, n, dim), one.astype(U32), out(F32, len(one)), layout
            )
        )
        for n, one in zip(np.diff(offsets), places)
    ]
    room = np.concatenate([[0], np.cumsum(sizes)])
    chosen = np.concatenate(places).astype(U32), make.f32(int(edges[-1]))
    return make.f32(rows, dim), offsets, *chosen, edges, layout, out(U8, int(room[-1])), room
