"""Ward's clustering of tokens by their cosines: the same on every level.

Sums of cosines between clusters are whole numbers, and a cost has no product that a fused
multiply-add could round otherwise.
"""
from libc.math cimport INFINITY
from libc.stdint cimport int32_t
from cgcython.kernels.inner.tokens.coverage cimport (
    Cover, fill_cosines, lay_out, place, round_tokens,
)
from cgcython.kernels.inner.types cimport f32, f64, u8, u32

cdef extern from "inner/tokens/ward.h" nogil:
    ctypedef struct Clusters "cg_clusters":
        f64 *within         # the sum of cosines of each cluster with itself, in units of 2**-15
        f64 *lengths        # within / sizes: n times it is the squared length of a sum of n tokens
        f64 *sizes          # of each cluster, at its lowest token; 0 where it went into another
        f64 *costs          # of merging each with its cheapest partner of a higher position
        f64 *partners       # -1 where it must be found; the cost is a lower bound then
    ctypedef struct Least "cg_least":
        f64 cost
        f64 at
    Least partner_of "cg_partner"(
        const Clusters *c, const f64 *products, Py_ssize_t i, Py_ssize_t n
    )
    Least cheapest_of "cg_cheapest"(const Clusters *c, Py_ssize_t n)
    void notice "cg_notice"(
        Clusters *c, const f64 *products, Py_ssize_t i, Py_ssize_t j, f64 margin
    )

cdef enum:
    SPARE = 8       # numbers behind the last, so that all are in whole vectors
    LINE = 8        # numbers of a cache line

# Costs are sums of three numbers below 2**31, each rounded to 53 bits.
cdef extern from *:
    """
    #define CG_MARGIN 0x1p-16
    """
    const f64 MARGIN "CG_MARGIN"


cdef struct Ward:
    Py_ssize_t n
    Py_ssize_t stride
    f64 *products       # [n, stride], the sum of cosines between two clusters, in units of 2**-15
    Clusters clusters
    int32_t *owners     # the cluster each token went into, or its own position


cdef inline Py_ssize_t lay_out_ward(Ward *w, Py_ssize_t n, u8 *memory) noexcept nogil:
    """Place the arrays in aligned memory, one behind the other, and return the bytes they take."""
    cdef Py_ssize_t at, size = (n + SPARE) * sizeof(f64)
    w.n = n
    # An odd number of cache lines, so that the numbers of a column lie in different sets.
    w.stride = ((n + 2 * LINE - 1) // LINE | 1) * LINE
    at = place(<void **>&w.products, memory, 0, n * w.stride * sizeof(f64))
    at = place(<void **>&w.clusters.within, memory, at, size)
    at = place(<void **>&w.clusters.lengths, memory, at, size)
    at = place(<void **>&w.clusters.sizes, memory, at, size)
    at = place(<void **>&w.clusters.costs, memory, at, size)
    at = place(<void **>&w.clusters.partners, memory, at, size)
    return place(<void **>&w.owners, memory, at, n * sizeof(int32_t))


cdef inline void find_partner(Ward *w, Py_ssize_t i) noexcept nogil:
    """Find the cheapest partner of a higher position, the lowest of equals."""
    cdef Least found = partner_of(&w.clusters, w.products + i * w.stride, i, w.n)
    w.clusters.costs[i], w.clusters.partners[i] = found.cost, found.at


cdef inline void begin_ward(Ward *w, const Cover *c) noexcept nogil:
    """Make every token a cluster; a zero token has cosine 0 with all."""
    cdef:
        Py_ssize_t i, j
        Clusters *all = &w.clusters
        f64 *products
        f64 is_token
    for i in range(w.n + SPARE):
        all.within[i], all.lengths[i], all.sizes[i] = 0, INFINITY, 0
        all.costs[i], all.partners[i] = INFINITY, -1
    for i in range(w.n):
        all.sizes[i] = c.cosines[i * c.stride + i] != 0
    for i in range(w.n):
        products, is_token = w.products + i * w.stride, all.sizes[i]
        for j in range(w.n):
            products[j] = (
                <f64>(<int32_t>c.cosines[i * c.stride + j] - 32768) * is_token * all.sizes[j]
            )
        for j in range(w.n, w.stride):
            products[j] = 0
    for i in range(w.n):
        all.within[i] = all.lengths[i] = w.products[i * w.stride + i]
        all.sizes[i], w.owners[i] = 1, <int32_t>i
    for i in range(w.n):
        find_partner(w, i)


cdef inline void merge(Ward *w, Py_ssize_t i, Py_ssize_t j) noexcept nogil:
    """Put cluster j into cluster i, which stands before it."""
    cdef:
        Py_ssize_t k
        Clusters *all = &w.clusters
        f64 *row = w.products + i * w.stride
        f64 *other = w.products + j * w.stride
    all.within[i] = all.within[i] + all.within[j] + 2 * row[j]
    all.sizes[i] += all.sizes[j]
    all.lengths[i] = all.within[i] / all.sizes[i]
    all.sizes[j], all.lengths[j], all.costs[j] = 0, INFINITY, INFINITY
    w.owners[j] = <int32_t>i
    for k in range(w.n):
        row[k] += other[k]
    for k in range(w.n):
        w.products[k * w.stride + i] = row[k]
    notice(all, row, i, j, MARGIN)
    find_partner(w, i)


cdef inline Py_ssize_t cheapest(Ward *w) noexcept nogil:
    """Return the lowest of the clusters whose merging with their partner costs least."""
    cdef Py_ssize_t found = <Py_ssize_t>cheapest_of(&w.clusters, w.n).at
    while w.clusters.partners[found] < 0:
        find_partner(w, found)
        found = <Py_ssize_t>cheapest_of(&w.clusters, w.n).at
    return found


cdef inline void cluster_tokens(
    const f32 *values, Cover *c, Ward *w, Py_ssize_t num_clusters, u32 *labels
) noexcept nogil:
    """Write the cluster of each token; clusters are numbered by their lowest token."""
    cdef:
        Py_ssize_t i, _
        u32 found = 0
    round_tokens(values, c)
    fill_cosines(c)
    begin_ward(w, c)
    for _ in range(w.n - num_clusters):
        i = cheapest(w)
        merge(w, i, <Py_ssize_t>w.clusters.partners[i])
    for i in range(w.n):
        if w.owners[i] == i:
            labels[i] = found
            found += 1
        else:
            labels[i] = labels[w.owners[i]]
