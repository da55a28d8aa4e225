"""Which token of a document is best for each query token, tile by tile."""
from libc.math cimport INFINITY
from cgcython.kernels.inner.maxsim.tiles cimport Document, Tile, add, copy_tile, tile_height
from cgcython.kernels.inner.maxsim.unit_tokens cimport QUERY_LANES
from cgcython.kernels.inner.types cimport f32, i64


cdef inline void align_block(
    const Document *doc, const f32 *query, Py_ssize_t lanes, i64 *best, f32 *cosines
) noexcept nogil:
    """Write the best token and its cosine for each lane; -1 and 0 without a match."""
    cdef:
        Tile t
        Py_ssize_t done = 0, first, height, i, lane
        f32 cosine
    t.step.lanes, t.step.sums = <int>lanes, t.sums
    for lane in range(lanes):
        best[lane], cosines[lane] = -1, -INFINITY
    while done < doc.count:
        height = tile_height(doc.count - done, doc.count)
        first = min(done, doc.count - height)
        copy_tile(doc, query, first, height, &t)
        add(height, &t.step)
        for i in range(height):
            for lane in range(lanes):
                cosine = t.sums[i * QUERY_LANES + lane] * t.norms[i]
                if cosine > cosines[lane]:
                    best[lane], cosines[lane] = first + i, cosine
        done = first + height
    for lane in range(lanes):
        if best[lane] < 0 or is_zero(query + lane, doc.dim):
            best[lane], cosines[lane] = -1, 0


cdef inline bint is_zero(const f32 *lane, Py_ssize_t dim) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(dim):
        if lane[k * QUERY_LANES] != 0:
            return False
    return True
