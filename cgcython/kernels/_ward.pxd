"""Ward's clustering of tokens by their cosines: the same on every level.

Sums of cosines between clusters are whole numbers, and a cost has no product that a fused
multiply-add could round otherwise.
"""
from libc.math cimport INFINITY
from libc.stdint cimport int32_t
from cgcython.kernels._coverage cimport Cover, fill_cosines, lay_out, place, round_tokens
from cgcython.kernels._types cimport f32, f64, u8, u32


cdef struct Ward:
    Py_ssize_t n
    f64 *products       # [n, n], the sum of cosines between two clusters, in units of 2**-15
    f64 *within         # of each cluster with itself
    f64 *lengths        # within / sizes: the squared length of the sum of n tokens is n times it
    f64 *sizes          # of each cluster, at its lowest token; 0 where it went into another
    f64 *costs          # of merging each with its cheapest partner of a higher position
    f64 *row
    int32_t *partners
    int32_t *owners     # the cluster each token went into, or its own position


cdef inline Py_ssize_t lay_out_ward(Ward *w, Py_ssize_t n, u8 *memory) noexcept nogil:
    """Place the arrays in aligned memory, one behind the other, and return the bytes they take."""
    cdef Py_ssize_t at
    w.n = n
    at = place(<void **>&w.products, memory, 0, n * n * sizeof(f64))
    at = place(<void **>&w.within, memory, at, n * sizeof(f64))
    at = place(<void **>&w.lengths, memory, at, n * sizeof(f64))
    at = place(<void **>&w.sizes, memory, at, n * sizeof(f64))
    at = place(<void **>&w.costs, memory, at, n * sizeof(f64))
    at = place(<void **>&w.row, memory, at, n * sizeof(f64))
    at = place(<void **>&w.partners, memory, at, n * sizeof(int32_t))
    return place(<void **>&w.owners, memory, at, n * sizeof(int32_t))


cdef inline f64 cost_of(const Ward *w, Py_ssize_t i, Py_ssize_t j) noexcept nogil:
    """Return by how much the squared distances to the centres grow when two are merged."""
    cdef f64 merged = w.within[i] + w.within[j] + 2 * w.products[i * w.n + j]
    return w.lengths[i] + w.lengths[j] - merged / (w.sizes[i] + w.sizes[j])


cdef inline void find_partner(Ward *w, Py_ssize_t i) noexcept nogil:
    """Find the cheapest partner of a higher position, the lowest of equals."""
    cdef:
        Py_ssize_t j
        f64 least = INFINITY
    for j in range(i + 1, w.n):
        w.row[j] = cost_of(w, i, j)
    w.partners[i] = -1
    for j in range(i + 1, w.n):
        if w.row[j] < least:
            least, w.partners[i] = w.row[j], <int32_t>j
    w.costs[i] = least


cdef inline void begin_ward(Ward *w, const Cover *c) noexcept nogil:
    """Make every token a cluster; a zero token has cosine 0 with all."""
    cdef:
        Py_ssize_t i, j
        bint is_zero
    for i in range(w.n):
        is_zero = c.cosines[i * c.stride + i] == 0
        for j in range(w.n):
            w.products[i * w.n + j] = (
                0 if is_zero or c.cosines[j * c.stride + j] == 0
                else <int32_t>c.cosines[i * c.stride + j] - 32768
            )
        w.within[i] = w.products[i * w.n + i]
        w.lengths[i], w.sizes[i], w.owners[i] = w.within[i], 1, <int32_t>i
    for i in range(w.n):
        find_partner(w, i)


cdef inline void merge(Ward *w, Py_ssize_t i, Py_ssize_t j) noexcept nogil:
    """Put cluster j into cluster i, which stands before it."""
    cdef:
        Py_ssize_t k
        f64 cost
    w.within[i] = w.within[i] + w.within[j] + 2 * w.products[i * w.n + j]
    w.sizes[i] += w.sizes[j]
    w.lengths[i] = w.within[i] / w.sizes[i]
    w.sizes[j], w.lengths[j], w.owners[j] = 0, INFINITY, <int32_t>i
    w.costs[j] = INFINITY
    for k in range(w.n):
        w.products[i * w.n + k] += w.products[j * w.n + k]
    for k in range(w.n):
        w.products[k * w.n + i] = w.products[i * w.n + k]
    find_partner(w, i)
    for k in range(j):
        if w.sizes[k] == 0 or k == i:
            continue
        if w.partners[k] == i or w.partners[k] == j:
            find_partner(w, k)
        elif k < i:
            cost = cost_of(w, k, i)
            if cost < w.costs[k] or (cost == w.costs[k] and i < w.partners[k]):
                w.costs[k], w.partners[k] = cost, <int32_t>i


cdef inline Py_ssize_t cheapest(const Ward *w) noexcept nogil:
    cdef Py_ssize_t i, found = 0
    for i in range(1, w.n):
        if w.costs[i] < w.costs[found]:
            found = i
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
        merge(w, i, w.partners[i])
    for i in range(w.n):
        if w.owners[i] == i:
            labels[i] = found
            found += 1
        else:
            labels[i] = labels[w.owners[i]]
