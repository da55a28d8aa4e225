"""Token selection by facility location, Ward clustering of tokens, and pooling of its clusters.

Cosines are rounded to whole numbers first, so that every level takes the same decisions.
"""
from cgcython.kernels.inner.tokens.coverage cimport (
    ALIGN, MOST_TOKENS, Cover, cover as cover_best, lay_out,
)
from cgcython.kernels.inner.door cimport agree, check_buffers, check_offsets
from cgcython.kernels.inner.tokens.pooling cimport Pools, lay_out_pools, pool_clusters
from cgcython.kernels.inner.types cimport f32, i64, u8, u32
from cgcython.kernels.inner.tokens.ward cimport Ward, cluster_tokens, lay_out_ward

cdef enum:
    WIDEST = 1 << 30  # values, so that no size of scratch overflows


cdef Py_ssize_t coverage_cover_scratch(Py_ssize_t count, Py_ssize_t dim) noexcept nogil:
    cdef Cover c
    return lay_out(&c, count, dim, NULL)


cdef Py_ssize_t coverage_cluster_scratch(Py_ssize_t count, Py_ssize_t dim) noexcept nogil:
    cdef Ward w
    return coverage_cover_scratch(count, dim) + lay_out_ward(&w, count, NULL)


cdef Py_ssize_t coverage_pool_scratch(Py_ssize_t count, Py_ssize_t dim) noexcept nogil:
    cdef Pools p
    return coverage_cluster_scratch(count, dim) + lay_out_pools(&p, count, dim, NULL) + ALIGN


cdef void coverage_cover(
    const f32 *tokens, Py_ssize_t count, Py_ssize_t dim, u32 *kept, f32 *gains, Py_ssize_t k,
    u8 *scratch
) noexcept nogil:
    cdef:
        Cover c
        Py_ssize_t i, at = 0
    if k == 0:
        return
    lay_out(&c, count, dim, scratch)
    cover_best(tokens, &c, k)
    for i in range(count):
        if c.gains[i] >= 0:
            kept[at], gains[at] = <u32>i, <f32>c.gains[i] * <f32>(1.0 / 32768)
            at += 1


cdef void coverage_cluster(
    const f32 *tokens, Py_ssize_t count, Py_ssize_t dim, u32 *labels, Py_ssize_t num_clusters,
    u8 *scratch
) noexcept nogil:
    cdef:
        Cover c
        Ward w
    if count:
        lay_out(&c, count, dim, scratch)
        lay_out_ward(&w, count, <u8 *>(c.gains + c.stride))
        cluster_tokens(tokens, &c, &w, num_clusters, labels)


cdef void coverage_pool(
    const f32 *tokens, Py_ssize_t count, Py_ssize_t dim, f32 *pooled, u32 *positions,
    Py_ssize_t num_clusters, u8 *scratch
) noexcept nogil:
    cdef Pools p
    cdef Py_ssize_t used = -(<Py_ssize_t>scratch) & (ALIGN - 1)
    if count:
        used += lay_out_pools(&p, count, dim, scratch + used)
        coverage_cluster(tokens, count, dim, p.labels, num_clusters, scratch + used)
        pool_clusters(tokens, count, &p, num_clusters, pooled, positions)


cdef int check_size(Py_ssize_t tokens, Py_ssize_t dim) except -1:
    if not (0 <= tokens <= MOST_TOKENS and 0 <= dim <= WIDEST):
        raise ValueError(
            f"{tokens} tokens of {dim} values, expected up to {MOST_TOKENS} of {WIDEST}"
        )
    return 0


def cover_scratch(Py_ssize_t tokens, Py_ssize_t dim):
    """Return how many bytes `cover` needs as scratch."""
    check_size(tokens, dim)
    return coverage_cover_scratch(tokens, dim)


cdef int check_cover(
    Py_ssize_t n, Py_ssize_t dim, Py_ssize_t k, const u8[::1] scratch
) except -1:
    if k > n:
        raise ValueError(f"kept holds {k}, values holds {n} rows")
    check_size(n, dim)
    if scratch.shape[0] < coverage_cover_scratch(n, dim):
        raise ValueError(f"scratch holds {scratch.shape[0]} bytes, see cover_scratch")
    return 0


def cover(
    const f32[:, ::1] values,   # IN
    u32[::1] kept,              # OUT
    f32[::1] gains,             # OUT
    u8[::1] scratch,
):
    """Write the tokens that best cover all others, ascending, and what each one added.

    Greedy facility location: each pick adds most to the sum over tokens of the best cosine with
    a kept one, ties to the lower position.
    """
    cdef Py_ssize_t k = kept.shape[0], n = values.shape[0], dim = values.shape[1]
    check_buffers(3, kept, gains, scratch, values)
    agree("gains", gains.shape[0], "kept", k)
    check_cover(n, dim, k, scratch)
    with nogil:
        coverage_cover(&values[0, 0], n, dim, &kept[0], &gains[0], k, &scratch[0])


def cover_documents(
    const f32[:, ::1] values,       # IN
    const i64[::1] offsets,         # IN
    u32[::1] kept,                  # OUT
    const i64[::1] kept_offsets,    # IN
    f32[::1] gains,                 # OUT
    u8[::1] scratch,
):
    """Cover documents that lie one after another, as `cover` does each.

    The rows of document i begin at offsets[i], its kept positions and gains at kept_offsets[i].
    """
    cdef Py_ssize_t i, n = offsets.shape[0] - 1, dim = values.shape[1]
    check_buffers(3, kept, gains, scratch, values, offsets, kept_offsets)
    agree("kept_offsets", kept_offsets.shape[0], "offsets", n + 1)
    agree("gains", gains.shape[0], "kept", kept.shape[0])
    check_offsets("offsets", offsets, values.shape[0])
    check_offsets("kept_offsets", kept_offsets, kept.shape[0])
    for i in range(n):
        check_cover(
            offsets[i + 1] - offsets[i], dim, kept_offsets[i + 1] - kept_offsets[i], scratch
        )
    with nogil:
        for i in range(n):
            coverage_cover(
                &values[offsets[i], 0], offsets[i + 1] - offsets[i], dim,
                &kept[kept_offsets[i]], &gains[kept_offsets[i]],
                kept_offsets[i + 1] - kept_offsets[i], &scratch[0],
            )


def cluster_scratch(Py_ssize_t tokens, Py_ssize_t dim):
    """Return how many bytes `cluster` needs as scratch."""
    check_size(tokens, dim)
    return coverage_cluster_scratch(tokens, dim)


cdef int check_clusters(Py_ssize_t n, Py_ssize_t dim, Py_ssize_t num_clusters) except -1:
    if not min(n, 1) <= num_clusters <= n:
        raise ValueError(f"num_clusters is {num_clusters}, values holds {n} rows")
    return check_size(n, dim)


def cluster(
    const f32[:, ::1] values,   # IN
    u32[::1] labels,            # OUT
    Py_ssize_t num_clusters,
    u8[::1] scratch,
):
    """Write the cluster of each token by Ward's method, numbered by their lowest tokens.

    The two clusters whose merging moves centres least become one, the lower pair of equals,
    until so many are left. Only directions count.
    """
    cdef Py_ssize_t n = values.shape[0], dim = values.shape[1]
    check_buffers(2, labels, scratch, values)
    agree("labels", labels.shape[0], "values", n)
    check_clusters(n, dim, num_clusters)
    if scratch.shape[0] < coverage_cluster_scratch(n, dim):
        raise ValueError(f"scratch holds {scratch.shape[0]} bytes, see cluster_scratch")
    with nogil:
        coverage_cluster(&values[0, 0], n, dim, &labels[0], num_clusters, &scratch[0])


def pool_scratch(Py_ssize_t tokens, Py_ssize_t dim):
    """Return how many bytes `pool_documents` needs as scratch, of tokens of the longest."""
    check_size(tokens, dim)
    return coverage_pool_scratch(tokens, dim)


def pool_documents(
    const f32[:, ::1] values,   # IN
    const i64[::1] offsets,     # IN
    f32[:, ::1] pooled,         # OUT
    u32[::1] positions,         # OUT
    const i64[::1] edges,       # IN
    u8[::1] scratch,
):
    """Write one token for each of Ward's clusters of documents that lie one after another.

    The rows of document i begin at offsets[i], its pooled tokens and their positions, which ascend,
    at edges[i]. A pooled token has the sum of its cluster's unit tokens, rounded to float32, for
    a direction, and the mean length; its position is that of the token with the best cosine to
    the direction, the lowest of equals. A cluster of one token is that token.
    """
    cdef Py_ssize_t i, n = offsets.shape[0] - 1, dim = values.shape[1]
    check_buffers(3, pooled, positions, scratch, values, offsets, edges)
    agree("edges", edges.shape[0], "offsets", n + 1)
    agree("positions", positions.shape[0], "pooled", pooled.shape[0])
    agree("a row of pooled", pooled.shape[1], "values", dim)
    check_offsets("offsets", offsets, values.shape[0])
    check_offsets("edges", edges, pooled.shape[0])
    for i in range(n):
        check_clusters(offsets[i + 1] - offsets[i], dim, edges[i + 1] - edges[i])
        if scratch.shape[0] < coverage_pool_scratch(offsets[i + 1] - offsets[i], dim):
            raise ValueError(f"scratch holds {scratch.shape[0]} bytes, see pool_scratch")
    with nogil:
        for i in range(n):
            coverage_pool(
                &values[0, 0] + offsets[i] * dim, offsets[i + 1] - offsets[i], dim,
                &pooled[0, 0] + edges[i] * dim, &positions[0] + edges[i],
                edges[i + 1] - edges[i], &scratch[0],
            )
