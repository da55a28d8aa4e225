"""The steps of k-means beside assignment (pq.encode_rows with one part).

Sums keep one order on every level, and products are rounded before they are added (see setup.py),
so the same rows and random numbers give the same centroids.
"""
from cgcython.kernels.inner.door cimport check_buffers
from cgcython.kernels.inner.pq.sums cimport distance_of
from cgcython.kernels.inner.types cimport f32, i64, u8

cdef extern from "inner/pq/kmeans.h" nogil:
    f32 short_distance "cg_short_distance"(const f32 *a, const f32 *b, int n)


cdef void kmeans_shrink_distances(
    const f32 *values, const f32 *centre, f32 *distances, Py_ssize_t n, Py_ssize_t dim
) noexcept nogil:
    cdef Py_ssize_t i
    if dim == 4:
        for i in range(n):
            distances[i] = min(distances[i], short_distance(values + i * 4, centre, 4))
    elif dim == 8:
        for i in range(n):
            distances[i] = min(distances[i], short_distance(values + i * 8, centre, 8))
    elif dim == 16:
        for i in range(n):
            distances[i] = min(distances[i], short_distance(values + i * 16, centre, 16))
    else:
        for i in range(n):
            distances[i] = min(distances[i], distance_of(values + i * dim, centre, dim))


def shrink_distances(
    const f32[:, ::1] values,  # IN
    const f32[::1] centre,     # IN
    f32[::1] distances,        # INOUT
):
    """Lower each distance [n] to the squared distance of its row from the centre, if that is less.

    Sixteen lanes sum side by side in float32 and are then added in a tree, on every level.
    """
    cdef Py_ssize_t n = values.shape[0], dim = values.shape[1]
    check_buffers(1, distances, values, centre)
    if centre.shape[0] != dim or distances.shape[0] != n:
        raise ValueError(
            f"values are {(n, dim)}, centre holds {centre.shape[0]}, "
            f"distances {distances.shape[0]}"
        )
    if n and dim:
        with nogil:
            kmeans_shrink_distances(&values[0, 0], &centre[0], &distances[0], n, dim)
    elif n:
        distances[:] = 0


cdef inline void add_row(const f32 *row, Py_ssize_t n, double *sums) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        sums[j] += row[j]


def accumulate(
    const f32[:, ::1] values,  # IN
    const u8[::1] codes,       # IN
    double[:, ::1] sums,       # INOUT
    i64[::1] counts,           # INOUT
):
    """Add each row to its code's sum [k, d] (float64, rows in order) and count it."""
    cdef:
        Py_ssize_t i, n = values.shape[0], dim = values.shape[1], k = sums.shape[0]
        u8 largest = 0
    check_buffers(2, sums, counts, values, codes)
    if codes.shape[0] != n or sums.shape[1] != dim or counts.shape[0] != k:
        raise ValueError(
            f"values are {(n, dim)}, codes hold {codes.shape[0]}, "
            f"sums are {(k, sums.shape[1])}, counts hold {counts.shape[0]}"
        )
    for i in range(n):
        largest = max(largest, codes[i])
    if n and largest >= k:
        raise ValueError(f"code {largest} has no sum among {k}")
    with nogil:
        for i in range(n):
            counts[codes[i]] += 1
            if dim:
                add_row(&values[i, 0], dim, &sums[codes[i], 0])
