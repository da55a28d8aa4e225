"""Clusters of tokens as one token each: their mean direction, at their mean length.

Directions are rounded to float32, so that every product with a token is exact in float64 and sums
are the same on every level.
"""
from libc.math cimport sqrt
from libc.stdint cimport int32_t
from libc.string cimport memcpy, memset
from cgcython.kernels.inner.tokens.coverage cimport dot_of, place, squares_of
from cgcython.kernels.inner.types cimport f32, f64, u8, u32

cdef extern from "float.h":
    const f32 FLT_MAX


cdef struct Pools:
    Py_ssize_t dim
    u32 *labels         # the cluster of each token
    f64 *lengths        # of tokens
    f64 *sums           # [clusters, dim] of unit tokens
    f32 *directions     # sums, rounded
    f64 *totals         # of the lengths of each cluster's tokens
    f64 *best           # the best cosine of a token with its cluster's direction
    int32_t *sizes
    int32_t *chosen     # the token that has it


cdef inline Py_ssize_t lay_out_pools(
    Pools *p, Py_ssize_t n, Py_ssize_t dim, u8 *memory
) noexcept nogil:
    """Place the arrays in aligned memory, one behind the other, and return the bytes they take."""
    cdef Py_ssize_t at
    p.dim = dim
    at = place(<void **>&p.labels, memory, 0, n * sizeof(u32))
    at = place(<void **>&p.lengths, memory, at, n * sizeof(f64))
    at = place(<void **>&p.sums, memory, at, n * dim * sizeof(f64))
    at = place(<void **>&p.directions, memory, at, n * dim * sizeof(f32))
    at = place(<void **>&p.totals, memory, at, n * sizeof(f64))
    at = place(<void **>&p.best, memory, at, n * sizeof(f64))
    at = place(<void **>&p.sizes, memory, at, n * sizeof(int32_t))
    return place(<void **>&p.chosen, memory, at, n * sizeof(int32_t))


cdef inline void add_tokens(const f32 *tokens, Py_ssize_t n, Pools *p) noexcept nogil:
    """Add up the unit tokens, the lengths and the number of tokens of each cluster, in order."""
    cdef:
        Py_ssize_t i, k
        const f32 *token
        f64 *sums
        f64 length
    for i in range(n):
        token, sums = tokens + i * p.dim, p.sums + p.labels[i] * p.dim
        length = sqrt(squares_of(token, p.dim))
        p.lengths[i] = length
        p.totals[p.labels[i]] += length
        p.sizes[p.labels[i]] += 1
        if length > 0:
            for k in range(p.dim):
                sums[k] += token[k] / length


cdef inline void choose(const f32 *tokens, Py_ssize_t n, Pools *p) noexcept nogil:
    """Find each cluster's token with the best cosine to its direction, the lowest of equals."""
    cdef:
        Py_ssize_t i
        u32 label
        f64 cosine
    for i in range(n):
        label, cosine = p.labels[i], 0
        if p.lengths[i] > 0:
            cosine = dot_of(tokens + i * p.dim, p.directions + label * p.dim, p.dim) / p.lengths[i]
        if p.chosen[label] < 0 or cosine > p.best[label]:
            p.chosen[label], p.best[label] = <int32_t>i, cosine


cdef inline void write_pool(const Pools *p, u32 label, f32 *pooled) noexcept nogil:
    cdef:
        Py_ssize_t k
        const f32 *direction = p.directions + label * p.dim
        f64 found = sqrt(squares_of(direction, p.dim))
        f64 factor = p.totals[label] / p.sizes[label] / (found if found > 0 else 1)
    for k in range(p.dim):
        pooled[k] = <f32>max(min(direction[k] * factor, <f64>FLT_MAX), -<f64>FLT_MAX)


cdef inline void pool_clusters(
    const f32 *tokens, Py_ssize_t n, Pools *p, Py_ssize_t clusters, f32 *pooled, u32 *positions
) noexcept nogil:
    """Write one token for each cluster, ordered by their representatives; one alone is itself."""
    cdef:
        Py_ssize_t i, at = 0
        u32 label
    memset(p.sums, 0, clusters * p.dim * sizeof(f64))
    memset(p.totals, 0, clusters * sizeof(f64))
    memset(p.sizes, 0, clusters * sizeof(int32_t))
    memset(p.chosen, 0xFF, clusters * sizeof(int32_t))
    add_tokens(tokens, n, p)
    for i in range(clusters * p.dim):
        p.directions[i] = <f32>p.sums[i]
    choose(tokens, n, p)
    for i in range(n):
        label = p.labels[i]
        if p.chosen[label] != i:
            continue
        positions[at] = <u32>i
        if p.sizes[label] == 1:
            memcpy(pooled + at * p.dim, tokens + i * p.dim, p.dim * sizeof(f32))
        else:
            write_pool(p, label, pooled + at * p.dim)
        at += 1
