"""One call of each main kernel on seeded inputs, for instructions.py to count.

Inputs are small, for valgrind is slow, yet large enough to drown what a call from Python costs.
"""

import gc

import numpy as np

from cgcython import (
    ImportanceScoringMethod,
    PQ8Codebook,
    PreparedQuery,
    TokenArray,
    TokenPruningCodec,
    TokenPruningConfig,
    TokenPruningQuantizer,
    kernels,
    max_sim,
    max_sim_batch,
    token_alignments,
)
from cgcython.codecs.token_layouts import NAMES
from cgcython.kernels import pq_layout
from cgcython.search.inverted import Rows, inverted, norms_of
from cgcython.similarity.skipping import contenders

RNG = np.random.default_rng(2026)


def floats(*shape):
    """Return normal float32 values."""
    return RNG.standard_normal(shape, dtype=np.float32)


def encode_and_scan_e4m3(n=400, dim=512):
    """Encode, decode and scan rows of float8."""
    values, codes = floats(n, dim), np.empty((n, dim), np.uint8)
    scales, dots = np.empty(n, np.float32), np.empty(n, np.float32)
    kernels.e4m3.encode(values.ravel(), codes.ravel())
    kernels.e4m3.decode(codes.ravel(), 1.0, 0.0, values.ravel())
    kernels.e4m3.encode_rows(values, codes, scales)
    kernels.e4m3.decode_rows(codes, scales, values)
    kernels.e4m3.dot_rows(values[0], codes, scales, dots)
    kernels.e4m3.inverse_norms(codes, scales)
    kernels.e4m3.cosine_rows(values[0], codes, scales, dots)


def pack_and_scan_bits(n=1000, dim=1024):
    """Pack, unpack and compare rows of sign bits."""
    values, packed = floats(n, dim), np.empty((n, dim // 8), np.uint8)
    codes = RNG.integers(0, 256, (20_000, dim // 8), dtype=np.uint8)
    distances, ids = np.empty(len(codes), np.uint32), np.empty(10, np.int64)
    kernels.bits.pack_rows(values, 0.0, packed)
    kernels.bits.unpack_rows(packed, values)
    kernels.bits.hamming_rows(packed[0], codes, distances)
    kernels.bits.hamming_topk(packed[0], codes, ids, distances[:10])


def encode_and_scan_pq(n=192, parts=8, dsub=64):
    """Encode and decode rows with and without a rotation, then scan many codes."""
    dim, codes = parts * dsub, RNG.integers(0, 256, (64 * 500, parts), dtype=np.uint8)
    values, centroids = floats(n, dim), floats(parts, 256, dsub)
    rotation = np.linalg.qr(floats(dim, dim))[0]
    for prepared in (
        pq_layout.prepare(centroids),
        pq_layout.prepare(centroids, np.zeros(dim), rotation),
    ):
        scratch = pq_layout.scratch(prepared)
        kernels.pq.encode_rows(values, prepared, codes[:n], scratch)
        kernels.pq.decode_rows(codes[:n], prepared, values, scratch)
    table = np.empty((parts, 256), np.float32)
    kernels.pq.distance_table(values[0], pq_layout.prepare(centroids), table)
    scan_codes(table, codes)


def scan_codes(table, codes):
    """Sum the table entries of codes, and find the least sums of codes laid out in blocks."""
    sums, ids, best = np.empty(len(codes), np.float32), np.empty(10, np.int64), np.empty(10, "f4")
    blocks = np.empty((len(codes) // 64, codes.shape[1], 64), np.uint8)
    kernels.adc.scan(table, codes, sums)
    kernels.adc.topk(table, codes, ids, best)
    kernels.adc.block_codes(codes, blocks)
    kernels.adc.topk_blocks(table, blocks, len(codes), ids, best)


def step_kmeans(n=4000, dim=128):
    """Measure rows against one centre and add them up by code."""
    values, codes = floats(n, dim), RNG.integers(0, 256, n, dtype=np.uint8)
    kernels.kmeans.shrink_distances(values, values[0], np.full(n, np.inf, np.float32))
    kernels.kmeans.accumulate(values, codes, np.zeros((256, dim)), np.zeros(256, np.int64))


def find_eigenvectors(n=64):
    """Find the eigenvectors of a symmetric matrix, and multiply it with them."""
    matrix, columns, out = floats(n, n).astype(np.float64), np.empty((n, n)), np.empty((n, n))
    matrix = np.ascontiguousarray(matrix + matrix.T)
    reduced, (factors, diagonal, off) = matrix.copy(), np.zeros((3, n))
    kernels.eigen.tridiagonal(reduced, factors, diagonal, off, np.zeros((2, n)), 0, n)
    kernels.eigen.vectors(reduced, factors, diagonal, off, 0, columns)
    kernels.eigen.product(columns, matrix, out)


def search_residual_codes(n=48, beam=20, stages=8, width=128):
    """Multiply rows with all centroids, find their codes by a beam, and add centroids up."""
    products, scores = np.empty((n, 256 * stages), np.float32), np.zeros((n, beam), np.int32)
    codes, pairs = np.zeros((n, beam, stages), np.uint8), stages * (stages - 1) // 2
    cross = RNG.integers(-32767, 32768, (pairs, 256, 256), np.int16)
    shifts, norms = np.ones(pairs, np.uint8), floats(256 * stages)
    kernels.residual.product(floats(n, width), floats(4 * stages, width, 64), products)
    kernels.residual.search(products, norms, cross, shifts, 4096.0, 0, codes, scores)
    found, centroids = np.ascontiguousarray(codes[:, 0]), floats(stages, 256, width)
    kernels.residual.sums(found, centroids, np.empty((n, width), np.float32))


def sparse_rows(n, nnz, dimension):
    """Return indptr, indices and weights of rows with nnz entries each."""
    rows = [np.sort(RNG.choice(dimension, nnz, replace=False)) for _ in range(n)]
    weights = RNG.gamma(1.0, 1.0, n * nnz).astype(np.float32)
    return np.arange(n + 1) * nnz, np.concatenate(rows).astype(np.uint32), weights


def encode_and_multiply_sparse(n=40, nnz=1500, dimension=30_522):
    """Encode and decode sparse vectors in each layout, and multiply many with one."""
    indptr, indices, weights = rows = sparse_rows(n, nnz, dimension)
    for layout in (kernels.sparse.CANONICAL, kernels.sparse.COMPACT_F16):
        layouts, offsets = np.full(n, layout, np.uint8), np.empty(n + 1, np.int64)
        kernels.sparse.measure_rows(indptr, dimension, layouts, offsets)
        data = np.empty(offsets[-1], np.uint8)
        kernels.sparse.encode_rows(indptr, indices, weights, dimension, layouts, data, offsets)
        kernels.sparse.decode_rows(data, offsets, layouts, dimension, *rows)
    multiply_sparse(rows, indices[:nnz], weights[:nnz], dimension)


def multiply_sparse(rows, indices, weights, dimension):
    """Score rows by themselves, through inverted lists, and one pair."""
    query, out = np.zeros(dimension, np.float32), np.empty(len(rows[0]) - 1, np.float32)
    query[indices] = weights
    found = inverted(Rows(*rows), norms_of(Rows(*rows)), dimension, np.float32)
    products, lists, blocks = kernels.sparse_products, found.arguments(), len(found.edges) - 1
    products.dot_rows(query, *rows, out)
    scratch = np.empty(kernels.postings.ROWS_OF_BLOCK, np.float32)
    kernels.postings.score(indices, weights, *lists, 0, blocks, out, scratch)
    kernels.postings.score_rows(indices, weights, *lists, np.arange(len(out)), out)
    best_of_lists(indices, weights, lists, found.highest, out)
    for start in range(0, len(rows[1]), len(indices)):
        one = slice(start, start + len(indices))
        products.dot_pair(indices, weights, rows[1][one], rows[2][one])


def best_of_lists(indices, weights, lists, highest, out, k=3):
    """Find the best rows of inverted lists."""
    scratch = np.empty(kernels.postings.best_scratch(len(indices), k), np.uint8)
    norms, rows = np.empty(0, np.float32), np.empty(len(out), np.int64)
    blocks = len(lists[0]) - 1
    kernels.postings.best(
        indices, weights, *lists, highest, norms, 0, blocks, k, rows, out, scratch
    )


def choose_tokens(n=2048, dim=128, few=256):
    """Score, select and gather tokens; choose some of a few by coverage."""
    values, scores, kept = floats(n, dim), np.empty(n, np.float32), np.empty(n // 2, np.uint32)
    for score in (kernels.tokens.magnitude, kernels.tokens.max_abs, kernels.tokens.entropy):
        score(values, scores)
    kernels.tokens.select_top(scores, kept)
    kernels.tokens.gather(values, kept, np.empty((n // 2, dim), np.float32))
    scratch = np.empty(kernels.coverage.cover_scratch(few, dim), np.uint8)
    kernels.coverage.cover(values[:few], kept[: few // 2], np.empty(few // 2, np.float32), scratch)


def keep_documents(n=8, each=64, dim=128):
    """Cover and cluster documents, and write and read the records of their tokens."""
    tokens = TokenArray(floats(n * each, dim), each * np.arange(n + 1))
    config = TokenPruningConfig(0.5, 1, ImportanceScoringMethod.COVERAGE)
    TokenPruningQuantizer(config).prune_batch(tokens)
    TokenPruningQuantizer(config).prune_batch(tokens, pool=True)
    for layout in NAMES:
        codec = TokenPruningCodec(dim, layout=layout)
        for document in tokens:
            codec.decode(codec.encode(document))
        codec.decode_batch(codec.encode_batch(tokens))


def match_tokens(n=40, dim=128):
    """Score documents of many lengths as float32 and as codes, each by itself, and align all."""
    query, documents = floats(32, dim), [floats(length, dim) for length in range(20, 20 + n)]
    values, offsets = np.concatenate(documents), np.cumsum([0, *map(len, documents)])
    codes = np.empty(values.shape, np.uint8)
    kernels.e4m3.encode_rows(values, codes, np.empty(len(codes), np.float32))
    max_sim_batch(query, TokenArray(values, offsets))
    max_sim_batch(query, TokenArray(codes, offsets))
    for document in documents:
        max_sim(query, document)
    token_alignments(query, values)
    screened = TokenArray(values, offsets).with_screen()
    query = PreparedQuery.of(query)
    contenders(query, screened, screened.screen, 5, lambda sums, count: sums)


def match_pq_tokens(n=3000, dim=128):
    """Score tokens of product quantization by lookup tables."""
    codebook = PQ8Codebook(floats(32, 256, dim // 32))
    codes = RNG.integers(0, 256, (n, 32), dtype=np.uint8)
    tokens = TokenArray(codes, [0, n // 2, n], "pq", codebook=codebook)
    max_sim_batch(floats(32, dim), tokens)


def match_integers(n=600, dim=128):
    """Encode, decode, score and align tokens of 8, 4, 2 and 1 bit a value."""
    integers, query, values = kernels.maxsim_integers, floats(32, dim), floats(n, dim)
    packed = np.empty((1, integers.lines(dim, 1), 128), np.int8)
    integers.pack_query(query, packed)
    scales, norms, sums = np.ones(n, np.float32), np.empty(n, np.float32), np.empty(1, np.float32)
    best, cosines = np.empty(32, np.int64), np.empty(32, np.float32)
    for bits in (8, 4, 2, 1):
        codes = np.packbits(values >= 0, axis=1)
        if bits > 1:
            codes = np.empty((n, dim * bits // 8), np.uint8)
            integers.encode_rows(values, bits, codes, scales)
        integers.decode_rows(codes, bits, scales, values)
        integers.inverse_norms(codes, bits, dim, scales, norms)
        where = np.zeros(1, np.int64), np.full(1, n)
        integers.score(packed, 32, codes, bits, norms, *where, sums)
        integers.align(packed, 32, codes, bits, norms, best, cosines)


def multiply_dense(n=2000, dim=384):
    """Multiply rows with one vector and with a matrix; find the best."""
    values, out = floats(n, dim), np.empty(n, np.float32)
    ids, best = np.empty(10, np.int64), np.empty(10, np.float32)
    kernels.dense.norms(values, out)
    kernels.dense.cosine_rows(values[0], values, out)
    kernels.dense.dot_rows(values[0], values, out)
    kernels.dense.top_k(values[:100].ravel(), ids, best)
    projected = np.empty((96, 128), np.float32)
    kernels.dense.project(values[:96], values[0], floats(dim, 128), projected)
    kernels.dense.turn_rows(values, values)


WORKLOADS = (
    encode_and_scan_e4m3,
    pack_and_scan_bits,
    encode_and_scan_pq,
    step_kmeans,
    find_eigenvectors,
    search_residual_codes,
    encode_and_multiply_sparse,
    choose_tokens,
    keep_documents,
    match_tokens,
    match_pq_tokens,
    match_integers,
    multiply_dense,
)

if __name__ == "__main__":
    gc.disable()  # a collection would count for the kernel in whose call it falls
    start = RNG.bit_generator.state
    for workload in WORKLOADS:
        RNG.bit_generator.state = start  # so that no workload changes the inputs of another
        workload()
